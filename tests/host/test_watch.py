"""What is accepted, and can hardly be meant: each is said once a call, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.events import Lane, MetricsEvent
from jaxlog._host.watch import Traced, Watch
from tests.conftest import MakeLogger

Said = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """The messages so far, without the run's name."""
    return lambda: [
        record.getMessage().partition("jaxlog: run jaxlog: ")[2] for record in caplog.records
    ]


def steps_of(run: Any, call: str = "train") -> list[int]:
    return [event.step for event in run.sink("memory").metrics if event.name == call]


def run_it(logger: jaxlog.Logger, program: Callable[..., Any], *given: Any) -> Any:
    with logger.open() as run:
        jax.block_until_ready(jax.jit(program)(*given))
    return run


# Calls in a branch that vmap runs at every step.

EVERY_STEP = (
    "the call 'eval' is in a branch of a cond or switch, and logs at every step that is due, in "
    "all 2 lanes: its predicate depends on what vmap maps over, and there JAX runs all branches. "
    "Call it outside of the cond, with the predicate as when=; or compute the predicate from what "
    "vmap does not map, like the jnp.arange(n) that scan counts with. Said once."
)


def evaluations(
    logger: jaxlog.Logger, *, mapped: bool = True, as_when: bool = False, switch: bool = False
) -> Callable[..., Any]:
    """Two lanes that evaluate every fifth step, with a counter in their state or in the scan."""

    def update(state: Any, index: Any) -> Any:
        count, skill = state
        step = count if mapped else index
        due = step % 5 == 0

        def evaluate() -> Any:
            jaxlog.log(logger, step, {"return": skill}, name="eval")
            return skill

        if as_when:
            jaxlog.log(logger, step, {"return": skill}, when=due, name="eval")
        elif switch:
            jax.lax.switch(due.astype(int), [lambda: 0.0, jax.jit(evaluate)])
        else:
            jax.lax.cond(due, evaluate, lambda: 0.0)
        return (count + 1, skill + 1.0), None

    return jax.vmap(lambda state: jax.lax.scan(update, state, jnp.arange(20))[0])


@pytest.mark.parametrize("switch", [False, True])
def test_a_branch_that_vmap_runs_at_every_step(
    switch: bool, make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=1)
    program = evaluations(logger, switch=switch)
    run = run_it(logger, program, (jnp.zeros(2, int), jnp.arange(2.0)))
    assert steps_of(run, "eval") == list(range(20))
    assert said() == [EVERY_STEP]


def test_it_is_said_of_each_run_of_a_program_that_was_traced_before(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=2)
    program = jax.jit(evaluations(logger))
    for _ in range(2):
        with logger.open():
            jax.block_until_ready(program((jnp.zeros(2, int), jnp.arange(2.0))))
    assert said() == [EVERY_STEP, EVERY_STEP]


@pytest.mark.parametrize("how", [{"mapped": False}, {"as_when": True}])
def test_what_the_message_proposes_logs_what_was_meant(
    how: Any, make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=1)
    run = run_it(logger, evaluations(logger, **how), (jnp.zeros(2, int), jnp.arange(2.0)))
    assert steps_of(run, "eval") == [0, 5, 10, 15]
    assert said() == []


def test_a_mapped_counter_outside_of_a_branch_is_as_good_as_another(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=1)

    def update(count: Any, _: Any) -> Any:
        jaxlog.log(logger, count, {"loss": 1.0})
        return count + 1, None

    run = run_it(logger, jax.vmap(lambda n: jax.lax.scan(update, n, None, 9)[0]), jnp.zeros(2, int))
    assert steps_of(run) == list(range(9))
    assert said() == []


# Counters from 1.


def counting(logger: jaxlog.Logger, first: int, length: int) -> Callable[..., Any]:
    def update(count: Any, _: Any) -> Any:
        jaxlog.log(logger, count, {"count": count})
        return count + 1, None

    return lambda: jax.lax.scan(update, first, None, length)[0]


def test_a_counter_from_1_has_its_last_update_logged_and_is_said(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(total_updates=63, env_steps_per_update=128)
    run = run_it(logger, counting(logger, 1, 63))
    assert steps_of(run) == [10, 20, 30, 40, 50, 60, 62, 63]
    assert said() == [
        "the call 'train' logged step 63 (lane 0), but steps count from 0, so that the last of "
        "total_updates=63 is 62. If its counter begins at 1, as TrainState.step does after "
        "apply_gradients, pass step - 1: env_step is that of one update too many. Else "
        "total_updates is too small. Said once."
    ]


def test_a_python_loop_from_1_has_its_last_update_logged_and_is_said(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(total_updates=63)
    with logger.open() as run:
        for step in range(1, 64):
            jaxlog.log(logger, step, {"loss": 1.0})
    assert steps_of(run) == [10, 20, 30, 40, 50, 60, 62, 63]
    assert [text.partition(" (")[0] for text in said()] == ["the call 'train' logged step 63"]


def test_a_counter_from_0_is_right(make_logger: MakeLogger, said: Said) -> None:
    logger = make_logger(total_updates=63, env_steps_per_update=128)
    run = run_it(logger, counting(logger, 0, 63))
    assert run.sink("memory").metrics[-1].env_step == 8064
    assert steps_of(run)[-2:] == [60, 62]
    assert said() == []


def test_a_counter_from_1_is_said_where_each_step_is_logged(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=1, env_steps_per_update=128)
    run_it(logger, counting(logger, 1, 5))
    assert said() == [
        "the steps of the call 'train' begin at 1, and steps count from 0, so that env_step is "
        "that of one update too many. Pass step - 1."
    ]


def test_a_run_that_goes_on_may_begin_anywhere(
    make_logger: MakeLogger, said: Said, tmp_path: Path
) -> None:
    logger = make_logger(log_frequency=1, env_steps_per_update=8, sinks=[{"kind": "jsonl"}])
    for first in (0, 1):
        with logger.open(tmp_path / "run", if_exists="resume", name="jaxlog"):
            jax.block_until_ready(jax.jit(counting(logger, first, 1))())
    assert said() == []


def test_a_line_of_run_log_may_be_at_any_step(make_logger: MakeLogger, said: Said) -> None:
    with make_logger(total_updates=10).open() as run:
        for _ in range(2):
            run.log({"return": 1.0}, step=10)
    assert said() == []


# Steps that are no index.


def test_an_int32_that_wraps_is_said(make_logger: MakeLogger, said: Said) -> None:
    logger = make_logger(log_frequency=1)

    def up(steps: Any, _: Any) -> Any:
        steps = steps + np.int32(2**29)
        jaxlog.log(logger, steps, {"loss": 1.0})
        return steps, None

    run_it(logger, lambda: jax.lax.scan(up, jnp.int32(0), None, 6)[0])
    assert said() == [
        "the call 'train' logged the negative step -2147483648 (lane 0). An int32 that counts "
        "environment steps wraps at 2**31: pass the index of the update as step, and set "
        "env_steps_per_update; or count in uint32 or, with jax_enable_x64, in int64. Said once."
    ]


@pytest.mark.parametrize("step", [-1, np.int32(-10), np.array(-3)])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_constant_that_is_no_index_is_refused(
    step: Any, compiled: bool, make_logger: MakeLogger
) -> None:
    logger = make_logger()
    log = lambda: jaxlog.log(logger, step, {"loss": 1.0}) and None  # noqa: E731
    text = f"step: got {int(step)}, expected 0 to 2\\*\\*63 - 1"
    with logger.open(), pytest.raises(ValueError, match=text):
        (jax.jit(log) if compiled else log)()
    with pytest.raises(ValueError, match=text):
        jaxlog.batch_step(logger, step, {"loss": 1.0})


def test_what_is_beyond_64_bits_is_written_so_that_it_can_be_read(
    make_logger: MakeLogger, said: Said, tmp_path: Path
) -> None:
    with jax.enable_x64(True):
        logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}], env_steps_per_update=8)
        log = jax.jit(lambda step: jaxlog.log(logger, step, {"loss": 1.0}) and None)
        with logger.open(tmp_path / "run", name="jaxlog"):
            for step in (5, 2**62, 2**63 + 10):
                log(jnp.uint64(step))
                jax.effects_barrier()
        with pytest.raises(ValueError, match=f"step: got {2**63}, expected 0 to"):
            jaxlog.batch_step(logger, np.uint64(2**63), {"loss": 1.0})
    assert said() == [
        f"the call 'train' logged step {2**62} (lane 0), and files hold no step and no env_step "
        "above 2**63 - 1: a larger step is written as this number, a larger env_step is left "
        "out. Pass the "
        "index of the update as step. Said once."
    ]
    lines = jaxlog.read_run(tmp_path / "run").metrics
    assert lines["step"].to_list() == [5, 2**62, 2**63 - 1]
    assert lines["env_step"].to_list() == [48, None, None]


# Steps that no line shows.


def in_a_cond(logger: jaxlog.Logger, remainder: int) -> Callable[..., Any]:
    def update(loss: Any, step: Any) -> Any:
        def evaluate() -> Any:
            jaxlog.log(logger, step, {"return": loss}, name="probe")
            return 0

        jax.lax.cond(step % 10 == remainder, evaluate, lambda: 0)
        jaxlog.log(logger, step, {"loss": loss})
        return loss + 1.0, None

    return lambda: jax.lax.scan(update, 0.0, jnp.arange(100))[0]


def test_a_call_that_was_traced_and_never_due_is_said_at_the_end(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger()
    run_it(logger, in_a_cond(logger, 9))
    assert said() == [
        "the call 'probe' was traced, and logged nothing. It logs at steps that are multiples of "
        "10, and at the last of total_updates. If it is to log whenever it runs, pass every=1."
    ]


@pytest.mark.parametrize(("remainder", "settings"), [(0, {}), (9, {"log_frequency": 1})])
def test_a_call_that_logged_is_not_said(
    remainder: int, settings: Any, make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(**settings)
    run_it(logger, in_a_cond(logger, remainder))
    assert said() == []


def test_a_run_that_failed_says_nothing_of_what_it_did_not_log(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger()

    def fails() -> None:
        with logger.open():
            jax.block_until_ready(jax.jit(in_a_cond(logger, 9))())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert said() == []


def test_evaluations_of_a_python_loop_that_are_not_due_are_counted(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger()
    with logger.open() as run:
        for step in range(100):
            jaxlog.log(logger, step, {"loss": 1.0})
            if step % 7 == 6:
                jaxlog.log(logger, step, {"return": 1.0}, name="probe")
    assert steps_of(run, "probe") == [20, 90]
    assert said() == [
        "the call 'probe' was called 14 times, at least 7 steps apart, and 12 of these were not "
        "logged: it logs at steps that are multiples of 10. If it is to log whenever it is called, "
        "pass every=1."
    ]


@pytest.mark.parametrize("every", [1, 20])
def test_a_python_loop_that_logs_what_is_due_is_right(
    every: int, make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger()
    with logger.open():
        for step in range(100):
            for name in ("train", "other"):
                if step % every == 0:
                    jaxlog.log(logger, step, {"loss": 1.0}, name=name)
                jaxlog.log(logger, step, {"never": 1.0}, when=False, name="never")
    assert said() == []


# Steps that begin anew.


def again(step: int, call: str = "train", lane: int = 0) -> str:
    return (
        f"the call {call!r} logged step {step} of lane {lane} again. If its steps begin anew with "
        "each pass of a loop, pass a step that goes on counting (first + step); if each pass is "
        "another lane, give labels that tell them apart, like labels={'seed': seed}. Readers keep "
        "the last line of a step. Said once."
    )


def passes(logger: jaxlog.Logger, **labels: bool) -> Callable[..., Any]:
    def train(first: Any, seed: Any) -> Any:
        def update(loss: Any, step: Any) -> Any:
            own = {"seed": seed} if labels else None
            jaxlog.log(logger, first + step, {"loss": loss + seed.astype(float)}, labels=own)
            return 0.9 * loss, None

        return jax.lax.scan(update, 1.0, jnp.arange(3), unroll=2)[0]

    return jax.jit(train)


def test_steps_that_begin_anew_are_said_once(make_logger: MakeLogger, said: Said) -> None:
    logger = make_logger(log_frequency=1)
    train = passes(logger)
    with logger.open():
        for seed in range(3):
            jax.block_until_ready(train(0, seed))
    assert said() == [again(0)]


def test_steps_that_go_on_counting_and_passes_with_labels_are_right(
    make_logger: MakeLogger, said: Said
) -> None:
    logger = make_logger(log_frequency=1)
    train, labelled = passes(logger), passes(logger, seed=True)
    with logger.open():
        for seed in range(3):
            jax.block_until_ready(train(3 * seed, seed))
    with logger.open():
        for seed in range(3):
            jax.block_until_ready(labelled(0, seed))
    with logger.open():
        jax.block_until_ready(jax.lax.map(lambda seed: labelled(0, seed), jnp.arange(4)))
    assert said() == []


def test_lanes_that_begin_anew_are_said(make_logger: MakeLogger, said: Said) -> None:
    logger = make_logger(log_frequency=1)
    train = jax.vmap(passes(logger), in_axes=(None, 0))
    with logger.open():
        for _ in range(2):
            jax.block_until_ready(train(4, jnp.arange(3)))
    assert said() == [again(4)]


def test_a_python_loop_that_begins_anew_is_said(make_logger: MakeLogger, said: Said) -> None:
    logger = make_logger(log_frequency=1)
    with logger.open():
        for _ in range(2):
            for step in range(3):
                jaxlog.log(logger, step, {"loss": 1.0})
    assert said() == [again(0)]


def one(step: int, *lanes: int) -> MetricsEvent:
    """An event of the call `eval`."""
    found = tuple(Lane(lane, {}, {"x": 1.0}) for lane in lanes)
    return MetricsEvent("eval", step, None, 0.0, found, {}, {}, 2)


@pytest.mark.parametrize(
    ("steps", "frequency", "is_said"),
    [
        ((0, 1, 2, 3), 1, True),
        ((3, 1, 2, 0), 1, True),  # in the order XLA runs them
        ((0, 1, 2, 4), 1, False),
        ((0, 1, 2, 2), 1, False),
        ((0, 10, 20, 30), 10, True),
        ((0, 10, 20, 40), 10, False),
    ],
)
def test_four_steps_in_a_row_are_every_step(
    steps: tuple[int, ...], frequency: int, is_said: bool, said: Said
) -> None:
    traced = Traced("eval", frequency, in_branch=True)
    watch = Watch("jaxlog", [traced])
    watch.own_gates("eval", 2)
    for step in steps:
        watch.saw(one(step, 0, 1))
    found = [text for text in said() if text.startswith("the call 'eval' is in a branch")]
    assert len(found) == is_said


def test_a_step_again_is_said_once(said: Said) -> None:
    watch = Watch("jaxlog", [Traced("eval", 1)])
    for step in range(5):
        watch.saw(one(step, 0, 1))
    assert said() == []
    watch.saw(one(4, 1))
    assert said()[0].startswith("the call 'eval' logged step 4 of lane 1 again. ")
    watch.saw(one(4, 0))
    assert len(said()) == 1


@pytest.mark.parametrize(
    ("per_update", "step", "fits"),
    [
        (None, 2**63 - 1, False),
        (None, 2**63 - 2, True),
        (8, 2**60 - 1, False),
        (8, 2**60 - 2, True),
    ],
)
def test_the_largest_step_that_files_hold_is_right(
    per_update: int | None, step: int, fits: bool, said: Said
) -> None:
    lanes = (Lane(0, {}, {"x": 1.0}),)
    watch = Watch("jaxlog", env_steps_per_update=per_update)
    watch.saw(MetricsEvent("train", step, None, 0.0, lanes, {}, {}, 1))
    assert [text.partition(" (")[0] for text in said()] == (
        [] if fits else [f"the call 'train' logged step {step}"]
    )
