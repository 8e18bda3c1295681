#!/usr/bin/env bash
# The package glicko2 computes the volatility from the rating where Glicko-2 has the deviation of the rating.
#
# Glicko-2 knows only differences of ratings: when all players are moved by the same number, the changes, deviations
# and volatilities stay. In the formula of the volatility, the package puts the square of the player's own rating in the
# place of the square of its deviation. So the volatility depends on how far the rating is from 1500: there it grows too
# much, and far above and below it hardly moves, whatever the results. Deviations and ratings follow, and nothing
# warns. The example of Glickman's paper, the first below, is too near to 1500 to show it.
#
# Seen with glicko2 2.1.0. The expected numbers are of the formulas of the paper, solved by bisection here.
# Lines: periods, rating of the start, who computes; change of the rating, deviation, volatility.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "glicko2==2.1.0"
cat > "$folder/program.py" <<'PROGRAM'
import math

import glicko2

SCALE, TAU = 173.7178, 0.5


def paper(rating, deviation, volatility, games):
    """The rating, deviation and volatility after a period of games (rating, deviation, result)."""
    mu, phi = (rating - 1500) / SCALE, deviation / SCALE
    v = total = 0.0
    for other, spread, result in games:
        g = 1 / math.sqrt(1 + 3 * (spread / SCALE) ** 2 / math.pi**2)
        expected = 1 / (1 + math.exp(-g * (mu - (other - 1500) / SCALE)))
        v += g**2 * expected * (1 - expected)
        total += g * (result - expected)
    v = 1 / v
    start = math.log(volatility**2)

    def slope(x):
        whole = phi**2 + v + math.exp(x)
        return math.exp(x) * ((v * total) ** 2 - whole) / (2 * whole**2) - (x - start) / TAU**2

    low, high = start - 20, start + 20
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    new = 1 / math.sqrt(1 / (phi**2 + math.exp(low)) + 1 / v)
    return (mu + new**2 * total) * SCALE + 1500, new * SCALE, math.exp(low / 2)


def package(rating, deviation, volatility, games):
    player = glicko2.Player(rating, deviation, volatility)
    player.update_player(*map(list, zip(*games)))
    return player.rating, player.rd, player.vol


example = [(1400, 30, 1), (1550, 100, 0), (1700, 300, 0)]
for periods, deviation, games in ((1, 200, example), (10, 80, [(1900, 50, 1)] * 20)):
    for moved in (0, 500, 1000):
        moved_games = [(other + moved, spread, result) for other, spread, result in games]
        for name, rate in (("paper  ", paper), ("package", package)):
            state = (1500 + moved, deviation, 0.06)
            for _ in range(periods):
                state = rate(*state, moved_games)
            start, (rating, spread, volatility) = 1500 + moved, state
            print(f"{periods}, from {start}, {name}: {rating - start:+.1f} {spread:.1f} {volatility:.4f}")
PROGRAM
echo "expected: the package has the numbers of the paper, which are the same for each start"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
1, from 1500, paper  : -35.9 151.5 0.0600
1, from 1500, package: -35.9 151.5 0.0600
1, from 2000, paper  : -35.9 151.5 0.0600
1, from 2000, package: -35.9 151.5 0.0600
1, from 2500, paper  : -35.9 151.5 0.0600
1, from 2500, package: -35.9 151.5 0.0600
10, from 1500, paper  : +831.6 39.0 0.0633
10, from 1500, package: +833.5 39.4 0.0652
10, from 2000, paper  : +831.6 39.0 0.0633
10, from 2000, package: +829.1 38.4 0.0600
10, from 2500, paper  : +831.6 39.0 0.0633
10, from 2500, package: +829.1 38.4 0.0600
SEEN
