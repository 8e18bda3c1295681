// The choice of the run that a part of the page is about.

import { el } from "./elements.js";
import { firstRun, shared } from "./shared.js";
import { source } from "./source.js";

// Lists the runs about which there is an answer; `wanted` is called when another is chosen.
export class RunChoice {
  constructor(addressOf, wanted) {
    this.addressOf = addressOf;
    this.element = el("select", { "aria-label": "run", onchange: wanted });
  }

  // Offers the runs, and returns the chosen one; "" for none.
  offer() {
    const rows = shared.rows.filter(({ id }) => source.has(this.addressOf(id)));
    const signature = JSON.stringify(rows.map(({ id, name }) => [id, name]));
    const chosen = this.element.value;
    if (signature !== this.offered) {
      this.offered = signature;
      this.element.replaceChildren(...rows.map(({ id, name }) => el("option", { value: id, selected: id === chosen }, name)));
      this.element.hidden = rows.length < 2;
    }
    const first = firstRun();
    return this.element.value || (rows.some(({ id }) => id === first) ? first : "");
  }
}
