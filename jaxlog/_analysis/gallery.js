"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const make = (tag, properties, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
// Text from the run is set as `textContent`, as a title or as the name of an option, never as HTML.
const columns = data.columns;
const shown = (column, value) =>
  value === null ? "none" : column.choices ? column.choices[value] :
    String(typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value);
const words = data.episodes.map((episode) =>
  columns.map((column, i) => `${column.title} ${shown(column, episode[i])}`).join(" \u00b7 "));

// Pictures are compressed in the page. Each is shown as an image, in which no script runs.
const sources = new Map();
async function source(place) {
  if (!sources.has(place)) {
    const bytes = Uint8Array.from(atob(data.pictures[place]), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const svg = await new Response(stream).text();
    sources.set(place, "data:image/svg+xml," + encodeURIComponent(svg));
  }
  return sources.get(place);
}
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      near.unobserve(entry.target);
      const place = Number(entry.target.dataset.place);
      source(place).then((src) => entry.target.replaceChildren(make("img", { src, alt: words[place] })));
    }
  }
}, { rootMargin: "400px" });
const tiles = data.episodes.map((_, place) => {
  const tile = make("button", { className: data.films[place] ? "tile film" : "tile", type: "button", title: words[place] });
  tile.dataset.place = place;
  tile.setAttribute("aria-label", words[place]);
  tile.addEventListener("click", () => enlarge(place));
  near.observe(tile);
  return tile;
});

// Each filter is a function that returns whether an episode passes.
const filters = [];
const resets = [];
columns.forEach((column, i) => {
  if (!column.filter) return;
  const name = make("span", { className: "name", textContent: column.title, title: column.title });
  let control;
  if (column.choices) {
    const select = make("select", {}, make("option", { value: "", textContent: "any" }));
    column.choices.forEach((choice, at) =>
      select.append(make("option", { value: at, textContent: choice })));
    filters.push((episode) => select.value === "" || episode[i] === Number(select.value));
    resets.push(() => { select.value = ""; });
    select.setAttribute("aria-label", column.title);
    control = make("label", {}, name, select);
  } else if (column.filter === "text") {
    const input = make("input", { type: "search", placeholder: "contains" });
    filters.push((episode) =>
      !input.value || (episode[i] ?? "").toLowerCase().includes(input.value.toLowerCase()));
    resets.push(() => { input.value = ""; });
    input.setAttribute("aria-label", column.title);
    control = make("label", {}, name, input);
  } else {
    const values = data.episodes.map((episode) => episode[i]).filter((value) => value !== null);
    const ends = [["from", Math.min], ["to", Math.max]].map(([word, end]) => {
      const input = make("input", {
        type: "number", step: "any", placeholder: shown(column, values.reduce((a, b) => end(a, b))),
      });
      input.setAttribute("aria-label", `${column.title} ${word}`);
      resets.push(() => { input.value = ""; });
      return input;
    });
    filters.push((episode) => {
      const [from, to] = ends.map((input) => input.valueAsNumber);
      const value = episode[i];
      return (isNaN(from) || (value !== null && value >= from)) && (isNaN(to) || (value !== null && value <= to));
    });
    control = make("fieldset", {}, make("legend", {}, name), make("span", {}, ends[0], " \u2013 ", ends[1]));
  }
  find(column.first ? "filters" : "others").append(control);
});
find("more").hidden = !find("others").childElementCount;

const stepOf = columns.findIndex((column) => column.key === "step");
const steps = [...new Set(data.episodes.map((episode) => episode[stepOf]))].sort((a, b) => a - b);
find("step").max = steps.length;
find("step").disabled = steps.length < 2;
find("sort").append(make("option", { value: "", textContent: "as given" }));
columns.forEach((column, i) => find("sort").append(make("option", { value: i, textContent: column.title })));

let passing = [];
let descending = false;
function update() {
  const at = Number(find("step").value);
  find("at").textContent = at ? `step ${steps[at - 1]}` : `all ${steps.length} steps`;
  find("step").setAttribute("aria-valuetext", find("at").textContent);
  passing = data.episodes.map((_, place) => place).filter((place) => {
    const episode = data.episodes[place];
    return (!at || episode[stepOf] === steps[at - 1]) && filters.every((passes) => passes(episode));
  });
  const by = find("sort").value;
  if (by !== "") {
    const value = (place) => data.episodes[place][by];
    passing.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === y) return a - b;
      if (x === null || y === null) return x === null ? 1 : -1;  // episodes without a value come last
      return (x < y ? -1 : 1) * (descending ? -1 : 1);
    });
  } else if (descending) {
    passing.reverse();
  }
  find("tiles").replaceChildren(...passing.map((place) => tiles[place]));
  const episodes = tiles.length === 1 ? "episode" : "episodes";
  find("count").textContent = `${passing.length || "none"} of ${tiles.length} ${episodes}${data.note}`;
}
document.querySelector("header").addEventListener("input", update);
find("order").addEventListener("click", () => {
  descending = !descending;
  find("order").textContent = descending ? "descending" : "ascending";
  update();
});
find("clear").addEventListener("click", () => {
  for (const reset of resets) reset();
  find("step").value = 0;
  update();
});

// One episode, large. The arrow keys show its neighbours.
const large = find("large");
let open = 0;
async function enlarge(place) {
  open = place;
  large.querySelector("p").textContent = words[place];
  const image = large.querySelector("img");
  image.alt = words[place];
  const film = data.films[place];
  pause();
  image.className = film ? "frame" : "";
  find("player").hidden = !film;
  if (!large.open) large.showModal();
  if (film) {
    find("frame").max = film.frames.length - 1;
    show(0);
  } else {
    image.src = await source(place);
  }
}

// The film of an episode that was recorded step by step.
let timer;
function show(at) {
  const film = data.films[open];
  large.querySelector("img").src = film.frames[at];
  find("frame").value = at;
  const [reward, total] = [film.rewards[at], film.total_steps];
  find("said").textContent = [`step ${film.steps[at]}${total ? ` of ${total}` : ""}`,
    `reward ${reward === null ? "not finite" : Number(reward.toPrecision(4))}`, ...film.notes].join(" \u00b7 ");
}
function pause() {
  clearInterval(timer);
  timer = undefined;
  find("play").textContent = "play";
}
find("play").addEventListener("click", () => {
  if (timer) return pause();
  const last = data.films[open].frames.length - 1;
  if (Number(find("frame").value) >= last) show(0);
  timer = setInterval(() => {
    const at = Number(find("frame").value);
    if (at >= last) pause();
    else show(at + 1);
  }, 100);
  find("play").textContent = "pause";
});
find("frame").addEventListener("input", () => {
  pause();
  show(Number(find("frame").value));
});
function move(by) {
  const to = passing[passing.indexOf(open) + by];
  if (to !== undefined) enlarge(to);
}
find("before").addEventListener("click", () => move(-1));
find("next").addEventListener("click", () => move(1));
find("close").addEventListener("click", () => large.close());
large.addEventListener("close", () => {
  pause();
  tiles[open].focus();
});
document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.target === find("frame")) return;
  if (large.open) {
    move(by);
  } else if (document.activeElement.classList.contains("tile")) {
    const to = passing[passing.indexOf(Number(document.activeElement.dataset.place)) + by];
    if (to !== undefined) tiles[to].focus();
  }
});
update();

// In a notebook the script beside the frame answers with its theme: see gallery_frame.js.
if (parent !== window) {
  addEventListener("message", (event) => {
    const theme = event.source === parent && event.data && event.data.jaxlogTheme;
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  });
  parent.postMessage("jaxlog asks for the theme", "*");
}
