// The groups by their last values, best first, with differences to a baseline.

import { isPart, readText } from "./address.js";
import { swatchClass } from "./colours.js";
import { allow, button, el, named, say, svg } from "./elements.js";
import { copyText } from "./export.js";
import { shortName } from "./names.js";
import { value } from "./numbers.js";
import { NOT_EMBEDDED, Problem } from "./problem.js";
import { comparisonAddress, mainMetric } from "./shared.js";
import { source } from "./source.js";
import { change, state, toggle } from "./state.js";

const BAR = 72;
const AT_ONCE = 40;

export class ComparisonTable {
  // `pointed(name)` is called with the group under the pointer; `colourOf(name)` gives its colour's number.
  constructor(element, { pointed, colourOf }) {
    Object.assign(this, { element, pointed, colourOf, most: AT_ONCE });
    this.title = el("h2", {}, "Comparison");
    this.copy = el("span", { class: "tools", hidden: true });
    this.body = el("tbody");
    this.head = el("tr");
    this.note = el("p", { class: "note", hidden: true });
    this.more = button("", () => {
      this.most = Infinity;
      this.draw();
    });
    const table = el("table", {}, el("thead", {}, this.head), this.body);
    element.append(el("div", { class: "head" }, this.title, this.copy), el("div", { class: "wide", tabindex: 0 }, table, this.more), this.note);
    this.body.addEventListener("mouseleave", () => pointed(null));
    for (const kind of ["CSV", "LaTeX", "Markdown"]) {
      const endings = { LaTeX: "tex", Markdown: "md" };
      this.copy.append(button(kind, () => copyText(this.answer[kind.toLowerCase()], this.answer.title, endings[kind] || kind), { title: `copy as ${kind}` }));
    }
  }

  addresses() {
    return mainMetric() ? [comparisonAddress()] : [];
  }

  async refresh() {
    if (!mainMetric()) return;
    let answer;
    try {
      answer = await source.get(comparisonAddress());
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "refused") this.#say(problem.message);
      return;
    }
    if (isPart(answer)) {
      this.wait(answer);
      return;
    }
    this.isPart = false;
    this.answer = answer;
    this.draw();
  }

  // Says how many runs were read, until the answer is about all of them.
  wait(part) {
    this.isPart = true;
    this.#say(`${readText(part)}: groups are compared once all are`);
  }

  draw() {
    if (!this.answer) return;
    this.copy.hidden = false;
    const { rows, title: key, by = [], notes = [] } = this.answer;
    const title = by.length ? `${key} by ${by.join(", ")}` : key;
    const { baseline, hide } = state();
    const signature = JSON.stringify([rows, baseline, hide, this.most, rows.map((row) => this.colourOf(row.name))]);
    if (!this.isPart) this.#say(notes.join(" · "));
    if (signature === this.signature) return;
    this.signature = signature;
    say(this.title, title);
    const differs = rows.some((row) => row.difference_text);
    const heads = [["", ""], ["last value", "number"], differs ? ["difference", "number"] : ["", "bar"], ["lanes", "number"], ["", "act"]];
    this.head.replaceChildren(...heads.map(([text, kind]) => el("th", { scope: "col", class: kind || null }, text)));
    const [low, high] = extent(rows);
    this.body.replaceChildren(...rows.slice(0, this.most).map((row) => this.#row(row, low, high, differs)));
    this.more.hidden = rows.length <= this.most;
    say(this.more, `show all ${rows.length}`);
  }

  #row(row, low, high, differs) {
    const { baseline, hide } = state();
    const isBase = row.name === baseline;
    const hidden = hide.includes(row.name);
    const pin = button("Δ", () => change({ baseline: isBase ? "" : row.name }),
      { "aria-pressed": isBase, class: "small", "aria-label": `baseline: ${row.name}`, title: isBase ? "no baseline" : "show differences to this one" });
    allow(pin, source.has(comparisonAddress({ baseline: isBase ? "" : row.name })), NOT_EMBEDDED);
    const name = el("button", { type: "button", class: "name", "aria-pressed": !hidden, title: `${row.name}: ${hidden ? "show" : "hide"} in the charts`,
      onclick: () => toggle("hide", row.name) }, el("span", { class: swatchClass(this.colourOf(row.name)) }), named(shortName(row.name, this.answer.by), { title: row.name }));
    const fewer = row.alive < row.lanes;
    const cells = [
      el("td", { class: "number strong" }, row.text),
      differs ? el("td", { class: "number" }, row.difference_text || "") : el("td", { class: "bar" }, bar(row, low, high, this.colourOf(row.name))),
      el("td", { class: fewer ? "number warn" : "number", title: `${row.alive} of ${row.lanes} ${row.lanes === 1 ? "lane is" : "lanes are"} alive` }, `${row.alive}/${row.lanes}`),
      el("td", { class: "act" }, pin),
    ];
    const element = el("tr", { class: hidden ? "hidden" : null }, el("th", { scope: "row" }, name), ...cells);
    element.addEventListener("mouseenter", () => this.pointed(row.name));
    return element;
  }

  #say(text) {
    say(this.note, text);
    this.note.hidden = !text;
  }
}

function extent(rows) {
  const numbers = rows.flatMap((row) => [value(row.lower), value(row.upper), value(row.value)]).filter(Number.isFinite);
  return [Math.min(...numbers), Math.max(...numbers)];
}

// The interval as a line, and the value as a dot on it, on the axis that all rows share.
function bar(row, low, high, colour) {
  const across = (number) => 5 + ((number - low) / (high - low || 1)) * (BAR - 10);
  const drawing = svg("svg", { width: BAR, height: 14, viewBox: `0 0 ${BAR} 14`, "aria-hidden": true, class: colour === null ? null : `c${colour % 8}` });
  const [lower, upper, middle] = [row.lower, row.upper, row.value].map(value);
  if (Number.isFinite(lower) && Number.isFinite(upper)) drawing.append(svg("line", { x1: across(lower), x2: across(upper), y1: 7, y2: 7, class: "interval" }));
  if (Number.isFinite(middle)) drawing.append(svg("circle", { cx: across(middle), cy: 7, r: 3.5, class: "middle" }));
  return drawing;
}
