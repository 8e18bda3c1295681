// All metrics as a grid of small charts. A chart is asked for and drawn when it comes into sight.

import { isPart } from "./address.js";
import { button, el, say } from "./elements.js";
import { Figure } from "./figure.js";
import { Heat } from "./heat.js";
import { curvesAddress, firstRun, heatAddress, metricId, metricsAddress, shared } from "./shared.js";
import { source } from "./source.js";

const HEIGHT = 168;
const [LEAST, GAP] = [320, 18]; // pixels: the width of a chart, and between two
const POINTS = 200;
const AT_ONCE = 120; // metrics of a section, until more are wanted
const LABELLED = 6; // groups whose names stand at the ends of their lines

export class Grid {
  constructor(element) {
    this.element = element;
    this.figures = new Map(); // by the metric's id
    this.seen = new Set();
    this.sections = new Map();
    this.find = el("input", { type: "search", placeholder: "find a metric", "aria-label": "find a metric", oninput: () => this.#arrange() });
    this.count = el("span", { class: "quiet" });
    this.place = el("div", { class: "sections" });
    element.append(el("div", { class: "head" }, el("h2", {}, "Metrics"), this.find, this.count), this.place);
    new ResizeObserver(() => this.#spread()).observe(this.place);
    this.observer = new IntersectionObserver((entries) => this.#sight(entries), { rootMargin: "160px" });
    addEventListener("beforeprint", () => this.#unfold());
  }

  // Says why there are no charts yet.
  wait() {
    if (!this.metrics) say(this.count, "drawn once all runs are read for the chart above");
  }

  get isPart() {
    return [...this.seen].some((figure) => isPart(figure.answer));
  }

  async refresh() {
    const { metrics } = await source.get(metricsAddress());
    if (metrics !== this.metrics || !source.isLive) { // a saved view has not all charts for each choice
      this.metrics = shared.metrics = metrics;
      this.#arrange();
    }
    await Promise.all([...this.seen].map((figure) => figure.refresh()));
  }

  #arrange() {
    const wanted = this.find.value.trim().toLowerCase();
    const every = this.metrics.filter((metric) => metric.kind !== "array");
    const drawable = every.filter((metric) => source.has(metric.kind === "histogram" ? heatAddress(metric, firstRun()) : curvesAddress(metric, POINTS)));
    const absent = every.length - drawable.length;
    const found = drawable.filter((metric) => metricId(metric).toLowerCase().includes(wanted));
    const number = wanted ? `${found.length} of ${drawable.length}` : String(drawable.length);
    say(this.count, absent ? `${number} (${absent} more are not a part of the saved view)` : number);
    const calls = new Set(drawable.map((metric) => metric.call));
    const of = new Map();
    for (const metric of found) {
      if (metric.beside) continue;
      const place = [calls.size > 1 ? metric.call : "", metric.category].filter(Boolean).join(" · ");
      if (!of.has(place)) of.set(place, []);
      of.get(place).push(metric);
    }
    const beside = found.filter((metric) => metric.beside);
    if (beside.length) of.set(`std, min and max of these (${beside.length})`, beside);
    const used = new Set(found.map(metricId));
    for (const [id, figure] of this.figures) if (!used.has(id)) this.#drop(id, figure);
    for (const [name, section] of this.sections) if (!of.has(name)) this.#remove(name, section);
    for (const [name, metrics] of of) this.#section(name, metrics);
    this.place.append(...[...of.keys()].map((name) => this.sections.get(name).element).filter((one, i) => this.place.children[i] !== one));
    this.#spread();
  }

  #section(name, metrics) {
    let section = this.sections.get(name);
    if (!section) {
      const charts = el("div", { class: "charts" });
      const more = button("", () => {
        section.most += 500;
        this.#arrange();
      });
      const title = el("h3", { class: "category" }, name || "metrics");
      const folded = metrics[0].beside;
      const element = folded ? el("details", { class: "fold" }, el("summary", {}, title), charts, more) : el("section", {}, title, charts, more);
      section = { element, charts, more, most: AT_ONCE, folded };
      this.sections.set(name, section);
    }
    const shown = metrics.slice(0, section.most);
    shown.forEach((metric, i) => {
      const { element } = this.#figure(metric);
      if (section.charts.children[i] !== element) section.charts.insertBefore(element, section.charts.children[i] || null);
    });
    section.wanted = section.folded ? Infinity : shown.length;
    section.more.hidden = shown.length === metrics.length;
    say(section.more, `show ${Math.min(500, metrics.length - shown.length)} more of ${metrics.length}`);
  }

  // Sections stand beside each other: each takes as many columns as it has charts.
  #spread() {
    const columns = Math.max(1, Math.floor((this.place.clientWidth + GAP) / (LEAST + GAP)));
    this.place.style.setProperty("--charts", columns);
    for (const { element, wanted } of this.sections.values()) element.style.gridColumn = `span ${Math.min(columns, wanted)}`;
  }

  #figure(metric) {
    const id = metricId(metric);
    if (!this.figures.has(id)) {
      const few = () => shared.groupCount > 1 && shared.groupCount <= LABELLED;
      const made = metric.kind === "histogram" ? new Heat(metric) : new Figure(metric, { points: POINTS, height: () => HEIGHT, labels: few() ? "names" : "", alive: false });
      this.figures.set(id, made);
      this.observer.observe(made.element);
    }
    return this.figures.get(id);
  }

  #sight(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        this.seen.add(target.figure);
        target.figure.refresh();
      } else {
        this.seen.delete(target.figure);
      }
    }
  }

  // Draws all charts one after the other, also those out of sight.
  async drawAll() {
    await this.refresh();
    for (const figure of [...this.figures.values()]) {
      await new Promise((resolve) => (globalThis.requestIdleCallback || setTimeout)(resolve));
      await figure.refresh();
    }
  }

  // Paper shows what is folded.
  #unfold() {
    for (const { element, folded } of this.sections.values()) if (folded) element.open = true;
    for (const figure of this.figures.values()) figure.fit();
  }

  #drop(id, figure) {
    this.observer.unobserve(figure.element);
    this.seen.delete(figure);
    figure.destroy();
    this.figures.delete(id);
  }

  #remove(name, section) {
    section.element.remove();
    this.sections.delete(name);
  }

  redraw() {
    for (const figure of this.figures.values()) figure.redraw ? figure.redraw() : figure.chart?.redraw();
  }
}
