// Makes the lines of a chart from an answer: hidden groups left out, smoothed, and the ranges of both axes.

import { COLOURS, curveDash } from "./colours.js";
import { shortName } from "./names.js";
import { smoothed } from "./smoothing.js";

const MOST_BANDS = 12; // with more they would hide each other

const LARGEST = 1.7e308;

// `look` is what the reader chose for this chart: hide, smooth (half-life in percent of x), log, y, from, to.
export function prepared(answer, look) {
  const hidden = new Set(look.hide);
  const groups = answer.groups.filter((group) => group.points && !hidden.has(group.name));
  const x = rangeOf(groups, look);
  const halfLife = (look.smooth / 100) * (x[1] - x[0]);
  const lines = groups.map((group) => ({ ...line(group, halfLife), label: labelOf(group, answer.by) }));
  const quartiles = lines.find((one) => one.place === "p25-p75");
  if (quartiles) lines.push({ ...quartiles, isBand: false, hasBand: false, isThinned: false, name: "median", label: "median", colour: null });
  const isAmongMany = lines.length > COLOURS;
  for (const one of lines) one.dash = curveDash(one.colour, isAmongMany);
  const banded = lines.length <= MOST_BANDS;
  const y = look.y || around(lines, x, look.log, banded);
  const why = !answer.groups.length ? "nothing was logged here yet" : !lines.length ? "all groups are hidden" : null;
  const empty = why || (y ? "" : look.log ? "no value above 0" : "no finite value");
  return { answer, lines, banded, x, y: y || (look.log ? [1, 10] : [0, 1]), log: look.log, empty };
}

const BANDS = { "p5-p95": "5–95 %", "p25-p75": "25–75 %" };

function labelOf({ name, place }, by) {
  const short = shortName(name, by);
  return BANDS[place] || (place === "best" || place === "worst" ? `${short} (${place})` : short);
}

function line(group, halfLife) {
  const isBand = (group.place || "").startsWith("p") && group.place !== "pinned";
  const y = smoothed(group.x, group.middle, halfLife);
  return {
    ...group,
    isBand,
    y,
    given: { y: group.middle, lower: group.lower, upper: group.upper }, // what texts show: a smoothed line is drawn, not told
    raw: y === group.middle ? null : group.middle,
    lower: smoothed(group.x, group.lower, halfLife),
    upper: smoothed(group.x, group.upper, halfLife),
    isThinned: y === group.middle && group.low.some((low, i) => low < group.high[i]),
    hasBand: group.lower.some((edge, i) => edge < group.upper[i]),
    fewer: group.alive.some((alive) => alive < group.lanes),
  };
}

function rangeOf(groups, look) {
  let [first, last] = [Infinity, -Infinity];
  for (const { x } of groups) {
    first = Math.min(first, x[0]);
    last = Math.max(last, x[x.length - 1]);
  }
  if (look.from !== null) first = look.from;
  if (look.to !== null) last = look.to;
  if (!(first < last)) return Number.isFinite(first) ? [first - 0.5, first + 0.5] : [0, 1];
  return [first, last];
}

function around(lines, [first, last], log, banded) {
  let [low, high] = [Infinity, -Infinity];
  for (const one of lines) {
    const edges = banded || one.isBand ? [one.y, one.lower, one.upper] : [one.y];
    if (one.isThinned && banded) edges.push(one.low, one.high);
    for (const edge of edges) {
      for (let i = 0; i < edge.length; i++) {
        const number = edge[i];
        if (number - number !== 0 || (log && number <= 0) || one.x[i] < first || one.x[i] > last) continue;
        if (number < low) low = number;
        if (number > high) high = number;
      }
    }
  }
  if (low > high) return null;
  if (log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
  const room = (high / 2 - low / 2) * 0.08 || Math.abs(low) * 0.1 || 1;
  return [Math.max(low - room, -LARGEST), Math.min(high + room, LARGEST)];
}

// The numbers of lanes alive as lines of their own, for the chart below.
export function aliveOf(shown) {
  const lines = shown.lines.filter((one) => !one.isBand).map((one) => ({ ...one, y: one.alive, given: { y: one.alive, lower: one.alive, upper: one.alive }, raw: null, hasBand: false,
    isThinned: false, fewer: false, lower: one.alive, upper: one.alive }));
  const most = Math.max(1, ...lines.map((one) => one.lanes));
  return { ...shown, lines, y: [0, most * 1.1], log: false, empty: "" };
}
