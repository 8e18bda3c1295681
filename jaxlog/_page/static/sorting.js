// The order of the table of a saved view, as the server orders rows.

// The answer to `runs` in the order of a column: its name, or `-` and its name for the largest first.
export function sorted(answer, sort) {
  const name = sort.replace(/^-/, "");
  const sign = sort.startsWith("-") ? -1 : 1;
  const column = answer.columns.findIndex((one) => one.name === name);
  if (!name || (column < 0 && name !== "run")) return answer;
  const value = (row) => (name === "run" ? row.name : row.cells[column] ?? (row.texts[column] || null));
  const rows = answer.rows.map((row, place) => [value(row), place, row]);
  rows.sort(([a, i], [b, j]) => {
    if (isLast(a) || isLast(b)) return isLast(a) - isLast(b) || i - j;
    return sign * compared(a, b) || i - j;
  });
  return { ...answer, rows: rows.map(([, , row]) => row) };
}

// Rows without a value, and with one that is no number, are last in either order.
function isLast(value) {
  return value === null || value === "nan";
}

function compared(a, b) {
  const [x, y] = [a, b].map(numberOf);
  if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
  return x < y ? -1 : x > y ? 1 : 0;
}

function numberOf(value) {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return typeof value === "string" ? value.toLowerCase() : value;
}
