#!/usr/bin/env bash
# In OpenSkill, equal weights of players in teams of one double the gain of the winner and halve the loss of the loser.
#
# `weights` are "the contribution of each player to the team's performance", and are scaled to 1 to 2 within a team.
# A player alone gets 2, whatever the weight; two players of equal weight get 1 each. So a program that always gives
# weights, as with teams of changing sizes, rates duels otherwise than one that gives none: the ratings of a population
# grow with each duel, and single players overtake those in teams. A weight of 1 for all changes nothing in teams
# of two. Nothing warns. `weight_bounds=None` turns the scaling off.
#
# Seen with OpenSkill 6.2.0, in its five models.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "openskill==6.2.0"
cat > "$folder/program.py" <<'PROGRAM'
from openskill.models import BradleyTerryFull, BradleyTerryPart, PlackettLuce
from openskill.models import ThurstoneMostellerFull, ThurstoneMostellerPart


def changes(model, size, weights):
    """The changes of the first player of the winners and of the losers."""
    teams = [[model.rating() for _ in range(size)] for _ in range(2)]
    return [round(team[0].mu - 25, 2) for team in model.rate(teams, weights=weights)]


for kind in (PlackettLuce, BradleyTerryFull, BradleyTerryPart, ThurstoneMostellerFull, ThurstoneMostellerPart):
    for size in (1, 2):
        ones = [[1.0] * size] * 2
        without, equal = (changes(kind(), size, weights) for weights in (None, ones))
        print(f"{kind.__name__}, teams of {size}: {without} weights of 1: {equal}")
model = PlackettLuce()
players = [model.rating(), model.rating()]
for _ in range(100):
    for teams in (players, players[::-1]):
        (first,), (second,) = model.rate([[player] for player in teams], weights=[[1.0], [1.0]])
        players = [first, second]
print("after 200 duels, each won half, mean of the two:", round(sum(player.mu for player in players) / 2, 1))
PROGRAM
echo "expected: twice the same changes in each line, and a mean near 25"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
PlackettLuce, teams of 1: [2.64, -2.64] weights of 1: [5.27, -1.32]
PlackettLuce, teams of 2: [1.96, -1.96] weights of 1: [1.96, -1.96]
BradleyTerryFull, teams of 1: [2.64, -2.64] weights of 1: [5.27, -1.32]
BradleyTerryFull, teams of 2: [1.96, -1.96] weights of 1: [1.96, -1.96]
BradleyTerryPart, teams of 1: [2.64, -2.64] weights of 1: [5.27, -1.32]
BradleyTerryPart, teams of 2: [1.96, -1.96] weights of 1: [1.96, -1.96]
ThurstoneMostellerFull, teams of 1: [4.23, -4.23] weights of 1: [8.46, -2.12]
ThurstoneMostellerFull, teams of 2: [3.15, -3.15] weights of 1: [3.15, -3.15]
ThurstoneMostellerPart, teams of 1: [2.11, -2.11] weights of 1: [4.22, -1.05]
ThurstoneMostellerPart, teams of 2: [1.57, -1.57] weights of 1: [1.57, -1.57]
after 200 duels, each won half, mean of the two: 92.0
SEEN
