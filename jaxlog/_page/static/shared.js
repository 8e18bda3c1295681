// What several parts of the page know of the last answers, and what they ask for.

import { address } from "./address.js";
import { chosen, state } from "./state.js";

export const shared = {
  main: null, // the metric of the large chart, { call, key }
  groups: [], // what curves can be grouped by
  by: [], // what they are grouped by
  groupCount: 0, // the number of groups of the large chart
  rows: [], // the first runs of the table
  metrics: [],
};

export function metricId({ call, key }) {
  return `${call}/${key}`;
}

export function mainMetric() {
  const { call, key } = state();
  return key ? { call, key } : shared.main;
}

export function runsAddress(offset, limit, changes = {}) {
  return address("runs", { ...chosen("where", "sort", "group", "call", "key", "off", "pin"), ...changes, offset, limit });
}

export function answerAddress() {
  return address("answer", { ...chosen("where", "group", "off"), ...mainMetric() });
}

export function metricsAddress() {
  return address("metrics", chosen("where"));
}

export function curvesAddress(metric, points, changes = {}) {
  const { call, key } = metric;
  return address("curves", { ...chosen("group", "x", "band", "where", "off", "pin", "from", "to"), call, key, points, ...changes });
}

export function comparisonAddress(changes = {}) {
  return address("comparison", { ...chosen("group", "where", "off", "baseline"), ...mainMetric(), ...changes });
}

export function heatAddress({ call, key }, run) {
  return address("heat", { ...chosen("where"), call, key, run });
}

// The run that a part about one run shows unless told otherwise.
export function firstRun() {
  const { pin } = state();
  return pin[0] || (shared.rows[0] && shared.rows[0].id) || "";
}

// How the reader wants the chart of a metric drawn.
export function lookOf(metric) {
  const { hide, smooth, log, y, from, to } = state();
  const id = metricId(metric);
  const range = y.map((one) => one.split(/,(.*?),(.*)/s)).find(([, , name]) => name === id);
  return {
    hide,
    smooth: +smooth || 0,
    log: log.includes(id),
    y: range ? [+range[0], +range[1]] : null,
    from: from === "" ? null : +from,
    to: to === "" ? null : +to,
  };
}
