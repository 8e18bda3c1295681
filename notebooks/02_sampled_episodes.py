# %% [markdown]
# # Sampled episodes: find the failures
#
# After this notebook you can find the episodes in which an agent fails, and look at them. Means say
# how often an agent fails, but not how. In the compiled program, jaxlog samples a few episodes of a
# batch, and logs their first and last states. It also records a few of them whole, step by step.

# %%
import html
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import polars as pl
from IPython.display import HTML

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
# The environment is a grid world with walls, a pool of lava and a goal. The floor is slippery: one
# move in ten is random. Two seeds learn a table of action values by Q-learning, with 64 agents
# each.

# %%
world = jnp.full((SIZE, SIZE), EMPTY).at[0].set(WALL).at[-1].set(WALL)
world = world.at[:, 0].set(WALL).at[:, -1].set(WALL).at[4, 1:4].set(WALL)
world = world.at[3, 5:7].set(LAVA).at[4, 5:7].set(LAVA).at[1, 6].set(GOAL)
MOVES = jnp.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def drawn(position: jax.Array) -> jax.Array:
    """Return the world with an agent in it."""
    return world.at[position[0], position[1]].set(AGENT)


def train(seed: jax.Array) -> jax.Array:
    """Train one seed."""

    def update(carry, step):
        values, recorder = carry
        key = jax.random.fold_in(jax.random.key(seed), step)
        start_key, play_key = jax.random.split(key)
        column = jax.random.randint(start_key, (NUM_ENVS,), 1, 4)
        start = jnp.stack([jnp.full(NUM_ENVS, SIZE - 2), column], axis=-1)

        def play(carry, inputs):
            values, position, playing, recorder = carry
            number, key = inputs
            explore_key, random_key, slip_key = jax.random.split(key, 3)
            random = jax.random.randint(random_key, (NUM_ENVS,), 0, 4)
            best = values[position[:, 0], position[:, 1]].argmax(axis=-1)
            chosen = jnp.where(jax.random.uniform(explore_key, (NUM_ENVS,)) < 0.05, random, best)
            taken = jnp.where(jax.random.uniform(slip_key, (NUM_ENVS,)) < 0.1, random, chosen)
            after = position + MOVES[taken]
            blocked = world[after[:, 0], after[:, 1]] == WALL
            after = jnp.where((blocked | ~playing)[:, None], position, after)
            ground = world[after[:, 0], after[:, 1]]
            ends = (ground == LAVA) | (ground == GOAL)
            reward = jnp.where(ground == GOAL, 1.0, jnp.where(ground == LAVA, -1.0, -0.01))
            reward = jnp.where(playing, reward, 0.0)

            future = jnp.where(ends, 0.0, 0.97 * values[after[:, 0], after[:, 1]].max(axis=-1))
            where = (position[:, 0], position[:, 1], chosen)
            error = jnp.where(playing, reward + future - values[where], 0.0)
            visits = jnp.zeros_like(values).at[where].add(playing.astype(jnp.float32))
            total = jnp.zeros_like(values).at[where].add(error)
            values = values + 0.1 * total / jnp.maximum(visits, 1.0)

            recorder = jaxlog.record_step(
                recorder,
                {"world": jax.vmap(drawn)(position), "chosen": chosen, "taken": taken},
                reward,
                terminated=ends & playing,
                truncated=~ends & playing & (number == LENGTH - 1),
                first=~playing,  # a row after the end belongs to no episode
            )
            return (values, after, playing & ~ends, recorder), (reward, playing)

        carry = (values, start, jnp.ones(NUM_ENVS, bool), recorder)
        inputs = jnp.arange(LENGTH), jax.random.split(play_key, LENGTH)
        (values, end, _, recorder), (reward, playing) = jax.lax.scan(play, carry, inputs)
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
        labels = {"seed": seed}
        _, recorder = jaxlog.log_episodes(logger, recorder, step, labels=labels)
        return (values, recorder), None

    action = jnp.zeros(NUM_ENVS, int)
    worlds = jnp.broadcast_to(world, (NUM_ENVS, SIZE, SIZE))
    recorder = jaxlog.empty_recorder(
        logger,
        {"world": worlds, "chosen": action, "taken": action},
        num_episodes=2,
        max_steps=LENGTH,
        seed=seed,  # each seed has its own episodes
    )
    carry = (jnp.zeros((SIZE, SIZE, 4)), recorder)
    return jax.lax.scan(update, carry, jnp.arange(UPDATES))[0][0]


directory = Path(tempfile.mkdtemp()) / "grid"  # in your own project: "runs/grid"
with logger.open(directory):
    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))

run = jaxlog.read_run(directory)
axes = run.plot(["success_rate", "in_lava_rate", "episode_length_mean"], spread="range")

# %% [markdown]
# The sampled episodes are a data frame. How did the failed episodes end?

# %%
failures = run.episodes.filter(~pl.col("success"))
failures.group_by("step").agg(
    slipped_into_lava=pl.col("in_lava").sum(), out_of_time=(~pl.col("in_lava")).sum()
).sort("step")

# %% [markdown]
# In the first update most of them ran out of time. Later, they slipped into the lava.
#
# `view_episodes` shows the pictures of any rows of the frame. Here these are the failures, longest
# first, as the SVG sink drew them. The page has filters, sorting and a slider over steps. A click
# enlarges an episode, and the arrow keys show the previous and next one.

# %%
assert failures.filter(pl.col("step") > 0)["in_lava"].all()
run.view_episodes(failures.sort("total_steps", descending=True))

# %% [markdown]
# `run.view_episodes(failures).save("failures.html")` saves the page as a file that you can share.

# %% [markdown]
# ## Whole episodes
#
# The first and the last state do not show how an agent came to the lava. The recorded episodes have
# every step. Two of each seed were chosen when they began, so that failures are as frequent among
# them as among all. Here is the last step of those that ended in the lava, after the first update:
# the move that the agent chose, and the one that the floor made of it. Where they differ, it
# slipped; where they are the same, it was exploring.

# %%
names = ("up", "down", "left", "right")
in_lava = [
    one
    for one in run.recordings
    if one.step > 0 and one.episode["end"] == "terminated" and one.rewards[-1] < 0
]
pl.DataFrame(
    [
        {
            "step": one.step,
            "seed": one.labels["seed"],
            "steps": len(one),
            "chosen": names[one.tree["chosen"][-1]],
            "taken": names[one.tree["taken"][-1]],
        }
        for one in in_lava
    ]
)

# %% [markdown]
# The report plays them, under *Films*: the space bar plays, the arrow keys step, and the rewards
# and the moves are along the time line. `jaxlog.live(directory)` shows the same page while a
# program runs, and `jaxlog export` writes films.

# %%
report = directory / "report.html"
command = [sys.executable, "-m", "jaxlog", "report", str(directory), "-o", str(report)]
subprocess.run(command, check=True, capture_output=True)
page = html.escape(report.read_text())
HTML(f'<iframe srcdoc="{page}" style="width: 100%; height: 900px; border: 1px solid #8886">')
