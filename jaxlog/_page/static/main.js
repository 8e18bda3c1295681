// The page: its parts, and when each of them is asked for again.

import { isPart } from "./address.js";
import { onTheme, setScheme } from "./colours.js";
import { ComparisonTable } from "./comparison.js";
import { Controls } from "./controls.js";
import { Drawer } from "./drawer.js";
import { Facts } from "./facts.js";
import { Figure } from "./figure.js";
import { choose, FirstLines, title } from "./first_lines.js";
import { Grid } from "./grid.js";
import { follow, paced } from "./live.js";
import { Pictures } from "./pictures.js";
import { NOT_EMBEDDED, Problem } from "./problem.js";
import { saveAddress } from "./save.js";
import { answerAddress, mainMetric, metricId, metricsAddress, runsAddress, shared } from "./shared.js";
import { source } from "./source.js";
import { onChange, state } from "./state.js";
import { RunTable } from "./table.js";

const BLOCK = 60;
const SELDOM = 15000; // milliseconds: intervals take the server longer than curves
const SOON = 300; // milliseconds until more runs are read, if not all are
const place = (id) => document.getElementById(id);

const lines = new FirstLines({ line: place("state"), spoken: place("spoken"), alarms: place("alarms"), answer: place("answer"), filter: place("filter") });
const table = new RunTable(place("runs"));
const controls = new Controls(place("controls"));
const comparison = new ComparisonTable(place("comparison"), {
  pointed: (name) => main?.setFocus(name),
  colourOf: (name) => main?.answer?.groups.find((group) => group.name === name)?.colour ?? null,
});
const grid = new Grid(place("metrics"));
const pictures = new Pictures(place("pictures"));
const facts = new Facts(place("facts"));
const drawer = new Drawer();
let main = null;

// What an answer's absence means is said where its part stands; what is left here is the page's own fault.
async function tried(asked) {
  try {
    return await asked;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "denied") lines.lose(problem.message);
    return null;
  }
}

async function runs() {
  try {
    const answer = await source.get(runsAddress(0, BLOCK));
    choose(answer);
    title(answer.title || document.querySelector("h1").textContent);
    lines.update(answer);
    await table.update(answer);
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "refused") lines.refuse(problem.message);
    if (problem.kind === "denied") lines.lose(problem.message);
    return false;
  }
}

async function large() {
  const metric = mainMetric();
  for (const id of ["first", "controls", "metrics"]) place(id).hidden = !metric;
  if (!metric) return;
  if (!main || main.id !== metricId(metric)) {
    main?.destroy();
    const known = shared.metrics.find((one) => metricId(one) === metricId(metric));
    main = new Figure(known || metric, { points: 600, height: mainHeight, labels: "values", alive: true });
    place("main").append(main.element);
  }
  await main.refresh();
  shared.by = main.answer?.by || [];
  shared.groupCount = main.answer?.groups.length || 0;
  place("first").classList.toggle("alone", shared.groupCount < 2);
}

function mainHeight() {
  return innerWidth < 700 ? 260 : Math.max(280, Math.min(420, innerHeight * 0.44));
}

// The server makes one answer from values at a time: that of the large chart is to be the first.
let chartIsThere;
const firstChart = new Promise((resolve) => (chartIsThere = resolve));

async function charts() {
  const answer = await tried(source.get(metricsAddress()));
  if (answer) shared.metrics = answer.metrics;
  controls.draw();
  try {
    await large();
  } finally {
    if (!isPart(main?.answer)) chartIsThere();
  }
  controls.draw();
  comparison.draw(); // the colours may be others
  if (isPart(main?.answer)) {
    lines.wait(main.answer);
    comparison.wait(main.answer);
    grid.wait();
    setTimeout(askCharts, SOON, true);
    return;
  }
  await tried(grid.refresh());
  if (grid.isPart) setTimeout(askCharts, SOON, true);
}

async function leader() {
  await firstChart;
  const [, answer] = await Promise.all([comparison.refresh(), tried(source.get(answerAddress()))]);
  lines.showAnswer(answer);
  if (comparison.isPart || isPart(answer)) setTimeout(askAnswer, SOON, true);
}

const askRuns = paced(async () => {
  const before = metricId(mainMetric() || {});
  if ((await runs()) && metricId(mainMetric() || {}) !== before) {
    askCharts();
    askAnswer();
  }
});
const askCharts = paced(charts, () => (isPart(main?.answer) || grid.isPart ? SOON : null));
const askAnswer = paced(leader, () => (comparison.isPart ? SOON : SELDOM));
const askRest = paced(async () => {
  await firstChart;
  await Promise.all([pictures.refresh(), facts.refresh(), drawer.refresh()]);
});

function askAll(isLive) {
  for (const ask of [askRuns, askCharts, askAnswer, askRest]) ask(isLive);
}

setScheme(state().scheme);
onChange(() => {
  setScheme(state().scheme);
  lines.read();
  controls.draw();
  table.redraw();
  askAll(false);
});
onTheme(() => {
  for (const part of [main?.chart, drawer.figure?.chart, grid]) part?.redraw();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    lines.input.focus();
  }
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

const save = place("save");
save.addEventListener("click", async () => {
  const file = await tried(saveAddress());
  if (file) location.assign(file);
});
save.hidden = !source.isLive;
await askRuns();
askAll(false);
if (source.isLive) follow(() => askAll(true), (text) => lines.lose(text));
else firstChart.then(() => grid.drawAll()); // a page that is printed has all charts
