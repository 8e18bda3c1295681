// Follows the server: says when something has changed, and whether the server answers.

import { Problem, source } from "./source.js";

const LEAST = 1000; // milliseconds from one update to the next
const PATIENCE = [1, 2, 4, 8, 15, 30]; // seconds from one try to the next

// `refresh` asks again for what is in sight; `lost(text)` is called with what is wrong, or with "".
export function follow(refresh, lost) {
  let [busy, again, tries, last] = [false, false, 0, 0];

  async function update() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, last + LEAST - Date.now())));
    last = Date.now();
    await refresh();
    busy = false;
    if (again) update();
  }

  function listen() {
    const events = new EventSource("events");
    events.onopen = () => {
      lost("");
      if (tries) {
        source.version += 1;
        update();
      }
      tries = 0;
    };
    events.addEventListener("changed", () => {
      source.version += 1;
      if (!document.hidden) update();
    });
    events.onerror = () => {
      events.close();
      retry();
    };
    return events;
  }

  // EventSource does not say why it ended: an answer does.
  async function retry() {
    const seconds = PATIENCE[Math.min(tries, PATIENCE.length - 1)];
    tries += 1;
    let text = `The server does not answer; trying again in ${seconds} s.`;
    try {
      source.version += 1;
      await source.get("runs?limit=1");
      if (tries === 1) text = "";
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.kind === "denied") text = problem.message;
    }
    if (text) lost(text);
    setTimeout(listen, seconds * 1000);
  }

  document.addEventListener("visibilitychange", () => document.hidden || update());
  listen();
  return update;
}
