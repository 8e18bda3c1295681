"""Float32 numbers become the float64 numbers that are read from the text of lines."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from jaxlog._format.events import EvaluationEvent
from jaxlog._format.lines import lines_of
from jaxlog._format.shortest import shortest

POWERS = [float(np.float32(2.0**n)) for n in range(-149, 128)]


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
