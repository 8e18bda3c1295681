// What the reader chose, kept in the fragment of the page's address.

const DEFAULTS = {
  where: "", sort: "", group: "", call: "", key: "", x: "step", band: "std", from: "", to: "",
  smooth: "", baseline: "", open: "", big: "", scheme: "",
  log: [], y: [], hide: [], off: [], pin: [],
};
const IDS = ["off", "pin"]; // joined by commas: ids of runs have none

let now = read();
const listeners = [];

function read() {
  const given = new URLSearchParams(location.hash.slice(1) || document.documentElement.dataset.state || "");
  const state = {};
  for (const [name, initial] of Object.entries(DEFAULTS)) {
    if (IDS.includes(name)) state[name] = (given.get(name) || "").split(",").filter(Boolean);
    else state[name] = Array.isArray(initial) ? given.getAll(name) : given.get(name) ?? initial;
  }
  return state;
}

function isDefault(name, chosen) {
  return Array.isArray(chosen) ? !chosen.length : chosen === DEFAULTS[name];
}

// The state as parameters, without what is at its default.
export function parameters(state = now) {
  const found = new URLSearchParams();
  for (const [name, chosen] of Object.entries(state)) {
    if (isDefault(name, chosen)) continue;
    if (IDS.includes(name)) found.append(name, chosen.join(","));
    else for (const one of [chosen].flat()) found.append(name, one);
  }
  return found;
}

export function state() {
  return now;
}

// Some of the state, as parameters of an address.
export function chosen(...names) {
  return Object.fromEntries(names.filter((name) => !isDefault(name, now[name])).map((name) => [name, now[name]]));
}

// Changes the state. A change that goes on, such as that of a slider, replaces its entry of the history.
export function change(changes, { goesOn = false } = {}) {
  const next = { ...now, ...changes };
  if (parameters(next).toString() === parameters().toString()) return;
  now = next;
  const fragment = `#${parameters()}`;
  history[goesOn ? "replaceState" : "pushState"](null, "", fragment);
  tell();
}

// Adds to a list of the state, or removes from it.
export function toggle(name, one) {
  const list = now[name];
  change({ [name]: list.includes(one) ? list.filter((other) => other !== one) : [...list, one] });
}

export function onChange(listener) {
  listeners.push(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

addEventListener("popstate", () => {
  now = read();
  tell();
});
