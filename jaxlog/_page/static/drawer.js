// What opens over the page: a run's facts, two runs' configs side by side, and a chart enlarged.

import { address } from "./address.js";
import { button, el, named } from "./elements.js";
import { factsAddress, factsOf, tableOf } from "./facts.js";
import { Figure } from "./figure.js";
import { Problem } from "./problem.js";
import { metricId, metricsAddress, shared } from "./shared.js";
import { source } from "./source.js";
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
      const place = two.length > 1 ? address("configs", { a: two[0], b: two[1] }) : factsAddress(open);
      const answer = await source.get(place);
      if (answer === this.opened) return;
      const { scrollTop } = this.side;
      this.opened = answer;
      const contents = two.length > 1 ? configs(answer, two) : [el("h2", {}, named(answer.name)), ...factsOf(answer)];
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

function configs({ rows }, ids) {
  const names = ids.map((id) => shared.rows.find((row) => row.id === id)?.name || id);
  const differing = rows.filter(([, , , differs]) => differs);
  const same = rows.filter(([, , , differs]) => !differs);
  return [
    el("h2", {}, "Configs"),
    differing.length ? tableOf(["key", ...names], differing.map((row) => row.slice(0, 3))) : el("p", { class: "note" }, "Their configs are equal."),
    ...(same.length ? [el("h4", { class: "category" }, `Equal (${same.length})`), tableOf(["key", "value"], same.map((row) => row.slice(0, 2)))] : []),
  ];
}
