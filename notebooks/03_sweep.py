# %% [markdown]
# # A sweep: which learning rate, and how sure is that?
#
# Sixteen seeds of each of four learning rates train in one compiled program: `vmap` over both.
# Labels name the lanes, and the lanes that differ in nothing but their seed are compared as one.

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
# The task is cliff walking (Sutton and Barto, Reinforcement Learning, example 6.6): from the lower
# left of a grid to the lower right, along a cliff. Rewards have noise, so that a large learning
# rate never settles. Each update is one episode of Q-learning.

# %%
ROWS, COLUMNS, LENGTH = 4, 8, 60
MOVES = jnp.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def train(seed: jax.Array, rate: jax.Array) -> jax.Array:
    """Trains one seed with one learning rate."""

    def update(values, step):
        def play(carry, key):
            values, place, playing = carry
            explore_key, random_key, noise_key = jax.random.split(key, 3)
            random = jax.random.randint(random_key, (), 0, 4)
            best = values[place[0], place[1]].argmax()
            action = jnp.where(jax.random.uniform(explore_key) < 0.1, random, best)
            after = jnp.clip(place + MOVES[action], 0, jnp.array([ROWS - 1, COLUMNS - 1]))
            low = after[0] == ROWS - 1
            goal = low & (after[1] == COLUMNS - 1)
            cliff = low & (after[1] > 0) & ~goal
            reward = jnp.where(playing, jnp.where(cliff, -100.0, -1.0), 0.0)
            told = reward + 2.0 * jax.random.normal(noise_key)  # what it learns from
            ends = goal | cliff
            future = jnp.where(ends, 0.0, values[after[0], after[1]].max())
            where = (place[0], place[1], action)
            error = jnp.where(playing, told + future - values[where], 0.0)
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
directory = tempfile.mkdtemp()  # in a project of yours: "runs/sweep"
with logger.open(directory):
    jax.block_until_ready(jax.jit(jax.vmap(train))(seeds.ravel(), rates.ravel()))

# %% [markdown]
# A line for each learning rate: the interquartile mean of its seeds, and where it would lie with
# other seeds, 95 times of 100.

# %%
run = jaxlog.read_run(directory)
ax = run.plot("episode_return", spread="ci")

# %% [markdown]
# The last hundred updates as a table. `lower` and `upper` come from a stratified bootstrap over the
# seeds, as Agarwal et al. (NeurIPS 2021) propose.

# %%
found = jaxlog.compare(run, "episode_return", at=(UPDATES - 100, UPDATES))
found

# %% [markdown]
# The smallest rate is too small: its interval lies below all others. Intervals that lie apart tell
# rates apart; of those that overlap, sixteen seeds do not say which is better.

# %%
assert found.frame["upper"][0] < found.frame["lower"][1:].min()
ax = found.plot()
