#!/usr/bin/env bash
# Under SuperSuit's black_death, every episode has one step too many, and each end is a termination and a truncation.
#
# `black_death_v3` keeps agents that have ended, with observations of zero, until all have ended. It asks whether all
# have both terminated and been truncated, where either ends an agent. So the last step is reported as not done. In the
# next one no agent is left, which counts as "all": each gets an observation of zeros and a reward of 0, and both flags
# are set. Lengths of episodes are one too large, and an agent learns from a step that the environment never took; and
# where a limit of time cut the episode, it learns that the task has ended. Nothing warns.
#
# Seen with SuperSuit 3.11.0, PettingZoo 1.27.0, Gymnasium 1.4.0 and NumPy 2.4.6. Here both agents end in the third step.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "supersuit==3.11.0" "pettingzoo==1.27.0" "gymnasium==1.4.0" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from supersuit import black_death_v3

LENGTH = 3


class TwoAgents(ParallelEnv):
    metadata = {"name": "two_agents"}
    render_mode = None
    possible_agents = ["first", "second"]

    def __init__(self, truncates):
        self.truncates = truncates

    def observation_space(self, agent):
        return Box(0, 9, (1,), np.float32)

    def action_space(self, agent):
        return Discrete(2)

    def of_all(self, value):
        return {agent: value for agent in self.possible_agents}

    def reset(self, seed=None, options=None):
        self.agents = self.possible_agents[:]
        self.steps = 0
        return self.of_all(np.full(1, 5, np.float32)), self.of_all({})

    def step(self, actions):
        if not actions:  # as in PettingZoo's tutorials
            self.agents = []
            return {}, {}, {}, {}, {}
        self.steps += 1
        ends = self.steps == LENGTH
        self.agents = [] if ends else self.agents
        terminations = self.of_all(ends and not self.truncates)
        truncations = self.of_all(ends and self.truncates)
        return self.of_all(np.full(1, 5, np.float32)), self.of_all(1.0), terminations, truncations, self.of_all({})


for truncates in (False, True):
    for wrapper in (None, black_death_v3):
        environment = TwoAgents(truncates) if wrapper is None else wrapper(TwoAgents(truncates))
        environment.reset()
        print("truncated," if truncates else "terminated,", "black_death:" if wrapper else "without wrapper:")
        while environment.agents:
            actions = {agent: 0 for agent in environment.agents}
            observations, rewards, terminations, truncations, _ = environment.step(actions)
            print(
                f"  observation {observations['first'].item():g}, reward {rewards['first']:g}, "
                f"terminated {bool(terminations['first'])}, truncated {bool(truncations['first'])}"
            )
PROGRAM
echo "expected: the same three steps, and the same flags, with and without the wrapper"
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
terminated, without wrapper:
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated True, truncated False
terminated, black_death:
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 0, reward 0, terminated True, truncated True
truncated, without wrapper:
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated True
truncated, black_death:
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 5, reward 1, terminated False, truncated False
  observation 0, reward 0, terminated True, truncated True
SEEN
