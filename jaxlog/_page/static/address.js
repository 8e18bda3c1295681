// Addresses of answers, and what is made of an answer.

import { curvesOf } from "./curves.js";
import { counted } from "./numbers.js";

const BINARY = /^(curves|heat)\b/;

// An address with its parameters, the empty ones left out, always in one order.
export function address(name, parameters = {}) {
  const found = new URLSearchParams();
  for (const key of Object.keys(parameters).sort()) {
    const given = parameters[key];
    const text = Array.isArray(given) ? given.join(",") : given;
    if (text !== "" && text !== null && text !== undefined) found.append(key, text);
  }
  const query = found.toString();
  return query ? `${name}?${query}` : name;
}

// The name of an address, and its parameters.
export function partsOf(place) {
  const [name, query = ""] = place.split(/\?(.*)/s);
  return [name, Object.fromEntries(new URLSearchParams(query))];
}

export function isBinary(place) {
  return BINARY.test(place);
}

export function parsed(isNumbers, bytes) {
  return isNumbers ? curvesOf(bytes) : JSON.parse(new TextDecoder().decode(bytes));
}

// True if not all runs were read for an answer: the same address has another one soon.
export function isPart(answer) {
  return Boolean(answer && answer.read < answer.of);
}

export function readText({ read, of }) {
  return `${read.toLocaleString("en")} of ${counted(of, "run")} read`;
}
