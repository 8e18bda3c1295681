// The table of runs. Only the rows in sight are asked for and in the document.

import { allow, button, el, say } from "./elements.js";
import { NOT_EMBEDDED } from "./problem.js";
import { runsAddress } from "./shared.js";
import { source } from "./source.js";
import { change, state, toggle } from "./state.js";
import { flagsOf, headWidth, rowOf, widthOf } from "./table_row.js";

const ROW = 28;
const BLOCK = 60; // rows asked for at once
const BEYOND = 8; // rows that are in the document above and below those in sight

export class RunTable {
  constructor(element) {
    this.rows = new Map(); // by their place
    this.elements = new Map(); // by their place, those in the document
    this.widths = [];
    this.active = 0;
    this.total = 0;
    this.head = el("div", { class: "row head", role: "row", "aria-rowindex": 1 });
    this.body = el("div", { class: "rows", role: "rowgroup" });
    this.foot = el("p", { class: "note" });
    this.grid = el("div", { class: "table", role: "grid", tabindex: 0, "aria-label": "runs" }, el("div", { role: "rowgroup", class: "heads" }, this.head), this.body);
    this.compare = button("compare configs of the pinned runs", () => change({ open: state().pin.slice(-2).join(",") }), { hidden: true, class: "small" });
    element.append(this.grid, el("div", { class: "foot" }, this.foot, this.compare));
    this.grid.addEventListener("scroll", () => this.#scrolled());
    this.grid.addEventListener("keydown", (event) => this.#key(event));
    this.grid.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#draw()).observe(this.grid);
    addEventListener("beforeprint", () => this.#print(true));
    addEventListener("afterprint", () => this.#print(false));
  }

  // Takes the first rows of an answer, and asks for the others that are in sight.
  async update(answer) {
    const order = JSON.stringify(state().sort + state().where + state().pin);
    if (order !== this.order) this.rows.clear();
    this.order = order;
    this.total = answer.matching;
    this.all = answer.columns;
    for (const place of this.rows.keys()) if (place >= this.total) this.rows.delete(place);
    this.#take(answer);
    this.grid.setAttribute("aria-rowcount", this.total + 1);
    this.active = Math.min(this.active, Math.max(0, this.total - 1));
    this.#draw();
    await this.#ask();
  }

  #take(answer) {
    answer.rows.forEach((row, i) => this.rows.set(answer.offset + i, row));
    for (const row of answer.rows) {
      row.texts.forEach((text, i) => {
        const whole = this.all[i].kind === "status" ? [text, ...flagsOf(row)].join(", ") : text;
        this.widths[i] = Math.max(this.widths[i] || 0, widthOf(this.all[i], whole));
      });
    }
    const names = Math.max(...answer.rows.map((row) => row.name.length), this.named || 0);
    this.named = Math.min(names, 32);
  }

  // The places of the columns in which some row has something: the others would take room for nothing.
  #shown() {
    return this.all.flatMap((column, i) => (column.kind === "trend" || this.widths[i] > widthOf(column, "") ? [i] : []));
  }

  // On paper are the first rows, which do not scroll.
  #print(isPrinted) {
    this.isPrinted = isPrinted;
    this.#draw();
  }

  #inSight() {
    if (this.isPrinted) return [0, Math.min(this.total, BLOCK)];
    const first = Math.max(0, Math.floor(this.grid.scrollTop / ROW) - BEYOND);
    const shown = Math.ceil(this.grid.clientHeight / ROW) + 2 * BEYOND;
    return [first, Math.min(this.total, first + shown)];
  }

  async #ask() {
    const [first, end] = this.#inSight();
    const { order } = this;
    for (let block = Math.floor(first / BLOCK); block * BLOCK < end; block++) {
      if (block === 0) continue; // it comes with each update
      const answer = await source.get(runsAddress(block * BLOCK, BLOCK));
      if (order !== this.order) return;
      this.#take(answer);
      this.#draw();
    }
  }

  #scrolled() {
    this.#draw();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.#ask().catch(() => {}), 60);
  }

  #draw() {
    if (!this.all) return;
    const shown = this.#shown();
    this.columns = shown.map((i) => this.all[i]);
    const template = [`58px ${Math.max(12, Math.min(this.named + 4, this.grid.clientWidth / 20))}ch`,
      ...shown.map((i) => `${Math.max(this.widths[i] || 0, headWidth(this.all[i]))}ch`)].join(" ");
    if (template !== this.template) {
      this.template = template;
      this.grid.style.setProperty("--columns", template);
    }
    this.#heads();
    this.body.style.height = `${(this.isPrinted ? Math.min(this.total, BLOCK) : this.total) * ROW}px`;
    const [first, end] = this.#inSight();
    for (const [place, element] of this.elements) {
      if (place < first || place >= end) {
        element.remove();
        this.elements.delete(place);
      }
    }
    const { off, pin, open } = state();
    for (let place = first; place < end; place++) {
      const row = this.rows.get(place);
      const known = this.elements.get(place);
      const flags = row ? { isOff: off.includes(row.id), isPinned: pin.includes(row.id), isOpen: open === row.id, isActive: place === this.active } : {};
      const signature = JSON.stringify([row, flags, shown]);
      if (known && known.signature === signature) continue;
      const made = rowOf(row, this.all, shown, place, flags);
      made.signature = signature;
      made.style.transform = `translateY(${place * ROW}px)`;
      known ? known.replaceWith(made) : this.body.append(made);
      this.elements.set(place, made);
    }
    this.grid.setAttribute("aria-activedescendant", `run-${this.active}`);
    this.#footer(pin);
  }

  #footer(pin) {
    const off = state().off.length;
    const cut = this.isPrinted && this.total > BLOCK ? `the first ${BLOCK} of ${this.total} runs` : "";
    const empty = this.total ? "" : state().where ? "no run matches the filter" : "no runs yet; they appear here when they start";
    say(this.foot, [empty, cut, off ? `${off} switched off` : "", pin.length ? `${pin.length} pinned` : ""].filter(Boolean).join(" · "));
    this.compare.hidden = pin.length < 2;
  }

  #heads() {
    const { sort } = state();
    const signature = JSON.stringify([this.columns, sort]);
    if (signature === this.headed) return;
    this.headed = signature;
    const focused = this.head.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const cells = [{ name: "run", title: "run" }, ...this.columns].map((column, i) => {
      const heading = column.kind === "trend" ? "trend" : column.title;
      const [up, down] = [sort === column.name, sort === `-${column.name}`];
      const next = up ? "" : down ? column.name : `-${column.name}`;
      const sorter = button(`${heading}${up ? " ↑" : down ? " ↓" : ""}`, () => change({ sort: i === 0 && !up && !down ? column.name : next }),
        { title: column.sort === false ? column.title : `sort by ${column.title}`, "data-name": column.name });
      if (column.sort === false) sorter.disabled = true;
      else allow(sorter, source.has(runsAddress(0, BLOCK, { sort: next })), NOT_EMBEDDED);
      return el("span", { role: "columnheader", class: `cell is-${column.kind}`, "aria-sort": up ? "ascending" : down ? "descending" : "none" }, sorter);
    });
    this.head.replaceChildren(el("span", { role: "columnheader", class: "cell tick" }, el("span", { class: "unseen" }, "shown, pinned")), ...cells);
    if (focused) this.head.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  #key(event) {
    if (event.target !== this.grid || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / ROW) - 2);
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -1e9, End: 1e9 }[event.key];
    const row = this.rows.get(this.active);
    if (by) this.#activate(this.active + by);
    else if (!row) return;
    else if (event.key === "Enter") change({ open: row.id });
    else if (event.key === " " || event.key === "h") toggle("off", row.id);
    else if (event.key === "p") toggle("pin", row.id);
    else return;
    event.preventDefault();
  }

  #activate(place) {
    this.active = Math.min(this.total - 1, Math.max(0, place));
    const top = this.active * ROW;
    const height = this.grid.clientHeight - this.head.offsetHeight;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + ROW > this.grid.scrollTop + height) this.grid.scrollTop = top + ROW - height;
    this.#draw();
  }

  #click(event) {
    const element = event.target.closest(".rows > .row");
    const row = element && this.rows.get(+element.dataset.place);
    if (!row) return;
    this.active = +element.dataset.place;
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act) toggle(act, row.id);
    else change({ open: row.id });
  }

  redraw() {
    this.#draw();
  }
}
