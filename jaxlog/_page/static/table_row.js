// A row of the table of runs.

import { el, named, svg } from "./elements.js";

const [WIDTH, HEIGHT] = [84, 18]; // of a trend

const RIGHT = new Set(["number", "time", "duration", "percent", "lanes"]);

// The width that a text needs in a column, in characters.
export function widthOf(column, text) {
  if (column.kind === "trend") return 13;
  const more = { percent: 7.5, status: 4.5 }[column.kind] || 2.4;
  return Math.min(String(text || "").length, 26) + more;
}

export function headWidth({ kind, title }) {
  return kind === "trend" ? 13 : Math.min(title.length, 26) + 2.4;
}

export function rowOf(row, columns, places, place, { isOff, isPinned, isOpen, isActive }) {
  const classes = ["row", isOff ? "off" : "", isPinned ? "pinned" : "", isOpen ? "open" : "", isActive ? "active" : ""].filter(Boolean).join(" ");
  const element = el("div", { class: classes, role: "row", id: `run-${place}`, "data-place": place, "aria-rowindex": place + 2, "aria-selected": isActive });
  if (!row) {
    element.append(el("span", { class: "cell wait", role: "gridcell" }, "…"));
    return element;
  }
  const shown = mark("off", isOff ? "○" : "●", `${isOff ? "show" : "hide"} this run in charts and comparison`, !isOff);
  const pin = mark("pin", isPinned ? "★" : "☆", isPinned ? "no longer pin this run" : "pin this run: a line of its own", isPinned);
  const title = row.notes?.length ? `${row.name}\n${row.notes.join("\n")}` : row.name;
  element.append(el("span", { class: "cell tick", role: "gridcell" }, shown, pin),
    el("span", { class: "cell name", role: "rowheader" }, named(row.name, { title })),
    ...places.map((i) => cell(columns[i], row, i)));
  return element;
}

function mark(act, text, title, pressed) {
  return el("button", { type: "button", tabindex: -1, class: "mark", "data-act": act, title, "aria-label": title, "aria-pressed": pressed }, text);
}

function cell(column, row, i) {
  const text = row.texts[i] ?? "";
  const classes = ["cell", `is-${column.kind}`, RIGHT.has(column.kind) ? "number" : ""].filter(Boolean).join(" ");
  const element = el("span", { class: classes, role: "gridcell" });
  if (column.kind === "trend") element.append(trend(row.trend || []));
  else if (column.kind === "status") element.append(el("span", { class: `status ${row.tone}`, title: (row.notes || []).join("\n") || null }, text), flags(row, text));
  else if (column.kind === "percent" && typeof row.cells[i] === "number") element.append(progress(row.cells[i] / 100), text);
  else if (column.kind === "lanes" && text.includes("/")) element.append(el("span", { class: "warn", title: "lanes alive, of all" }, text));
  else element.append(el("bdi", { title: text.length > 24 ? text : null }, text));
  return element;
}

// The words with which a run's notes begin: "diverged: 2 of 16 lanes".
export function flagsOf(row) {
  return (row.notes || []).map((note) => note.split(":")[0]).filter((word) => word !== row.status && word.length < 16);
}

function flags(row, text) {
  const words = flagsOf(row);
  return words.length ? el("span", { class: "bad" }, `${text ? ", " : ""}${words.join(", ")}`) : "";
}

function progress(share) {
  const done = Math.min(1, Math.max(0, share));
  return svg("svg", { class: "progress", width: 34, height: 4, viewBox: "0 0 34 4", "aria-hidden": true },
    svg("rect", { width: 34, height: 4, rx: 2, class: "all" }), svg("rect", { width: 34 * done, height: 4, rx: 2, class: "done" }));
}

function trend(values) {
  const numbers = values.map((one) => (typeof one === "number" ? one : NaN));
  const finite = numbers.filter(Number.isFinite);
  const drawing = svg("svg", { width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "trend", "aria-hidden": true });
  if (finite.length < 2) return drawing;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  let [words, pen] = ["", "M"];
  numbers.forEach((one, i) => {
    if (!Number.isFinite(one)) {
      pen = "M";
      return;
    }
    const x = 1 + (i * (WIDTH - 2)) / (numbers.length - 1);
    const y = HEIGHT - 2 - ((one - low) / (high - low || 1)) * (HEIGHT - 4);
    words += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  drawing.append(svg("path", { d: words }));
  return drawing;
}
