#!/usr/bin/env bash
# OpenSkill's Plackett-Luce model cuts ranks to integers, and so takes different results for draws.
#
# `rate` takes ranks as "a list of floats where the lower values represent winners", such as the losses of agents or the
# seconds of runners. The four other models of the package give the same ratings for 0.1, 0.2, 0.9 as for 1, 2, 3. But
# PlackettLuce gives those of 0, 0, 0: the three have drawn, and the best loses its lead. Nothing warns.
# `scores`, which are floats as well, are right in all models.
#
# Seen with OpenSkill 6.2.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "openskill==6.2.0"
cat > "$folder/program.py" <<'PROGRAM'
from openskill.models import BradleyTerryFull, BradleyTerryPart, PlackettLuce
from openskill.models import ThurstoneMostellerFull, ThurstoneMostellerPart

for kind in (BradleyTerryFull, BradleyTerryPart, ThurstoneMostellerFull, ThurstoneMostellerPart, PlackettLuce):
    model = kind()

    def rated(ranks):
        teams = [[model.rating(mu=mu)] for mu in (20, 25, 30)]
        return [round(player.mu, 2) for (player,) in model.rate(teams, ranks=ranks)]

    losses = rated([0.1, 0.2, 0.9])
    same = [name for name, ranks in (("1, 2, 3", [1, 2, 3]), ("a draw", [1, 1, 1])) if losses == rated(ranks)]
    print(f"{kind.__name__}: 0.1, 0.2, 0.9 are rated {losses}, as {' and '.join(same)}")
PROGRAM
echo "expected: as 1, 2, 3 in each line"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
BradleyTerryFull: 0.1, 0.2, 0.9 are rated [26.72, 25.0, 23.28], as 1, 2, 3
BradleyTerryPart: 0.1, 0.2, 0.9 are rated [23.36, 25.0, 26.64], as 1, 2, 3
ThurstoneMostellerFull: 0.1, 0.2, 0.9 are rated [32.66, 25.0, 17.34], as 1, 2, 3
ThurstoneMostellerPart: 0.1, 0.2, 0.9 are rated [22.61, 25.0, 27.39], as 1, 2, 3
PlackettLuce: 0.1, 0.2, 0.9 are rated [20.42, 25.04, 29.54], as a draw
SEEN
