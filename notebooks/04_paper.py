# %% [markdown]
# # The figures and the table of a paper
#
# After this notebook you can go from training to the files that a paper includes. Two algorithms,
# Q-learning and SARSA, learn two tasks with ten seeds each. Each algorithm and task is one run, and
# its seeds are the lanes of a `vmap`.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxlog

SEEDS, UPDATES = 10, 400
directory = Path(tempfile.mkdtemp())  # in your own project: "runs"

# %% [markdown]
# The tasks are walks over a grid, from the lower left to the lower right. On `cliff` (Sutton and
# Barto, Reinforcement Learning, example 6.6) the lower row between them costs 100 and sends the
# agent back; on `wind` a wind pushes the agent up in the middle columns (example 6.5).

# %%
ROWS, COLUMNS, LENGTH = 4, 8, 80
MOVES = jnp.array([[-1, 0], [1, 0], [0, -1], [0, 1]])
START = jnp.array([ROWS - 1, 0])


def take(task: str, position: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the next position, and the reward."""
    blown = (position[1] >= 3) & (position[1] <= 5) & (task == "wind")
    after = jnp.clip(
        position + MOVES[action] - jnp.array([1, 0]) * blown, 0, jnp.array([ROWS - 1, COLUMNS - 1])
    )
    fell = (after[0] == ROWS - 1) & (after[1] > 0) & (after[1] < COLUMNS - 1) & (task == "cliff")
    return jnp.where(fell, START, after), jnp.where(fell, -100.0, -1.0)


def train(logger: jaxlog.Logger, task: str, algorithm: str, seed: jax.Array) -> jax.Array:
    """Train one seed; each update is one episode."""

    def choose(values: jax.Array, position: jax.Array, key: jax.Array) -> jax.Array:
        explore, random = jax.random.split(key)
        best = values[position[0], position[1]].argmax()
        other = jax.random.randint(random, (), 0, 4)
        return jnp.where(jax.random.uniform(explore) < 0.1, other, best)

    def update(values: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        def play(carry, key):
            values, position, action, playing = carry
            after, reward = take(task, position, action)
            arrived = (after == jnp.array([ROWS - 1, COLUMNS - 1])).all()
            following = choose(values, after, key)
            here, there = values[position[0], position[1], action], values[after[0], after[1]]
            future = there.max() if algorithm == "q_learning" else there[following]
            error = reward + jnp.where(arrived, 0.0, future) - here
            change = jnp.where(playing, 0.5 * error, 0.0)
            values = values.at[position[0], position[1], action].add(change)
            carry = values, after, following, playing & ~arrived
            return carry, jnp.where(playing, reward, 0.0)

        first, *keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), step), LENGTH + 1)
        begin = values, START, choose(values, START, first), jnp.bool_(True)
        (values, *_), rewards = jax.lax.scan(play, begin, jnp.stack(keys))
        metrics = {"episode_return": rewards.sum()}
        jaxlog.log(logger, step, metrics, name="train", labels={"seed": seed})
        return values, None

    return jax.lax.scan(update, jnp.zeros((ROWS, COLUMNS, 4)), jnp.arange(UPDATES))[0]


def run(task: str, algorithm: str) -> None:
    """Train all seeds of one algorithm on one task, as one run."""
    logger = jaxlog.Logger(
        {"log_frequency": 5, "sinks": [{"kind": "jsonl"}]}, total_updates=UPDATES
    )
    program = jax.jit(jax.vmap(lambda seed: train(logger, task, algorithm, seed)))
    config = {"task": task, "algorithm": algorithm}
    with logger.open(directory / f"{task}-{algorithm}", config=config):
        jax.block_until_ready(program(jnp.arange(SEEDS)))


for task in ("cliff", "wind"):
    for algorithm in ("q_learning", "sarsa"):
        run(task, algorithm)

runs = jaxlog.read_runs(directory)
runs

# %% [markdown]
# ## A figure
#
# `panels` makes a plot for each task, as wide together as the text of a page (5.5 inches). `rename`
# gives groups and axes their names in the paper, and the groups their order. The band is a 95 %
# confidence interval of the interquartile mean over the seeds; each point is the mean of five
# logged updates. The caption says so.

# %%
NAMES = {
    "sarsa": "SARSA",
    "q_learning": "Q-learning",
    "episode_return": "return",
    "update": "episodes",
}
axes = runs.plot(
    "episode_return",
    by="algorithm",
    panels="task",
    width=5.5,
    spread="ci",
    smooth=5,
    rename=NAMES,
    save=directory / "returns.pdf",
)

# %% [markdown]
# ## A table
#
# The scores are the mean returns of the last hundred episodes of each seed. Returns of two tasks
# need one scale before they are averaged: 0 is the return of a walk that never arrives, 1 that of
# the shortest one. `baseline` adds the differences with their intervals.

# %%
found = jaxlog.compare(
    runs,
    "episode_return",
    at=(UPDATES - 100, UPDATES),
    by="algorithm",
    task="task",
    normalize={"cliff": (-LENGTH, -9), "wind": (-LENGTH, -7)},
    baseline="q_learning",
)
table = found.to_latex(rename=NAMES)
(directory / "returns.tex").write_text(table)
print("\n".join(found.sentences), table, sep="\n\n")

# %% [markdown]
# The table says what the sentence says. Where the interval of the difference contains 0, ten seeds
# do not tell which algorithm is better, and the paper should not either.

# %%
ax = found.plot()

# %% [markdown]
# A mean hides how the seeds are spread. The performance profile is the fraction of seeds above each
# score (Agarwal et al., NeurIPS 2021).

# %%
profile = found.profile()
profile

# %% [markdown]
# The files can be made again at any time: figures and tables of the same runs are equal, byte for
# byte.

# %%
sorted(path.name for path in directory.iterdir() if path.is_file())
