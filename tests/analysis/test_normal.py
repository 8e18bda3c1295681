"""The normal distribution agrees with SciPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import ndtr, ndtri

from jaxlog._analysis.normal import probability_below, quantiles_at

SHAPES = array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=5)


@given(arrays(np.float64, SHAPES, elements=st.floats(-8, 8) | st.sampled_from([-np.inf, np.inf])))
def test_probabilities_are_those_of_scipy(values: np.ndarray) -> None:
    found = probability_below(values)
    assert found.shape == values.shape
    np.testing.assert_allclose(found, ndtr(values), rtol=0, atol=1e-15)


@given(arrays(np.float64, SHAPES, elements=st.floats(0, 1) | st.just(1 - 2**-53)))
def test_quantiles_are_those_of_scipy(levels: np.ndarray) -> None:
    found = quantiles_at(levels)
    assert found.shape == levels.shape
    np.testing.assert_allclose(found, ndtri(levels), rtol=1e-12, atol=1e-12)


def test_what_is_no_probability_has_no_quantile() -> None:
    assert np.isnan(quantiles_at([np.nan, -0.1, 1.1])).all()
    assert np.isnan(probability_below([np.nan])).all()
