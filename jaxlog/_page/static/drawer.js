// What opens over the page: a run's facts, two runs' configs side by side, and a chart enlarged.

import { button, el, named } from "./elements.js";
import { Figure } from "./figure.js";
import { metricId, metricsAddress, shared } from "./shared.js";
import { address, Problem, source } from "./source.js";
import { change, state } from "./state.js";

const POINTS = 1200;

export class Drawer {
  constructor() {
    this.side = el("dialog", { class: "side" });
    this.big = el("dialog", { class: "big" });
    document.body.append(this.side, this.big);
    for (const [dialog, name] of [[this.side, "open"], [this.big, "big"]]) {
      dialog.addEventListener("close", () => state()[name] && change({ [name]: "" }));
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }
  }

  async refresh() {
    await Promise.all([this.#side(state().open), this.#big(state().big)]);
  }

  async #side(open) {
    if (!open) {
      this.opened = null;
      this.side.close();
      return;
    }
    const two = open.split(",");
    try {
      const place = two.length > 1 ? address("configs", { a: two[0], b: two[1] }) : address("facts", { run: open });
      const answer = await source.get(place);
      if (answer === this.opened) return;
      const { scrollTop } = this.side;
      this.opened = answer;
      const contents = two.length > 1 ? configs(answer, two) : facts(answer);
      const close = button("close", () => this.side.close(), { class: "close" });
      this.side.replaceChildren(close, ...contents);
      this.#show(this.side);
      this.side.scrollTop = scrollTop;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.side.replaceChildren(button("close", () => this.side.close(), { class: "close" }), el("p", {}, problem.message));
      this.#show(this.side);
    }
  }

  async #big(id) {
    if (this.figure && this.figure.id !== id) {
      this.figure.destroy();
      this.figure = null;
    }
    if (!id) {
      this.big.close();
      return;
    }
    if (!shared.metrics.length) shared.metrics = (await source.get(metricsAddress())).metrics;
    const metric = shared.metrics.find((one) => metricId(one) === id);
    if (!metric) return;
    if (!this.figure) {
      this.figure = new Figure(metric, { points: POINTS, height: () => Math.max(260, innerHeight * 0.86 - 130), labels: "values", alive: true, big: true });
      this.big.replaceChildren(this.figure.element);
    }
    this.#show(this.big);
    await this.figure.refresh();
  }

  #show(dialog) {
    if (!dialog.open) dialog.showModal();
  }
}

function facts({ name, facts: given, config, settings, notes = [] }) {
  return [
    el("h2", {}, named(name)),
    ...notes.map((note) => el("p", { class: "note" }, note)),
    el("dl", {}, ...given.map(([label, text, bad]) => el("div", { class: bad ? "bad" : null }, el("dt", {}, label), el("dd", {}, el("bdi", {}, text))))),
    ...(config.length ? [el("h3", { class: "category" }, "Config"), table(["key", "value"], config)] : []),
    ...(settings ? [el("h3", { class: "category" }, "Settings"), el("pre", { tabindex: 0 }, settings)] : []),
  ];
}

function configs({ rows }, ids) {
  const names = ids.map((id) => shared.rows.find((row) => row.id === id)?.name || id);
  const differing = rows.filter(([, , , differs]) => differs);
  const same = rows.filter(([, , , differs]) => !differs);
  return [
    el("h2", {}, "Configs"),
    differing.length ? table(["key", ...names], differing.map((row) => row.slice(0, 3))) : el("p", { class: "note" }, "Their configs are equal."),
    ...(same.length ? [el("h3", { class: "category" }, `Equal (${same.length})`), table(["key", "value"], same.map((row) => row.slice(0, 2)))] : []),
  ];
}

function table(head, rows) {
  return el("div", { class: "wide", tabindex: 0 }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, named(text))))),
    el("tbody", {}, ...rows.map(([key, ...texts]) => el("tr", {}, el("th", { scope: "row" }, named(key)), ...texts.map((text) => el("td", {}, el("bdi", {}, String(text ?? "")))))))));
}
