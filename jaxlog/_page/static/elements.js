// Builds elements. What comes from runs is only ever text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, given] of Object.entries(attributes)) {
    if (given === null || given === undefined || (given === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), given);
    else element.setAttribute(name, given === true && !name.startsWith("aria-") ? "" : given);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

// A name of a user's, which may be written in any direction and have any length.
export function named(text, attributes = {}) {
  return el("bdi", { title: text, ...attributes }, text);
}

export function button(text, act, attributes = {}) {
  return el("button", { type: "button", onclick: act, ...attributes }, text);
}

// Replaces a text only if it is another, so that nothing is laid out again without need.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Allows or disables a control; a disabled one says why.
export function allow(control, allowed, why) {
  control.disabled = !allowed;
  if (!allowed) control.title = why;
  else if (control.title === why) control.removeAttribute("title");
}
