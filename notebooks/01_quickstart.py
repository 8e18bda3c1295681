# %% [markdown]
# # A first run: train, read, plot
#
# After this notebook you can train with logging, read the run back, and plot it. Four seeds of a
# policy-gradient learner balance CartPole in one compiled program. The program computes statistics
# of each update's episodes, and sends those of all seeds to the host in one call.

# %%
import tempfile

import gymnax
import jax
import jax.numpy as jnp
import optax
from gymnax.wrappers import LogWrapper

import jaxlog

NUM_ENVS, ROLLOUT, UPDATES = 32, 64, 200

logger = jaxlog.Logger(
    {
        "log_frequency": 5,
        "env_steps_per_update": NUM_ENVS * ROLLOUT,
        "sinks": [{"kind": "jsonl"}],
    },
    total_updates=UPDATES,
)

# %% [markdown]
# The learner is REINFORCE: an action of a small network becomes more likely if the rewards after it
# were better than the average. Only the lines with `jaxlog` are about logging.

# %%
base, params = gymnax.make("CartPole-v1")
env = LogWrapper(base)
optimizer = optax.adam(1e-2)


def logits_of(weights: dict[str, jax.Array], obs: jax.Array) -> jax.Array:
    """The network: one hidden layer."""
    return jnp.tanh(obs @ weights["in"]) @ weights["out"]


def train(seed: jax.Array) -> jax.Array:
    """Train one seed."""

    def update(carry, step):
        weights, optimizer_state, obs, state, key = carry
        key, act_key = jax.random.split(key)

        def act(carry, key):
            obs, state = carry
            action_key, step_key = jax.random.split(key)
            action = jax.random.categorical(action_key, logits_of(weights, obs))
            keys = jax.random.split(step_key, NUM_ENVS)
            after, state, reward, terminated, truncated, info = jax.vmap(
                env.step, in_axes=(0, 0, 0, None)
            )(keys, state, action, params)
            return (after, state), (obs, action, reward, terminated | truncated, info)

        keys = jax.random.split(act_key, ROLLOUT)
        (obs, state), (seen, action, reward, done, info) = jax.lax.scan(act, (obs, state), keys)

        def add(later, now):
            total = now[0] + 0.97 * jnp.where(now[1], 0.0, later)
            return total, total

        _, to_go = jax.lax.scan(add, jnp.zeros(NUM_ENVS), (reward, done), reverse=True)
        advantage = (to_go - to_go.mean()) / to_go.std()

        def loss_of(weights):
            log_probs = jax.nn.log_softmax(logits_of(weights, seen))
            chosen = jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]
            entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=-1).mean()
            return -(chosen * advantage).mean(), entropy

        (loss, entropy), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        changes, optimizer_state = optimizer.update(gradients, optimizer_state)
        weights = optax.apply_updates(weights, changes)

        metrics, finished = jaxlog.from_info(info)  # returns and lengths from LogWrapper
        metrics |= {"policy_loss": loss, "entropy": entropy}
        jaxlog.batch_step(logger, step, metrics, where=finished, labels={"seed": seed})
        return (weights, optimizer_state, obs, state, key), None

    in_key, out_key, reset_key, key = jax.random.split(jax.random.key(seed), 4)
    weights = {
        "in": 0.5 * jax.random.normal(in_key, (4, 32)),
        "out": 0.01 * jax.random.normal(out_key, (32, 2)),
    }
    keys = jax.random.split(reset_key, NUM_ENVS)
    obs, state = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    start = (weights, optimizer.init(weights), obs, state, key)
    return jax.lax.scan(update, start, jnp.arange(UPDATES))[0][0]


directory = tempfile.mkdtemp()  # in your own project: "runs/first"
with logger.open(directory, config={"learning_rate": 1e-2}):
    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(4)))

# %% [markdown]
# `read_run` returns data frames of polars, with a row for each logged update and seed.

# %%
run = jaxlog.read_run(directory)
run.metrics.select("step", "env_step", "seed", "episode_count", "episode_return_mean").tail(4)

# %% [markdown]
# The agents learn. The curve is the mean over the seeds, the band one standard deviation.

# %%
ax = run.plot("episode_return_mean", x="env_step")

# %% [markdown]
# Several metrics are plotted side by side, here with one line for each seed.

# %%
axes = run.plot(["episode_length_mean", "policy_loss", "entropy"], by="seed", spread=None)
