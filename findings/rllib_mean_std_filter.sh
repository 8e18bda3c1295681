#!/usr/bin/env bash
# With several env runners, RLlib's MeanStdFilter takes a mean of 2.5 from observations whose mean is 10.
#
# The connector standardises observations, so that they have mean 0 and deviation 1. After each iteration, RLlib merges
# the states of the env runners in the driver, and sends the result back. A state holds what its env runner has added
# since: how many observations, and their "mean". That "mean" adds up the changes of the whole mean: it is right in
# the first iteration, and near 0 in all others. So each merge pulls the mean towards 0, and makes the deviation larger
# by the way it has gone. With a single env runner nothing is merged, and all is right. Nothing warns.
#
# Seen with Ray 2.60.0, Gymnasium 1.2.2 and NumPy 2.4.6; PPO with `num_env_runners=2` and this connector gives the same.
# The three steps of an iteration here are those that the documentation of `ConnectorV2.merge_states` gives.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "ray[rllib]==2.60.0" "gymnasium==1.2.2" "numpy==2.4.6"
cat > "$folder/program.py" <<'PROGRAM'
import numpy as np
from gymnasium.spaces import Box, Discrete
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

SPACE, ACTIONS = Box(-100, 100, (1,), np.float64), Discrete(2)


def new_filter():
    connector = MeanStdFilter()
    connector.input_observation_space, connector.input_action_space = SPACE, ACTIONS
    return connector


def standardised(connector, observation, update=True):
    episode = SingleAgentEpisode(
        observations=[np.array([observation])], observation_space=SPACE, action_space=ACTIONS
    )
    connector._update_stats = update
    connector(rl_module=None, batch={}, episodes=[episode])
    return float(episode.get_observations(-1)[0])


for number_of_runners in (1, 2):
    rng = np.random.default_rng(0)
    driver, runners = new_filter(), [new_filter() for _ in range(number_of_runners)]
    seen = []
    for iteration in range(1, 6):
        for runner in runners:
            for observation in rng.normal(10, 1, size=200 // number_of_runners):
                standardised(runner, observation)
                seen.append(observation)
        if number_of_runners > 1:
            state = driver.merge_states([runner.get_state() for runner in runners])
            for runner in runners:
                runner.set_state(state)
        at_mean = standardised(runners[0], np.mean(seen), update=False)
        above = standardised(runners[0], np.mean(seen) + np.std(seen), update=False)
        print(
            f"{number_of_runners} env runners, iteration {iteration}: {len(seen)} observations, "
            f"their mean becomes {abs(at_mean):.2f}, one deviation above it {above:.2f}"
        )
PROGRAM
echo "expected: the mean becomes 0, and one deviation above it 1"
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
1 env runners, iteration 1: 200 observations, their mean becomes 0.00, one deviation above it 1.00
1 env runners, iteration 2: 400 observations, their mean becomes 0.00, one deviation above it 1.00
1 env runners, iteration 3: 600 observations, their mean becomes 0.00, one deviation above it 1.00
1 env runners, iteration 4: 800 observations, their mean becomes 0.00, one deviation above it 1.00
1 env runners, iteration 5: 1000 observations, their mean becomes 0.00, one deviation above it 1.00
2 env runners, iteration 1: 200 observations, their mean becomes 0.00, one deviation above it 1.00
2 env runners, iteration 2: 400 observations, their mean becomes 0.97, one deviation above it 1.16
2 env runners, iteration 3: 600 observations, their mean becomes 1.19, one deviation above it 1.38
2 env runners, iteration 4: 800 observations, their mean becomes 1.25, one deviation above it 1.43
2 env runners, iteration 5: 1000 observations, their mean becomes 1.27, one deviation above it 1.43
SEEN
