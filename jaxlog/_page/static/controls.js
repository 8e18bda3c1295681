// The bar of controls: the metric of the large chart, the grouping, the x axis, the band, smoothing.

import { allow, button, el, say } from "./elements.js";
import { NOT_EMBEDDED } from "./problem.js";
import { curvesAddress, mainMetric, metricId, shared } from "./shared.js";
import { source } from "./source.js";
import { change, state } from "./state.js";

const X = [["step", "step"], ["env_step", "environment steps"], ["time", "time"], ["relative", "relative time"]];
const BANDS = [["std", "± std"], ["iqr", "IQR"], ["ci", "95 % interval"], ["range", "range"], ["none", "none"]];
const HALF_LIVES = [0, 0.2, 0.5, 1, 2, 5, 10, 20]; // percent of the x axis

export class Controls {
  constructor(element) {
    this.metric = this.#select(element, "metric", (id) => {
      const metric = shared.metrics.find((one) => metricId(one) === id);
      change({ call: metric.call, key: metric.key });
    });
    this.group = this.#select(element, "group by", (group) => change({ group, hide: [], baseline: "" }));
    this.x = this.#select(element, "x", (x) => change({ x, from: "", to: "" }));
    this.band = this.#select(element, "band", (band) => change({ band }));
    this.smooth = el("input", { type: "range", min: 0, max: HALF_LIVES.length - 1, step: 1, "aria-label": "smoothing",
      oninput: () => change({ smooth: HALF_LIVES[this.smooth.value] ? String(HALF_LIVES[this.smooth.value]) : "" }, { goesOn: true }) });
    this.smoothing = el("output");
    const why = "debiased exponential moving average; its half-life is a share of the x axis. The raw line stays, faint.";
    element.append(el("label", { title: why }, "smoothing", this.smooth, this.smoothing));
    this.whole = button("whole range", () => change({ from: "", to: "" }), { title: "leave the zoom (double click)" });
    this.all = button("show hidden groups", () => change({ hide: [] }));
    element.append(this.whole, this.all);
  }

  #select(element, title, act) {
    const select = el("select", { "aria-label": title, onchange: () => act(select.value) });
    element.append(el("label", {}, title, select));
    return select;
  }

  draw() {
    const { x, band, smooth, from, to, hide, group } = state();
    const main = mainMetric();
    const curves = shared.metrics.filter((metric) => metric.kind === "curve");
    const calls = new Set(curves.map((metric) => metric.call));
    const asked = (changes) => !main || source.has(curvesAddress(main, 0, changes));
    fill(this.metric, curves.map((one) => [metricId(one), calls.size > 1 ? `${one.call} · ${one.title || one.key}` : one.title || one.key, source.has(curvesAddress(one, 0))]), main ? metricId(main) : "");
    const groups = shared.groups.map(({ name, values, title }) => [name, values ? `${title || name} (${values})` : title || name, asked({ group: name })]);
    fill(this.group, [["", shared.by.length ? `automatic: ${shared.by.join(", ")}` : "automatic", asked({ group: "" })], ...groups], group);
    fill(this.x, X.map(([value, text]) => [value, text, asked({ x: value === "step" ? "" : value, from: "", to: "" })]), x);
    fill(this.band, BANDS.map(([value, text]) => [value, text, asked({ band: value === "std" ? "" : value })]), band);
    const place = HALF_LIVES.indexOf(+smooth || 0);
    this.smooth.value = place < 0 ? 0 : place;
    say(this.smoothing, +smooth ? `${smooth} %` : "off");
    const whole = from !== "" || to !== "";
    this.whole.hidden = !whole;
    allow(this.whole, asked({ from: "", to: "" }), NOT_EMBEDDED);
    this.all.hidden = !hide.length;
    say(this.all, `show ${hide.length} hidden`);
  }
}

function fill(select, options, now) {
  const known = options.some(([value]) => value === now) ? options : [...options, [now, now, true]];
  const signature = JSON.stringify(known);
  if (select.signature !== signature) {
    select.signature = signature;
    select.replaceChildren(...known.map(([value, text, allowed]) => {
      const option = el("option", { value }, text);
      allow(option, allowed, NOT_EMBEDDED);
      return option;
    }));
  }
  if (select.value !== now) select.value = now;
}
