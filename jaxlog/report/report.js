// Draws the curves again, so that they can be asked: hover, selection, logarithms, other x axes.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = 8;
  const BANDS = 6; // more would hide each other
  const TOLD = 10; // lines of a tooltip
  const HEIGHT = 190;
  const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
  const KINDS = { f4: Float32Array, f8: Float64Array, u2: Uint16Array, u4: Uint32Array };
  const AXES = { step: "step", env_step: "environment steps", time: "time" };

  const sites = JSON.parse(document.getElementById("data").textContent);
  const arrays = new Map();
  const drawn = new WeakMap(); // by figure: the state it was drawn with, and what hovering needs

  // ---- data

  function decoded(text) {
    if (!arrays.has(text)) {
      const [kind, base64] = text.split(":");
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      arrays.set(text, new KINDS[kind](bytes.buffer));
    }
    return arrays.get(text);
  }

  // The curves of a chart as the state of its site asks for them.
  function curves(site, chart) {
    const own = Object.entries(chart.groups).map(([i, data]) => ["g" + i, +i, data]);
    const alone = own.filter(([, i]) => !site.byLane || site.groups[i].lanes === 1);
    const lanes = Object.entries(chart.lanes).map(([i, data]) => ["l" + i, +i, data]);
    return [...alone, ...(site.byLane ? lanes : [])].map(([id, , data]) => {
      const entry = site.entries.get(id);
      const axis = site.runs[entry.run][site.x];
      if (!axis) return null;
      const all = decoded(axis);
      const at = data.at && decoded(data.at);
      const x = at ? Float64Array.from(at, (place) => all[place]) : all;
      const band = data.low && { low: decoded(data.low), high: decoded(data.high) };
      return { id, entry, x, y: decoded(data.y), band };
    }).filter(Boolean);
  }

  // ---- numbers

  function number(value) {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    if (size >= 1e4 && size < 1e7) return Math.round(value).toLocaleString("en");
    const text = value.toPrecision(4);
    return text.includes("e") ? value.toExponential(3).replace(/\.?0+e/, "e") : String(+text);
  }

  function whole(value) {
    return Math.abs(value) < 1e9 ? (+value.toPrecision(9)).toLocaleString("en") : number(value);
  }

  function clock(seconds) {
    if (seconds < 100) return +seconds.toFixed(2) + " s";
    const minutes = Math.floor(seconds / 60);
    const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
    if (minutes < 60) return minutes + ":" + rest;
    return Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + ":" + rest;
  }

  function short(value) {
    const size = Math.abs(value);
    if (size >= 1e9) return +(value / 1e9).toPrecision(3) + "G";
    if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
    if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
    return String(+value.toPrecision(4));
  }

  function ticks(low, high, most, units = [1, 2, 5, 10]) {
    const span = high / most - low / most;
    if (!(span > 0 && Number.isFinite(span))) return [low];
    const base = Math.pow(10, Math.floor(Math.log10(span)));
    const step = base * (units.find((unit) => unit * base >= span) || 10);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found;
  }

  function timeTicks(low, high, most) {
    const steps = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
    const step = steps.find((one) => one >= (high - low) / most);
    if (high < 100 || !step) return ticks(low, high, most);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
    return found;
  }

  // A scale; halved before it is subtracted, since the largest floats must not overflow.
  function scale(low, high, from, to, log) {
    const as = log ? Math.log10 : (value) => value / 2;
    const [first, last] = [as(low), as(high)];
    return (value) => from + ((as(value) - first) / (last - first || 1)) * (to - from);
  }

  // ---- drawing

  function add(parent, name, attributes = {}, text = "") {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return parent.appendChild(element);
  }

  function path(x, y) {
    let words = "";
    let pen = "M";
    x.forEach((across, i) => {
      if (Number.isFinite(y[i])) {
        const dot = pen === "M" && !Number.isFinite(y[i + 1]) ? "h0" : "";
        words += pen + across.toFixed(1) + " " + y[i].toFixed(1) + dot;
        pen = "L";
      } else {
        pen = "M";
      }
    });
    return words;
  }

  function bandPath(x, low, high) {
    const there = [...x.keys()].filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
    const point = (i, edge) => x[i].toFixed(1) + " " + edge[i].toFixed(1);
    const edge = [...there.map((i) => point(i, high)), ...there.reverse().map((i) => point(i, low))];
    return edge.length ? "M" + edge.join("L") + "Z" : "";
  }

  function range(shown, log) {
    let [low, high] = [Infinity, -Infinity];
    const take = (value) => {
      if (Number.isFinite(value) && !(log && value <= 0)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    };
    for (const { y, band } of shown) {
      y.forEach(take);
      if (band && shown.length <= BANDS) {
        band.low.forEach(take);
        band.high.forEach(take);
      }
    }
    if (low > high) return null;
    if (log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
    const room = (high / 2 - low / 2) * 0.1 || Math.abs(low) * 0.1 || 1;
    return [Math.max(low - room, -1.7e308), Math.min(high + room, 1.7e308)];
  }

  function draw(figure) {
    const site = sites[figure.dataset.site];
    const chart = site.charts[figure.dataset.chart];
    const every = curves(site, chart);
    const chosen = every.filter((curve) => site.selected.has(curve.id));
    const shown = chosen.length ? chosen : every;
    const width = Math.max(220, figure.clientWidth);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("role", "img");
    add(svg, "title", {}, `${chart.key} by ${AXES[site.x]}`);
    const around = range(shown, site.log);
    let [first, last] = [Infinity, -Infinity];
    for (const { x } of every) {
      x.forEach((value) => {
        if (value < first) first = value;
        if (value > last) last = value;
      });
    }
    figure.querySelector("svg").replaceWith(svg);
    drawn.set(figure, { version: site.version });
    if (!around || first > last) {
      const why = site.log && shown.length ? "no value above 0" : "no finite value";
      add(svg, "text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, why);
      return;
    }
    const right = width - MARGIN.right;
    const across = scale(first, last, MARGIN.left, right, false);
    const up = scale(...around, HEIGHT - MARGIN.bottom, MARGIN.top, site.log);
    axes(svg, site, [first, last], around, across, up, width);
    const lines = [];
    for (const faint of chosen.length ? [true, false] : [false]) {
      for (const curve of faint ? every : shown) {
        if (faint && site.selected.has(curve.id)) continue;
        const looks = `c${curve.entry.colour % COLOURS} d${Math.floor(curve.entry.colour / COLOURS) % 4}`;
        const x = Float64Array.from(curve.x, across);
        const inside = (value) => (site.log && value <= 0 ? NaN : up(value));
        const y = Float64Array.from(curve.y, inside);
        if (curve.band && !faint && shown.length <= BANDS) {
          const [low, high] = around;
          const clip = (value) => up(Math.min(high, Math.max(low, value)));
          const d = bandPath(x, Float64Array.from(curve.band.low, clip), Float64Array.from(curve.band.high, clip));
          add(svg, "path", { class: `band ${looks}`, d });
        }
        const many = shown.length > 12 ? " many" : "";
        add(svg, "path", { class: `line ${looks}${faint ? " faint" : many}`, d: path(x, y) });
        if (!faint) lines.push({ ...curve, px: x, py: y });
      }
    }
    const cross = add(svg, "g", { class: "cross" });
    drawn.set(figure, { version: site.version, lines, cross, width });
  }

  function axes(svg, site, [first, last], [low, high], across, up, width) {
    let marks = ticks(low, high, 5);
    if (site.log && high / low >= 10) {
      const powers = ticks(Math.log10(low), Math.log10(high), 4, [1, 2, 5, 10]).filter(Number.isInteger);
      if (powers.length > 1) marks = powers.map((power) => Math.pow(10, power));
    }
    for (const mark of marks.filter((value) => !site.log || value > 0)) {
      const y = up(mark);
      add(svg, "line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y });
      add(svg, "text", { x: MARGIN.left - 6, y: y + 3.5, "text-anchor": "end" }, number(mark));
    }
    const inTime = site.x === "time";
    const steps = inTime ? timeTicks(first, last, width / 80) : ticks(first, last, width / 80);
    for (const mark of steps) {
      const x = across(mark);
      const anchor = x > width - 26 ? "end" : "middle";
      const text = inTime ? clock(mark) : short(mark);
      add(svg, "text", { x: anchor === "end" ? width - 2 : x, y: HEIGHT - 6, "text-anchor": anchor }, text);
    }
  }

  // ---- asking

  function nearest(x, value) {
    let [low, high] = [0, x.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low && value - x[low - 1] < x[low] - value ? low - 1 : low;
  }

  function tell(figure, pixel) {
    const { lines, cross, width } = drawn.get(figure) || {};
    if (!lines || !lines.length) return;
    const site = sites[figure.dataset.site];
    const found = lines.map((line) => ({ line, i: nearest(line.px, pixel) }));
    const close = found.reduce((a, b) =>
      Math.abs(a.line.px[a.i] - pixel) <= Math.abs(b.line.px[b.i] - pixel) ? a : b);
    const at = close.line.px[close.i];
    const told = found.filter(({ line, i }) => Math.abs(line.px[i] - at) <= 4);
    told.sort((a, b) => b.line.y[b.i] - a.line.y[a.i]);
    cross.replaceChildren();
    add(cross, "line", { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
    const box = tooltip(figure);
    const exact = close.line.x[close.i];
    const head = document.createElement("b");
    head.textContent = site.x === "time" ? clock(exact) : `${AXES[site.x]} ${whole(exact)}`;
    const rows = told.slice(0, TOLD).map(({ line, i }) => {
      if (Number.isFinite(line.py[i])) {
        add(cross, "circle", { class: `dot c${line.entry.colour % COLOURS}`, cx: line.px[i], cy: line.py[i], r: 3 });
      }
      const spread = line.band ? (line.band.high[i] - line.band.low[i]) / 2 : 0;
      const value = number(line.y[i]) + (spread > 0 ? " ± " + +spread.toPrecision(2) : "");
      return row(line.entry, value);
    });
    const more = document.createElement("div");
    more.textContent = told.length > TOLD ? `and ${told.length - TOLD} more` : "";
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
    name.textContent = entry.name;
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

  function hush(figure) {
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
    tell(figure, px[Math.min(px.length - 1, Math.max(0, now + by))]);
  }

  // ---- what the user chooses

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
    const site = sites[place.dataset.site];
    const change = (changes) => {
      Object.assign(site, changes);
      site.version += 1;
      controls(place);
      refresh();
    };
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.value : null;
    const known = (axis) => Object.values(site.runs).some((run) => run[axis]);
    const bar = document.createElement("div");
    bar.className = "bar";
    const x = Object.entries(AXES).filter(([axis]) => known(axis));
    bar.append(choice("x", x, site.x, (value) => change({ x: value })));
    bar.append(choice("y", [["linear", "linear"], ["log", "log"]], site.log ? "log" : "linear",
      (value) => change({ log: value === "log" })));
    if (site.lanes.some((lane) => site.groups[lane.group].lanes > 1)) {
      bar.append(choice("lines", [["groups", "groups"], ["lanes", "lanes"]], site.byLane ? "lanes" : "groups",
        (value) => change({ byLane: value === "lanes", selected: new Set() })));
    }
    const legend = document.createElement("ul");
    legend.className = "legend";
    const entries = [...site.entries].filter(([, entry]) => entry.shown(site.byLane));
    for (const [id, entry] of entries) {
      const item = document.createElement("li");
      const one = button("", site.selected.has(id), () => {
        const selected = new Set(site.selected);
        if (!selected.delete(id)) selected.add(id);
        change({ selected });
      });
      one.dataset.value = id;
      const swatch = document.createElement("span");
      swatch.className = `swatch c${entry.colour % COLOURS}`;
      const name = document.createElement("bdi");
      name.textContent = entry.name;
      one.append(swatch, name);
      one.title = "only this, or one more; again to let it go";
      item.append(one);
      legend.append(item);
    }
    if (site.selected.size) {
      const item = document.createElement("li");
      const all = button("show all", false, () => change({ selected: new Set() }));
      item.append(all);
      legend.append(item);
    }
    place.replaceChildren(bar, legend);
    if (focused !== null && focused !== undefined) {
      const again = [...place.querySelectorAll("button")].find((one) => one.dataset.value === focused);
      if (again) again.focus();
    }
  }

  // ---- when what is drawn: what is not seen waits

  const figures = [...document.querySelectorAll("figure.chart")];
  const seen = new Set();

  function update(figure) {
    const { version } = drawn.get(figure) || {};
    if (version !== sites[figure.dataset.site].version) draw(figure);
  }

  function refresh() {
    seen.forEach(update);
  }

  for (const site of sites) {
    Object.assign(site, { x: "step", log: false, byLane: false, selected: new Set(), version: 0 });
    site.entries = new Map();
    site.groups.forEach(({ run, name, lanes }, i) => {
      const told = lanes > 1 ? `${name} · ${lanes} lanes` : name;
      site.entries.set("g" + i, { run, name: told, colour: i, shown: (byLane) => !byLane || lanes === 1 });
    });
    const several = site.groups.length > 1 && site.lanes.length > COLOURS;
    site.lanes.forEach(({ group, name }, i) => {
      const { run, lanes } = site.groups[group];
      // Lanes of many groups have their group's colour: no palette tells dozens apart.
      const colour = several ? group : i;
      site.entries.set("l" + i, { run, name, colour, shown: (byLane) => byLane && lanes > 1 });
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
    figure.addEventListener("pointermove", (event) => tell(figure, pixel(event)));
    figure.addEventListener("pointerdown", (event) => tell(figure, pixel(event)));
    figure.addEventListener("pointerleave", () => hush(figure));
    figure.addEventListener("blur", () => hush(figure));
    figure.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, Escape: 0 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      if (by) step(figure, by);
      else hush(figure);
    });
    watch.observe(figure);
  }
  document.querySelectorAll(".controls").forEach(controls);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const site of sites) site.version += 1;
      refresh();
    }, 100);
  });
  addEventListener("beforeprint", () => figures.forEach(update));
})();
