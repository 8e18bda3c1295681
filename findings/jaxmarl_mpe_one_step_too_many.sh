#!/usr/bin/env bash
# In JaxMARL, an episode of every MPE environment has one step more than `max_steps`: 26 for the default of 25.
#
# `step_env` compares `max_steps` with the number of steps before it counts its own one, so the step after the last one
# is part of the episode. The lengths that `LogWrapper` reports are 26, and the returns sum 26 rewards. The original
# environments, which have the same names in MPE2, PettingZoo's package, end after 25 steps, and JaxMARL's Overcooked
# ends after `max_steps` too. MPE gives a reward at each step, so returns sum 4 % more rewards by default, and twice as
# many for `max_steps=1`. A rollout of `max_steps` steps never holds an end, and the ends move through later ones.
#
# Seen with JaxMARL 0.2.0, JAX 0.10.2, MPE2 1.1.1 and PettingZoo 1.27.0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "jaxmarl==0.2.0" "gymnax==1.0.1" "jax==0.10.2" "jaxlib==0.10.2" six "mpe2==1.1.1" "pettingzoo==1.27.0"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
import jaxmarl
import mpe2.simple_spread_v3
import mpe2.simple_tag_v3
from jaxmarl.wrappers.baselines import LogWrapper

ORIGINALS = {"MPE_simple_spread_v3": mpe2.simple_spread_v3, "MPE_simple_tag_v3": mpe2.simple_tag_v3}


def first_length(name, limit):
    environment = LogWrapper(jaxmarl.make(name, max_steps=limit))
    key = jax.random.PRNGKey(0)
    actions = {agent: jnp.zeros((), int) for agent in environment.agents}

    def step(state, _):
        _, state, _, done, info = environment.step(key, state, actions)
        return state, (done["__all__"], info["returned_episode_lengths"][0])

    _, (done, lengths) = jax.lax.scan(step, environment.reset(key)[1], length=limit + 5)
    return int(lengths[done.argmax()])


def original_length(name, limit):
    environment = ORIGINALS[name].parallel_env(max_cycles=limit)
    environment.reset(seed=0)
    length = 0
    while environment.agents:
        environment.step({agent: 0 for agent in environment.agents})
        length += 1
    return length


for name in (*ORIGINALS, "overcooked"):
    for limit in (1, 2, 25):
        original = f", MPE2 has {original_length(name, limit)}" if name in ORIGINALS else ""
        print(f"{name}, limit {limit}: JaxMARL's episode has {first_length(name, limit)} steps{original}")
PROGRAM
echo "expected: as many steps as the limit"
"$folder/venv/bin/python" -W ignore "$folder/program.py" | grep limit | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
MPE_simple_spread_v3, limit 1: JaxMARL's episode has 2 steps, MPE2 has 1
MPE_simple_spread_v3, limit 2: JaxMARL's episode has 3 steps, MPE2 has 2
MPE_simple_spread_v3, limit 25: JaxMARL's episode has 26 steps, MPE2 has 25
MPE_simple_tag_v3, limit 1: JaxMARL's episode has 2 steps, MPE2 has 1
MPE_simple_tag_v3, limit 2: JaxMARL's episode has 3 steps, MPE2 has 2
MPE_simple_tag_v3, limit 25: JaxMARL's episode has 26 steps, MPE2 has 25
overcooked, limit 1: JaxMARL's episode has 1 steps
overcooked, limit 2: JaxMARL's episode has 2 steps
overcooked, limit 25: JaxMARL's episode has 25 steps
SEEN
