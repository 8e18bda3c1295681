"""Arrays that are logged whole: from a program to the reader, bit for bit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxlog
from tests.conftest import MakeLogger

JSONL = [{"kind": "memory"}, {"kind": "jsonl"}]


def special(dtype: Any) -> np.ndarray:
    """An array of a dtype with its special values, and otherwise random bits."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return np.random.default_rng(0).random((3, 5)) < 0.5
    bits = np.random.default_rng(1).integers(0, 256, (4, 6, dtype.itemsize), np.uint8)
    array = bits.view(dtype)[..., 0].copy()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        array[0, :2] = limits.min, limits.max
        return array
    array[~np.isfinite(array.astype(np.float64))] = 1
    limits = ml_dtypes.finfo(dtype)
    array[0] = np.nan, np.inf, -np.inf, -0.0, limits.max, limits.smallest_subnormal
    return array


def bits(array: Any) -> list[Any]:
    """The dtype, the shape and the bytes of an array."""
    array = np.asarray(array)
    return [array.dtype.name, array.shape, array.tobytes()]


NARROW = [np.bool_, np.int8, np.uint8, np.int16, np.int32, np.uint32, np.float16, np.float32]
DTYPES = [*NARROW, ml_dtypes.bfloat16, np.int64, np.uint64, np.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("way", ["program", "python", "run.log"])
def test_every_dtype_keeps_its_bits(
    dtype: Any, way: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    array, logger = special(dtype), make_logger(sinks=JSONL)
    with jax.enable_x64(np.dtype(dtype).itemsize == 8), logger.open(tmp_path) as run:
        if way == "program":
            jax.jit(lambda x: jaxlog.log(logger, jnp.int32(0), arrays={"a": x}))(array)
        elif way == "python":
            jaxlog.log(logger, 0, arrays={"a": array})
        else:
            run.log(step=0, arrays={"a": array}, name="train")
    (event,) = run.sink("memory").metrics
    assert bits(event.lanes[0].arrays["a"]) == bits(array)
    assert not event.lanes[0].arrays["a"].flags.writeable
    (found,) = jaxlog.read_run(tmp_path).logged_arrays("a")
    assert (found.call, found.name, found.step, found.lane) == ("train", "a", 0, 0)
    assert bits(found.value) == bits(array)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (0,), (2, 0, 3), (1, 1, 2, 1), (2, 3, 4, 5, 6)])
def test_every_shape_is_kept(
    shape: tuple[int, ...], make_logger: MakeLogger, tmp_path: Path
) -> None:
    array, logger = (
        np.random.default_rng(0).normal(size=shape).astype(np.float32),
        make_logger(sinks=JSONL),
    )
    with logger.open(tmp_path):
        jax.jit(lambda x: jaxlog.log(logger, jnp.int32(0), arrays={"a": x, "b": x > 0}))(array)
    found = jaxlog.read_run(tmp_path).logged_arrays()
    assert [bits(one.value) for one in found] == [bits(array), bits(array > 0)]


def train(logger: jaxlog.Logger, axis_name: Any, table: jax.Array, seed: jax.Array) -> Any:
    """Adds the step to a table, and logs it after each update."""

    def update(table: jax.Array, step: jax.Array) -> Any:
        table = table + step.astype(table.dtype)
        record = jaxlog.batch_step(
            logger,
            step,
            {"episode_returns": table[0], "loss": table.mean()},
            arrays={"table": table, "half": table.astype(jnp.bfloat16), "step": step},
            labels={"seed": seed},
            axis_name=axis_name,
        )
        return table, record

    return jax.lax.scan(update, table, jnp.arange(6))


def expected(table: np.ndarray, step: int) -> np.ndarray:
    return table + np.float32(np.arange(step + 1).sum())


@pytest.mark.parametrize("delivery", ["live", "return"])
def test_lanes_have_arrays_of_their_own(
    delivery: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=JSONL, log_frequency=2, delivery=delivery, sampling_enabled=False)
    tables = np.random.default_rng(3).integers(-99, 99, (5, 3, 4)).astype(np.float32)
    with logger.open(tmp_path) as run:
        program = jax.jit(jax.vmap(partial(train, logger, None)))
        _, records = jax.block_until_ready(program(tables, jnp.arange(5)))
        if delivery == "return":
            logger.write(records)
    for event in run.sink("memory").metrics:
        for lane in event.lanes:
            want = expected(tables[lane.index], event.step)
            assert bits(lane.arrays["table"]) == bits(want)
            assert bits(lane.arrays["half"]) == bits(want.astype(ml_dtypes.bfloat16))
            assert lane.arrays["step"] == event.step
            assert lane.metrics["loss"] == pytest.approx(want.mean(), rel=1e-5)
    found = jaxlog.read_run(tmp_path).logged_arrays("table")
    assert [(one.step, one.lane, one.labels) for one in found] == [
        (step, lane, {"seed": lane}) for step in (0, 2, 4) for lane in range(5)
    ]
    assert all(bits(one.value) == bits(expected(tables[one.lane], one.step)) for one in found)


def test_lanes_with_steps_of_their_own_log_when_they_are_due(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=3)

    def lane(first: jax.Array) -> None:
        jaxlog.log(logger, first, {"x": 1.0}, arrays={"a": first + jnp.arange(4)})

    sink = logged(logger, lambda: jax.jit(jax.vmap(lane))(jnp.arange(7)))
    found = {e.step: e.lanes[0].arrays["a"].tolist() for e in sink.metrics for _ in e.lanes}
    assert found == {step: list(range(step, step + 4)) for step in (0, 3, 6)}


def test_a_window_logs_the_array_of_the_current_update(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(8, log_frequency=5)

    def update(window: jaxlog.Window, step: jax.Array) -> Any:
        metrics, arrays = {"loss": step.astype(float)}, {"counts": step * jnp.arange(3)}
        return jaxlog.window_step(logger, window, step, metrics, arrays=arrays)[1], None

    window = jaxlog.empty_window(logger, {"loss": 0.0})
    sink = logged(
        logger, lambda: jax.jit(jax.lax.scan, static_argnums=0)(update, window, jnp.arange(8))
    )
    found = [
        (e.step, e.lanes[0].metrics["loss"], e.lanes[0].arrays["counts"]) for e in sink.metrics
    ]
    assert [(step, loss, counts.tolist()) for step, loss, counts in found] == [
        (0, 0.0, [0, 0, 0]),
        (5, 3.0, [0, 5, 10]),
        (7, 6.5, [0, 7, 14]),
    ]


@pytest.mark.parametrize("settings", [{"exclude": ["b"]}, {"include": ["loss", "a"]}])
def test_settings_may_name_an_array_of_a_window(
    settings: dict[str, Any], make_logger: MakeLogger
) -> None:
    logger = make_logger(**settings)

    def update(window: jaxlog.Window, step: jax.Array) -> Any:
        arrays = {"a": jnp.ones(2), "b": jnp.ones(2)}
        return jaxlog.window_step(logger, window, step, {"loss": 1.0}, arrays=arrays)[1], None

    window = jaxlog.empty_window(logger, lambda window: update(window, jnp.int32(0)))
    with logger.open() as run:
        jax.block_until_ready(jax.lax.scan(update, window, jnp.arange(2)))
    assert list(run.sink("memory").metrics[0].lanes[0].arrays) == ["a"]
    wrong = make_logger(exclude=["lost"])
    window = jaxlog.empty_window(wrong, {"loss": 1.0})
    with pytest.raises(ValueError, match="exclude: got 'lost', which is no metric of the call"):
        jaxlog.window_step(wrong, window, 0, {"loss": 1.0})


def test_nested_arrays_have_names_with_slashes(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=JSONL)
    arrays = {"actor": {"w": np.eye(2), "b": np.zeros(2)}, "q": np.ones(1)}
    with logger.open(tmp_path) as run:
        jax.jit(
            lambda: jaxlog.log(logger, jnp.int32(0), arrays=jax.tree.map(jnp.asarray, arrays))
        )()
        jaxlog.log(logger, 0, arrays=arrays, name="python")
        run.log(step=0, arrays=arrays)
        with pytest.raises(ValueError, match="'actor/w'"):
            run.log({"actor/w": 1.0}, step=0, arrays=arrays)
    for call in ("train", "python", "eval"):
        found = jaxlog.read_run(tmp_path).logged_arrays(call=call)
        assert {one.name for one in found} == {"actor/w", "actor/b", "q"}


@pytest.mark.parametrize("delivery", ["live", "return"])
@pytest.mark.parametrize("check", [True, False])
def test_the_array_of_the_first_device_is_taken(
    delivery: str, check: bool, make_logger: MakeLogger
) -> None:
    logger = make_logger(delivery=delivery, sampling_enabled=False, log_frequency=3)
    tables = np.random.default_rng(4).integers(-99, 99, (3, 16)).astype(np.float32)
    tables[0, 0], tables[1, 1] = np.nan, -0.0
    mesh, spec = jax.make_mesh((4,), ("devices",), (AxisType.Auto,)), PartitionSpec(None, "devices")
    program = jax.shard_map(
        partial(train, logger, "devices"),
        mesh=mesh,
        in_specs=(spec, PartitionSpec()),
        out_specs=(spec, PartitionSpec()),
        check_vma=check,
    )
    with logger.open() as run:
        _, records = jax.block_until_ready(jax.jit(program)(tables, jnp.int32(3)))
        if delivery == "return":
            logger.write(records)
    events = run.sink("memory").metrics
    assert [event.step for event in events] == [0, 3]
    for event in events:
        lane = event.lanes[0]
        # The bits of a NaN that was computed with are those of the device.
        np.testing.assert_array_equal(lane.arrays["table"], expected(tables[:, :4], event.step))
        assert lane.metrics["episode_count"] == 16
    assert np.signbit(events[0].lanes[0].arrays["table"][1, 1]) == np.signbit(np.float32(-0.0) + 0)


def test_bits_of_the_first_device_are_kept(make_logger: MakeLogger) -> None:
    logger, given = make_logger(), np.tile(np.array([-0.0, np.inf, 1e-45], np.float32), 4)

    def log(share: jax.Array) -> None:
        jaxlog.log(logger, jnp.int32(0), {"x": 1.0}, arrays={"a": share}, axis_name="devices")

    mesh, spec = jax.make_mesh((4,), ("devices",), (AxisType.Auto,)), PartitionSpec("devices")
    with logger.open() as run:
        jax.jit(jax.shard_map(log, mesh=mesh, in_specs=spec, out_specs=None))(given)
    assert bits(run.sink("memory").metrics[0].lanes[0].arrays["a"]) == bits(given[:3])


def test_a_named_axis_of_vmap_logs_the_first_share(make_logger: MakeLogger) -> None:
    logger, given = make_logger(), np.arange(12.0, dtype=np.float32).reshape(3, 4)

    def log(share: jax.Array) -> None:
        jaxlog.log(logger, jnp.int32(0), {"x": share[0]}, arrays={"a": share}, axis_name="shares")

    with logger.open() as run:
        jax.jit(jax.vmap(log, axis_name="shares"))(given)
    (event,) = run.sink("memory").metrics
    assert [bits(lane.arrays["a"]) for lane in event.lanes] == [bits(given[0])]
    assert event.lanes[0].metrics["x"] == 4.0


def test_an_array_of_a_sharded_batch_is_whole(make_logger: MakeLogger) -> None:
    logger, given = make_logger(), np.random.default_rng(5).normal(size=(8, 4)).astype(np.float32)
    mesh = jax.make_mesh((4,), ("devices",), (AxisType.Auto,))
    sharded = jax.device_put(given, jax.NamedSharding(mesh, PartitionSpec("devices")))
    with logger.open() as run:
        jax.jit(lambda x: jaxlog.log(logger, jnp.int32(0), {"x": x.sum()}, arrays={"a": x}))(
            sharded
        )
    assert bits(run.sink("memory").metrics[0].lanes[0].arrays["a"]) == bits(given)


def test_a_call_without_arrays_has_the_same_program(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=3, sample_frequency=2)

    def program(**arrays: Any) -> str:
        def update(x: jax.Array, step: jax.Array) -> Any:
            metrics = {"episode_returns": x, "loss": x.sum()}
            jaxlog.batch_step(logger, step, metrics, details={"x": x}, **arrays)
            jaxlog.log(logger, step, {"loss": x.sum()}, **arrays)
            return x + 1, None

        return str(jax.make_jaxpr(lambda x: jax.lax.scan(update, x, jnp.arange(9)))(jnp.ones(4)))

    without = program()
    assert program(arrays=None) == program(arrays={}) == without
    assert program(arrays={"a": jnp.ones(3)}) != without


def test_nothing_is_packed_at_a_step_that_is_not_due(make_logger: MakeLogger) -> None:
    logger = make_logger()
    jaxpr = jax.make_jaxpr(lambda x, step: jaxlog.log(logger, step, {"x": x[0]}, arrays={"a": x}))(
        jnp.ones(999), 0
    )
    (record,) = (e for e in jaxpr.eqns if e.primitive.name in ("jit", "pjit"))
    outside = [e for e in record.params["jaxpr"].eqns if e.primitive.name != "stop_gradient"]
    large = [e.primitive.name for e in outside for v in e.outvars if v.aval.size >= 999]
    assert large == ["cond"]


def test_gradients_pass_by(make_logger: MakeLogger, logged: Callable[..., Any]) -> None:
    logger = make_logger()

    def loss(x: jax.Array) -> jax.Array:
        jaxlog.log(logger, jnp.int32(0), {"x": x.sum()}, arrays={"a": x * x})
        return (x**2).sum()

    with logger.open() as run:
        gradient = jax.jit(jax.grad(loss))(jnp.arange(3.0))
    assert gradient.tolist() == [0.0, 2.0, 4.0]
    assert run.sink("memory").metrics[0].lanes[0].arrays["a"].tolist() == [0.0, 1.0, 4.0]


def test_settings_leave_arrays_out_like_metrics(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(exclude=["secret"], log_gradient_norms=False)
    arrays = {"kept": jnp.ones(2), "secret": jnp.ones(2**22), "grad_norm": jnp.ones(3)}
    program = jax.jit(lambda: jaxlog.log(logger, jnp.int32(0), {"x": 1.0}, arrays=arrays))
    (event,) = logged(logger, program).metrics
    assert list(event.lanes[0].arrays) == ["kept"]
    with logger.open() as run:
        jaxlog.log(logger, 0, {"x": 1.0}, arrays=arrays)
    assert list(run.sink("memory").metrics[0].lanes[0].arrays) == ["kept"]


TOO_LARGE = (
    "arrays['q']: got float32[512,513], 1,050,624 bytes of 1,050,636 bytes in 2 arrays, expected "
    "at most 1,048,576 in one record (the setting max_array_bytes); log a smaller array, such as "
    "every k-th row or an average over blocks, raise the setting, or return the array from the "
    "program and save it there"
)


def test_an_array_that_is_too_large_is_refused_while_tracing(make_logger: MakeLogger) -> None:
    arrays = {"small": jnp.ones(3), "q": jnp.ones((512, 513))}

    def log(logger: jaxlog.Logger, **arrays: jax.Array) -> None:
        jax.make_jaxpr(lambda step: jaxlog.log(logger, step, arrays=arrays))(0)

    with pytest.raises(ValueError, match="max_array_bytes") as caught:
        log(make_logger(), **arrays)
    assert str(caught.value) == TOO_LARGE
    log(make_logger(max_array_bytes=2 * 2**20), **arrays)
    with pytest.raises(ValueError, match=r"arrays\['small'\]: got float32\[3\], 12 bytes, expec"):
        log(make_logger(max_array_bytes=11), small=jnp.ones(3))
    logger = make_logger()
    with logger.open() as run:
        run.log(step=0, arrays={"q": np.ones((2**18), np.float32)})
        with pytest.raises(ValueError, match=r"arrays\['q'\]: got float64\[131073\], 1,048,584 by"):
            run.log(step=0, arrays={"q": np.ones(2**17 + 1)})
    assert len(run.sink("memory").metrics) == 1


BAD = [
    ({"q": "text"}, TypeError, "arrays['q']: got str, expected an array or a number"),
    ({"q": jnp.ones(2, complex)}, TypeError, "arrays['q']: got complex64[2], expected bool, int"),
    ([jnp.ones(2)], TypeError, "arrays: got list, expected a dict by name"),
    ({1: jnp.ones(2)}, TypeError, "arrays: got the key 1, expected a name"),
    ({"q": np.array([2**40])}, ValueError, "arrays['q']: got 1099511627776, expected what fits"),
    (
        {"loss": jnp.ones(2)},
        ValueError,
        "two values would be written as 'loss'; give one of them another name",
    ),
    (
        {"episode_return_mean": jnp.ones(2)},
        ValueError,
        "two values would be written as 'episode_return_mean'; give one of them another name",
    ),
]


@pytest.mark.parametrize(("arrays", "error", "text"), BAD)
def test_bad_arrays_are_refused_while_tracing(
    arrays: Any, error: type[Exception], text: str, make_logger: MakeLogger
) -> None:
    logger, metrics = make_logger(), {"episode_returns": jnp.ones(3), "loss": 1.0}
    with pytest.raises(error) as caught:
        jax.make_jaxpr(lambda: jaxlog.batch_step(logger, 0, metrics, arrays=arrays))()
    assert text in str(caught.value)


def test_run_log_takes_an_array_for_each_lane(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=JSONL)
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3)}
    with logger.open(tmp_path, lanes=[{"seed": 5}, {"seed": 6}]) as run:
        run.log({"loss": [1.0, 2.0]}, step=0, arrays=arrays)
        arrays["a"][:] = 0  # the run has a copy
        run.log({"loss": 1.0}, step=1, arrays={"a": jnp.ones(4, jnp.bfloat16)})
        for given, text in [
            ({"a": np.ones(3)}, "arrays['a']: got float64[3], expected a shape that begins with 2"),
            ({"loss": np.ones(2)}, "two values would be written as 'loss'"),
            ({"a": np.array(["x"])}, "arrays['a']: got ndarray"),
            ({"a": np.ones(2, complex)}, "arrays['a']: got ndarray"),
        ]:
            with pytest.raises((ValueError, TypeError)) as caught:
                run.log({"loss": [1.0, 2.0]}, step=2, arrays=given)
            assert text in str(caught.value)
    found = jaxlog.read_run(tmp_path).logged_arrays()
    assert [(one.step, one.lane, one.labels, one.value.tolist()) for one in found] == [
        (0, 0, {"seed": 5}, [0, 1, 2]),
        (0, 1, {"seed": 6}, [3, 4, 5]),
        (1, 0, {}, [1.0] * 4),
    ]


def test_the_files_describe_the_arrays(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=JSONL)
    with logger.open(tmp_path) as run:
        run.log({"loss": 0.5}, step=3, arrays={"m": np.array([[1.5, np.nan]], np.float32)})
        run.log(step=4, arrays={"m": np.array([[True]])}, name="other")
        run.log(step=5, arrays={"m": np.array([2**63], np.uint64)}, name="other")
    lines = [json.loads(line) for line in (tmp_path / "arrays.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k != "timestamp"} for line in lines] == [
        {
            "step": 3, "name": "eval", "lane": 0, "labels": {}, "arrays": {"m": [[1.5, None]]},
            "nonfinite": {"m[0, 1]": "nan"},
        },
        {"step": 4, "name": "other", "lane": 0, "labels": {}, "arrays": {"m": [[True]]}},
        {"step": 5, "name": "other", "lane": 0, "labels": {}, "arrays": {"m": [2**63]}},
    ]  # fmt: skip
    calls = json.loads((tmp_path / "run.json").read_text())["calls"]
    assert calls["eval"]["arrays"] == {"m": {"dtype": "float32", "shape": [1, 2]}}
    assert calls["other"] == {"keys": {}, "arrays": {"m": {"dtype": "uint64", "shape": [1]}}}
    metrics = [json.loads(x) for x in (tmp_path / "eval_metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["metrics"]) for line in metrics] == [(3, {"loss": 0.5})]


def test_a_reader_chooses_by_name_call_and_lane(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=JSONL)
    with logger.open(tmp_path / "with", lanes=[{"seed": 0}, {"seed": 1}]) as run:
        for step in (1, 0):
            run.log({"x": [1, 2]}, step=step, arrays={"a": np.eye(2), "b": np.ones((2, 3))})
        run.log(step=2, arrays={"a": np.zeros(3)}, name="train")
    with logger.open(tmp_path / "without") as run:
        run.log({"x": 1}, step=0)
    data = jaxlog.read_run(tmp_path / "with")
    assert repr(data.logged_arrays()) == "LoggedArrays(9 of eval/a, eval/b, train/a)"
    chosen = data.logged_arrays("a", call="eval", lane=1)
    assert [(one.step, one.value.tolist()) for one in chosen] == [(0, [0.0, 1.0]), (1, [0.0, 1.0])]
    assert repr(chosen[0]) == "LoggedArray(eval/a, step 0, lane 1: float64[2])"
    assert repr(chosen[1:]) == "LoggedArrays(1 of eval/a)"
    html = chosen._repr_html_()  # what a notebook shows
    assert re.findall(r'alt="([^"]*)"', html) == [
        "eval/a · step 0 · seed 1",
        "eval/a · step 1 · seed 1",
    ]
    with pytest.raises(LookupError) as caught:
        data.logged_arrays("c", call="train")
    assert str(caught.value) == (
        f"{tmp_path / 'with'}: has logged no arrays of the name 'c', the call 'train'; the arrays "
        "are eval/a, eval/b, train/a"
    )
    empty = jaxlog.read_run(tmp_path / "without")
    assert repr(empty.logged_arrays()) == "LoggedArrays(none)"
    with pytest.raises(
        LookupError, match="has logged no arrays of the name 'a'; no call has logged any"
    ):
        empty.logged_arrays("a")


def test_broken_lines_are_left_out(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger, file = make_logger(sinks=JSONL), tmp_path / "arrays.jsonl"
    with logger.open(tmp_path) as run:
        run.log(step=0, arrays={"a": np.array([[1.0, np.inf]])})
    (line,) = file.read_text().splitlines()
    broken = [
        line.replace("[[1.0,null]]", "[[1.0],[null,2.0]]"),
        line.replace("[[1.0,null]]", '"text"'),
        line.replace("a[0, 1]", "a[0, 7]"),
        line.replace('"lane":0', '"lane":"x"'),
        "{}",
    ]
    file.write_text("\n".join([line, *broken, line, line[:50]]))
    with pytest.warns(UserWarning, match=r"arrays\.jsonl: 5 lines are not those of arrays; left"):
        found = jaxlog.read_run(tmp_path).logged_arrays("a")
    assert [one.value.tolist() for one in found] == [[[1.0, np.inf]]] * 2


def test_a_resumed_run_drops_and_logs_arrays_again(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=JSONL)

    def log(run: jaxlog.Run, steps: range) -> None:
        for step in steps:
            run.log({"x": step}, step=step, arrays={"a": np.full(2, step, np.int8)})

    with logger.open(tmp_path) as run:
        log(run, range(2))
        state = run.state()
        log(run, range(2, 5))
    with logger.open(tmp_path, if_exists="resume", state=state) as run:
        run.log({"x": 2}, step=2, arrays={"a": np.full(2, 2, np.int16)})
    found = jaxlog.read_run(tmp_path).logged_arrays("a")
    assert [one.value.tolist() for one in found] == [[0, 0], [1, 1], [2, 2]]
    assert {one.value.dtype.name for one in found} == {"int16"}  # which holds both


def test_large_records_of_many_lanes_arrive(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger()

    def lane(seed: jax.Array) -> None:
        table = jnp.full((512, 512), seed.astype(np.float32))
        jaxlog.log(logger, jnp.int32(0), {"x": 1.0}, arrays={"a": table})

    (event,) = logged(logger, lambda: jax.jit(jax.vmap(lane))(jnp.arange(24))).metrics
    assert [lane.arrays["a"].mean() for lane in event.lanes] == list(range(24))
