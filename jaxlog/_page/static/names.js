// Short names of groups: without the keys that all of them share.

// "lr 0.003, env CartPole" by lr and env is "0.003, CartPole"; any other name stays.
export function shortName(name, by = []) {
  let rest = name;
  const found = [];
  for (let i = 0; i < by.length; i++) {
    if (!rest.startsWith(`${by[i]} `)) return name;
    const end = i + 1 < by.length ? rest.indexOf(`, ${by[i + 1]} `) : rest.length;
    if (end < 0) return name;
    found.push(rest.slice(by[i].length + 1, end));
    rest = rest.slice(end + 2);
  }
  return found.join(", ") || name;
}
