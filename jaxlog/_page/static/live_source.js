// The answers of a server.

import { isBinary, isPart, parsed } from "./address.js";
import { Problem } from "./problem.js";

const MOST_KNOWN = 400; // answers that are kept to be asked about with their ETag
const NEVER = -1; // no version of the server: the answer is asked for again

export class LiveSource {
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
      known.version = isPart(known.answer) ? NEVER : version;
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
    const answer = parsed(isBinary(place), bytes);
    this.#known.delete(place);
    this.#known.set(place, { etag: response.headers.get("ETag"), answer, version: isPart(answer) ? NEVER : version });
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.keys().next().value);
    return answer;
  }
}
