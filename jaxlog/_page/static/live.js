// Follows the server: says when something has changed, and whether the server answers.

import { Problem } from "./problem.js";
import { source } from "./source.js";

const LEAST = 1000; // milliseconds from one update to the next
const PATIENCE = [1, 2, 4, 8, 15, 30]; // seconds from one try to the next

// Makes a function that runs `act`, never twice at a time: what is asked for meanwhile is put together. What the reader
// asks for is done at once; what the server reports waits until some milliseconds have passed.
export function paced(act, least = () => null) {
  let [running, again, last, wake] = [null, false, 0, null];

  async function loop() {
    while (again) {
      if (again === "later") {
        await new Promise((resolve) => {
          wake = resolve;
          setTimeout(resolve, Math.max(0, last + (least() ?? LEAST) - Date.now()));
        });
      }
      again = false;
      last = Date.now();
      await act();
    }
  }

  return (isLive = false) => {
    again = isLive ? again || "later" : "now";
    if (!isLive) wake?.();
    running ??= loop().finally(() => (running = null));
    return running;
  };
}

// `update()` is called when something is new, and `lost(text)` with what is wrong, or with "".
export function follow(update, lost) {
  let tries = 0;

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
}
