#!/usr/bin/env bash
# AgileRL's PPO gives the last reward of an episode to the last step alone.
#
# `collect_rollouts` writes down with each step whether the episode ended with it. The rollout buffer then computes the
# advantages (GAE, the default) as if the flag meant that an episode begins with the step. So each episode is cut one
# step too early: the steps before the last one do not get its reward, and the last one is joined with the next episode.
# With gamma and lambda of 1, the return of a step is the sum of the rewards up to the end of its episode. The other
# way of the same buffer (`use_gae: False`) has it. Where rewards come at the end only, the steps before it are worth
# nothing to PPO. Nothing warns.
#
# Seen with AgileRL 2.58.0, PyTorch 2.13.0 and Gymnasium 1.4.0. (AgileRL also imports peft, which it does not ask for.)
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "agilerl==2.58.0" "torch==2.13.0" "gymnasium==1.4.0" "numpy==2.4.6" "peft==0.21.0" "transformers==5.14.1"
cat > "$folder/program.py" <<'PROGRAM'
import gymnasium
import numpy as np
from agilerl.algorithms import PPO
from agilerl.rollouts import collect_rollouts
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

LENGTH, EPISODES = 4, 3


class AtTheEnd(gymnasium.Env):
    """Four steps, and a reward of one for the last."""

    observation_space = Box(0, 1, (1,), np.float32)
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        ends = self.steps == LENGTH
        return np.full(1, self.steps / LENGTH, np.float32), float(ends), ends, False, {}


for use_gae in (False, True):
    agent = PPO(
        AtTheEnd.observation_space,
        AtTheEnd.action_space,
        num_envs=1,
        learn_step=LENGTH * EPISODES,
        gamma=1.0,
        gae_lambda=1.0,
        rollout_buffer_config={"use_gae": use_gae},
    )
    collect_rollouts(agent, SyncVectorEnv([AtTheEnd], autoreset_mode=AutoresetMode.SAME_STEP))
    steps = agent.rollout_buffer.buffer
    for name in ("rewards", "dones", "returns"):
        print(f"{use_gae=}, {name}:", *(abs(round(float(value))) for value in steps[name].flatten()))
PROGRAM
echo "expected: returns of 1 for each step, by both ways"
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" | grep "^use_gae" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
use_gae=False, rewards: 0 0 0 1 0 0 0 1 0 0 0 1
use_gae=False, dones: 0 0 0 1 0 0 0 1 0 0 0 1
use_gae=False, returns: 1 1 1 1 1 1 1 1 1 1 1 1
use_gae=True, rewards: 0 0 0 1 0 0 0 1 0 0 0 1
use_gae=True, dones: 0 0 0 1 0 0 0 1 0 0 0 1
use_gae=True, returns: 0 0 0 1 0 0 0 1 0 0 0 1
SEEN
