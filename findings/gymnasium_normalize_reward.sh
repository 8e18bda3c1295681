#!/usr/bin/env bash
# NormalizeReward of Gymnasium scales the same rewards by numbers up to 14 times apart, depending on the autoreset mode.
#
# It divides rewards by the deviation of the discounted sums of the rewards of an episode. When an episode is truncated,
# the wrapper of one environment, and that of vector environments under NEXT_STEP (the default), carry the sum into
# the next episode: with truncated episodes only, it grows as if there were one endless episode. When an episode
# is terminated, all of them drop the sum before its last reward; NEXT_STEP and the single wrapper then go on from
# this last reward, and the other modes from 0. So a change of the mode, or of the limit of time, changes the scale of
# the rewards, and nothing warns. The documentation knows one scale.
#
# Seen with Gymnasium 1.4.0. Here each step gives 1, and each episode has five steps.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "gymnasium==1.4.0" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward
from gymnasium.wrappers.vector import NormalizeReward as NormalizeRewards

EPISODES, LENGTH, GAMMA = 200, 5, 0.99


class Ones(gymnasium.Env):
    observation_space = action_space = Discrete(1)

    def __init__(self, truncates):
        self.truncates = truncates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return 0, {}

    def step(self, action):
        self.steps += 1
        ends = self.steps == LENGTH
        return 0, 1.0, ends and not self.truncates, ends and self.truncates, {}


def single(truncates):
    """The last reward by the wrapper of one environment."""
    environment = NormalizeReward(Ones(truncates), GAMMA)
    for _ in range(EPISODES):
        environment.reset()
        for _ in range(LENGTH):
            reward = environment.step(0)[1]
    return float(reward)


def vector(truncates, mode):
    """The last reward by the wrapper of vector environments."""
    environment = NormalizeRewards(SyncVectorEnv([lambda: Ones(truncates)], autoreset_mode=mode), GAMMA)
    environment.reset()
    for _ in range(EPISODES):
        for _ in range(LENGTH):
            reward = environment.step(np.array([0]))[1]
        if mode is AutoresetMode.NEXT_STEP:
            environment.step(np.array([0]))
        elif mode is AutoresetMode.DISABLED:
            environment.reset()
    return float(reward[0])


sums = np.cumsum(GAMMA ** np.arange(LENGTH))
print(f"one, divided by the deviation of the sums: {1 / sums.std():.2f}")
for truncates in (True, False):
    print("truncated" if truncates else "terminated", f"single {single(truncates):.2f}", end="")
    for mode in AutoresetMode:
        print(f", {mode.name} {vector(truncates, mode):.2f}", end="")
    print()
PROGRAM
echo "expected: 0.73 everywhere"
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
one, divided by the deviation of the sums: 0.73
truncated single 0.05, NEXT_STEP 0.05, SAME_STEP 0.73, DISABLED 0.73
terminated single 0.73, NEXT_STEP 0.73, SAME_STEP 0.87, DISABLED 0.87
SEEN
