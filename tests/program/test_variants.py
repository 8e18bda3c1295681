"""Pure functions give the same in and out of `jit`, on a device, from the host and in `pmap`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from jaxlog.statistics import (
    EpisodeTracker,
    Moments,
    QuantileSketch,
    histogram,
    sample_indices,
    sample_indices_where,
)

VALUES = np.array([[3.0, -1.0, 7.5, 2.0], [np.nan, 0.25, 4.0, -8.0]], np.float32)
WHERE = np.array([[True, True, False, True], [True, True, True, False]])
KEPT = np.array([3.0, -1.0, 2.0, 0.25, 4.0])
"""The finite values that the mask keeps."""
EDGES = (-1.0, 0.5, 3.0)


def moments_of(values: np.ndarray, nonfinite: int) -> dict[str, Any]:
    return {
        "count": np.int32(values.size),
        "nonfinite": np.int32(nonfinite),
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
    }


def fields(moments: Moments) -> dict[str, jax.Array]:
    """Those that NumPy has, too."""
    return {name: getattr(moments, name) for name in moments_of(KEPT, 0)}


def merged(values: jax.Array, where: jax.Array) -> dict[str, jax.Array]:
    first, second = (Moments.of(values[i], where[i]) for i in range(2))
    return fields(first.merge(second).merge(Moments.empty()))


def median(values: jax.Array, where: jax.Array) -> jax.Array:
    return QuantileSketch.of(values, where).merge(QuantileSketch.empty()).quantile(0.5)


def two_steps(reward: jax.Array, done: jax.Array) -> tuple[Any, ...]:
    tracker, _, _ = EpisodeTracker.empty(4).step(reward[0], done[0])
    tracker, metrics, ended = tracker.step(reward[1], done[1])
    return metrics, ended, tracker.lengths


class Case(NamedTuple):
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    expected: Any
    tolerance: float = 1e-6
    static: tuple[int, ...] = ()


REWARDS = np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.5]], np.float32)
DONE = np.array([[True, False, False, False], [False, True, False, True]])
CASES = {
    "moments": Case(
        lambda values, where: fields(Moments.of(values, where)),
        (VALUES, WHERE),
        moments_of(KEPT, 1),
    ),
    "merge": Case(merged, (VALUES, WHERE), moments_of(KEPT, 1)),
    "quantile": Case(median, (VALUES, WHERE), np.float64(2.0), 0.01),
    "histogram": Case(
        lambda values, where: histogram(values, EDGES, where),
        (VALUES, WHERE),
        np.array([0, 2, 2, 1], np.int32),
    ),
    "indices": Case(
        sample_indices, (np.int32(0), 100, 3), np.array([37, 39, 83], np.int32), 0.0, (1, 2)
    ),
    "indices_where": Case(
        sample_indices_where,
        (np.int32(0), np.ones(100, bool), 3),
        (np.array([73, 7, 81], np.int32), np.ones(3, bool)),
        0.0,
        (2,),
    ),
    "episodes": Case(
        two_steps,
        (REWARDS, DONE),
        (
            {
                "episode_returns": np.array([0.5, 2.5, 3.5, 4.5]),
                "episode_lengths": np.array([1, 2, 2, 2], np.int32),
            },
            DONE[1],
            np.array([1, 0, 2, 0], np.int32),
        ),
    ),
}


class Variants(chex.TestCase):
    @chex.variants(  # pyright: ignore[reportCallIssue]  chex says less than it returns
        with_jit=True, without_jit=True, with_device=True, without_device=True, with_pmap=True
    )
    @parameterized.named_parameters(*((name, case) for name, case in CASES.items()))
    def test_a_pure_function_gives(self, case: Case) -> None:
        variant: Callable[..., Any] = self.variant  # type: ignore[assignment]  chex sets it
        got = variant(case.function, static_argnums=case.static)(*case.arguments)
        chex.assert_trees_all_close(got, case.expected, rtol=case.tolerance, atol=1e-6)
        counts = lambda tree: jax.tree.map(lambda leaf: np.asarray(leaf).dtype.kind, tree)  # noqa: E731
        chex.assert_trees_all_equal_structs(got, case.expected)
        assert counts(got) == counts(case.expected)


class Traces(chex.TestCase):
    @parameterized.named_parameters(*((name, case) for name, case in CASES.items()))
    def test_a_second_call_traces_nothing(self, case: Case) -> None:
        chex.clear_trace_counter()
        once = jax.jit(
            chex.assert_max_traces(lambda *arguments: case.function(*arguments), n=1),
            static_argnums=case.static,
        )
        first = once(*case.arguments)
        chex.assert_trees_all_equal(once(*case.arguments), first)


def test_merging_carries_its_own_structure() -> None:
    """What `scan` and `while_loop` ask of a carry, of a batch and of none, in each dtype."""
    for dtype in (np.float32, np.int32, np.bool_):
        empty, some = Moments.empty(dtype), Moments.of(jnp.ones(4, dtype))
        chex.assert_trees_all_equal_shapes_and_dtypes(empty, some, empty.merge(some))
    sketches = QuantileSketch.empty(), QuantileSketch.of(jnp.ones(4))
    chex.assert_trees_all_equal_shapes_and_dtypes(*sketches, sketches[0].merge(sketches[1]))
    assert math.isinf(float(Moments.empty().min))
