#!/usr/bin/env bash
# No policy can learn gymnax's SimpleBandit-bsuite: its arms are shuffled after every step.
#
# The environment is the bandit of bsuite, where each of eleven arms has a fixed reward, so that an agent can find
# the best one. An episode is one step, and `step` of gymnax resets an environment whose episode has ended. This
# reset draws a new order of the arms. So the reward of an arm is another one at each step, every policy has the
# mean reward 0.5, and a curve of returns stays flat whatever the agent does. The observation is constant, so
# nothing tells the agent the new order. The source says "Do not reset though!" where the episode ends.
# `total_regret` in the state also begins anew with each step.
#
# Seen with gymnax 1.0.1 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "gymnax==1.0.1" "jax==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import gymnax
import jax
import jax.numpy as jnp

bandit, params = gymnax.make("SimpleBandit-bsuite")


@jax.jit
def pull_the_best(key):
    """Looks at the rewards of the first state, and pulls the best arm a thousand times."""
    key, reset = jax.random.split(key)
    _, state = bandit.reset(reset, params)
    best = jnp.argmax(state.rewards)

    def pull(state, key):
        _, state, reward, *_ = bandit.step(key, state, best, params)
        return state, (reward, state.total_regret)

    return jax.lax.scan(pull, state, jax.random.split(key, 1000))[1]


rewards, regrets = pull_the_best(jax.random.key(0))
print(f"first reward {rewards[0]:.1f}, rewards seen {len(set(rewards.tolist()))}, mean {rewards.mean():.2f}")
print(f"largest regret in the state {regrets.max():.1f}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
echo "expected: the best arm gives 1.0 each time"
grep -q "first reward 1.0, rewards seen 11, mean 0\.[45]" "$folder/out"
grep -q "largest regret in the state 0.0" "$folder/out"
