// A histogram over steps as a heat map: columns are steps, rows are bins, and a darker cell has more of the values.

import { colours } from "./colours.js";
import { nearest } from "./curves.js";
import { el, named, say } from "./elements.js";
import { number, scale, short, ticks } from "./numbers.js";
import { Problem } from "./problem.js";
import { firstRun, heatAddress, metricId, shared } from "./shared.js";
import { source } from "./source.js";

const HEIGHT = 168;
const BOX = { left: 54, right: 12, top: 8, bottom: 26 };

export class Heat {
  constructor(metric) {
    this.metric = metric;
    this.id = metricId(metric);
    this.canvas = el("canvas", { role: "img", "aria-label": `histogram of ${metric.key} over steps` });
    this.note = named("", { class: "quiet cut" });
    this.tip = el("p", { class: "note" });
    this.element = el("figure", { class: "chart", tabindex: 0 },
      el("figcaption", {}, el("h3", { class: "key" }, named(metric.title || metric.key)), this.note), this.canvas, this.tip);
    this.element.figure = this;
    this.canvas.addEventListener("mousemove", (event) => this.#point(event));
    this.canvas.addEventListener("mouseleave", () => say(this.tip, "\u00a0"));
    say(this.tip, "\u00a0");
    new ResizeObserver(() => this.redraw()).observe(this.element);
  }

  async refresh() {
    const run = firstRun();
    if (!run) return;
    try {
      const answer = await source.get(heatAddress(this.metric, run));
      if (answer === this.answer) return;
      this.answer = answer;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "refused") say(this.tip, problem.message);
      return;
    }
    const row = shared.rows.find((one) => one.id === run);
    say(this.note, row ? `of ${row.name}` : "");
    this.note.title = this.note.textContent;
    this.redraw();
  }

  redraw() {
    const width = Math.max(180, this.element.clientWidth - 20);
    const ratio = devicePixelRatio;
    Object.assign(this.canvas, { width: width * ratio, height: HEIGHT * ratio });
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${HEIGHT}px`;
    if (!this.answer || !this.answer.steps) return;
    this.element.classList.add("drawn");
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const { x, edges, density, bins, steps } = this.answer;
    const half = steps > 1 ? (x[steps - 1] - x[0]) / (steps - 1) / 2 : 0.5;
    this.across = scale(x[0] - half, x[steps - 1] + half, BOX.left, width - BOX.right, false);
    this.up = scale(edges[0], edges[bins], HEIGHT - BOX.bottom, BOX.top, false);
    const whole = (pixel) => Math.round(pixel * ratio) / ratio; // so that neighbours meet
    let most = 0;
    for (const one of density) if (one > most) most = one;
    context.fillStyle = colours().accent;
    for (let step = 0; step < steps; step++) {
      const from = whole(this.across(step ? (x[step - 1] + x[step]) / 2 : x[0] - half));
      const to = whole(this.across(step < steps - 1 ? (x[step] + x[step + 1]) / 2 : x[step] + half));
      for (let bin = 0; bin < bins; bin++) {
        const share = density[step * bins + bin] / most;
        if (!(share > 0)) continue;
        context.globalAlpha = 0.06 + 0.94 * Math.sqrt(share); // few values are seen, too
        const [low, high] = [whole(this.up(edges[bin])), whole(this.up(edges[bin + 1]))];
        context.fillRect(from, high, to - from, low - high);
      }
    }
    context.globalAlpha = 1;
    context.fillStyle = colours().muted;
    context.font = `11px ${colours().font}`;
    context.textAlign = "right";
    for (const level of ticks(edges[0], edges[bins], 4)) context.fillText(number(level), BOX.left - 7, this.up(level) + 4);
    context.textAlign = "center";
    for (const step of ticks(x[0], x[steps - 1], width / 90)) context.fillText(short(step), this.across(step), HEIGHT - 8);
  }

  fit() {
    this.redraw();
  }

  #point(event) {
    if (!this.across || !this.answer.steps) return;
    const { x, edges, density, bins } = this.answer;
    const distances = Float64Array.from(x, this.across);
    const step = nearest(distances, event.offsetX);
    const bin = edges.slice(0, -1).findIndex((edge, i) => event.offsetY <= this.up(edge) && event.offsetY >= this.up(edges[i + 1]));
    if (bin < 0) return;
    say(this.tip, `step ${short(x[step])} · ${number(edges[bin])} to ${number(edges[bin + 1])}: ${number(density[step * bins + bin])}`);
  }

  destroy() {
    this.element.remove();
  }
}
