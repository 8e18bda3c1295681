"""Float32 numbers become the float64 numbers that are read from the text of lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jaxlog._format import shortest as module
from jaxlog._format.events import EvaluationEvent
from jaxlog._format.lines import lines_of
from jaxlog._format.shortest import shortest

POWERS = [float(np.float32(2.0**n)) for n in range(-149, 128)]


@pytest.fixture(autouse=True, params=["native", "numpy"])
def convert(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converts in C, and as where C is not built."""
    if request.param == "numpy":
        monkeypatch.setattr(module, "_convert", module._convert_in_numpy)
    elif module._convert is module._convert_in_numpy:
        pytest.skip("the part in C is not built: there is no compiler")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the same for all examples
@given(st.lists(st.floats(width=32) | st.integers(-(10**6), 10**6).map(lambda n: n / 1000)))
@example(POWERS)
@example([0.1, 16777215.0, 16777216.0, 123456792.0, 8388607.5, 1e-22, -0.0])
def test_a_float32_is_the_number_on_the_line(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    line = json.loads(lines_of(EvaluationEvent(0, 0.0, {}, {"all": numbers})))
    found = shortest(numbers)
    for number, got, expected in zip(numbers, found, line["details"]["all"], strict=True):
        assert got == expected if np.isfinite(number) else np.isnan(got) or got == number


def test_the_shape_stays_and_chunks_do_not_matter() -> None:
    numbers = np.random.default_rng(0).normal(size=(3, 7001)).astype(np.float32)
    found = shortest(numbers)
    assert found.shape == numbers.shape
    assert found[2, -1] == shortest(numbers[2, -1:])[0] == float(str(numbers[2, -1]))
    assert found.tolist() == [[float(str(n)) for n in row] for row in numbers]


def test_each_exponent_and_sign_is_converted() -> None:
    """Against `float(str(number))`, with the numbers beside each power of two."""
    random = np.random.default_rng(0)
    bits = (np.arange(512, dtype=np.uint32) << 23)[:, None]
    mantissas = np.append(random.integers(0, 2**23, 60), [0, 1, 2, 2**22, 2**23 - 2, 2**23 - 1])
    numbers = (bits | mantissas.astype(np.uint32)).view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    whole = np.abs(numbers) >= 2**24  # these keep all digits
    expected = [float(n) if w else float(str(n)) for n, w in zip(numbers, whole, strict=True)]
    assert shortest(numbers).tolist() == expected


def test_what_is_not_finite_stays() -> None:
    numbers = np.array([np.inf, -np.inf, np.nan, -np.nan, 0.1, 2.0**-30], np.float32)
    np.testing.assert_array_equal(
        shortest(numbers), [np.inf, -np.inf, np.nan, np.nan, 0.1, 9.313226e-10]
    )
