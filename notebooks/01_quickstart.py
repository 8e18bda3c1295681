# %% [markdown]
# # A first run, read back
#
# Sixteen seeds of a toy learner train in one compiled program. Each update plays 64 episodes;
# jaxlog computes their aggregates in the program, and picks a few of them whole.

# %%
import jax
import jax.numpy as jnp

import jaxlog

logger = jaxlog.Logger(
    {
        "batched_logging_enabled": True,
        "log_frequency": 20,
        "sample_frequency": 100,
        "num_samples": 2,
        "sinks": [{"kind": "memory"}],  # keeps what is logged; no directory is needed
    },
    total_steps=200,
)


def train(seed: jax.Array) -> jax.Array:
    """A learner that gets better by itself."""

    def update(skill: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(seed), step), (64,))
        returns = skill + noise
        jaxlog.batch_step(
            logger,
            step,
            {"episode_returns": returns, "success_mask": returns > 5.0},
            where=noise > -1.0,
            details={"noise": noise},
            labels={"seed": seed},
        )
        return skill + 0.05, None

    return jax.lax.scan(update, jnp.float32(0), jnp.arange(200))[0]


with logger.open() as run:
    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(16)))

# %% [markdown]
# An event for each step that was due, with a lane for each seed. All sixteen crossed to the host in
# one call, so 11 updates made 11 calls: every twentieth, and the last.

# %%
memory = run.sink("memory")
lanes = memory.metrics[0].lanes
print(f"{run.arrived} records, {len(memory.metrics)} events of {len(lanes)} lanes")

for event in memory.metrics:
    means = [float(lane.metrics["episode_return_mean"]) for lane in event.lanes]
    rates = [float(lane.metrics["success_rate"]) for lane in event.lanes]
    bar = "█" * round(sum(means) / len(means) * 4)
    success = sum(rates) / len(rates)
    print(f"step {event.step:3}  mean return {sum(means) / 16:5.2f}  success {success:4.0%}  {bar}")

# %% [markdown]
# The sampled episodes: the same ones whenever this runs, since they are chosen by the step alone.

# %%
for episode in memory.episodes[:6]:
    print(
        f"step {episode.step:3}  seed {int(episode.labels['seed'])}  "
        f"environment {episode.episode['environment_id']:2}  "
        f"return {episode.episode['total_reward']:5.2f}  success {episode.episode['success']}"
    )
