from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._program.histogram import histogram

EDGES = [(0.0, 1.0), (-1.0, 0.0), (-1.0, 0.0, 0.5, 3.0), tuple(np.linspace(-2, 2, 33).tolist())]
counted = jax.jit(histogram, static_argnums=1)


@given(st.integers(0, 2**32 - 1), st.sampled_from(EDGES), st.sampled_from([(1,), (6, 50)]))
def test_bins_are_those_of_numpy(seed: int, edges: tuple, shape: tuple) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape).astype(np.float32)
    values.flat[: min(3, values.size)] = rng.choice(edges, min(3, values.size))  # on an edge
    mask = rng.random(shape) < 0.7
    bounds = np.asarray(edges, np.float32)
    for where, kept in ((None, values.ravel()), (mask, values[mask])):
        below, *bins, above = counted(values, edges, where).tolist()
        assert bins == np.histogram(kept, bounds)[0].tolist()
        assert (below, above) == ((kept < bounds[0]).sum(), (kept > bounds[-1]).sum())


def test_infinities_are_outside_and_nan_is_nowhere() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.5], np.float32)
    assert histogram(values, (0.0, 1.0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("edges", [(), (1.0,), (1.0, 1.0), (2.0, 1.0), (1e8, 1e8 + 1)])
def test_edges_increase(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"edges: got .*, expected two or more, ascending"):
        histogram(np.ones(3, np.float32), edges)
