// Plays an episode that was recorded whole: its frames, its rewards, and the numbers of its steps as lines.

import { el, named, say, svg } from "./elements.js";
import { number } from "./numbers.js";
import { Problem } from "./problem.js";
import { source } from "./source.js";

const PER_SECOND = 10; // steps, at the speed of 1
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const [WIDTH, HEIGHT] = [300, 54]; // of the time line
const LINES = 90;

// The time of one film, or of several that go in step.
export class Clock {
  #films = new Set();
  place = 0;
  speed = 1;

  add(film) {
    this.#films.add(film);
  }

  remove(film) {
    this.#films.delete(film);
    if (!this.#films.size) this.pause();
  }

  get length() {
    return Math.max(1, ...[...this.#films].map((film) => film.length));
  }

  get isPlaying() {
    return this.timer !== undefined;
  }

  play() {
    if (this.isPlaying) return;
    if (this.place >= this.length - 1) this.place = 0;
    this.#wait();
    this.show();
  }

  #wait() {
    this.timer = setTimeout(() => {
      if (this.place >= this.length - 1) {
        this.pause();
        return;
      }
      this.place += 1;
      this.show();
      this.#wait();
    }, 1000 / PER_SECOND / this.speed);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.show();
  }

  go(place) {
    this.place = Math.min(this.length - 1, Math.max(0, place));
    this.show();
  }

  show() {
    for (const film of this.#films) film.show(this.place, this.isPlaying);
  }
}

export class Player {
  // `given`: title, source; `clock`: what it goes by.
  constructor(given, clock) {
    this.given = given;
    this.own = new Clock();
    this.title = el("figcaption", {}, given.failed ? el("b", {}, "failed ") : null, named(given.title));
    this.image = el("img", { alt: given.title, class: "frame", hidden: true });
    this.line = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "timeline", "aria-hidden": true });
    this.lines = svg("svg", { viewBox: `0 0 ${WIDTH} ${LINES}`, class: "timeline", "aria-hidden": true });
    this.toggle = el("button", { type: "button", class: "play", onclick: () => (this.clock.isPlaying ? this.clock.pause() : this.clock.play()) }, "play");
    this.at = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "step", oninput: () => this.#scrub(+this.at.value) });
    this.speed = el("select", { "aria-label": "speed", onchange: () => (this.clock.speed = +this.speed.value) },
      ...SPEEDS.map((one) => el("option", { value: one, selected: one === 1 }, `${one} ×`)));
    this.array = el("select", { "aria-label": "array", hidden: true, onchange: () => this.load(this.array.value) });
    this.said = el("p", { class: "said" });
    this.values = el("p", { class: "said" });
    this.note = el("p", { class: "note" });
    this.element = el("figure", { class: "film", tabindex: 0 }, this.title, this.image, this.lines, this.line,
      el("div", { class: "tools" }, this.toggle, this.at, this.speed, this.array), this.said, this.values, this.note);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    for (const line of [this.line, this.lines]) line.addEventListener("click", (event) => this.#scrub(Math.round((event.offsetX / line.clientWidth) * (this.length - 1))));
    this.join(clock);
    this.load();
  }

  get length() {
    return this.film ? this.film.steps.length : 1;
  }

  // Goes by another clock from now on.
  join(clock) {
    this.clock?.remove(this);
    this.clock = clock || this.own;
    this.clock.add(this);
    this.speed.value = this.clock.speed;
    this.clock.show();
  }

  async load(array = "") {
    try {
      const film = await source.get(array ? `${this.given.source}&array=${encodeURIComponent(array)}` : this.given.source);
      this.film = film;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      say(this.note, problem.message);
      return;
    }
    const { film } = this;
    this.at.max = film.steps.length - 1;
    this.array.hidden = film.arrays.length < 2 || !source.isLive;
    if (!this.array.hidden) this.array.replaceChildren(...film.arrays.map((name) => el("option", { value: name, selected: name === film.array }, name)));
    this.image.hidden = !film.frames.length;
    this.pictures = film.frames.map((address) => Object.assign(new Image(), { src: address })); // so that none is late
    this.#draw();
    const more = film.lines_left_out ? [`${film.lines_left_out} more numbers of a step are not drawn`] : [];
    say(this.note, [...film.notes, ...more].join(" · "));
    this.clock.show();
  }

  // Draws the rewards (grey) and the return (blue) along the time line, and the numbers of the steps as lines.
  #draw() {
    const { film } = this;
    const rewards = film.rewards.map(value);
    const parts = [path(rewards, HEIGHT, "reward")];
    if (film.returns.length) parts.push(path(film.returns.map(value), HEIGHT, "return"));
    this.cursor = svg("line", { y1: 0, y2: HEIGHT, class: "cursor" });
    this.line.replaceChildren(...parts, this.cursor);
    this.lines.toggleAttribute("hidden", !film.lines.length);
    const shown = film.lines.map(({ values }, i) => path(values.map(value), LINES, `c${i % 8}`, extent(film.lines.flatMap((one) => one.values.map(value)))));
    this.numbers = film.lines.map(() => el("span"));
    this.values.replaceChildren(...film.lines.map(({ name }, i) => el("span", { class: "one" }, el("span", { class: `swatch c${i % 8}` }), named(name), " ", this.numbers[i])));
    this.second = svg("line", { y1: 0, y2: LINES, class: "cursor" });
    this.lines.replaceChildren(...shown, this.second);
  }

  show(place, isPlaying) {
    say(this.toggle, isPlaying ? "pause" : "play");
    if (!this.film) return;
    const at = Math.min(place, this.length - 1);
    this.at.value = at;
    const { frames, steps, rewards, returns, total_steps: total, lines } = this.film;
    if (frames.length) this.image.src = frames[at];
    const x = this.length > 1 ? (at / (this.length - 1)) * (WIDTH - 2) + 1 : 1;
    for (const cursor of [this.cursor, this.second]) {
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
    const words = [`step ${steps[at]}${total ? ` of ${total}` : ""}`, `reward ${number(value(rewards[at]))}`];
    if (returns.length) words.push(`return ${number(value(returns[at]))}`);
    say(this.said, words.join(" · "));
    lines.forEach(({ values }, i) => say(this.numbers[i], number(value(values[at]))));
  }

  #scrub(place) {
    this.clock.pause();
    this.clock.go(place);
  }

  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
    if (by) this.#scrub(this.clock.place + by);
    else if (event.key === " ") this.toggle.click();
    else return;
    event.preventDefault();
  }

  destroy() {
    this.clock.remove(this);
    this.element.remove();
  }
}

function value(given) {
  return typeof given === "number" ? given : { inf: Infinity, "-inf": -Infinity }[given] ?? NaN;
}

function extent(values) {
  const finite = values.filter(Number.isFinite);
  return finite.length ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [0, 1];
}

function path(values, height, kind, [low, high] = extent(values)) {
  let [words, pen] = ["", "M"];
  values.forEach((one, i) => {
    if (!Number.isFinite(one)) {
      pen = "M";
      return;
    }
    const x = values.length > 1 ? 1 + (i * (WIDTH - 2)) / (values.length - 1) : 1;
    const y = height - 3 - ((one - low) / (high - low || 1)) * (height - 6);
    words += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  return svg("path", { d: words || "M0 0", class: kind });
}
