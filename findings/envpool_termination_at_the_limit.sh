#!/usr/bin/env bash
# EnvPool reports an episode that fails in its last allowed step as cut off, and Gymnasium as both.
#
# In Gymnasium, `terminated` says that the task has ended, and `truncated` that the limit of time is reached; both may
# be True. EnvPool gives the same five values from `step`. But at the limit it sets `terminated` to False whatever
# happened. A program that bootstraps from the last state where `terminated` is False, as it should, takes a value
# for the state in which the pole has fallen, and a count of failures misses them. The physics are the same.
#
# Seen with EnvPool 1.2.5 and Gymnasium 1.4.0. The limit is the length of an episode that fails on its own.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "envpool==1.2.5" "gymnasium==1.4.0" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import envpool
import gymnasium
import numpy as np

ENVIRONMENT, LIMIT = "CartPole-v1", 500


def pool(limit):
    environment = envpool.make(ENVIRONMENT, env_type="gymnasium", num_envs=1, seed=0, max_episode_steps=limit)
    environment.reset()
    for steps in range(1, limit + 1):
        observation, _, terminated, truncated, _ = environment.step(np.array([1]))
        if terminated[0] or truncated[0]:
            return steps, bool(terminated[0]), bool(truncated[0]), abs(observation[0, 2])


def single(limit):
    environment = gymnasium.make(ENVIRONMENT, max_episode_steps=limit)
    environment.reset(seed=0)
    for steps in range(1, limit + 1):
        observation, _, terminated, truncated, _ = environment.step(1)
        if terminated or truncated:
            return steps, terminated, truncated, abs(observation[2])


for name, run in (("Gymnasium", single), ("EnvPool", pool)):
    steps, *_ = run(LIMIT)
    for limit in (steps + 1, steps):
        _, terminated, truncated, angle = run(limit)
        at = "at the limit" if limit == steps else "before it"
        print(f"{name}, falls {at}: angle over 0.2095: {angle > 0.2095}, {terminated=}, {truncated=}")
PROGRAM
echo "expected: terminated=True in each line, since the pole has fallen (over 12 degrees)"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
Gymnasium, falls before it: angle over 0.2095: True, terminated=True, truncated=False
Gymnasium, falls at the limit: angle over 0.2095: True, terminated=True, truncated=True
EnvPool, falls before it: angle over 0.2095: True, terminated=True, truncated=False
EnvPool, falls at the limit: angle over 0.2095: True, terminated=False, truncated=True
SEEN
