// Copies what is shown: a chart as PNG, SVG, CSV and Python; a comparison as CSV, LaTeX and Markdown.

import { colours } from "./colours.js";
import { el } from "./elements.js";
import { chartSvg } from "./svg.js";

const notice = el("div", { class: "notice", role: "status" });
let fading = 0;

function tell(text) {
  notice.textContent = text;
  document.body.append(notice);
  clearTimeout(fading);
  fading = setTimeout(() => notice.remove(), 3000);
}

// Copies a text. Where a page may not write to the clipboard, it is saved as a file.
export async function copyText(text, name, ending) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${ending} copied`);
  } catch {
    save(new Blob([text], { type: "text/plain" }), `${name}.${ending.toLowerCase()}`);
  }
}

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  tell(`saved as ${link.download}`);
}

export function copiers(figure) {
  const { chart, metric } = figure;
  const { key } = metric;
  return [
    ["copy PNG", () => copyPng(chart, key)],
    ["copy SVG", () => copyText(chartSvg(chart.shown, key), key, "SVG")],
    ["copy CSV", () => copyText(chartCsv(chart.shown), key, "CSV")],
    ["copy Python", () => copyText(chart.shown.answer.python || "", key, "py")],
  ];
}

async function copyPng(chart, title) {
  const own = chart.plot.ctx.canvas;
  const below = chart.below?.ctx.canvas;
  const head = 26 * devicePixelRatio;
  const canvas = el("canvas", { width: own.width, height: own.height + (below?.height || 0) + head });
  const context = canvas.getContext("2d");
  context.fillStyle = colours().paper;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colours().ink;
  context.font = `600 ${13 * devicePixelRatio}px ${colours().font}`;
  context.fillText(title, 12 * devicePixelRatio, 18 * devicePixelRatio);
  context.drawImage(own, 0, head);
  if (below) context.drawImage(below, 0, head + own.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    tell("PNG copied");
  } catch {
    save(blob, `${title}.png`);
  }
}

function field(text) {
  const guarded = /^[=+\-@\t]/.test(text) && !Number.isFinite(+text) ? `'${text}` : text; // a sheet would compute it
  return /[",\n\r]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

// The numbers of the lines, and those of the smoothed lines if they are drawn.
function chartCsv(shown) {
  const rows = [["group", shown.answer.x.title, shown.answer.y.title, "lower", "upper", "lanes_alive"]];
  const isSmoothed = shown.lines.some((one) => one.raw);
  if (isSmoothed) rows[0].push("smoothed");
  for (const one of shown.lines) {
    one.x.forEach((x, i) => {
      if (x < shown.x[0] || x > shown.x[1]) return;
      const { y, lower, upper } = one.given;
      rows.push([one.name, x, y[i], lower[i], upper[i], one.alive[i], ...(isSmoothed ? [one.y[i]] : [])]);
    });
  }
  return rows.map((row) => row.map((cell) => field(String(cell))).join(",")).join("\n") + "\n";
}
