// Episodes, failures first, images and arrays of one run, as pictures that load when they come into sight; and its tables.

import { address } from "./address.js";
import { button, el, named, say } from "./elements.js";
import { PartOfOneRun } from "./part_of_one_run.js";
import { Clock, Player } from "./player.js";
import { source } from "./source.js";

const AT_ONCE = 24;
const FILMS = 4;

function picturesAddress(run) {
  return address("pictures", { run });
}

export class Pictures extends PartOfOneRun {
  constructor(element) {
    const note = el("span", { class: "quiet" });
    super(element, "Episodes, images and arrays", picturesAddress, note);
    this.note = note;
    this.players = [];
    this.place = el("div");
    element.append(this.place);
  }

  refuse(text) {
    say(this.note, text);
  }

  draw(answer) {
    const { films, episodes, images, arrays, tables, left } = shownPictures(answer);
    const some = [films, episodes, images, arrays, tables].some((one) => one.length);
    say(this.note, some ? (left ? `${left} more are not shown` : "") : "this run logged none");
    for (const player of this.players) player.destroy();
    this.players = [];
    const groups = [["Episodes", episodes], ["Images", images], ["Arrays", arrays]].filter(([, pictures]) => pictures.length);
    this.place.replaceChildren(
      ...(films.length ? [el("h3", { class: "category" }, "Films"), this.#films(films)] : []),
      ...groups.flatMap(([title, pictures]) => [el("h3", { class: "category" }, title), gallery(pictures)]),
      ...(tables.length ? [el("h3", { class: "category" }, "Tables"), ...tables.map(tableOf)] : []));
  }

  // Films of the first episodes, each with a clock of its own, or all with one.
  #films(films) {
    const place = el("div", { class: "pictures films" });
    const clock = new Clock();
    const together = el("input", { type: "checkbox", onchange: () => {
      for (const player of this.players) player.join(together.checked ? clock : null);
    } });
    const add = (from, to) => {
      const added = films.slice(from, to).map((film) => new Player(film, together.checked ? clock : null));
      this.players.push(...added);
      place.append(...added.map(({ element }) => element));
    };
    add(0, FILMS);
    const more = button(`show ${films.length - FILMS} more`, () => {
      more.remove();
      add(FILMS, films.length);
    });
    return el("div", {}, films.length > 1 ? el("label", { class: "together" }, together, " in step") : null, place, films.length > FILMS ? more : null);
  }
}

// The pictures that can be shown here, and how many others there are.
function shownPictures({ films = [], episodes = [], images = [], arrays = [], tables = [], left_out: left = 0, films_left_out: other = 0, media_left_out: more = 0 }) {
  const here = ({ source: place }) => source.has(place);
  const all = { films, episodes, images, arrays };
  const shown = Object.fromEntries(Object.entries(all).map(([name, ones]) => [name, ones.filter(here)]));
  const absent = Object.entries(all).map(([name, ones]) => ones.length - shown[name].length);
  return { ...shown, tables, left: absent.reduce((a, b) => a + b, left + other + more) };
}

// A table that a call logged. What is not shown is said below it.
function tableOf({ title, columns, rows, rows_left_out: rest, columns_left_out: other }) {
  const words = [rest ? `${rest} more rows` : "", other ? `${other} more columns` : ""].filter(Boolean);
  const cell = (given) => el("td", { class: typeof given === "number" ? "number" : null }, given === null ? "" : `${given}`);
  return el("figure", { class: "logged" }, el("figcaption", {}, named(title)),
    el("div", { class: "wide" }, el("table", {},
      el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, named(name))))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))))),
    words.length ? el("p", { class: "note" }, `${words.join(" and ")} are not shown`) : null);
}

// The addresses of a run's first pictures, with that of their list.
export async function pictureAddresses(run) {
  const list = picturesAddress(run);
  const { films = [], episodes = [], images = [], arrays = [] } = await source.get(list);
  return [list, ...[...films.slice(0, FILMS), ...images, ...episodes.slice(0, AT_ONCE), ...arrays].map((picture) => picture.source)];
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
function picture({ title, failed, wide, source: place }) {
  const image = el("img", { alt: title, loading: source.isLive ? "lazy" : "eager", decoding: "async" });
  source.url(place).then((url) => (image.src = url));
  return el("figure", { class: `picture${failed ? " failed" : ""}${wide ? " wide" : ""}` }, image,
    el("figcaption", {}, failed ? el("b", {}, "failed ") : null, named(title)));
}
