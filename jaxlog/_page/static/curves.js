// Reads the binary answers: a header of JSON, then arrays without gaps.

import { value } from "./numbers.js";

// The arrays are views of the answer: nothing is copied.
export function curvesOf(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const start = 4 + length;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  if (header.groups) header.groups = header.groups.map((group) => withArrays(group, buffer, start));
  else Object.assign(header, heat(header, buffer, start));
  return header;
}

function withArrays(group, buffer, start) {
  let at = start + group.at;
  const take = (kind) => {
    const found = new kind(buffer, at, group.points);
    at += found.byteLength;
    return found;
  };
  const last = Object.fromEntries(Object.entries(group.last || {}).map(([name, given]) => [name, value(given)]));
  const arrays = { x: take(Float64Array) };
  for (const name of ["middle", "low", "high", "lower", "upper", "alive"]) arrays[name] = take(Float32Array);
  return { ...group, ...arrays, last };
}

function heat({ steps, bins }, buffer, start) {
  const x = new Float64Array(buffer, start, steps);
  return { x, density: new Float32Array(buffer, start + x.byteLength, steps * bins) };
}

// The place in an ascending array that is nearest to a number.
export function nearest(x, number) {
  let [low, high] = [0, x.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < number) low = middle + 1;
    else high = middle;
  }
  return low && number - x[low - 1] < x[low] - number ? low - 1 : low;
}
