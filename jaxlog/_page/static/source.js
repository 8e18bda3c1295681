// Where answers come from: a server, or the page itself if it is a saved view.

import { curvesOf } from "./curves.js";

const MOST_KNOWN = 400; // answers that are kept to be asked about with their ETag
const BINARY = /^(curves|heat)\b/;
const WITHOUT = ["offset", "limit", "points"]; // an embedded answer has all of it

// An answer that cannot be had: `kind` is "refused" (the question is wrong), "denied" or "gone".
export class Problem extends Error {
  constructor(text, kind) {
    super(text);
    this.kind = kind;
  }
}

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

function parsed(isBinary, bytes) {
  return isBinary ? curvesOf(bytes) : JSON.parse(new TextDecoder().decode(bytes));
}

class LiveSource {
  isLive = true;
  version = 0; // grows with each change that the server reports
  #known = new Map();
  #asked = new Map();

  has() {
    return true;
  }

  async url(place) {
    return place;
  }

  // Asks, unless nothing has changed since. The same answer is the same object.
  get(place) {
    const known = this.#known.get(place);
    if (known && known.version === this.version) return Promise.resolve(known.answer);
    if (!this.#asked.has(place)) {
      const asked = this.#ask(place, known).finally(() => this.#asked.delete(place));
      this.#asked.set(place, asked);
    }
    return this.#asked.get(place);
  }

  async #ask(place, known) {
    const { version } = this;
    const headers = known ? { "If-None-Match": known.etag } : {};
    let response, bytes;
    try {
      response = await fetch(place, { headers, cache: "no-store" });
      bytes = await response.arrayBuffer();
    } catch {
      throw new Problem("the server does not answer", "gone");
    }
    if (response.status === 304) {
      known.version = version;
      return known.answer;
    }
    if (response.status === 401 || response.status === 403) {
      throw new Problem("This address is no longer valid: open the one that jaxlog serve printed last.", "denied");
    }
    const type = response.headers.get("Content-Type") || "";
    if (!response.ok) {
      const said = type.startsWith("application/json") ? parsed(false, bytes).error : `status ${response.status}`;
      throw new Problem(said, response.status < 500 ? "refused" : "gone");
    }
    const answer = parsed(BINARY.test(place), bytes);
    this.#known.delete(place);
    this.#known.set(place, { etag: response.headers.get("ETag"), answer, version });
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.keys().next().value);
    return answer;
  }
}

class FrozenSource {
  isLive = false;
  version = 0;
  #texts = new Map(); // gzip as base64
  #parsed = new Map();

  constructor(answers) {
    for (const [place, text] of Object.entries(answers)) this.#texts.set(canonical(place), text);
  }

  has(place) {
    return place.startsWith("data:") || this.#texts.has(canonical(place));
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

  get(place) {
    const key = canonical(place);
    const text = this.#texts.get(key);
    if (!text) return Promise.reject(new Problem(NOT_EMBEDDED, "refused"));
    if (!this.#parsed.has(key)) this.#parsed.set(key, opened(text).then((bytes) => parsed(BINARY.test(place), bytes)));
    return this.#parsed.get(key);
  }
}

function opened(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function canonical(place) {
  const [name, query = ""] = place.split(/\?(.*)/s);
  const found = new URLSearchParams();
  for (const [key, given] of new URLSearchParams(query)) if (given && !WITHOUT.includes(key)) found.append(key, given);
  found.sort();
  return `${name}?${found}`;
}

export const NOT_EMBEDDED = "This is not a part of the saved view; jaxlog serve shows all.";

const embedded = document.getElementById("answers");
export const source = embedded ? new FrozenSource(JSON.parse(embedded.textContent)) : new LiveSource();
