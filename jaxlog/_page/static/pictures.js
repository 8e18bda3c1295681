// Episodes, failures first, and arrays of one run, as pictures that load when they come into sight.

import { address } from "./address.js";
import { button, el, named, say } from "./elements.js";
import { Problem } from "./problem.js";
import { RunChoice } from "./run_choice.js";
import { source } from "./source.js";

const AT_ONCE = 24;

function picturesAddress(run) {
  return address("pictures", { run });
}

export class Pictures {
  constructor(element) {
    this.element = element;
    this.choice = new RunChoice(picturesAddress, () => this.refresh());
    this.note = el("span", { class: "quiet" });
    this.place = el("div");
    element.append(el("div", { class: "head" }, el("h2", {}, "Episodes and arrays"), this.choice.element, this.note), this.place);
    this.inSight = !source.isLive; // a saved view has them before it is printed
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.inSight = isIntersecting || !source.isLive;
      if (this.inSight) this.refresh();
    }, { rootMargin: "400px" }).observe(element);
  }

  async refresh() {
    const run = this.choice.offer();
    this.element.hidden = !run;
    if (!run || !this.inSight) return;
    try {
      const answer = await source.get(picturesAddress(run));
      if (answer === this.answer) return;
      this.answer = answer;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "refused") say(this.note, problem.message);
      return;
    }
    this.#draw();
  }

  #draw() {
    const { episodes, arrays, left } = shownPictures(this.answer);
    say(this.note, episodes.length || arrays.length ? (left ? `${left} more are not shown` : "") : "this run logged none");
    const groups = [["Episodes", episodes], ["Arrays", arrays]].filter(([, pictures]) => pictures.length);
    this.place.replaceChildren(...groups.flatMap(([title, pictures]) => [el("h3", { class: "category" }, title), gallery(pictures)]));
  }
}

// The pictures that can be shown here, and how many others there are.
function shownPictures({ episodes = [], arrays = [], left_out: left = 0 }) {
  const here = ({ source: place }) => source.has(place);
  const shown = { episodes: episodes.filter(here), arrays: arrays.filter(here) };
  return { ...shown, left: left + episodes.length + arrays.length - shown.episodes.length - shown.arrays.length };
}

// The addresses of a run's first pictures, with that of their list.
export async function pictureAddresses(run) {
  const list = picturesAddress(run);
  const { episodes = [] } = await source.get(list);
  return [list, ...episodes.slice(0, AT_ONCE).map((picture) => picture.source)];
}

function gallery(pictures) {
  const place = el("div", { class: "pictures" });
  const add = (from, to) => place.append(...pictures.slice(from, to).map(picture));
  add(0, AT_ONCE);
  if (pictures.length > AT_ONCE) {
    const more = button(`show ${pictures.length - AT_ONCE} more`, () => {
      more.remove();
      add(AT_ONCE, pictures.length);
    });
    place.append(more);
  }
  return place;
}

// A browser runs no script of a picture in an `img`, and loads nothing for it.
function picture({ title, failed, source: place }) {
  const image = el("img", { alt: title, loading: source.isLive ? "lazy" : "eager", decoding: "async" });
  source.url(place).then((url) => (image.src = url));
  return el("figure", { class: failed ? "picture failed" : "picture" }, image,
    el("figcaption", {}, failed ? el("b", {}, "failed ") : null, named(title)));
}
