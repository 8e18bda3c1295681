// The colours of curves, as the style sheet has them, for drawing on a canvas.

export const COLOURS = 8;
const DASHES = [[], [1, 3], [1, 6], [9, 3, 1, 3]]; // for more curves than colours
const NAMES = ["paper", "panel", "edge", "ink", "muted", "grid", "accent", "bad", "warn"];

let theme = null;

export function colours() {
  if (!theme) {
    const probe = document.body.appendChild(document.createElement("span"));
    const style = getComputedStyle(probe);
    const read = (name) => {
      probe.style.color = `var(--${name})`;
      return style.color; // the light or the dark one, where the variable has both
    };
    theme = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
    theme.curves = Array.from({ length: COLOURS }, (_, i) => read(`k${i}`));
    theme.font = style.fontFamily;
    probe.remove();
  }
  return theme;
}

// Makes the page light or dark; with any other name it follows the browser.
export function setScheme(name) {
  const scheme = ["light", "dark"].includes(name) ? name : "";
  const root = document.documentElement;
  if (root.style.colorScheme === scheme) return;
  root.style.colorScheme = scheme;
  theme = null;
}

// The colour of a curve by its number; null is for a curve that is no group's.
export function curveColour(number) {
  return number === null ? colours().muted : colours().curves[number % COLOURS];
}

export function curveDash(number, isAmongMany) {
  return !isAmongMany ? [] : DASHES[Math.floor(number / COLOURS) % DASHES.length];
}

export function swatchClass(number) {
  return number === null ? "swatch" : `swatch c${number % COLOURS}`;
}

// Calls back when the page turns light or dark, and for print.
export function onTheme(act) {
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => {
      theme = null;
      act();
    });
  }
}
