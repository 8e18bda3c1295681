// Draws the lines of a chart on its canvas: bands, the range within thinned points, lines, and names at their ends.

import { colours, curveColour } from "./colours.js";
import { number } from "./numbers.js";

const LABEL = 13; // pixels from one name to the next
const MOST_LABEL = 190;

// Maps values to pixels. Halved before they are subtracted: the largest floats must not overflow.
function scale(low, high, start, size, log) {
  const as = log ? Math.log10 : (value) => value / 2;
  const first = as(low);
  const factor = size / (as(high) - first || 1);
  return log ? (value) => (value > 0 ? start + (Math.log10(value) - first) * factor : NaN) : (value) => start + (value / 2 - first) * factor;
}

// A loop: `Float32Array.from` with a function is several times slower.
function mapped(values, map) {
  const found = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) found[i] = map(values[i]);
  return found;
}

export function paint(u, shown, focus) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const across = scale(...shown.x, left, width, false);
  const up = scale(...shown.y, top + height, -height, shown.log);
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top - ratio, width + 2 * ratio, height + 2 * ratio);
  ctx.clip();
  ctx.lineJoin = "round";
  ctx.lineCap = "round";
  const faint = (one) => focus !== null && one.name !== focus;
  const many = shown.lines.length > 24;
  for (const one of shown.lines) {
    one.px = mapped(one.x, across);
    ctx.fillStyle = one.isBand ? colours().muted : curveColour(one.colour);
    ctx.globalAlpha = one.isBand ? 0.14 : shown.lines.length > 4 ? 0.1 : 0.16;
    const drawn = one.isBand || (shown.banded ? !faint(one) : one.name === focus);
    if (drawn && one.hasBand) area(ctx, one.px, one.lower, one.upper, up);
    ctx.globalAlpha = 0.3;
    if (one.isThinned && !one.isBand && !faint(one) && shown.banded) area(ctx, one.px, one.low, one.high, up);
  }
  for (const front of focus === null ? [false] : [false, true]) {
    for (const one of shown.lines) {
      if (one.isBand || (front && faint(one))) continue;
      ctx.strokeStyle = curveColour(one.colour);
      const weak = faint(one) ? 0.25 : 1;
      ctx.lineWidth = (front ? 2.4 : many ? 1 : one.place === "pinned" ? 2 : 1.5) * ratio;
      if (one.raw) {
        ctx.globalAlpha = 0.22 * weak;
        stroke(ctx, one, one.raw, up, ratio);
      }
      ctx.globalAlpha = weak * (many ? 0.8 : 1);
      stroke(ctx, one, one.y, up, ratio);
    }
  }
  ctx.restore();
  return up;
}

// A line is dashed where a lane of its group is not alive.
function stroke(ctx, one, y, up, ratio) {
  const dash = one.dash.map((length) => length * ratio);
  ctx.setLineDash(dash);
  if (!one.fewer) {
    trace(ctx, one.px, y, up, null);
    return;
  }
  trace(ctx, one.px, y, up, (i) => !(one.alive[i] < one.lanes));
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  trace(ctx, one.px, y, up, (i) => one.alive[i] < one.lanes || one.alive[i + 1] < one.lanes);
  ctx.setLineDash([]);
}

function trace(ctx, px, y, up, includes) {
  ctx.beginPath();
  let [down, from] = [false, 0];
  for (let i = 0; i < y.length; i++) {
    const at = up(y[i]);
    if (at - at === 0 && (!includes || includes(i))) {
      if (down) ctx.lineTo(px[i], at);
      else {
        ctx.moveTo(px[i], at);
        from = i;
      }
      down = true;
    } else {
      if (down && from === i - 1) dot(ctx, px[from], up(y[from])); // a value alone
      down = false;
    }
  }
  if (down && from === y.length - 1) dot(ctx, px[from], up(y[from]));
  ctx.stroke();
}

function dot(ctx, x, y) {
  ctx.moveTo(x + devicePixelRatio, y);
  ctx.arc(x, y, devicePixelRatio, 0, 7);
}

// Fills between two edges, wherever both are there.
function area(ctx, px, lower, upper, up) {
  const [low, high] = [mapped(lower, up), mapped(upper, up)];
  const isThere = (i) => low[i] - low[i] === 0 && high[i] - high[i] === 0;
  for (let start = 0; start < px.length; start++) {
    let end = start;
    while (end < px.length && isThere(end)) end++;
    if (end > start) {
      ctx.beginPath();
      for (let i = start; i < end; i++) ctx.lineTo(px[i], high[i]);
      for (let i = end - 1; i >= start; i--) ctx.lineTo(px[i], low[i]);
      ctx.fill();
    }
    start = end;
  }
}

// The last value of a line that is finite, and where it is.
export function endOf(one) {
  let i = one.y.length - 1;
  while (i >= 0 && !Number.isFinite(one.y[i])) i--;
  return i < 0 ? null : { i, y: one.y[i] };
}

// The names at the ends of lines. They are moved apart; where there is no room for all of them, each stands at its
// line's end or nowhere.
export function labelled(shown, up, top, bottom, ratio) {
  const found = shown.lines.map((one) => ({ one, end: one.isBand ? upperEnd(one) : endOf(one) })).filter(({ end }) => end);
  for (const each of found) each.at = Math.min(bottom, Math.max(top, up(each.end.y)));
  found.sort((a, b) => a.at - b.at);
  const apart = LABEL * ratio;
  if (found.length * apart > (bottom - top) * 0.8) {
    let last = -Infinity;
    return found.filter(({ at }) => {
      const fits = at >= last + apart;
      if (fits) last = at;
      return fits;
    });
  }
  let before = -Infinity;
  for (const each of found) before = each.at = Math.max(each.at, before + apart);
  let after = bottom + apart;
  for (const each of found.toReversed()) after = each.at = Math.min(each.at, after - apart);
  return found;
}

// The name of a band of quantiles stands at its upper edge.
function upperEnd(one) {
  const i = one.upper.length - 1;
  return Number.isFinite(one.upper[i]) ? { i, y: one.upper[i] } : null;
}

function labelText(one, end, withValues) {
  return withValues && !one.isBand ? `${one.label}  ${number(one.given.y[end.i])}` : one.label;
}

// The width that names need at the right, in pixels of the page.
export function labelRoom(ctx, shown, most, withValues) {
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px ${colours().font}`;
  let widest = 0;
  for (const one of shown.lines) {
    const end = one.isBand ? upperEnd(one) : endOf(one);
    if (end) widest = Math.max(widest, ctx.measureText(labelText(one, end, withValues)).width / devicePixelRatio);
  }
  ctx.restore();
  return Math.ceil(Math.min(widest, most, MOST_LABEL) / 8) * 8 + 14;
}

// Returns how many names had no room.
export function paintLabels(u, shown, up, focus, withValues) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  const kept = labelled(shown, up, top, top + height, ratio);
  const room = ctx.canvas.width - left - width - 10 * ratio;
  ctx.save();
  ctx.font = `${11 * ratio}px ${colours().font}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const { one, end, at } of kept) {
    const x = left + width + 8 * ratio;
    ctx.globalAlpha = focus !== null && focus !== one.name ? 0.35 : 1;
    ctx.strokeStyle = ctx.fillStyle = one.isBand ? colours().muted : curveColour(one.colour);
    ctx.lineWidth = ratio;
    ctx.beginPath();
    const endX = Math.min(one.px[end.i], left + width);
    const endY = Math.min(top + height, Math.max(top, up(end.y)));
    if (endX < left + width - 1) {
      // It ends early: a line to its name would look like values.
      ctx.arc(endX, endY, 2.5 * ratio, 0, 2 * Math.PI);
      ctx.fill();
    } else {
      ctx.moveTo(endX, endY);
      ctx.lineTo(x - 3 * ratio, at);
      ctx.stroke();
    }
    ctx.fillText(cut(ctx, one, end, room, withValues), x, at);
  }
  ctx.restore();
  return shown.lines.filter((one) => !one.isBand && endOf(one)).length - kept.length;
}

// A name is cut at its end; its value is not.
function cut(ctx, one, end, room, withValues) {
  const whole = labelText(one, end, withValues);
  if (ctx.measureText(whole).width <= room) return whole;
  for (let length = one.label.length - 1; length > 1; length--) {
    const text = labelText({ ...one, label: `${one.label.slice(0, length)}…` }, end, withValues);
    if (ctx.measureText(text).width <= room) return text;
  }
  return "…";
}
