# %% [markdown]
# # Sampled episodes: find the failures
#
# Means say how often an agent fails, and not how. jaxlog picks a few episodes of a batch in the
# compiled program and logs them whole, with the states they began and ended in.

# %%
import tempfile

import jax
import jax.numpy as jnp
import polars as pl

import jaxlog

SIZE, NUM_ENVS, LENGTH, UPDATES = 8, 64, 30, 200
EMPTY, WALL, LAVA, GOAL, AGENT = 0, 5, 2, 3, 4

logger = jaxlog.Logger(
    {
        "log_frequency": 10,
        "sample_frequency": 20,
        "num_samples": 6,
        "sinks": [{"kind": "jsonl"}, {"kind": "svg", "size": 160}],
    },
    total_updates=UPDATES,
)

# %% [markdown]
# A grid world: walls, a pool of lava and a goal. The floor is slippery, so that one move in ten
# goes astray. Two seeds learn the values of moves in a table, by Q-learning, with 64 agents each.

# %%
world = jnp.full((SIZE, SIZE), EMPTY).at[0].set(WALL).at[-1].set(WALL)
world = world.at[:, 0].set(WALL).at[:, -1].set(WALL).at[4, 1:4].set(WALL)
world = world.at[3, 5:7].set(LAVA).at[4, 5:7].set(LAVA).at[1, 6].set(GOAL)
MOVES = jnp.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def drawn(place: jax.Array) -> jax.Array:
    """The world with an agent in it."""
    return world.at[place[0], place[1]].set(AGENT)


def train(seed: jax.Array) -> jax.Array:
    """Trains one seed."""

    def update(values, step):
        key = jax.random.fold_in(jax.random.key(seed), step)
        start_key, play_key = jax.random.split(key)
        column = jax.random.randint(start_key, (NUM_ENVS,), 1, 4)
        start = jnp.stack([jnp.full(NUM_ENVS, SIZE - 2), column], axis=-1)

        def play(carry, key):
            values, place, playing = carry
            explore_key, random_key, slip_key = jax.random.split(key, 3)
            random = jax.random.randint(random_key, (NUM_ENVS,), 0, 4)
            best = values[place[:, 0], place[:, 1]].argmax(axis=-1)
            chosen = jnp.where(jax.random.uniform(explore_key, (NUM_ENVS,)) < 0.05, random, best)
            taken = jnp.where(jax.random.uniform(slip_key, (NUM_ENVS,)) < 0.1, random, chosen)
            after = place + MOVES[taken]
            blocked = world[after[:, 0], after[:, 1]] == WALL
            after = jnp.where((blocked | ~playing)[:, None], place, after)
            ground = world[after[:, 0], after[:, 1]]
            ends = (ground == LAVA) | (ground == GOAL)
            reward = jnp.where(ground == GOAL, 1.0, jnp.where(ground == LAVA, -1.0, -0.01))
            reward = jnp.where(playing, reward, 0.0)

            future = jnp.where(ends, 0.0, 0.97 * values[after[:, 0], after[:, 1]].max(axis=-1))
            where = (place[:, 0], place[:, 1], chosen)
            error = jnp.where(playing, reward + future - values[where], 0.0)
            visits = jnp.zeros_like(values).at[where].add(playing.astype(jnp.float32))
            total = jnp.zeros_like(values).at[where].add(error)
            values = values + 0.1 * total / jnp.maximum(visits, 1.0)
            return (values, after, playing & ~ends), (reward, playing)

        carry = (values, start, jnp.ones(NUM_ENVS, bool))
        keys = jax.random.split(play_key, LENGTH)
        (values, end, _), (reward, playing) = jax.lax.scan(play, carry, keys)
        ground = world[end[:, 0], end[:, 1]]
        jaxlog.batch_step(
            logger,
            step,
            {
                "episode_returns": reward.sum(axis=0),
                "episode_lengths": playing.sum(axis=0),
                "success_mask": ground == GOAL,
                "in_lava": ground == LAVA,
            },
            details={
                "initial_state": jax.vmap(drawn)(start),
                "final_state": jax.vmap(drawn)(end),
            },
            labels={"seed": seed},
        )
        return values, None

    return jax.lax.scan(update, jnp.zeros((SIZE, SIZE, 4)), jnp.arange(UPDATES))[0]


directory = tempfile.mkdtemp()  # in a project of yours: "runs/grid"
with logger.open(directory):
    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))

run = jaxlog.read_run(directory)
axes = run.plot(["success_rate", "in_lava_rate", "episode_length_mean"], spread="range")

# %% [markdown]
# The sampled episodes are a frame like any other. How did those end that failed?

# %%
failures = run.episodes.filter(~pl.col("success"))
failures.group_by("step").agg(
    slipped_into_lava=pl.col("in_lava").sum(), out_of_time=(~pl.col("in_lava")).sum()
).sort("step")

# %% [markdown]
# In the first update most of them ran out of time. From then on, they slipped into the lava.
#
# Pictures of any rows of the frame: here the failures, the longest first, as the SVG sink drew
# them. The page has filters, an order and a slider over steps of its own, too; a click enlarges an
# episode, and the arrow keys lead on from there.

# %%
assert failures.filter(pl.col("step") > 0)["in_lava"].all()
run.view_episodes(failures.sort("total_steps", descending=True))

# %% [markdown]
# `run.view_episodes(failures).save("failures.html")` makes a file of it, to send to somebody.
