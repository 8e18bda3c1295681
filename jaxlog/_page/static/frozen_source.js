// The answers of a saved view, which are in the page itself.

import { address, isBinary, parsed, partsOf } from "./address.js";
import { NOT_EMBEDDED, Problem } from "./problem.js";
import { sorted } from "./sorting.js";

const WITHOUT = ["offset", "limit", "points"]; // an embedded answer has all of it
const OF_TABLE = ["sort", "group", "call", "key"]; // the rows of the table are the same without them

export class FrozenSource {
  isLive = false;
  version = 0;
  #texts = new Map(); // gzip as base64
  #answers = new Map();

  constructor(answers) {
    for (const [place, text] of Object.entries(answers)) this.#texts.set(canonical(place), text);
  }

  has(place) {
    return place.startsWith("data:") || this.#texts.has(canonical(place)) || this.#parts(place) !== null;
  }

  async url(place) {
    if (place.startsWith("data:")) return place;
    const text = this.#texts.get(canonical(place));
    if (!text) return "";
    const bytes = new Uint8Array(await opened(text));
    let binary = "";
    for (const byte of bytes) binary += String.fromCharCode(byte);
    return `data:${bytes[0] === 0x89 ? "image/png" : "image/svg+xml"};base64,${btoa(binary)}`;
  }

  // The same address has the same object as its answer.
  get(place) {
    const key = canonical(place);
    if (!this.#answers.has(key)) this.#answers.set(key, this.#answer(place, key));
    return this.#answers.get(key);
  }

  async #answer(place, key) {
    const text = this.#texts.get(key);
    if (text) return parsed(isBinary(place), await opened(text));
    const parts = this.#parts(place);
    if (!parts) throw new Problem(NOT_EMBEDDED, "refused");
    const answers = await Promise.all(parts.map((part) => this.get(part)));
    const [name, parameters] = partsOf(place);
    return name === "runs" ? sorted(answers[0], parameters.sort || "") : sideBySide(...answers);
  }

  // The addresses whose answers make another: a table in another order, and the configs of two runs; null for none.
  #parts(place) {
    const [name, parameters] = partsOf(place);
    let parts = [];
    if (name === "runs") {
      for (const one of OF_TABLE) delete parameters[one];
      parts = [address("runs", parameters)];
    } else if (name === "configs") {
      parts = [address("facts", { run: parameters.a }), address("facts", { run: parameters.b })];
    }
    return parts.length && parts.every((part) => this.#texts.has(canonical(part))) ? parts : null;
  }
}

// The configs of two runs, from their facts.
function sideBySide(one, other) {
  const [first, second] = [one, other].map(({ config }) => new Map(config));
  const names = [...new Set([...first.keys(), ...second.keys()])];
  const text = (config, name) => config.get(name) ?? "";
  const rows = names.map((name) => [name, text(first, name), text(second, name), first.get(name) !== second.get(name)]);
  return { names: [one.name, other.name], rows, notes: [] };
}

function opened(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function canonical(place) {
  const [name, parameters] = partsOf(place);
  for (const one of WITHOUT) delete parameters[one];
  return address(name, parameters);
}
