#!/usr/bin/env bash
# With partial resets, RecordEpisodeStatistics of Gymnasium gives too small returns and lengths of episodes.
#
# Under `AutoresetMode.DISABLED` a program resets the environments that are done, with `options={"reset_mask": done}`.
# RecordEpisodeStatistics has code for this mask. But the vector environment takes the mask out of `options` before
# the wrapper looks for it, so the wrapper believes in a full reset, and the counts of the environments that go on
# begin at zero in the middle of their episodes. The returns of CartPole are these lengths. Nothing warns.
#
# Seen with Gymnasium 1.4.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "gymnasium==1.4.0" "numpy<3"
cat > "$folder/program.py" <<'PROGRAM'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics


def lengths(mode, kind):
    """The lengths of the episodes by the wrapper, and those that are counted here."""
    settings = {"autoreset_mode": mode}
    environments = gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode=kind, vector_kwargs=settings)
    environments = RecordEpisodeStatistics(environments)
    environments.reset(seed=0)
    environments.action_space.seed(0)
    recorded, counted, steps, done = [], [], np.zeros(3, int), np.zeros(3, bool)
    for _ in range(60):
        *_, terminated, truncated, info = environments.step(environments.action_space.sample())
        steps += ~done if mode is AutoresetMode.NEXT_STEP else 1
        done = terminated | truncated
        if not done.any():
            continue
        episode = info["episode"]
        recorded += episode["l"][done].tolist()
        counted += steps[done].tolist()
        steps[done] = 0
        if mode is AutoresetMode.DISABLED:
            environments.reset(options={"reset_mask": done.copy()})
            done[:] = False
    environments.close()
    return recorded, counted


if __name__ == "__main__":
    for kind in ("sync", "async"):
        for mode in AutoresetMode:
            recorded, counted = lengths(mode, kind)
            print(kind, mode.name, "right" if recorded == counted else f"{recorded}, and there were {counted}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
sync NEXT_STEP right
sync SAME_STEP right
sync DISABLED [13, 4, 10, 2, 9, 5, 3], and there were [13, 17, 27, 16, 11, 14, 29]
async NEXT_STEP right
async SAME_STEP right
async DISABLED [13, 4, 10, 2, 9, 5, 3], and there were [13, 17, 27, 16, 11, 14, 29]
SEEN
