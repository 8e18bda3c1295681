// One chart: axes, cursor and zoom by uPlot; lines, bands and names drawn by `paint.js`.

import uPlot from "./vendor/uPlot.esm.js";
import { colours } from "./colours.js";
import { nearest } from "./curves.js";
import { aliveOf, prepared } from "./lines.js";
import { clock, number, short, ticks, timeTicks } from "./numbers.js";
import { labelRoom, paint, paintLabels } from "./paint.js";
import { Tooltip } from "./tooltip.js";

const AXIS = 54;
const ALIVE = 64;
const LEAST_DRAG = 6; // pixels; less is a click

export class Chart {
  // `options`: height, labels ("" | "names" | "values"), alive (draws the lanes alive below), onZoom(from, to), onReset.
  constructor(holder, options) {
    this.holder = holder;
    this.options = options;
    this.focus = null;
    this.tooltip = new Tooltip(holder);
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(holder);
  }

  // Draws an answer, or draws it again with another look.
  show(answer, look) {
    this.shown = prepared(answer, look);
    const kind = `${answer.x.kind} ${look.log}`;
    const alive = this.options.alive && this.shown.lines.some((one) => one.fewer);
    if (this.plot && this.kind === kind && Boolean(this.below) === alive) this.#update();
    else this.#create(kind, alive);
    this.tooltip.refresh(this);
  }

  #width() {
    return Math.max(180, Math.floor(this.holder.clientWidth));
  }

  #create(kind, alive) {
    this.plot?.destroy();
    this.below?.destroy();
    this.kind = kind;
    const height = this.options.height() - (alive ? ALIVE : 0);
    this.plot = new uPlot(this.#options(height, this.shown.log), [this.shown.x], this.holder);
    this.plot.over.addEventListener("mouseenter", () => (this.pointed = true));
    this.plot.over.addEventListener("mouseleave", () => {
      this.pointed = false;
      this.tooltip.hide();
      this.setFocus(null);
    });
    this.below = alive ? new uPlot(this.#below(), [this.shown.x], this.holder) : null;
    this.#update();
  }

  #update() {
    const padding = this.#padding();
    for (const plot of [this.plot, this.below]) {
      if (!plot) continue;
      const isOther = plot.room !== padding;
      plot.room = padding;
      plot.batch(() => {
        plot.setData([this.shown.x]);
        plot.redraw(false, isOther);
      });
    }
  }

  #padding() {
    if (!this.options.labels || this.shown.empty) return 12;
    return labelRoom(this.plot.ctx, this.shown, this.#width() * 0.32, this.options.labels === "values");
  }

  #options(height, log) {
    const { kind } = this.shown.answer.x;
    return {
      width: this.#width(),
      height,
      padding: [8, (u) => u.room ?? 12, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: kind === "time", range: () => this.shown.x },
        y: { distr: log ? 3 : 1, range: () => this.shown.y },
      },
      series: [{}],
      axes: [this.#across(kind), this.#up(log)],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG },
        bind: { dblclick: () => () => this.options.onReset?.() },
        sync: { key: `jaxlog ${kind}`, setSeries: false, scales: ["x", null], filters: { pub: (type) => /move|leave/.test(type) } },
      },
      hooks: {
        draw: [(u) => this.#draw(u)],
        setCursor: [(u) => this.#move(u)],
        setSelect: [(u) => this.#select(u)],
      },
    };
  }

  #below() {
    const options = this.#options(ALIVE, false);
    options.scales.y.range = () => aliveOf(this.shown).y;
    options.axes[0].show = false;
    options.axes[1].splits = () => [0, Math.max(1, ...this.shown.lines.map((one) => one.lanes))];
    options.padding = [4, (u) => u.room ?? 12, 6, 0];
    options.hooks.draw = [(u) => this.#drawAlive(u)];
    options.hooks.setCursor = [];
    return options;
  }

  #across(kind) {
    const look = this.#axis({ size: 26, space: 64, gap: 4 });
    if (kind === "duration") return { ...look, splits: (u, _, low, high) => timeTicks(low, high, u.width / 90), values: (_, at) => at.map(clock) };
    if (kind === "time") return look;
    return { ...look, splits: (u, _, low, high) => ticks(low, high, u.width / 90), values: (_, at) => at.map(short) };
  }

  #up(log) {
    const look = this.#axis({ size: AXIS, space: 26, gap: 4 });
    return { ...look, values: (_, at) => at.map((one) => (one === null ? "" : number(one))), ...(log ? {} : { splits: (u, _, low, high) => ticks(low, high, u.height / 38) }) };
  }

  #axis(sizes) {
    const line = { width: 1, stroke: () => colours().grid };
    return { ...sizes, font: `11px ${colours().font}`, stroke: () => colours().muted, grid: line, ticks: { ...line, size: 3 } };
  }

  #draw(u) {
    if (this.shown.empty) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.fillStyle = colours().muted;
      ctx.font = `${12 * devicePixelRatio}px ${colours().font}`;
      ctx.textAlign = "center";
      ctx.fillText(this.shown.empty, bbox.left + bbox.width / 2, bbox.top + bbox.height / 2);
      ctx.restore();
      return;
    }
    const up = paint(u, this.shown, this.focus);
    if (this.options.labels) this.unnamed = paintLabels(u, this.shown, up, this.focus, this.options.labels === "values");
  }

  #drawAlive(u) {
    paint(u, aliveOf(this.shown), this.focus);
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = colours().muted;
    ctx.font = `${11 * devicePixelRatio}px ${colours().font}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillText("lanes alive", bbox.left + bbox.width + 8 * devicePixelRatio, bbox.top + bbox.height / 2);
    ctx.restore();
  }

  #move(u) {
    if (!this.pointed && !this.asked) return;
    if (u.cursor.left < 0 || this.shown.empty) {
      this.tooltip.hide();
      return;
    }
    this.#point(u.posToVal(u.cursor.left, "x"), u.cursor.top);
  }

  // Shows the values at a place of the x axis, and brings the line nearest to the pointer to the front.
  #point(x, top) {
    const found = this.shown.lines.filter((one) => !one.isBand).map((one) => ({ one, i: nearest(one.x, x) }));
    this.tooltip.show(this, found, x);
    if (top === undefined || found.length < 2) return;
    let [closest, distance] = [null, 24];
    for (const { one, i } of found) {
      const away = Math.abs(this.plot.valToPos(one.y[i], "y") - top);
      if (away < distance) [closest, distance] = [one.name, away];
    }
    this.setFocus(closest);
  }

  #select(u) {
    const { left, width } = u.select;
    if (width < LEAST_DRAG) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.onZoom?.(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
  }

  // Moves the cursor by the keyboard.
  step(by) {
    const longest = this.shown?.lines.reduce((a, b) => (a && a.x.length >= b.x.length ? a : b), null);
    if (!longest) return;
    const now = this.at === undefined ? (by > 0 ? -1 : longest.x.length) : nearest(longest.x, this.at);
    this.at = longest.x[Math.min(longest.x.length - 1, Math.max(0, now + by))];
    this.asked = true;
    this.plot.setCursor({ left: this.plot.valToPos(this.at, "x"), top: 10 }, false);
    this.#point(this.at);
  }

  leave() {
    this.asked = false;
    this.at = undefined;
    this.tooltip.hide();
    this.plot?.setCursor({ left: -10, top: -10 }, false);
  }

  setFocus(name) {
    if (name === this.focus) return;
    this.focus = name;
    this.redraw();
  }

  redraw() {
    this.plot?.redraw(false);
    this.below?.redraw(false);
  }

  // Takes the width that there is.
  fit() {
    if (!this.plot || !this.holder.clientWidth) return;
    const [width, height] = [this.#width(), this.options.height() - (this.below ? ALIVE : 0)];
    if (this.plot.width === width && this.plot.height === height) return;
    this.plot.setSize({ width, height });
    this.below?.setSize({ width, height: ALIVE });
  }

  destroy() {
    this.resized.disconnect();
    this.plot?.destroy();
    this.below?.destroy();
  }
}
