// The first lines of the page: how many runs are in which state, alarms, the answer, and the filter.

import { isPart, readText } from "./address.js";
import { allow, button, el, say } from "./elements.js";
import { ago, counted } from "./numbers.js";
import { NOT_EMBEDDED } from "./problem.js";
import { runsAddress, shared } from "./shared.js";
import { source } from "./source.js";
import { change, state } from "./state.js";

const TYPING = 250; // milliseconds

export class FirstLines {
  constructor({ line, spoken, alarms, answer, filter }) {
    Object.assign(this, { line, spoken, alarms, answer });
    this.input = filter.querySelector("input");
    this.count = filter.querySelector(".count");
    this.error = filter.querySelector(".error");
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    this.input.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#apply(), TYPING);
    });
    this.input.addEventListener("keydown", (event) => event.key === "Escape" && this.input.blur());
    setInterval(() => this.#age(), 1000);
    this.read();
  }

  // Takes the filter from the state, as when the reader goes back.
  read() {
    if (document.activeElement !== this.input) this.input.value = state().where;
    allow(this.input, source.isLive, NOT_EMBEDDED);
  }

  #apply() {
    clearTimeout(this.typing);
    change({ where: this.input.value.trim() }, { goesOn: true });
  }

  update({ state: given, matching, total, unlooked = 0 }) {
    this.given = given;
    this.unlooked = unlooked;
    this.ahead = given.now ? Date.now() / 1000 - given.now : 0; // of the server's clock
    this.#age();
    const counts = given.counts.map(([name, number]) => `${number} ${name}`).join(", ");
    const loud = given.alarms.map((alarm) => alarm.text).join(", ");
    say(this.spoken, loud ? `${counts}. Alarms: ${loud}` : counts);
    say(this.error, "");
    const every = counted(total, "run");
    say(this.count, matching === total ? every : `${matching.toLocaleString("en")} of ${every}`);
    this.#alarms(given.alarms);
  }

  #alarms(alarms) {
    const { where } = state();
    const signature = JSON.stringify([alarms, where]);
    if (signature === this.signature) return;
    this.signature = signature;
    this.alarms.replaceChildren(...alarms.map((alarm) => {
      const isSet = where === alarm.where;
      const one = button(alarm.text, () => change({ where: isSet ? "" : alarm.where }), { class: "alarm", title: isSet ? "show all runs" : `show these runs: ${alarm.where}`, "aria-pressed": isSet });
      allow(one, source.has(runsAddress(0, 60, { where: isSet ? "" : alarm.where })), NOT_EMBEDDED);
      return one;
    }));
  }

  // A refused filter: the page keeps what it showed.
  refuse(text) {
    say(this.error, text);
  }

  // Says how many runs were read, until the answer is about all of them.
  wait(part) {
    say(this.answer, `${readText(part)}. The best group is named once all are.`);
    this.answer.title = "";
  }

  showAnswer(answer) {
    if (!answer) {
      if (!source.isLive) say(this.answer, ""); // what stands there is about another metric or grouping
      return;
    }
    if (isPart(answer)) {
      this.wait(answer);
      return;
    }
    const text = answer.answer?.text || (shared.main ? "No group leads yet." : "");
    say(this.answer, text);
    this.answer.title = (answer.notes || []).join(" · ");
  }

  #age() {
    if (!this.given || this.lost) return;
    const { counts, newest, text } = this.given;
    if (!newest) {
      say(this.line, text);
      return;
    }
    const parts = counts.map(([name, number]) => `${number.toLocaleString("en")} ${name}`);
    if (this.unlooked) parts.push(`${this.unlooked.toLocaleString("en")} not read yet`);
    const age = source.isLive ? ago(Date.now() / 1000 - this.ahead - newest) : new Date(newest * 1000).toLocaleString();
    say(this.line, [...parts, `newest ${age}`].join(" · "));
  }

  // Says what is wrong with the server instead of the state, or that it answers again.
  lose(text) {
    this.lost = text;
    this.line.classList.toggle("bad", Boolean(text));
    if (text) say(this.line, text);
    else this.#age();
    if (text) say(this.spoken, text);
  }
}

export function title(text) {
  document.title = `${text} · jaxlog`;
  say(document.querySelector("h1"), text);
}

export function choose(answer) {
  shared.main = answer.main;
  shared.groups = answer.groups;
  if (!answer.offset) shared.rows = answer.rows;
}
