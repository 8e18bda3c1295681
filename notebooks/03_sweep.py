# %% [markdown]
# # A sweep: which learning rate, and how sure is that?
#
# After this notebook you can compare hyper-parameters with intervals. Four learning rates with
# sixteen seeds each train in one compiled program, under `vmap`. Labels name the lanes. Lanes that
# differ in nothing but their seed are compared as one group.

# %%
import tempfile

import jax
import jax.numpy as jnp

import jaxlog

UPDATES, SEEDS = 300, 16
RATES = (0.02, 0.1, 0.5, 1.0)

logger = jaxlog.Logger(
    {"log_frequency": 10, "sinks": [{"kind": "jsonl"}]},
    total_updates=UPDATES,
)

# %% [markdown]
# The task is cliff walking (Sutton and Barto, Reinforcement Learning, example 6.6): walk from the
# lower left of a grid to the lower right, along a cliff. The rewards are noisy, so a large learning
# rate does not converge. Each update is one episode of Q-learning.

# %%
ROWS, COLUMNS, LENGTH = 4, 8, 60
MOVES = jnp.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def train(seed: jax.Array, rate: jax.Array) -> jax.Array:
    """Train one seed with one learning rate."""

    def update(values, step):
        def play(carry, key):
            values, position, playing = carry
            explore_key, random_key, noise_key = jax.random.split(key, 3)
            random = jax.random.randint(random_key, (), 0, 4)
            best = values[position[0], position[1]].argmax()
            action = jnp.where(jax.random.uniform(explore_key) < 0.1, random, best)
            after = jnp.clip(position + MOVES[action], 0, jnp.array([ROWS - 1, COLUMNS - 1]))
            low = after[0] == ROWS - 1
            goal = low & (after[1] == COLUMNS - 1)
            cliff = low & (after[1] > 0) & ~goal
            reward = jnp.where(playing, jnp.where(cliff, -100.0, -1.0), 0.0)
            noisy = reward + 2.0 * jax.random.normal(noise_key)  # the learner sees this
            ends = goal | cliff
            future = jnp.where(ends, 0.0, values[after[0], after[1]].max())
            where = (position[0], position[1], action)
            error = jnp.where(playing, noisy + future - values[where], 0.0)
            values = values.at[where].add(rate * error)
            return (values, after, playing & ~ends), (reward, playing & goal)

        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), step), LENGTH)
        carry = (values, jnp.array([ROWS - 1, 0]), jnp.bool_(True))
        (values, _, _), (reward, arrived) = jax.lax.scan(play, carry, keys)
        jaxlog.log(
            logger,
            step,
            {"episode_return": reward.sum(), "arrived": arrived.any()},
            name="train",
            labels={"seed": seed, "learning_rate": rate},
        )
        return values, None

    return jax.lax.scan(update, jnp.zeros((ROWS, COLUMNS, 4)), jnp.arange(UPDATES))[0]


seeds, rates = jnp.meshgrid(jnp.arange(SEEDS), jnp.array(RATES))
directory = tempfile.mkdtemp()  # in your own project: "runs/sweep"
with logger.open(directory):
    jax.block_until_ready(jax.jit(jax.vmap(train))(seeds.ravel(), rates.ravel()))

# %% [markdown]
# The plot has one line for each learning rate: the interquartile mean of its seeds, with a 95 %
# confidence interval.

# %%
run = jaxlog.read_run(directory)
ax = run.plot("episode_return", spread="ci")

# %% [markdown]
# The table compares the last hundred updates. `lower` and `upper` come from a stratified bootstrap
# over the seeds, as Agarwal et al. (NeurIPS 2021) propose.

# %%
found = jaxlog.compare(run, "episode_return", at=(UPDATES - 100, UPDATES))
found

# %% [markdown]
# The smallest rate is too small: its interval is below all others. Where intervals do not overlap,
# one rate is better than the other. Where they overlap, sixteen seeds cannot decide.

# %%
assert found.frame["upper"][0] < found.frame["lower"][1:].min()
ax = found.plot()
