"""Types inferred from the first and last lines give the same frame as those of all lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import jaxlog
from jaxlog._reading import parsing
from jaxlog._reading.parsing import read_frame
from tests.reading.files import episode, metrics, write

TEXTS = st.sampled_from(["a", "[1]", '":', '" :', '{"b":1}', ""])
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 2**64 - 1) | st.sampled_from([0.5, 2.0]) | TEXTS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
KINDS = st.sampled_from([st.just(1), st.sampled_from([0.5, 2]), TEXTS, st.just([]), VALUES])


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Lines whose values are mostly of one kind."""
    keys = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    kinds = {key: draw(KINDS) for key in keys}
    line = st.fixed_dictionaries({}, optional={key: kind | LEAVES for key, kind in kinds.items()})
    spaced = st.sampled_from([(",", ":"), (", ", ": "), (",", " :")])
    found = draw(st.lists(st.tuples(line, spaced), min_size=1, max_size=6))
    return [json.dumps({"m": values}, separators=how) + "\n" for values, how in found]


def frame_of(data: bytes, sample: int) -> pl.DataFrame | None:
    """Returns the frame; None if polars cannot read the lines."""
    with patch.object(parsing, "SAMPLE", (sample, sample)):
        try:
            return read_frame(data, ())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None


@given(lines())
@example(['{"m":{"x":1}}\n', '{"m":{"x":1,"y":2}}\n', '{"m":{"x":1}}\n'])  # a key that comes late
@example(['{"m":{"x":[]}}\n', '{"m":{"x":[1]}}\n', '{"m":{"x":[]}}\n'])
@example(['{"m":{"x":"a"}}\n', '{"m":{"x":[1,2]}}\n', '{"m":{"x":"b"}}\n'])
@example(['{"m":{"x":["a"]}}\n', '{"m":{"x":[[1,2]]}}\n', '{"m":{"x":["b"]}}\n'])
@example(['{"m":{"x":1}}\n', '{"m":{"x":1,"y" :2}}\n', '{"m":{"x":1}}\n'])
@example(['{"m":{"x":1}}\n', '{"m":{"x":null,"y":2}}\n', '{"m":{"x":1}}\n'])
def test_the_types_are_those_of_all_lines(found: list[str]) -> None:
    data = "".join(found).encode()
    expected, got = frame_of(data, 2**40), frame_of(data, 1)
    if expected is None or got is None:
        assert expected is got
    else:
        assert_frame_equal(got, expected, check_column_order=False)


def long_file(*late: dict[str, Any]) -> bytes:
    """Returns many lines with some other lines in their middle."""
    usual = [{"step": step, "metrics": {"loss": 0.5, "name": "a"}} for step in range(50_000)]
    return "".join(
        json.dumps(line, separators=(",", ":")) + "\n"
        for line in (*usual[:25_000], *late, *usual[25_000:])
    ).encode()


@pytest.mark.parametrize(
    ("late", "looks_at_all"),
    [
        ({"step": 7, "metrics": {"loss": 0.5, "name": "b"}}, False),
        ({"step": 7, "metrics": {"loss": 3, "name": "b"}}, False),
        ({"step": 7, "metrics": {"loss": None}, "nonfinite": {"loss": "nan"}}, False),
        ({"step": 7, "metrics": {"late": None}, "nonfinite": {"late": "nan"}}, True),
        ({"step": 7, "metrics": {"late": 0.5}}, True),
        ({"step": 7.5, "metrics": {}}, True),
        ({"step": 7, "metrics": {"name": '":'}}, True),
    ],
)
def test_types_of_a_long_file_are_inferred_from_its_ends(
    late: dict[str, Any], looks_at_all: bool
) -> None:
    said = late.get("nonfinite")
    data = long_file(late)
    if said:  # somewhere in what is looked at
        first = {"step": 0, "metrics": {"loss": None}, "nonfinite": {"loss": "inf"}}
        data = json.dumps(first, separators=(",", ":")).encode() + b"\n" + data
    nonfinite = [({"loss": "inf"}, [0]), (said, [25_001])] if said else []
    expected = parsing._of_all_lines(data, {"nonfinite": pl.String()} if said else None)
    with patch.object(parsing, "_of_all_lines", side_effect=parsing._of_all_lines) as looked:
        found = read_frame(data, nonfinite)
    assert (looked.call_count == 2) == looks_at_all
    assert_frame_equal(found, expected)


def test_a_run_with_all_kinds_of_lines_is_read_the_same_way(tmp_path: Path) -> None:
    """Histograms, arrays, labels that are texts, and values that are not finite."""

    def events() -> list[Any]:
        histogram = jaxlog.sinks.Histogram((0.0, 1.0), (3,), 1, 0)
        of_metrics = [
            metrics(
                step,
                *(
                    ({"env": "b" * lane}, {"loss": np.float32(1 / step), "h": histogram})
                    for lane in range(3)
                ),
                ({}, {"late": np.nan} if step == 7 else {"loss": np.nan}),
            )
            for step in range(1, 20)
        ]
        state = np.array([[1.0, np.inf], [np.nan, 2.0]])
        return of_metrics + [
            episode(step, {"success": True}, state=state * step) for step in range(1, 20)
        ]

    run = write(tmp_path, events())
    with patch.object(parsing, "SAMPLE", (2**40, 2**40)):
        expected = jaxlog.read_run(run).frames()
    with patch.object(parsing, "SAMPLE", (1, 1)):
        found = jaxlog.read_run(run).frames()
    assert found.keys() == expected.keys()
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame)
