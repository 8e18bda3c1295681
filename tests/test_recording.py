"""Whole episodes that a recorder follows: equal to those that `scan` returns, and chosen fairly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxlog
from jaxlog._program.sampling import hashed
from tests.conftest import MakeLogger
from tests.recorded import (
    LENGTH,
    NUM_ENVS,
    UPDATES,
    begin,
    check,
    cut,
    episodes_of,
    example,
    of,
    play,
    program,
    record,
    same,
)

STEPS = np.arange(UPDATES)


def test_recorded_episodes_are_those_that_scan_returns(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    with logger.open() as run:
        _, (steps, _) = jax.jit(program(logger))((begin(), recorder), STEPS)
    episodes, whole = episodes_of(run), cut(steps)
    assert len({of(event) for event in episodes}) == len(episodes) > 6
    assert {event.step for event in episodes} <= {0, 3, 6, 9}
    for event in episodes:
        check(event, whole[of(event)])
        assert event.recording.steps.tolist() == list(range(event.episode["total_steps"]))
    spans = [whole[of(event)] for event in episodes]
    assert any(one["begin"] // LENGTH < one["end"] // LENGTH for one in spans)  # over rollouts
    assert {one["end"] // LENGTH // 3 - one["begin"] // LENGTH // 3 for one in spans} >= {0, 1}


def chosen(whole: Any, num_slots: int, windows: Sequence[tuple[int, int]]) -> dict[Any, Any]:
    """The rule in Python: of those that begin in a window, the highest hashes get the open slots.

    Returns the window after which each chosen episode is logged, and its chance.
    """
    seed = hashed(np.uint32(0), np.uint32(0))
    found: dict[Any, Any] = {}
    committed: dict[Any, float] = {}
    for number, (start, stop) in enumerate(windows):
        open_slots = num_slots - len(committed)
        begun = [key for key, one in whole.items() if start <= one["begin"] < stop]
        scores = {
            key: int(hashed(seed, np.uint32(key[0]), np.uint32(key[1])) >> np.uint32(2))
            for key in begun
        }
        best = sorted(begun, key=scores.__getitem__, reverse=True)[:open_slots]
        committed |= dict.fromkeys(best, min(1.0, open_slots / max(len(begun), 1)))
        for key in list(committed):
            if whole[key]["end"] < stop:
                found[key] = number, committed.pop(key)
    return found


def test_the_choice_is_the_one_that_the_rule_makes(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    longer = np.arange(40)
    with logger.open() as run:
        _, (steps, _) = jax.jit(program(logger))((begin(), recorder), longer)
    # Episodes that are still running at the end began, too.
    steps = jax.tree.map(lambda a: a, steps)
    over = np.asarray(steps["terminated"] | steps["truncated"]).reshape(-1, NUM_ENVS)
    whole: Any = cut(steps)
    for env in range(NUM_ENVS):
        ends = np.flatnonzero(over[:, env])
        start = ends[-1] + 1 if len(ends) else 0
        if start < len(over):
            whole[env, len(ends)] = {"begin": start, "end": np.inf}
    due = [LENGTH * (step + 1) for step in longer.tolist() if step % 3 == 0]
    windows = list(zip([0, *due], due, strict=False))
    expected = chosen(whole, 3, windows)
    episodes = episodes_of(run)
    assert {of(event): event.step // 3 for event in episodes} == {
        key: number for key, (number, _) in expected.items()
    }
    for event in episodes:
        assert event.episode["chance"] == np.float32(expected[of(event)][1])


def test_long_and_short_episodes_have_the_same_chance(make_logger: MakeLogger) -> None:
    """Half of the environments have episodes of 3 steps, half of 60, and all begin together.

    What ends at a given time, or the next episode of an environment that is picked, is mostly long
    or mostly short; here each kind gets its share of all episodes that began.
    """
    num_envs, window, windows = 32, 50, 600
    limit = jnp.where(jnp.arange(num_envs) < num_envs // 2, 3, 60)
    logger = make_logger()
    recorder = jaxlog.empty_recorder(
        logger, jnp.zeros(num_envs), num_episodes=4, max_steps=60, every=60
    )

    def step(carry: Any, _: None) -> Any:
        count, recorder = carry
        over = count + 1 == limit
        recorder = jaxlog.record_step(recorder, count.astype(float), jnp.ones(num_envs), over)
        return (jnp.where(over, 0, count + 1), recorder), None

    def update(carry: Any, number: Any) -> Any:
        (count, recorder), _ = jax.lax.scan(step, carry, None, window)
        _, recorder = jaxlog.log_episodes(logger, recorder, number, every=1)
        return (count, recorder), None

    with logger.open() as run:
        carry = jnp.zeros(num_envs, np.int32), recorder
        jax.block_until_ready(
            jax.jit(lambda c: jax.lax.scan(update, c, jnp.arange(windows)))(carry)
        )
    chance: dict[int, float] = {}
    found = np.zeros(windows)
    for event in episodes_of(run):
        env, number = of(event)
        its = number * int(limit[env]) // window
        chance.setdefault(its, event.episode["chance"])
        assert event.episode["chance"] == chance[its]  # the same for all of a window
        found[its] += env >= num_envs // 2
    expected = variance = 0.0
    for its, own in chance.items():
        first, last = its * window, (its + 1) * window
        long, short = ((-(-last // n) - -(-first // n)) * num_envs // 2 for n in (60, 3))
        drawn, begun = round(own * (long + short)), long + short
        expected += drawn * long / begun
        variance += drawn * long / begun * short / begun * (begun - drawn) / (begun - 1)
    assert expected > 40
    assert abs(found[list(chance)].sum() - expected) < 4 * variance**0.5


def test_lanes_have_their_own_episodes(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def train(seed: jax.Array) -> Any:
        recorder = jaxlog.empty_recorder(logger, example(), num_episodes=2, max_steps=40, seed=seed)
        return program(logger, labels={"seed": seed})((begin(seed=seed), recorder), STEPS)

    with logger.open() as run:
        _, (steps, _) = jax.jit(jax.vmap(train))(jnp.arange(3))
    episodes = episodes_of(run)
    assert {event.lane for event in episodes} == {0, 1, 2}
    wholes = [cut(jax.tree.map(lambda a, lane=lane: a[lane], steps)) for lane in range(3)]
    for event in episodes:
        assert event.labels["seed"] == event.lane
        check(event, wholes[event.lane][of(event)])
    chosen_in = [{of(e) for e in episodes if e.lane == lane} for lane in range(3)]
    assert len({frozenset(own) for own in chosen_in}) == 3


@pytest.mark.parametrize("tracked", [True, False])
def test_environments_on_four_devices(make_logger: MakeLogger, tracked: bool) -> None:
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
    logger, own = make_logger(), 5

    def train() -> Any:
        first = jax.lax.axis_index("devices") * own
        state = begin(own, first)
        recorder = jaxlog.empty_recorder(
            logger, play(state)[1]["row"], num_episodes=2, max_steps=40
        )
        run_program = program(logger, axis_name="devices")
        return run_program((state, recorder), jnp.arange(UPDATES))[1][0]

    spec = PartitionSpec(None, None, "devices")
    mapped = jax.shard_map(train, mesh=mesh, in_specs=(), out_specs=spec, check_vma=tracked)
    with logger.open() as run:
        steps = jax.block_until_ready(jax.jit(mapped)())
    episodes, whole = episodes_of(run), cut(steps)
    numbered = [event.episode["environment_id"] for event in episodes]
    assert {env // own for env in numbered} == {0, 1, 2, 3}
    for event in episodes:
        key = event.episode["environment_id"], event.episode["episode_number"]
        check(event, whole[key])


def test_environments_that_jit_divides(make_logger: MakeLogger) -> None:
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
    whole_on = NamedSharding(mesh, PartitionSpec("devices"))
    logger = make_logger()
    state = jax.device_put(begin(), whole_on)
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    with logger.open() as run:
        _, (steps, _) = jax.jit(program(logger))((state, recorder), STEPS)
        jax.block_until_ready(steps)
    alone = make_logger()
    recorder = jaxlog.empty_recorder(alone, example(), num_episodes=3, max_steps=40)
    with alone.open() as other:
        jax.jit(program(alone))((begin(), recorder), STEPS)
    episodes = episodes_of(run)
    assert [of(e) for e in episodes] == [of(e) for e in episodes_of(other)] != []
    for event in episodes:
        check(event, cut(steps)[of(event)])


def test_returned_records_have_the_same_episodes(make_logger: MakeLogger) -> None:
    found = []
    for delivery in ("live", "return"):
        logger = make_logger(delivery=delivery)
        recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
        with logger.open() as run:
            _, (_, records) = jax.jit(program(logger))((begin(), recorder), STEPS)
            if delivery == "return":
                logger.write(records)
        found.append(episodes_of(run))
    assert [(of(e), e.step) for e in found[0]] == [(of(e), e.step) for e in found[1]] != []
    for live, returned in zip(*found, strict=True):
        same(live.recording.tree, returned.recording.tree)
        assert dict(live.episode) == dict(returned.episode)


def test_gradients_and_checkpoints(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(4), num_episodes=2, max_steps=9)

    def loss(weight: Any, log: bool) -> Any:
        @jax.checkpoint
        def step(carry: Any, number: Any) -> Any:
            x, recorder = carry
            x = jnp.tanh(weight * x)
            if log:
                recorder = jaxlog.record_step(recorder, x, x, jnp.full(4, number % 3 == 2))
                _, recorder = jaxlog.log_episodes(logger, recorder, number, every=4)
            return (x, recorder), x.sum()

        carry = jnp.arange(1.0, 5.0), recorder
        return jax.lax.scan(step, carry, jnp.arange(9))[1].sum()

    with logger.open() as run:
        found = jax.jit(jax.value_and_grad(loss), static_argnums=1)(0.7, True)
    assert found == jax.jit(jax.value_and_grad(loss), static_argnums=1)(0.7, False)
    assert [event.step for event in episodes_of(run)] == [4, 4, 8, 8]
    for event in episodes_of(run):
        assert event.recording.tree.shape == (3,)


def test_environments_that_reset_in_the_next_step(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(3), num_episodes=3, max_steps=9)
    limits = jnp.array([2, 3, 5])

    def step(carry: Any, number: Any) -> Any:
        count, recorder = carry  # -1 after an end: this row only resets
        first, count = count < 0, count + 1
        last = ~first & (count == limits)
        reward = jnp.where(first, jnp.nan, count.astype(float))
        recorder = jaxlog.record_step(
            recorder, count.astype(float), reward, last | first, first=first
        )
        _, recorder = jaxlog.log_episodes(logger, recorder, number, every=15)
        return (jnp.where(last, -1, count), recorder), None

    with logger.open() as run:
        carry = jnp.zeros(3, np.int32), recorder
        jax.block_until_ready(jax.lax.scan(step, carry, jnp.arange(31)))
    episodes = episodes_of(run)
    assert len(episodes) > 3
    for event in episodes:
        limit = int(limits[event.episode["environment_id"]])
        assert event.recording.tree.tolist() == list(range(1, limit + 1))
        assert event.episode["total_reward"] == limit * (limit + 1) / 2


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"max_steps": 4}, [0, 1, 2, 3]),
        ({"max_steps": 4, "keep": "last"}, [9, 10, 11, 12]),
        ({"max_steps": 4, "every": 3}, [0, 3, 6, 9]),
        ({"max_steps": 4, "every": 2, "keep": "last"}, [6, 8, 10, 12]),
        ({"max_steps": 40, "every": 5}, [0, 5, 10]),
        ({"max_steps": 1, "keep": "last"}, [12]),
    ],
)
def test_the_steps_that_are_kept(make_logger: MakeLogger, how: Any, kept: list[int]) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(2), num_episodes=1, **how)

    def step(carry: Any, number: Any) -> Any:
        count, recorder = carry
        over = count == 12
        recorder = jaxlog.record_step(recorder, count.astype(float), jnp.ones(2), over)
        _, recorder = jaxlog.log_episodes(logger, recorder, number + 1, every=13)
        return (jnp.where(over, 0, count + 1), recorder), None

    with logger.open() as run:
        carry = jnp.zeros(2, np.int32), recorder
        jax.block_until_ready(jax.lax.scan(step, carry, jnp.arange(40)))
    episodes = episodes_of(run)
    assert [event.step for event in episodes] == [13, 26, 39]
    for event in episodes:
        assert event.recording.steps.tolist() == kept
        assert event.recording.tree.tolist() == kept
        assert event.episode["total_steps"] == event.episode["total_reward"] == 13
        assert event.episode["recorded_steps"] == len(kept)


def test_given_environments(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(
        logger, example(), max_steps=40, environments=jnp.array([9, 1])
    )
    with logger.open() as run:
        _, (steps, _) = jax.jit(program(logger))((begin(), recorder), STEPS)
    whole, episodes = cut(steps), episodes_of(run)
    assert {event.episode["environment_id"] for event in episodes} == {1, 9}
    last = {1: -1, 9: -1}
    for event in episodes:
        check(event, whole[of(event)])
        env, number = of(event)
        # The first one that begins after the delivery, or after the one that ran at that time.
        due = max((s for s in range(0, event.step, 3)), default=None)
        earliest = 0 if due is None else LENGTH * (due + 1)
        begun = [n for (e, n), one in whole.items() if e == env and one["begin"] >= earliest]
        assert number in (begun[0], last[env] + 1) or number < begun[0]
        last[env] = number
        assert "chance" not in event.episode


@pytest.mark.parametrize(("choose", "sign"), [("best", 1.0), ("worst", -1.0)])
def test_the_best_and_the_worst_of_those_followed(
    make_logger: MakeLogger, choose: Any, sign: float
) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(
        logger, jnp.zeros(1), num_episodes=1, max_steps=2, choose=choose
    )
    rewards = sign * jnp.array([3.0, 1.0, 7.0, 2.0, 5.0, 1.0, 0.0, 4.0])

    def step(recorder: Any, number: Any) -> Any:
        reward = jnp.where(number % 2 == 1, rewards[number // 2], 0.0)
        over = jnp.full(1, number % 2 == 1)
        recorder = jaxlog.record_step(recorder, number[None].astype(float), reward[None], over)
        _, recorder = jaxlog.log_episodes(logger, recorder, number, every=8, when=number > 0)
        return recorder, None

    with logger.open() as run:
        jax.block_until_ready(jax.lax.scan(step, recorder, jnp.arange(16)))
        recorder, _ = jax.lax.scan(step, recorder, jnp.arange(16))
        jaxlog.log_episodes(logger, recorder, 16, every=8)
    found = [sign * e.episode["total_reward"] for e in episodes_of(run)]
    assert found == [7.0, 7.0, 5.0]


def test_an_episode_that_does_not_end_is_given_up(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(2), num_episodes=1, max_steps=3, longest=5)

    def step(recorder: Any, number: Any) -> Any:
        values = jnp.full(2, number).astype(float)
        recorder = jaxlog.record_step(recorder, values, jnp.ones(2), jnp.zeros(2, bool))
        _, recorder = jaxlog.log_episodes(logger, recorder, number, every=6)
        return recorder, None

    with logger.open() as run:
        jax.block_until_ready(jax.lax.scan(step, recorder, jnp.arange(7)))
    (event,) = episodes_of(run)
    assert (event.episode["end"], event.episode["total_steps"]) == ("given_up", 5)
    assert event.recording.tree.tolist() == [0.0, 1.0, 2.0]


def test_a_recorder_that_logs_nothing_says_so(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(2), max_steps=3)
    with logger.open():
        recorder = jaxlog.record_step(recorder, jnp.zeros(2), jnp.ones(2), jnp.zeros(2, bool))
        jaxlog.log_episodes(logger, recorder, 0, every=1)
    assert "logged no episode" in caplog.text


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_environments_of_any_shape(make_logger: MakeLogger, shape: tuple[int, ...]) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(
        logger, jnp.zeros((*shape, 2)), shape=shape, num_episodes=2, max_steps=9
    )
    number = jnp.arange(max(1, int(np.prod(shape)))).reshape(shape).astype(float)
    with logger.open() as run:
        for count in range(3):
            values = jnp.stack([number, jnp.full(shape, float(count))], axis=-1)
            over = jnp.full(shape, count == 2)
            recorder = jaxlog.record_step(recorder, values, number, over)
        jaxlog.log_episodes(logger, recorder, 0)
    for event in episodes_of(run):
        env = event.recording.tree[0, 0]
        assert event.recording.tree.tolist() == [[env, 0.0], [env, 1.0], [env, 2.0]]
        index = event.episode.get("batch_index", [event.episode["environment_id"]])
        assert np.ravel_multi_index(index, shape or (1,)) == env
    assert len(episodes_of(run)) == (1 if shape == () else 2)


def test_a_switched_off_recorder_is_no_part_of_the_program(make_logger: MakeLogger) -> None:
    off = make_logger(batched_logging_enabled=False)
    recorder = jaxlog.empty_recorder(off, jnp.zeros(2))
    assert jax.tree.leaves(recorder) == []

    def body(carry: Any, log: bool) -> Any:
        x, recorder = carry
        over = x > 0
        if log:
            recorder = jaxlog.record_step(recorder, x, x, over)
            _, recorder = jaxlog.log_episodes(off, recorder, 0)
        return x + 1, recorder

    with_calls, without = (
        str(jax.make_jaxpr(lambda c, log=log: body(c, log))((jnp.zeros(2), recorder)))
        for log in (True, False)
    )
    assert with_calls == without


def test_the_buffer_is_updated_in_place(make_logger: MakeLogger) -> None:
    logger = make_logger()
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=41)
    compiled = (
        jax.jit(program(logger), donate_argnums=0).lower((begin(), recorder), STEPS).compile()
    )
    assert recorder.words is not None
    slots, steps, words = recorder.words.shape
    shapes = f"u32[{slots},{steps},{words}]", f"u32[{slots * steps},{words}]"
    shapes += (f"u32[{slots * steps * words}]",)
    lines = [line.strip() for line in str(compiled.as_text()).splitlines()]
    of_buffer = [line for line in lines if f"= {shapes[0]}" in line or f"= {shapes[1]}" in line]
    assert of_buffer
    copies = [line for line in lines if " copy(" in line and any(f"= {s}" in line for s in shapes)]
    assert copies == []


def test_the_second_call_compiles_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger()
    train: Any = jax.jit(program(logger))
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    with logger.open():
        carry, _ = train((begin(), recorder), STEPS)
        train(carry, STEPS + UPDATES)
    assert train._cache_size() == 1


def bad(**how: Any) -> Any:
    return lambda logger: jaxlog.empty_recorder(logger, {"x": jnp.zeros((4, 2))}, **how)


def stepped(values: Any = None, reward: Any = None, over: Any = None, **how: Any) -> Any:
    def call(logger: jaxlog.Logger) -> Any:
        recorder = jaxlog.empty_recorder(logger, {"x": jnp.zeros((4, 2))}, max_steps=9)
        return jaxlog.record_step(
            recorder,
            {"x": jnp.zeros((4, 2))} if values is None else values,
            jnp.ones(4) if reward is None else reward,
            jnp.zeros(4, bool) if over is None else over,
            **how,
        )

    return call


def missing_flag(logger: jaxlog.Logger) -> Any:
    recorder = jaxlog.empty_recorder(logger, jnp.zeros(4), max_steps=9)
    return jaxlog.record_step(recorder, jnp.zeros(4), jnp.ones(4))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (bad(max_steps=0), ValueError, "max_steps: got 0, expected 1 to"),
        (bad(num_episodes=0), ValueError, "num_episodes: got 0, expected 1 to"),
        (bad(every=0), ValueError, "every: got 0"),
        (bad(longest=0), ValueError, "longest: got 0"),
        (bad(max_steps=2.5), TypeError, "max_steps: got 2.5, expected a Python int"),
        (bad(keep="all"), ValueError, "keep: got 'all', expected one of first, last"),
        (
            bad(renderer="pgx"),
            ValueError,
            "renderer: got 'pgx', expected LIBRARY/ENVIRONMENT, like",
        ),
        (bad(renderer="a:b"), ValueError, "of these libraries: brax, craftax, gymnax, jumanji"),
        (bad(choose="any"), ValueError, "choose: got 'any', expected one of fair, best, worst"),
        (bad(environments=jnp.array([4])), ValueError, "environments: got 4, expected 0 to 3"),
        (bad(environments=jnp.array([0.5])), TypeError, r"environments: got float32\[1\]"),
        (bad(num_episodes=3, environments=jnp.array([1])), ValueError, "leave it out"),
        (bad(shape=5), ValueError, r"values\['x'\]: got shape \(4, 2\), expected one that begins"),
        (bad(seed=0.5), TypeError, "seed: got f"),
        (
            bad(max_steps=1_000_000),
            ValueError,
            r"got 3 episodes of 1,000,000 steps of 12 bytes, 36,000,000 bytes, expected at most "
            r"16,777,216 in one record; give max_steps=466033 or less",
        ),
        (
            # Said while the program is traced.
            lambda logger: jax.jit(lambda: bad(max_steps=1_000_000, choose="best")(logger))(),
            ValueError,
            r"got 6 episodes of 1,000,000 steps of 12 bytes, 72,000,000 bytes, .* max_steps=233016",
        ),
        (
            lambda logger: jaxlog.empty_recorder(logger, {"x": "state"}),
            TypeError,
            r"values\['x'\]: got str",
        ),
        (lambda logger: jaxlog.empty_recorder(logger, {}), ValueError, "has no arrays; give shape"),
        (
            stepped(values={"y": jnp.zeros((4, 2))}),
            ValueError,
            "differ from those of the recorder: x is missing; y is new",
        ),
        (
            stepped(values={"x": jnp.zeros((4, 3), np.int32)}),
            ValueError,
            r"x is int32\[4, 3\], expected float32\[4, 2\]",
        ),
        (
            lambda logger: jaxlog.record_step(
                jaxlog.empty_recorder(logger, (jnp.zeros(4),), max_steps=9),
                [jnp.zeros(4)],
                jnp.ones(4),
                jnp.zeros(4, bool),
            ),
            ValueError,
            r"differ from those of the recorder: its structure is PyTreeDef\(\[\*\]\), not",
        ),
        (stepped(reward=jnp.ones(3)), ValueError, r"reward: got shape \(3,\), expected \(4,\)"),
        (stepped(over=jnp.zeros(4)), TypeError, "terminated: got float32, expected bool"),
        (missing_flag, TypeError, "missing 1 required positional argument: 'terminated'"),
        (stepped(over=()), TypeError, "terminated: got tuple, expected an array of the shape"),
        (stepped(over=[True] * 4), TypeError, "terminated: got list, expected an array"),
        (
            stepped(first=jnp.zeros(3, bool)),
            ValueError,
            r"first: got shape \(3,\), expected \(4,\)",
        ),
        (
            lambda logger: jaxlog.record_step(None, 0, 0, 0),  # type: ignore[arg-type]
            TypeError,
            "recorder: got NoneType",
        ),
        (
            lambda logger: jaxlog.log_episodes(logger, 3, 0),  # type: ignore[arg-type]
            TypeError,
            "recorder: got int",
        ),
    ],
)
def test_bad_input(make_logger: MakeLogger, call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(make_logger())


def test_record_is_the_same_in_and_out_of_jit(make_logger: MakeLogger) -> None:
    logger = make_logger()
    state = begin()
    one = other = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    for _ in range(10):
        state, step = play(state)
        one = record(one, step)
        other = jax.jit(record)(other, step)
    same(*(jax.tree.map(np.asarray, recorder) for recorder in (one, other)))
