// The values at a place of a chart's x axis, beside the pointer.

import { swatchClass } from "./colours.js";
import { el, named } from "./elements.js";
import { clock, number, whole } from "./numbers.js";

const MOST = 12;

function xText(answer, x) {
  const { kind, title } = answer.x;
  if (kind === "time") return new Date(x * 1000).toLocaleString("sv");
  return kind === "duration" ? clock(x) : `${title} ${whole(x)}`;
}

export class Tooltip {
  constructor(holder) {
    this.box = el("div", { class: "tooltip", role: "status", hidden: true });
    holder.append(this.box);
  }

  show(chart, found, x) {
    this.last = { found, x };
    const within = found.filter(({ one, i }) => Number.isFinite(one.y[i]) && one.x[0] <= x + (x - one.x[i]) ** 2);
    within.sort((a, b) => b.one.y[b.i] - a.one.y[a.i]);
    const near = within.length ? within.reduce((a, b) => (Math.abs(a.one.x[a.i] - x) <= Math.abs(b.one.x[b.i] - x) ? a : b)) : null;
    const rows = within.slice(0, MOST).map(({ one, i }) => row(one, i, one.name === chart.focus));
    const more = within.length > MOST ? el("div", { class: "quiet" }, `and ${within.length - MOST} more`) : null;
    const head = near ? xText(chart.shown.answer, near.one.x[near.i]) : "no value here";
    this.box.replaceChildren(el("b", {}, head), ...rows, ...(more ? [more] : []));
    this.box.hidden = false;
    const { plot } = chart;
    const at = plot.valToPos(x, "x") + plot.over.offsetLeft;
    const width = this.box.offsetWidth;
    const room = plot.root.parentElement.clientWidth;
    const left = at + 14 + width <= room ? at + 14 : Math.max(0, at - 14 - width);
    this.box.style.transform = `translate(${Math.round(left)}px, 8px)`;
  }

  // The values under a pointer that stands still, after an update.
  refresh(chart) {
    if (this.box.hidden || !this.last) return;
    chart.plot.setCursor({ left: chart.plot.valToPos(this.last.x, "x"), top: chart.plot.cursor.top }, true);
  }

  hide() {
    this.box.hidden = true;
  }
}

function row(one, i, isFocused) {
  const { y, lower, upper } = one.given;
  const spread = lower[i] < upper[i] ? ` [${number(lower[i])}, ${number(upper[i])}]` : "";
  const smooth = one.raw ? ` · smoothed ${number(one.y[i])}` : "";
  const fewer = one.alive[i] < one.lanes ? ` · ${one.alive[i]} of ${one.lanes} lanes` : "";
  return el("div", { class: isFocused ? "row focused" : "row" }, el("span", { class: swatchClass(one.colour) }), named(one.label, { title: one.name }),
    el("span", { class: "value" }, number(y[i])), el("span", { class: "quiet" }, spread + smooth + fewer));
}
