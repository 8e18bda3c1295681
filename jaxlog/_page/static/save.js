// Saves what is shown as one file, which opens without a server.

import { address } from "./address.js";
import { pictureAddresses } from "./pictures.js";
import { answerAddress, comparisonAddress, curvesAddress, heatAddress, firstRun, mainMetric, metricsAddress, runsAddress, shared } from "./shared.js";
import { parameters } from "./state.js";

const MOST = 160; // addresses
const MOST_WITH_OTHERS = 48; // with what the controls lead to
const FACTS = 20; // runs with their facts

// The addresses of what is shown, and of what the controls lead to, as far as there is room.
async function shownAddresses() {
  const curves = shared.metrics.filter((metric) => metric.kind === "curve");
  const heats = shared.metrics.filter((metric) => metric.kind === "histogram");
  const main = mainMetric();
  const rows = shared.rows.slice(0, FACTS);
  const first = [
    runsAddress(0, 1000), metricsAddress(), answerAddress(),
    ...(main ? [comparisonAddress()] : []),
    ...curves.map((metric) => curvesAddress(metric, metric.key === main?.key ? 600 : 240)),
    ...heats.map((metric) => heatAddress(metric, firstRun())),
    ...rows.map(({ id }) => address("facts", { run: id })),
    ...(rows.length ? await pictureAddresses(firstRun()) : []),
  ].slice(0, MOST);
  const others = [
    ...["", "iqr", "ci", "range", "none"].map((band) => ({ band })),
    ...["", "env_step", "relative"].map((x) => ({ x, from: "", to: "" })),
  ];
  for (const changes of others) {
    const alternative = curves.map((metric) => curvesAddress(metric, 240, changes));
    if (first.length + alternative.length <= MOST_WITH_OTHERS) first.push(...alternative);
  }
  return [...new Set(first)];
}

// The address of the file.
export async function saveAddress() {
  const query = new URLSearchParams();
  for (const place of await shownAddresses()) query.append("address", place);
  query.append("title", document.querySelector("h1").textContent);
  query.append("state", parameters().toString());
  return `save?${query}`;
}
