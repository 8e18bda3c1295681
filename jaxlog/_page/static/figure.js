// A metric's figure: its title, its buttons, its chart, and for screen readers its last values as a table.

import { isPart, readText } from "./address.js";
import { Chart } from "./chart.js";
import { button, el, named, say } from "./elements.js";
import { copiers } from "./export.js";
import { number } from "./numbers.js";
import { endOf } from "./paint.js";
import { Problem } from "./problem.js";
import { curvesAddress, lookOf, metricId } from "./shared.js";
import { source } from "./source.js";
import { change, state, toggle } from "./state.js";

export class Figure {
  // `options`: points, height(), labels, alive, big (it is the enlarged one).
  constructor(metric, options) {
    this.metric = metric;
    this.options = options;
    this.id = metricId(metric);
    this.body = el("div", { class: "body" });
    this.note = el("p", { class: "note", hidden: true });
    this.values = el("table");
    this.title = el("h3", { class: "key" }, named(metric.title || metric.key));
    this.reading = el("span", { class: "reading", hidden: true });
    this.logButton = button("log", () => toggle("log", this.id), { title: "logarithmic y axis" });
    this.menu = menu(this);
    const enlarge = button(options.big ? "close" : "⤢", () => change({ big: options.big ? "" : this.id }), {
      "aria-label": options.big ? "close" : "enlarge", title: options.big ? "close" : "enlarge",
    });
    this.element = el("figure", { class: "chart", tabindex: 0, "aria-label": metric.title || metric.key },
      el("figcaption", {}, this.title, this.reading, el("span", { class: "tools" }, this.logButton, enlarge, this.menu)), this.body, this.note, el("div", { class: "unseen" }, this.values));
    this.element.figure = this;
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("blur", () => this.chart?.leave());
    this.body.style.minHeight = `${options.height()}px`;
  }

  address(changes = {}) {
    return curvesAddress(this.metric, this.options.points, changes);
  }

  // Asks for the answer if it may be another, and draws it if it or the look is.
  async refresh() {
    const address = this.address();
    this.element.classList.toggle("stale", Boolean(this.chart) && address !== this.shownAddress);
    let answer;
    try {
      answer = await source.get(address);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "refused") {
        this.element.classList.add("refused");
        this.#say(problem.message);
      }
      return;
    }
    if (address !== this.address()) return; // the reader has chosen something else meanwhile
    this.shownAddress = address;
    this.element.classList.remove("stale");
    const look = lookOf(this.metric);
    const same = JSON.stringify(look);
    if (answer === this.answer && same === this.same) return;
    [this.answer, this.same] = [answer, same];
    this.draw(answer, look);
  }

  draw(answer, look) {
    this.chart ??= new Chart(this.body, {
      height: this.options.height,
      labels: this.options.labels,
      alive: this.options.alive,
      onZoom: (from, to) => change({ from: String(from), to: String(to) }),
      onReset: () => change({ from: "", to: "" }),
    });
    this.element.classList.add("drawn");
    this.reading.hidden = !isPart(answer);
    say(this.reading, isPart(answer) ? readText(answer) : "");
    this.chart.show(this.extra ? { ...answer, groups: [...answer.groups, this.extra] } : answer, look);
    this.logButton.setAttribute("aria-pressed", look.log);
    const left = answer.left_out ? [`${answer.left_out.toLocaleString("en")} of ${answer.total_groups.toLocaleString("en")} groups are not drawn as lines.`] : [];
    const many = !this.chart.shown.banded;
    const hidden = many ? ["Only the group that is pointed at has its band, and names stand where there is room."] : [];
    this.#say([...(this.options.alive ? [...(answer.notes || []), ...left, ...hidden] : [])].join(" · "));
    this.#tabulate();
  }

  #say(text) {
    say(this.note, text);
    this.note.hidden = !text;
  }

  #tabulate() {
    const { lines, answer } = this.chart.shown;
    const rows = lines.filter((one) => !one.isBand).slice(0, 30).map((one) => {
      const end = endOf(one);
      const { y, lower, upper } = one.given;
      const band = end && lower[end.i] < upper[end.i] ? `${number(lower[end.i])} to ${number(upper[end.i])}` : "";
      return [one.label, end ? number(y[end.i]) : "no value", band, `${end ? one.alive[end.i] : 0} of ${one.lanes}`];
    });
    const text = JSON.stringify(rows);
    if (text === this.tabulated) return;
    this.tabulated = text;
    const cells = (tag, row) => el("tr", {}, ...row.map((one) => el(tag, {}, one)));
    this.values.replaceChildren(el("caption", {}, `last values of ${answer.y.title}`),
      cells("th", ["group", "last value", answer.band || "band", "lanes alive"]), ...rows.map((row) => cells("td", row)));
  }

  // Brings a group to the front. One that is not among the lines is asked for by its name.
  async setFocus(name) {
    if (!this.chart) return;
    const known = name === null || this.answer.groups.some((group) => group.name === name);
    this.extra = null;
    if (!known && this.answer.left_out) {
      const only = this.address({ only: name });
      if (source.has(only)) this.extra = (await source.get(only)).groups.find((group) => group.name === name);
    }
    if (this.answer.left_out) this.draw(this.answer, lookOf(this.metric));
    this.chart.setFocus(name);
  }

  // Takes the width that there is.
  fit() {
    this.chart?.fit();
  }

  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -1e9, End: 1e9 }[event.key];
    if (by) this.chart?.step(by);
    else if (event.key === "Enter") change({ big: this.options.big ? "" : this.id });
    else if (event.key === "l") toggle("log", this.id);
    else if (event.key === "0") change({ from: "", to: "" });
    else if (event.key === "Escape" && !this.options.big) this.chart?.leave();
    else return;
    event.preventDefault();
  }

  destroy() {
    this.chart?.destroy();
    this.element.remove();
  }
}

// What a figure can do besides. It is built when it is opened.
function menu(figure) {
  const element = el("details", { class: "menu" }, el("summary", { "aria-label": "more", title: "copy, ranges" }, "⋯"));
  element.addEventListener("toggle", () => {
    element.querySelector("div")?.remove();
    if (element.open) element.append(contents(figure, () => (element.open = false)));
  });
  return element;
}

function contents(figure, close) {
  const { chart, metric } = figure;
  const buttons = chart ? copiers(figure).map(([text, act]) => button(text, () => act().then(close))) : [];
  const input = (label, value) => el("label", {}, label, el("input", { type: "number", step: "any", value: value ?? "" }));
  const look = lookOf(metric);
  const fields = [input("y from", look.y?.[0]), input("to", look.y?.[1]), input("x from", look.from), input("to", look.to)];
  const apply = (event) => {
    event.preventDefault();
    const [low, high, from, to] = fields.map((label) => label.lastChild.value);
    const others = state().y.filter((one) => !one.endsWith(`,${figure.id}`));
    const y = low !== "" && high !== "" && +low < +high ? [...others, `${low},${high},${figure.id}`] : others;
    close();
    change({ y, from, to });
  };
  return el("div", {}, ...buttons, el("form", { onsubmit: apply }, ...fields, el("button", { type: "submit" }, "set ranges")));
}
