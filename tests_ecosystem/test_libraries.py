"""What is logged from each library of environments, against NumPy.

NumPy gets the rewards and the ends of episodes of the same rollout, of random actions. Where an
environment resets itself in the next step, NumPy skips the row after each end by that rule, and not
by what the library says about this row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._render import picture

NUM_ENVS = 6
pytestmark = pytest.mark.timeout(1200)  # craftax and brax compile for minutes on a slow machine


class Step(NamedTuple):
    """One step of all environments, or a rollout of them as `scan` stacks it.

    Attributes:
      logged: the metrics and the mask, from `from_info` or a tracker.
      reward: `[*batch]`, as the library returns it.
      done: `bool[*batch]`, as the library says that an episode ended.
    """

    logged: tuple[dict[str, jax.Array], jax.Array]
    reward: jax.Array
    done: jax.Array


Rollout = Callable[[jax.Array], Any]


def logged_of(rollout: Rollout) -> tuple[dict[str, Any], Step]:
    """Logs a rollout in the program that makes it; returns the line, and the rollout in NumPy."""
    logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})

    @jax.jit
    def program(key: jax.Array) -> Step:
        steps = rollout(key)
        metrics, finished = steps.logged
        jaxlog.batch_step(logger, 0, metrics, where=finished)
        return steps

    with logger.open() as run:
        steps = jax.block_until_ready(program(jax.random.PRNGKey(0)))
    return dict(run.sink("memory").metrics[0].lanes[0].metrics), jax.tree.map(np.asarray, steps)


def episodes(reward: np.ndarray, done: np.ndarray, *, next_step_reset: bool) -> np.ndarray:
    """The return and length of each episode that ended, `float64[episodes, 2]`."""
    found = []
    for env in np.ndindex(done.shape[1:]):
        total, length, resets = 0.0, 0, False
        for step in range(len(done)):
            if resets:
                assert not done[(step, *env)]
                resets = False
                continue
            total, length = total + float(reward[(step, *env)]), length + 1
            if done[(step, *env)]:
                found.append((total, length))
                total, length, resets = 0.0, 0, next_step_reset
    return np.array(found, np.float64).reshape(-1, 2)


def check(line: dict[str, Any], steps: Step, *, next_step_reset: bool = False) -> np.ndarray:
    found = episodes(steps.reward, steps.done, next_step_reset=next_step_reset)
    assert len(found) >= 2 * NUM_ENVS
    assert line["episode_count"] == len(found)
    for name, values in zip(("episode_return", "episode_length"), found.T, strict=True):
        for statistic in (np.mean, np.min, np.max):
            got = line[f"{name}_{statistic.__name__}"]
            np.testing.assert_allclose(got, statistic(values), rtol=1e-5, atol=1e-5)
    return found


def keys_of(key: jax.Array) -> jax.Array:
    return jax.random.split(key, NUM_ENVS)


def gymnax_rollout() -> Rollout:
    import gymnax
    from gymnax.wrappers import LogWrapper

    environment, params = gymnax.make("CartPole-v1")
    env = LogWrapper(environment)

    def step(state: Any, key: jax.Array) -> tuple[Any, Step]:
        action = jax.vmap(env.action_space(params).sample)(keys_of(key))
        _, state, reward, terminated, truncated, info = jax.vmap(env.step, (0, 0, 0, None))(
            keys_of(key), state, action, params
        )
        return state, Step(jaxlog.from_info(info), reward, terminated | truncated)

    def rollout(key: jax.Array) -> Step:
        _, state = jax.vmap(env.reset, (0, None))(keys_of(key), params)
        return jax.lax.scan(step, state, jax.random.split(key, 100))[1]

    return rollout


def test_gymnax() -> None:
    check(*logged_of(gymnax_rollout()))


def brax_rollout(name: str, limit: int, length: int, action_repeat: int = 1) -> Any:
    from brax import envs

    kwargs = {} if name == "fast" else {"backend": "spring"}
    env = envs.training.wrap(
        envs.get_environment(name, **kwargs), episode_length=limit, action_repeat=action_repeat
    )

    def rollout(key: jax.Array) -> tuple[Step, Any]:
        def step(carry: Any, key: jax.Array) -> Any:
            state, tracker = carry
            action = jax.random.uniform(key, (NUM_ENVS, env.action_size), minval=-1.0)
            state = env.step(state, action)
            tracker, *tracked = tracker.step(state.reward, state.done > 0)
            own = {key: state.metrics[key] for key in state.metrics}
            logged = jaxlog.from_info(state.info)
            return (state, tracker), (Step(logged, state.reward, state.done > 0), tracked, own)

        carry = (env.reset(keys_of(key)), jaxlog.EpisodeTracker.empty(NUM_ENVS))
        return jax.lax.scan(step, carry, jax.random.split(key, length))[1]

    return rollout


def test_brax() -> None:
    rollout = brax_rollout("inverted_pendulum", limit=15, length=45)
    line, steps = logged_of(lambda key: rollout(key)[0])
    check(line, steps)
    assert steps.logged[0]["episode_lengths"].dtype == np.int32


def test_brax_adds_up_its_metrics_and_counts_repeated_steps() -> None:
    rollout = brax_rollout("fast", limit=8, length=12, action_repeat=4)
    line, steps = logged_of(lambda key: rollout(key)[0])
    assert line["episode_length_mean"] == 8
    assert line["episode_count"] == steps.done.sum() == 6 * NUM_ENVS
    _, tracked, _ = jax.jit(rollout)(jax.random.PRNGKey(0))
    metrics, ended = jax.tree.map(np.asarray, tracked)
    assert (metrics["episode_lengths"][ended] == 2).all()  # calls
    np.testing.assert_array_equal(ended, steps.logged[1])
    np.testing.assert_allclose(
        metrics["episode_returns"][ended], steps.logged[0]["episode_returns"][ended], rtol=1e-6
    )


def test_the_metrics_of_brax_are_sums_over_episodes() -> None:
    rollout = brax_rollout("reacher", limit=5, length=15)
    steps, _, own = jax.tree.map(np.asarray, jax.jit(rollout)(jax.random.PRNGKey(0)))
    metrics, finished = steps.logged
    extra = {name for name in metrics if name.startswith("episode/")}
    assert extra == {f"episode/{name}" for name in own} - {"episode/reward"}
    assert len(extra) >= 2
    for name in extra:
        summed = episodes(own[name.removeprefix("episode/")], finished, next_step_reset=False)
        got = metrics[name].T[finished.T]
        np.testing.assert_allclose(got, summed[:, 0], rtol=1e-4, atol=1e-4)


def jaxmarl_rollout(name: str, wrapper: str, length: int, **kwargs: Any) -> Rollout:
    import jaxmarl
    from jaxmarl.wrappers import baselines

    env = getattr(baselines, wrapper)(jaxmarl.make(name, **kwargs))

    def sample(agent: str) -> Any:
        return lambda key: env.action_space(agent).sample(key)

    def step(state: Any, key: jax.Array) -> tuple[Any, Step]:
        actions = {
            agent: jax.vmap(sample(agent))(keys_of(jax.random.fold_in(key, i)))
            for i, agent in enumerate(env.agents)
        }
        _, state, reward, done, info = jax.vmap(env.step)(keys_of(key), state, actions)
        rewards = jnp.stack([reward[agent] for agent in env.agents], axis=-1)
        dones = jnp.repeat(done["__all__"][:, None], len(env.agents), axis=-1)
        return state, Step(jaxlog.from_info(info), rewards, dones)

    def rollout(key: jax.Array) -> Step:
        _, state = jax.vmap(env.reset)(keys_of(key))
        return jax.lax.scan(step, state, jax.random.split(key, length))[1]

    return rollout


def test_jaxmarl() -> None:
    line, steps = logged_of(jaxmarl_rollout("MPE_simple_spread_v3", "LogWrapper", 60))
    found = check(line, steps)
    assert set(found[:, 1]) == {26}  # with max_steps: 25
    assert steps.logged[0]["episode_lengths"].dtype == np.int32


def test_smax_says_which_episodes_were_won() -> None:
    rollout = jaxmarl_rollout("SMAX", "SMAXLogWrapper", 120, num_allies=1, num_enemies=1)
    line, steps = logged_of(rollout)
    check(line, steps)
    won = steps.reward[steps.done] >= 1
    assert 0 < won.sum() < len(won)
    np.testing.assert_allclose(line["success_rate"], won.mean(), rtol=1e-6)


def navix_rollout() -> Rollout:
    import navix

    env = navix.make("Navix-Empty-5x5-v0", max_steps=12)

    def step(carry: Any, key: jax.Array) -> tuple[Any, Step]:
        tracker, timestep = carry
        action = jax.random.randint(key, (NUM_ENVS,), 0, 4)
        timestep = jax.vmap(env.step)(timestep, action)
        tracker, metrics, finished = tracker.step(
            timestep.reward, timestep.is_done(), first=timestep.t == 0
        )
        done = timestep.step_type > 0
        return (tracker, timestep), Step((metrics, finished), timestep.reward, done)

    def rollout(key: jax.Array) -> Step:
        timestep = jax.vmap(env.reset)(keys_of(key))
        carry = (jaxlog.EpisodeTracker.empty(NUM_ENVS), timestep)
        return jax.lax.scan(step, carry, jax.random.split(key, 100))[1]

    return rollout


def test_navix() -> None:
    line, steps = logged_of(navix_rollout())
    found = check(line, steps, next_step_reset=True)
    assert found[:, 1].max() == 12
    # Counting the rows that only reset would be wrong.
    assert len(episodes(steps.reward, steps.done, next_step_reset=False)) == len(found)
    wrong = episodes(steps.reward, steps.done, next_step_reset=False)[:, 1].mean()
    assert abs(wrong - line["episode_length_mean"]) > 0.5


def xminigrid_rollout(wrapper: str) -> Rollout:
    import xminigrid
    from xminigrid import wrappers

    environment, params = xminigrid.make("MiniGrid-Empty-5x5", max_steps=12)
    env = getattr(wrappers, wrapper)(environment)

    def step(carry: Any, key: jax.Array) -> tuple[Any, Step]:
        tracker, timestep = carry
        action = jax.random.randint(key, (NUM_ENVS,), 0, 3)
        timestep = jax.vmap(env.step, (None, 0, 0))(params, timestep, action)
        tracker, metrics, finished = tracker.step(
            timestep.reward, timestep.last(), first=timestep.first()
        )
        logged = metrics, finished
        return (tracker, timestep), Step(logged, timestep.reward, timestep.last())

    def rollout(key: jax.Array) -> Step:
        timestep = jax.vmap(env.reset, (None, 0))(params, keys_of(key))
        carry = (jaxlog.EpisodeTracker.empty(NUM_ENVS), timestep)
        return jax.lax.scan(step, carry, jax.random.split(key, 100))[1]

    return rollout


@pytest.mark.parametrize("wrapper", ["GymAutoResetWrapper", "DmEnvAutoResetWrapper"])
def test_xminigrid(wrapper: str) -> None:
    line, steps = logged_of(xminigrid_rollout(wrapper))
    found = check(line, steps, next_step_reset=wrapper == "DmEnvAutoResetWrapper")
    assert found[:, 1].max() == 12


def jumanji_rollout() -> Rollout:
    import jumanji
    from jumanji.wrappers import AutoResetWrapper

    env = AutoResetWrapper(jumanji.make("Snake-v1", time_limit=12))

    def step(carry: Any, key: jax.Array) -> tuple[Any, Step]:
        tracker, state = carry
        action = jax.random.randint(key, (NUM_ENVS,), 0, 4)
        state, timestep = jax.vmap(env.step)(state, action)
        tracker, metrics, finished = tracker.step(
            timestep.reward, timestep.last(), first=timestep.first()
        )
        return (tracker, state), Step((metrics, finished), timestep.reward, timestep.last())

    def rollout(key: jax.Array) -> Step:
        state, _ = jax.vmap(env.reset)(keys_of(key))
        carry = (jaxlog.EpisodeTracker.empty(NUM_ENVS), state)
        return jax.lax.scan(step, carry, jax.random.split(key, 100))[1]

    return rollout


def test_jumanji() -> None:
    check(*logged_of(jumanji_rollout()))


def pgx_rollout() -> Rollout:
    import pgx
    from pgx.experimental import auto_reset

    env = pgx.make("tic_tac_toe")
    player = 0
    step_env = jax.vmap(auto_reset(env.step, env.init))

    def step(carry: Any, key: jax.Array) -> tuple[Any, Step]:
        tracker, state = carry
        legal = jnp.log(state.legal_action_mask.astype(np.float32))
        state = step_env(state, jax.random.categorical(key, legal), keys_of(key))
        tracker, metrics, finished = tracker.step(
            state.rewards[:, player], state.terminated, state.truncated
        )
        done = state.terminated | state.truncated
        return (tracker, state), Step((metrics, finished), state.rewards[:, player], done)

    def rollout(key: jax.Array) -> Step:
        carry = (jaxlog.EpisodeTracker.empty(NUM_ENVS), jax.vmap(env.init)(keys_of(key)))
        return jax.lax.scan(step, carry, jax.random.split(key, 60))[1]

    return rollout


def test_pgx() -> None:
    found = check(*logged_of(pgx_rollout()))
    assert set(found[:, 0]) == {-1.0, 0.0, 1.0}
    assert found[:, 1].min() >= 5


def craftax_rollout() -> Rollout:
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=True)
    params = env.default_params.replace(max_timesteps=20)

    def step(carry: Any, key: jax.Array) -> tuple[Any, tuple[Step, Any]]:
        tracker, state = carry
        action = jax.random.randint(key, (NUM_ENVS,), 0, env.num_actions)
        _, state, reward, done, info = jax.vmap(env.step, (0, 0, 0, None))(
            keys_of(key), state, action, params
        )
        tracker, metrics, finished = tracker.step(reward, done)
        own = {name: info[name] for name in info if name.startswith("Achievements/")}
        achievements, ended = jaxlog.from_info(info)
        logged = metrics | achievements, ended
        return (tracker, state), (Step(logged, reward, done), (finished, own))

    def rollout(key: jax.Array) -> Any:
        _, state = jax.vmap(env.reset, (0, None))(keys_of(key), params)
        carry = (jaxlog.EpisodeTracker.empty(NUM_ENVS), state)
        return jax.lax.scan(step, carry, jax.random.split(key, 70))[1]

    return rollout


def test_craftax() -> None:
    found: list[Any] = []
    rollout = craftax_rollout()

    def steps_of(key: jax.Array) -> Step:
        steps, own = rollout(key)
        jax.debug.callback(lambda own: found.append(jax.tree.map(np.asarray, own)), own)
        return steps

    line, steps = logged_of(steps_of)
    check(line, steps)
    jax.effects_barrier()
    ((finished, own),) = found
    np.testing.assert_array_equal(finished, steps.logged[1])
    assert len(own) == 22
    assert any(values.any() for values in own.values())
    for name, values in own.items():
        key = f"achievements/{name.removeprefix('Achievements/')}_rate"
        np.testing.assert_allclose(line[key], (values[steps.done] == 100).mean(), rtol=1e-6)


def navix_timestep() -> Any:
    import navix

    env = navix.make("Navix-Empty-5x5-v0")
    return jax.eval_shape(env.reset, jax.random.PRNGKey(0))


def xminigrid_timestep() -> Any:
    import xminigrid

    env, params = xminigrid.make("MiniGrid-Empty-5x5")
    return jax.eval_shape(lambda key: env.reset(params, key), jax.random.PRNGKey(0))


def jumanji_timestep() -> Any:
    import jumanji

    env = jumanji.make("Snake-v1")
    return jax.eval_shape(env.reset, jax.random.PRNGKey(0))[1]


def pgx_state() -> Any:
    import pgx

    env = pgx.make("tic_tac_toe")
    return jax.eval_shape(env.init, jax.random.PRNGKey(0))


def brax_state() -> Any:
    from brax import envs

    env = envs.training.wrap(envs.get_environment("fast"))
    return jax.eval_shape(lambda key: env.reset(keys_of(key)), jax.random.PRNGKey(0))


def brax_info() -> Any:
    from brax import envs
    from brax.envs.wrappers import training

    env = training.AutoResetWrapper(training.VmapWrapper(envs.get_environment("fast")))
    return jax.eval_shape(lambda key: env.reset(keys_of(key)), jax.random.PRNGKey(0)).info


def gymnax_info() -> Any:
    import gymnax

    env, params = gymnax.make("CartPole-v1")

    def info(key: jax.Array) -> Any:
        return env.step(key, env.reset(key, params)[1], 0, params)[5]

    return jax.eval_shape(info, jax.random.PRNGKey(0))


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (navix_timestep, "step(timestep.reward, timestep.is_done(), first=timestep.t == 0)"),
        (lambda: navix_timestep().info, "navix's timestep.info does not say where episodes end"),
        (xminigrid_timestep, "step(timestep.reward, timestep.last(), first=timestep.first())"),
        (jumanji_timestep, "step(timestep.reward, timestep.last(), first=timestep.first())"),
        (pgx_state, "step(state.rewards[:, player], state.terminated, state.truncated)"),
        (brax_state, "; pass state.info"),
        (brax_info, "wrap the environment with brax.envs.wrappers.training.EpisodeWrapper"),
        (lambda: brax_state().info["episode_metrics"], "; pass the whole state.info"),
        (gymnax_info, "wrap the environment with gymnax.wrappers.LogWrapper"),
    ],
)
def test_what_is_not_the_info_of_a_log_wrapper_is_answered(
    wrong: Callable[[], Any], advice: str
) -> None:
    with pytest.raises((KeyError, TypeError)) as error:
        jaxlog.from_info(wrong())
    assert advice in error.value.args[0]


def test_a_picture_of_navix_leaves_out_its_key_and_its_sprites() -> None:
    import navix

    logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
    timestep = navix.make("Navix-Empty-5x5-v0").reset(jax.random.PRNGKey(0))
    with logger.open() as run:
        logger.log_step({"state": timestep.state})
    drawn = picture(run.sink("memory").steps[0])
    assert "left out: key, cache" in drawn
    assert "patches" not in drawn
