// Draws the curves at the width of the window, with the axes and lanes that the reader chose.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const BANDS = 6; // more would hide each other
const MOST_VALUES = 10; // in a tooltip
const HEIGHT = 190;
const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
const KINDS = { f4: Float32Array, f8: Float64Array, u2: Uint16Array, u4: Uint32Array };
const AXES = { step: "step", env_step: "environment steps", time: "time" };

const calls = JSON.parse(document.getElementById("data").textContent);
const arrays = new Map();
const drawn = new WeakMap(); // by figure: the version it was drawn with, and the lines and the cross for the pointer

function decoded(text) {
  if (!arrays.has(text)) {
    const [kind, base64] = text.split(":");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    arrays.set(text, new KINDS[kind](bytes.buffer));
  }
  return arrays.get(text);
}

// The curves of a chart: of groups or of lanes, over the chosen axis.
function curves(call, chart) {
  const own = Object.entries(chart.groups).map(([i, data]) => ["g" + i, +i, data]);
  const alone = own.filter(([, i]) => !call.byLane || call.groups[i].lanes === 1);
  const lanes = Object.entries(chart.lanes).map(([i, data]) => ["l" + i, +i, data]);
  return [...alone, ...(call.byLane ? lanes : [])].map(([id, , data]) => {
    const entry = call.entries.get(id);
    const axis = call.runs[entry.run][call.x];
    if (!axis) return null;
    const all = decoded(axis);
    const at = data.at && decoded(data.at);
    const x = at ? Float64Array.from(at, (place) => all[place]) : all;
    const band = data.low && { low: decoded(data.low), high: decoded(data.high) };
    const alive = data.alive && decoded(data.alive);
    return { id, entry, x, y: decoded(data.y), band, alive };
  }).filter(Boolean);
}

function add(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return parent.appendChild(element);
}

function path(x, y) {
  let words = "";
  let pen = "M";
  x.forEach((across, i) => {
    if (Number.isFinite(y[i])) {
      const dot = pen === "M" && !Number.isFinite(y[i + 1]) ? "h0" : "";
      words += pen + across.toFixed(1) + " " + y[i].toFixed(1) + dot;
      pen = "L";
    } else {
      pen = "M";
    }
  });
  return words;
}

// Whether a lane of the curve has diverged at this point.
function died({ alive, entry }, i) {
  return Boolean(alive) && i >= 0 && i < alive.length && alive[i] < entry.lanes;
}

function bandPath(x, low, high) {
  const there = [...x.keys()].filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  const point = (i, edge) => x[i].toFixed(1) + " " + edge[i].toFixed(1);
  const edge = [...there.map((i) => point(i, high)), ...there.reverse().map((i) => point(i, low))];
  return edge.length ? "M" + edge.join("L") + "Z" : "";
}

function range(shown, log) {
  let [low, high] = [Infinity, -Infinity];
  const take = (value) => {
    if (Number.isFinite(value) && !(log && value <= 0)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  };
  for (const { y, band } of shown) {
    y.forEach(take);
    if (band && shown.length <= BANDS) {
      band.low.forEach(take);
      band.high.forEach(take);
    }
  }
  if (low > high) return null;
  if (log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
  const room = (high / 2 - low / 2) * 0.1 || Math.abs(low) * 0.1 || 1;
  return [Math.max(low - room, -1.7e308), Math.min(high + room, 1.7e308)];
}

function draw(figure) {
  const call = calls[figure.dataset.call];
  const chart = call.charts[figure.dataset.chart];
  const every = curves(call, chart);
  const chosen = every.filter((curve) => call.selected.has(curve.id));
  const shown = chosen.length ? chosen : every;
  const width = Math.max(220, figure.clientWidth);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  add(svg, "title", {}, `${chart.key} by ${AXES[call.x]}`);
  const around = range(shown, call.log);
  let [first, last] = [Infinity, -Infinity];
  for (const { x } of every) {
    x.forEach((value) => {
      if (value < first) first = value;
      if (value > last) last = value;
    });
  }
  figure.querySelector("svg").replaceWith(svg);
  drawn.set(figure, { version: call.version });
  if (!around || first > last) {
    const why = call.log && shown.length ? "no value above 0" : "no finite value";
    add(svg, "text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, why);
    return;
  }
  const right = width - MARGIN.right;
  const across = scale(first, last, MARGIN.left, right, false);
  const up = scale(...around, HEIGHT - MARGIN.bottom, MARGIN.top, call.log);
  axes(svg, call, [first, last], around, across, up, width);
  const lines = [];
  const [left, top, high] = [MARGIN.left - 4, MARGIN.top - 6, HEIGHT - MARGIN.bottom - MARGIN.top + 10];
  // Lines that are not selected may lie beyond the axes: they are cut off there.
  const inside = add(svg, "svg", { x: left, y: top, width: right - left + 6, height: high,
    viewBox: `${left} ${top} ${right - left + 6} ${high}` });
  for (const faint of chosen.length ? [true, false] : [false]) {
    for (const curve of faint ? every : shown) {
      if (faint && call.selected.has(curve.id)) continue;
      const looks = `c${curve.entry.colour % COLOURS} d${Math.floor(curve.entry.colour / COLOURS) % 4}`;
      const x = Float64Array.from(curve.x, across);
      const y = Float64Array.from(curve.y, (value) => (call.log && value <= 0 ? NaN : up(value)));
      if (curve.band && !faint && shown.length <= BANDS) {
        const clip = (value) => up(Math.min(around[1], Math.max(around[0], value)));
        const d = bandPath(x, Float64Array.from(curve.band.low, clip), Float64Array.from(curve.band.high, clip));
        add(inside, "path", { class: `band ${looks}`, d });
      }
      const many = (shown.length > 12 ? " many" : "") + (x.length === 1 ? " alone" : "");
      const style = `line ${looks}${faint ? " faint" : many}`;
      const whole = y.map((value, i) => (died(curve, i) ? NaN : value));
      add(inside, "path", { class: style, d: path(x, whole) });
      if (curve.alive) {
        // With the neighbouring points, so that there is no gap where the dashes begin.
        const near = (i) => died(curve, i - 1) || died(curve, i) || died(curve, i + 1);
        const dashed = y.map((value, i) => (near(i) ? value : NaN));
        add(inside, "path", { class: `${style} died`, d: path(x, dashed) });
      }
      if (!faint) lines.push({ ...curve, px: x, py: y });
    }
  }
  const cross = add(svg, "g", { class: "cross" });
  drawn.set(figure, { version: call.version, lines, cross, width });
}

function axes(svg, call, [first, last], [low, high], across, up, width) {
  const marks = call.log && high / low >= 10 ? powers(low, high) : ticks(low, high, 5);
  for (const mark of marks.filter((value) => !call.log || value > 0)) {
    const y = up(mark);
    add(svg, "line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y });
    add(svg, "text", { x: MARGIN.left - 6, y: y + 3.5, "text-anchor": "end" }, number(mark));
  }
  const inTime = call.x === "time";
  const steps = inTime ? timeTicks(first, last, width / 80) : ticks(first, last, width / 80);
  for (const mark of steps) {
    const x = across(mark);
    const anchor = x > width - 26 ? "end" : "middle";
    const text = inTime ? clock(mark) : short(mark);
    add(svg, "text", { x: anchor === "end" ? width - 2 : x, y: HEIGHT - 6, "text-anchor": anchor }, text);
  }
}
