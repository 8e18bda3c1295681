#!/usr/bin/env bash
# TorchRL's MultiStep leaves a termination within its n steps out, so that targets add the value of a state that is over.
#
# `MultiStep(gamma, n_steps)` replaces the next observation of a step by the one n steps later, or by the last of the
# episode, and the reward by the sum of those between. It moves all entries of "next" but the flags: the steps before the
# last one then have the final observation, and a "terminated" of false. `nonterminal`, which it adds, is true for them
# too. The estimators read `steps_to_next_obs`, which MultiStep writes for them, and the flag. So n - 1 of the n steps
# that reach the final observation add its value. `MultiStepTransform`, for replay buffers, writes the same flags.
#
# Seen with TorchRL 0.14.1, TensorDict 0.14.3 and PyTorch 2.14.1. Here each step of an episode of five gives a reward
# of 1, after the episode nothing follows, and the value network says 100 for all observations.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "torchrl==0.14.1" "tensordict==0.14.3" "torch==2.14.1" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.data.postprocs import MultiStep
from torchrl.objectives.value import TD0Estimator

LENGTH, VALUE = 5, 100.0


def episode():
    ends = (torch.arange(LENGTH) == LENGTH - 1).view(1, LENGTH, 1)
    observations = torch.arange(LENGTH + 1.0).view(1, LENGTH + 1, 1)
    after = {
        "observation": observations[:, 1:],
        "reward": torch.ones(1, LENGTH, 1),
        "done": ends.clone(),
        "terminated": ends.clone(),
    }
    return TensorDict({"observation": observations[:, :-1], "next": after}, [1, LENGTH])


network = TensorDictModule(
    lambda observation: torch.full_like(observation, VALUE), in_keys=["observation"], out_keys=["state_value"]
)
estimator = TD0Estimator(gamma=1.0, value_network=network)
for steps in (1, 2, 3):
    data = MultiStep(gamma=1.0, n_steps=steps)(episode())
    reached = data["next", "observation"].flatten().int().tolist()
    ended = data["next", "terminated"].flatten().int().tolist()
    targets = estimator.value_estimate(data).flatten().int().tolist()
    # By hand: a step t adds up to `steps` rewards, and the value only if the episode goes on after them.
    expected = [min(steps, LENGTH - t) + int(VALUE) * (t + steps < LENGTH) for t in range(LENGTH)]
    print(f"n_steps={steps}: next observations {reached}, terminated {ended}")
    print(f"  targets {targets}, expected {expected}")
PROGRAM
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
n_steps=1: next observations [1, 2, 3, 4, 5], terminated [0, 0, 0, 0, 1]
  targets [101, 101, 101, 101, 1], expected [101, 101, 101, 101, 1]
n_steps=2: next observations [2, 3, 4, 5, 5], terminated [0, 0, 0, 0, 1]
  targets [102, 102, 102, 102, 1], expected [102, 102, 102, 2, 1]
n_steps=3: next observations [3, 4, 5, 5, 5], terminated [0, 0, 0, 0, 1]
  targets [103, 103, 103, 102, 1], expected [103, 103, 3, 2, 1]
SEEN
