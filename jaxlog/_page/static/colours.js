// The colours of curves, as the style sheet has them, for drawing on a canvas.

export const COLOURS = 8;
const DASHES = [[], [1, 3], [1, 6], [9, 3, 1, 3]]; // for more curves than colours
const NAMES = ["paper", "panel", "edge", "ink", "muted", "grid", "accent", "bad", "warn"];

let theme = null;

export function colours() {
  if (!theme) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    theme = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
    theme.curves = Array.from({ length: COLOURS }, (_, i) => read(`k${i}`));
    theme.font = style.fontFamily;
  }
  return theme;
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
