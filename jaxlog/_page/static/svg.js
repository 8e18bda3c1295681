// A chart as SVG, for papers: the same lines, bands and names as on the screen.

import { colours, curveColour } from "./colours.js";
import { svg } from "./elements.js";
import { clock, number, powers, scale, short, ticks, timeTicks } from "./numbers.js";
import { labelled } from "./paint.js";

const [WIDTH, HEIGHT] = [640, 360];
const BOX = { left: 60, right: 500, top: 30, bottom: 320 };

export function chartSvg(shown, title) {
  const across = scale(...shown.x, BOX.left, BOX.right, false);
  const up = scale(...shown.y, BOX.bottom, BOX.top, shown.log);
  const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT,
    "font-family": "Helvetica, Arial, sans-serif", "font-size": 11 });
  root.append(svg("rect", { width: WIDTH, height: HEIGHT, fill: colours().paper }));
  root.append(svg("text", { x: BOX.left, y: 18, fill: colours().ink, "font-weight": "bold", "font-size": 13 }, title));
  root.append(svg("clipPath", { id: "box" }, svg("rect", { x: BOX.left, y: BOX.top, width: BOX.right - BOX.left + 2, height: BOX.bottom - BOX.top })));
  axes(root, shown, across, up);
  const inside = svg("g", { "clip-path": "url(#box)", fill: "none" });
  for (const one of shown.lines) {
    const colour = one.isBand ? colours().muted : curveColour(one.colour);
    if (one.hasBand && shown.banded) inside.append(svg("path", { d: bandPath(one, across, up), fill: colour, "fill-opacity": 0.15 }));
    if (one.isBand) continue;
    inside.append(svg("path", { d: linePath(one, across, up), stroke: colour, "stroke-width": 1.5, "stroke-linejoin": "round",
      "stroke-dasharray": one.dash.join(" ") || null }));
  }
  root.append(inside);
  for (const { one, at } of labelled(shown, up, BOX.top, BOX.bottom, 1)) {
    root.append(svg("text", { x: BOX.right + 8, y: at + 4, fill: one.isBand ? colours().muted : curveColour(one.colour) }, one.label));
  }
  return new XMLSerializer().serializeToString(root);
}

function axes(root, shown, across, up) {
  const grey = { fill: colours().muted };
  const { kind, title } = shown.answer.x;
  const levels = shown.log ? powers(...shown.y) : ticks(...shown.y, 6);
  for (const level of levels) {
    root.append(svg("line", { x1: BOX.left, x2: BOX.right, y1: up(level), y2: up(level), stroke: colours().grid }));
    root.append(svg("text", { x: BOX.left - 6, y: up(level) + 4, "text-anchor": "end", ...grey }, number(level)));
  }
  const places = kind === "duration" ? timeTicks(...shown.x, 6) : ticks(...shown.x, 6);
  const text = (x) => (kind === "duration" ? clock(x) : kind === "time" ? new Date(x * 1000).toLocaleTimeString("sv") : short(x));
  for (const x of places) root.append(svg("text", { x: across(x), y: BOX.bottom + 16, "text-anchor": "middle", ...grey }, text(x)));
  root.append(svg("text", { x: (BOX.left + BOX.right) / 2, y: HEIGHT - 8, "text-anchor": "middle", ...grey }, title));
}

function linePath(one, across, up) {
  let words = "";
  let pen = "M";
  one.y.forEach((y, i) => {
    const at = up(y);
    words += Number.isFinite(at) ? `${pen}${across(one.x[i]).toFixed(1)} ${at.toFixed(1)}` : "";
    pen = Number.isFinite(at) ? "L" : "M";
  });
  return words;
}

function bandPath(one, across, up) {
  const there = [...one.x.keys()].filter((i) => Number.isFinite(up(one.lower[i])) && Number.isFinite(up(one.upper[i])));
  const point = (i, edge) => `${across(one.x[i]).toFixed(1)} ${up(edge[i]).toFixed(1)}`;
  const edge = [...there.map((i) => point(i, one.upper)), ...there.reverse().map((i) => point(i, one.lower))];
  return edge.length ? `M${edge.join("L")}Z` : "";
}
