// A part of the page about one run, which the reader chooses.

import { el } from "./elements.js";
import { Problem } from "./problem.js";
import { firstRun, shared } from "./shared.js";
import { source } from "./source.js";

// Lists the runs about which there is an answer; `wanted` is called when another is chosen.
class RunChoice {
  constructor(addressOf, wanted) {
    this.addressOf = addressOf;
    this.element = el("select", { "aria-label": "run", onchange: wanted });
  }

  // Offers the runs, and returns the chosen one; "" for none.
  offer() {
    const rows = shared.rows.filter(({ id }) => source.has(this.addressOf(id)));
    const signature = JSON.stringify(rows.map(({ id, name }) => [id, name]));
    const chosen = this.element.value;
    if (signature !== this.offered) {
      this.offered = signature;
      this.element.replaceChildren(...rows.map(({ id, name }) => el("option", { value: id, selected: id === chosen }, name)));
      this.element.hidden = rows.length < 2;
    }
    const first = firstRun();
    return this.element.value || (rows.some(({ id }) => id === first) ? first : "");
  }
}

// `addressOf(run)` is asked for when the part comes into sight; `draw(answer)` shows a new answer.
export class PartOfOneRun {
  constructor(element, title, addressOf, ...beside) {
    this.element = element;
    this.addressOf = addressOf;
    this.choice = new RunChoice(addressOf, () => this.refresh());
    element.append(el("div", { class: "head" }, el("h2", {}, title), this.choice.element, ...beside));
    this.inSight = !source.isLive; // a saved view has them before it is printed
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.inSight = isIntersecting || !source.isLive;
      if (this.inSight) this.refresh();
    }, { rootMargin: "400px" }).observe(element);
  }

  async refresh() {
    const run = this.choice.offer();
    this.element.hidden = !run;
    if (!run || !this.inSight) return;
    let answer;
    try {
      answer = await source.get(this.addressOf(run));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "refused") this.refuse(problem.message);
      return;
    }
    if (answer === this.answer) return;
    this.answer = answer;
    this.draw(answer);
  }
}
