// Formats numbers, chooses ticks, and maps values to pixels.

export function number(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1e3 && size < 1e7) return Math.round(value).toLocaleString("en");
  const text = value.toPrecision(4);
  return text.includes("e") ? value.toExponential(3).replace(/\.?0+e/, "e") : String(+text);
}

export function whole(value) {
  return Math.abs(value) < 1e9 ? (+value.toPrecision(9)).toLocaleString("en") : number(value);
}

export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function clock(seconds) {
  if (seconds < 100) return +seconds.toFixed(2) + " s";
  const minutes = Math.floor(seconds / 60);
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  if (minutes < 60) return minutes + ":" + rest;
  return Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + ":" + rest;
}

export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return +(value / 1e9).toPrecision(3) + "G";
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
  return String(+value.toPrecision(4));
}

export function ticks(low, high, most) {
  const span = high / most - low / most;
  if (!(span > 0 && Number.isFinite(span))) return [low];
  const base = Math.pow(10, Math.floor(Math.log10(span)));
  const step = base * ([1, 2, 5].find((unit) => unit * base >= span) || 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Counted from 0: for values that differ in their last bit, `first` is so large that `first + 1` equals it.
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

// Powers of ten; if there are few, also their multiples by two and five.
export function powers(low, high) {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 5));
  const found = [];
  for (let power = first - 1; power <= last; power++) {
    if (last - first > 1 && (power < first || (power - first) % every)) continue;
    for (const unit of last - first > 1 ? [1] : [1, 2, 5]) found.push(unit * Math.pow(10, power));
  }
  return found.filter((value) => value >= low && value <= high);
}

export function timeTicks(low, high, most) {
  const steps = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const step = steps.find((one) => one >= (high - low) / most);
  if (high < 100 || !step) return ticks(low, high, most);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}

// Maps values to pixels. Values are halved before subtraction, so that the largest floats do not overflow.
export function scale(low, high, from, to, log) {
  const as = log ? Math.log10 : (value) => value / 2;
  const [first, last] = [as(low), as(high)];
  return (value) => from + ((as(value) - first) / (last - first || 1)) * (to - from);
}

// A number of an answer: JSON has no NaN and no infinity, so they come as texts.
export function value(given) {
  if (typeof given === "number") return given;
  return { inf: Infinity, "-inf": -Infinity }[given] ?? NaN;
}

// How long ago, in the largest unit that fits.
export function ago(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${Math.max(0, Math.floor(seconds))} s ago`;
}
