#!/usr/bin/env bash
# For n-step returns, cpprb gives ones as the next observation of the last steps of a truncated episode.
#
# With `Nstep`, a transition holds the rewards of n steps and the observation after them, whose value an agent adds unless
# `done` is set. `on_episode_end` writes the last n - 1 steps, whose sum of rewards is shorter. The documentation gives
# truncated episodes, which end without `done`, as the reason to call it. The rewards of these steps are right, and `done`
# is 0; but `next_obs` is filled with ones instead of the last observation, so that an agent learns from the
# value of a state that the environment may not even have. With a limit of time in each episode, every episode has them.
#
# Seen with cpprb 11.0.0 and NumPy 2.4.6. Observations here are the number of the step, from 10 on.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "cpprb==11.0.0" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
from cpprb import ReplayBuffer

LENGTH, STEPS, FIRST = 5, 3, 10

buffer = ReplayBuffer(
    100,
    {"obs": {"shape": 2}, "act": {}, "rew": {}, "next_obs": {"shape": 2}, "done": {}},
    Nstep={"size": STEPS, "gamma": 1.0, "rew": "rew", "next": "next_obs"},
)
for step in range(FIRST, FIRST + LENGTH):
    buffer.add(obs=[step, -step], act=0, rew=1.0, next_obs=[step + 1, -step - 1], done=0.0)
buffer.on_episode_end()  # truncated: no step is done

transitions = buffer.get_all_transitions()
for index, step in enumerate(range(FIRST, FIRST + LENGTH)):
    after = min(step + STEPS, FIRST + LENGTH)
    assert np.array_equal(transitions["obs"][index], [step, -step])
    print(
        f"step {step}: reward {transitions['rew'][index].item():g}, done {transitions['done'][index].item():g}, "
        f"next observation {transitions['next_obs'][index].tolist()}, expected {[float(after), float(-after)]}"
    )
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
step 10: reward 3, done 0, next observation [13.0, -13.0], expected [13.0, -13.0]
step 11: reward 3, done 0, next observation [14.0, -14.0], expected [14.0, -14.0]
step 12: reward 3, done 0, next observation [15.0, -15.0], expected [15.0, -15.0]
step 13: reward 2, done 0, next observation [1.0, 1.0], expected [15.0, -15.0]
step 14: reward 1, done 0, next observation [1.0, 1.0], expected [15.0, -15.0]
SEEN
