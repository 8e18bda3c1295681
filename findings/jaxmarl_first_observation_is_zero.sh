#!/usr/bin/env bash
# JaxMARL's rollout manager hides the first observation of every new episode: agents see only zeros.
#
# `CTRolloutManager`, which JaxMARL's Q-learning baselines use, sets the observations of agents that are done to 0. But
# `step` of an environment resets it when the episode has ended, so the observation that comes with "done" is already
# the first one of the next episode. It is set to zero too, with the code that tells the agent who it is. So in
# each episode but the first, all agents choose their first action blindly, and a replay buffer keeps this pair of
# observation and action. The state of all agents, `obs["__all__"]`, is not changed, so that a mixing network sees
# another moment than the agents. With `preprocess_obs=False`, the observations are right.
#
# Seen with JaxMARL 0.2.0 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "jaxmarl==0.2.0" "gymnax==1.0.1" "jax==0.10.2" "jaxlib==0.10.2" six
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
import jaxmarl
from jaxmarl.wrappers.baselines import CTRolloutManager

VELOCITY = 2  # the first numbers are the velocity, which is 0 at the start
environment = jaxmarl.make("MPE_simple_spread_v3")
manager = CTRolloutManager(environment, batch_size=1)
length = environment.observation_space("agent_0").shape[0]
actions = {agent: jnp.zeros(1, int) for agent in environment.agents}


def show(moment, observations):
    agent, of_all = observations["agent_0"][0], observations["__all__"][0]
    print(
        f"{moment}: agent_0 sees {jnp.count_nonzero(agent[VELOCITY:length])} numbers other than 0, "
        f"the state of all has {jnp.count_nonzero(of_all[VELOCITY:length])} of them; "
        f"its code is {agent[length:].astype(int).tolist()}"
    )


key = jax.random.key(0)
observations, state = manager.batch_reset(key)
show("episode 1, step 0", observations)
episode = 1
while episode < 3 or state.step[0] < 1:
    key, use = jax.random.split(key)
    observations, state, _, done, _ = manager.batch_step(use, state, actions)
    episode += int(done["__all__"][0])
    if state.step[0] <= 1:
        show(f"episode {episode}, step {state.step[0]}", observations)
PROGRAM
echo "expected: agent_0 sees as much as its part in the state of all holds"
"$folder/venv/bin/python" "$folder/program.py" | grep episode | tee "$folder/out"
diff "$folder/out" - <<'SEEN'
episode 1, step 0: agent_0 sees 12 numbers other than 0, the state of all has 12 of them; its code is [1, 0, 0]
episode 1, step 1: agent_0 sees 12 numbers other than 0, the state of all has 12 of them; its code is [1, 0, 0]
episode 2, step 0: agent_0 sees 0 numbers other than 0, the state of all has 12 of them; its code is [0, 0, 0]
episode 2, step 1: agent_0 sees 12 numbers other than 0, the state of all has 12 of them; its code is [1, 0, 0]
episode 3, step 0: agent_0 sees 0 numbers other than 0, the state of all has 12 of them; its code is [0, 0, 0]
episode 3, step 1: agent_0 sees 12 numbers other than 0, the state of all has 12 of them; its code is [1, 0, 0]
SEEN
