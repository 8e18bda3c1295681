// The facts, the config and the settings of one run: on the page, and in the drawer.

import { address } from "./address.js";
import { el, named, say } from "./elements.js";
import { PartOfOneRun } from "./part_of_one_run.js";

export function factsAddress(run) {
  return address("facts", { run });
}

// What an answer to `facts` says, as elements.
export function factsOf({ status_text: status, health, facts: others, config, settings, notes = [] }) {
  const facts = [["status", status, false], ...(health ? [["health", health, true]] : []), ...others];
  return [
    ...notes.map((note) => el("p", { class: "note" }, note)),
    el("dl", {}, ...facts.map(([label, text, bad]) => el("div", { class: bad ? "bad" : null }, el("dt", {}, label), el("dd", {}, el("bdi", {}, text))))),
    ...(config.length ? [el("h4", { class: "category" }, "Config"), tableOf(["key", "value"], config)] : []),
    ...(settings ? [el("h4", { class: "category" }, "Settings"), el("pre", { tabindex: 0 }, settings)] : []),
  ];
}

export function tableOf(head, rows) {
  return el("div", { class: "wide", tabindex: 0 }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, named(text))))),
    el("tbody", {}, ...rows.map(([key, ...texts]) => el("tr", {}, el("th", { scope: "row" }, named(key)), ...texts.map((text) => el("td", {}, el("bdi", {}, String(text ?? "")))))))));
}

export class Facts extends PartOfOneRun {
  constructor(element) {
    super(element, "Facts", factsAddress);
    this.place = el("div", { class: "facts" });
    element.append(this.place);
  }

  draw(answer) {
    this.place.replaceChildren(el("h3", {}, named(answer.name)), ...factsOf(answer));
  }

  refuse(text) {
    say(this.place, text);
  }
}
