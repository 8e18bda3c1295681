// Interaction: values under the pointer, selected lanes, chosen axes; curves drawn when in sight.

function nearest(x, value) {
  let [low, high] = [0, x.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low && value - x[low - 1] < x[low] - value ? low - 1 : low;
}

function showValues(figure, pixel) {
  const { lines, cross, width } = drawn.get(figure) || {};
  if (!lines || !lines.length) return;
  const call = calls[figure.dataset.call];
  const found = lines.map((line) => ({ line, i: nearest(line.px, pixel) }));
  const close = found.reduce((a, b) =>
    Math.abs(a.line.px[a.i] - pixel) <= Math.abs(b.line.px[b.i] - pixel) ? a : b);
  const at = close.line.px[close.i];
  const pointed = found.filter(({ line, i }) => Math.abs(line.px[i] - at) <= 4);
  pointed.sort((a, b) => b.line.y[b.i] - a.line.y[a.i]);
  cross.replaceChildren();
  add(cross, "line", { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
  const box = tooltip(figure);
  const exact = close.line.x[close.i];
  const head = document.createElement("b");
  head.textContent = call.x === "time" ? clock(exact) : `${AXES[call.x]} ${whole(exact)}`;
  const rows = pointed.slice(0, MOST_VALUES).map(({ line, i }) => {
    if (Number.isFinite(line.py[i])) {
      add(cross, "circle", { class: `dot c${line.entry.colour % COLOURS}`, cx: line.px[i], cy: line.py[i], r: 3 });
    }
    const spread = line.band ? (line.band.high[i] - line.band.low[i]) / 2 : 0;
    let value = number(line.y[i]) + (spread > 0 ? " ± " + +spread.toPrecision(2) : "");
    const { lanes } = line.entry;
    if (lanes > 1 && died(line, i)) value += ` (${line.alive[i]} of ${lanes} lanes)`;
    return row(line.entry, value);
  });
  const more = document.createElement("div");
  more.textContent = pointed.length > MOST_VALUES ? `and ${pointed.length - MOST_VALUES} more` : "";
  box.replaceChildren(head, ...rows, more);
  box.hidden = false;
  const scaled = figure.clientWidth / width;
  const left = at * scaled + 14;
  const before = at * scaled - 14 - box.offsetWidth;
  const { left: margin } = figure.getBoundingClientRect();
  const room = document.documentElement.clientWidth - margin - 8;
  const after = left + box.offsetWidth <= room || margin + before < 8;
  box.style.left = Math.max(8 - margin, after ? Math.min(left, room - box.offsetWidth) : before) + "px";
  figure.dataset.at = at;
}

function row(entry, value) {
  const element = document.createElement("div");
  const swatch = document.createElement("span");
  swatch.className = `swatch c${entry.colour % COLOURS}`;
  const name = document.createElement("bdi");
  name.textContent = entry.lanes > 1 ? `${entry.name} · ${entry.lanes} lanes` : entry.name;
  const shown = document.createElement("span");
  shown.className = "value";
  shown.textContent = value;
  element.append(swatch, name, " ", shown);
  return element;
}

function tooltip(figure) {
  let box = figure.querySelector(".tooltip");
  if (!box) {
    box = document.createElement("div");
    box.className = "tooltip";
    box.setAttribute("role", "status");
    figure.append(box);
  }
  return box;
}

function hideValues(figure) {
  const { cross } = drawn.get(figure) || {};
  if (cross) cross.replaceChildren();
  tooltip(figure).hidden = true;
  delete figure.dataset.at;
}

function step(figure, by) {
  const { lines } = drawn.get(figure) || {};
  if (!lines || !lines.length) return;
  const { px } = lines.reduce((a, b) => (a.px.length >= b.px.length ? a : b));
  const now = figure.dataset.at === undefined ? (by > 0 ? -1 : px.length) : nearest(px, +figure.dataset.at);
  showValues(figure, px[Math.min(px.length - 1, Math.max(0, now + by))]);
}

function button(text, pressed, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.setAttribute("aria-pressed", pressed);
  element.addEventListener("click", act);
  return element;
}

function choice(title, values, now, act) {
  const element = document.createElement("span");
  element.className = "choice";
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", title);
  element.append(title + " ");
  for (const [value, text] of values) {
    const one = button(text, value === now, () => act(value));
    one.dataset.value = value;
    element.append(one);
  }
  return element;
}

function controls(place) {
  const call = calls[place.dataset.call];
  const change = (changes) => {
    Object.assign(call, changes);
    call.version += 1;
    controls(place);
    refresh();
  };
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.value : null;
  const known = (axis) => Object.values(call.runs).some((run) => run[axis]);
  const bar = document.createElement("div");
  bar.className = "bar";
  const x = Object.entries(AXES).filter(([axis]) => known(axis));
  bar.append(choice("x", x, call.x, (value) => change({ x: value })));
  bar.append(choice("y", [["linear", "linear"], ["log", "log"]], call.log ? "log" : "linear",
    (value) => change({ log: value === "log" })));
  if (call.lanes.some((lane) => call.groups[lane.group].lanes > 1)) {
    bar.append(choice("lines", [["groups", "groups"], ["lanes", "lanes"]], call.byLane ? "lanes" : "groups",
      (value) => change({ byLane: value === "lanes", selected: new Set() })));
  }
  const legend = document.createElement("ul");
  legend.className = "legend";
  const entries = [...call.entries].filter(([, entry]) => entry.shown(call.byLane));
  for (const [id, entry] of entries) {
    const item = document.createElement("li");
    const one = button("", call.selected.has(id), () => {
      const selected = new Set(call.selected);
      if (!selected.delete(id)) selected.add(id);
      change({ selected });
    });
    one.dataset.value = id;
    const swatch = document.createElement("span");
    swatch.className = `swatch c${entry.colour % COLOURS}`;
    const name = document.createElement("bdi");
    name.textContent = entry.name;
    one.append(swatch, name, entry.beside.map((words) => ` · ${words}`).join(""));
    one.title = "show only this one; select more to compare, or again to deselect";
    item.append(one);
    legend.append(item);
  }
  if (call.selected.size) {
    const item = document.createElement("li");
    const all = button("show all", false, () => change({ selected: new Set() }));
    all.className = "all";
    item.append(all);
    legend.append(item);
  }
  place.replaceChildren(bar, legend);
  if (focused !== null && focused !== undefined) {
    const again = [...place.querySelectorAll("button")].find((one) => one.dataset.value === focused);
    if (again) again.focus();
  }
}

const figures = [...document.querySelectorAll("figure.chart")];
const seen = new Set();

function update(figure) {
  const { version } = drawn.get(figure) || {};
  if (version !== calls[figure.dataset.call].version) draw(figure);
}

function refresh() {
  seen.forEach(update);
}

for (const call of calls) {
  Object.assign(call, { x: "step", log: false, byLane: false, selected: new Set(), version: 0 });
  call.entries = new Map();
  call.groups.forEach(({ run, name, lanes, beside }, i) => {
    const shown = (byLane) => !byLane || lanes === 1;
    call.entries.set("g" + i, { run, name, beside, lanes, colour: i, shown });
  });
  const several = call.groups.length > 1 && call.lanes.length > COLOURS;
  call.lanes.forEach(({ group, name, beside }, i) => {
    const { run, lanes } = call.groups[group];
    // With many groups, lanes have their group's colour: dozens of colours cannot be told apart.
    const colour = several ? group : i;
    call.entries.set("l" + i, { run, name, beside, lanes: 1, colour, shown: (byLane) => byLane && lanes > 1 });
  });
}

const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      seen.add(target);
      update(target);
    } else {
      seen.delete(target);
    }
  }
}, { rootMargin: "300px" });

for (const figure of figures) {
  figure.tabIndex = 0;
  const pixel = (event) => {
    const { width } = drawn.get(figure) || { width: 1 };
    const box = figure.querySelector("svg").getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * width;
  };
  figure.addEventListener("pointermove", (event) => showValues(figure, pixel(event)));
  figure.addEventListener("pointerdown", (event) => showValues(figure, pixel(event)));
  figure.addEventListener("pointerleave", () => hideValues(figure));
  figure.addEventListener("blur", () => hideValues(figure));
  figure.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Escape: 0 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    if (by) step(figure, by);
    else hideValues(figure);
  });
  watch.observe(figure);
}
document.querySelectorAll(".controls").forEach(controls);
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const call of calls) call.version += 1;
    refresh();
  }, 100);
});
// Paper cannot be unfolded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.dataset.folded = "";
    folded.open = true;
  }
  figures.forEach(update);
});
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll("details[data-folded]")) {
    delete details.dataset.folded;
    details.open = false;
  }
});
