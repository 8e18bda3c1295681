from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._program.quantiles import ACCURACY, LARGEST, SMALLEST, QuantileSketch

of = jax.jit(QuantileSketch.of)
QS = (0.0, 0.05, 0.5, 0.95, 1.0)


@jax.jit
def quantiles(sketch: QuantileSketch) -> jax.Array:
    return jnp.stack([sketch.quantile(q) for q in QS])


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(1,), (5,), (7, 40), (1000,)]))
    scale = draw(st.sampled_from([1e-5, 1.0, 300.0, 1e8]))
    offset = draw(st.sampled_from([0.0, 0.0, 1.0, -50.0, 1e5]))
    values = rng.normal(size=shape) * scale + offset
    if draw(st.booleans()):
        values = np.round(values)
    mask = rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    return values.astype(np.float32), mask


def assert_close(sketch: QuantileSketch, kept: np.ndarray) -> None:
    if not kept.size:
        return
    exact = np.quantile(kept.astype(np.float64), QS, method="lower")
    got = np.asarray(quantiles(sketch), np.float64)
    allowed = 1.001 * ACCURACY * np.abs(exact) + SMALLEST
    assert (np.abs(got - np.clip(exact, -LARGEST, LARGEST)) <= allowed).all(), (got, exact)


@given(batches())
def test_quantiles_are_within_one_percent(batch: tuple[np.ndarray, np.ndarray]) -> None:
    values, mask = batch
    assert_close(of(values), values.ravel())
    assert_close(of(values, mask), values[mask])
    assert int(of(values, mask).counts.sum()) == mask.sum()


@given(batches(), st.integers(0, 10**9))
def test_merging_is_exact(batch: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    values, mask = batch
    part = np.random.default_rng(seed).integers(0, 3, size=mask.shape)
    a, b, c = (of(values, mask & (part == i)) for i in range(3))
    whole = of(values, mask).counts.tolist()
    assert a.merge(b).merge(c).counts.tolist() == whole
    assert c.merge(a.merge(b)).counts.tolist() == whole
    assert QuantileSketch.empty().merge(of(values, mask)).counts.tolist() == whole


def test_what_is_not_finite_is_left_out() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf, 3.0], np.float32)
    assert int(of(values).counts.sum()) == 2
    assert_close(of(values), np.array([1.0, 3.0]))


def test_what_is_out_of_range_counts_at_its_end() -> None:
    values = np.array([-1e20, -1e-9, 0.0, 1e-9, 1e20], np.float32)
    got = np.asarray(quantiles(of(values)))
    assert got[2] == 0.0
    assert -got[0] == got[-1] == pytest.approx(LARGEST, rel=2 * ACCURACY)


def test_lanes_and_shares() -> None:
    values = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    lanes = jax.vmap(QuantileSketch.of)(values)
    for lane in range(4):
        assert_close(jax.tree.map(lambda leaf, lane=lane: leaf[lane], lanes), values[lane])
    whole = jax.vmap(lambda v: QuantileSketch.of(v).across("i"), axis_name="i")(values)
    assert_close(jax.tree.map(lambda leaf: leaf[0], whole), values.ravel())


@pytest.mark.parametrize("q", [-0.1, 1.5, float("nan")])
def test_a_quantile_is_from_0_to_1(q: float) -> None:
    with pytest.raises(ValueError, match=f"q: got {q}, expected 0 to 1"):
        QuantileSketch.empty().quantile(q)
