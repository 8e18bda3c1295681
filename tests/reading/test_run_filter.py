"""The language that selects and sorts runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jaxlog._reading.run_filter import (
    RunFilter,
    RunFilterError,
    Sort,
    Term,
    full_name,
    number_in,
    parsed,
)

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["CartPole", "a b", 'say "x"', "a:b", "1,2", "\\", "-", "none", "ünï", "3e-4", "nan"]
)
NUMBERS = st.floats() | st.integers()
NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name != "sort")
ORDERS = st.sampled_from(["<", "<=", ">", ">="])
EQUALS = st.builds(
    Term, NAMES, st.sampled_from(["=", "!=", ":"]), st.lists(TEXTS, min_size=1).map(tuple)
)
LIMITS = st.builds(Term, NAMES, ORDERS, st.tuples(st.floats().map(repr)))
SORTS = st.builds(Sort, NAMES.filter(lambda name: name[0] != "-"), st.booleans())
FILTERS = st.builds(RunFilter, st.lists(EQUALS | LIMITS, max_size=4).map(tuple), st.none() | SORTS)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(st.integers(), max_size=3)
RUNS = st.lists(st.dictionaries(st.sampled_from(["a", "b"]), VALUES), max_size=8)


def selected(text: str, runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return parsed(text).select(runs, dict.get)


@given(FILTERS)
def test_the_text_of_a_filter_is_read_back(one: RunFilter) -> None:
    assert parsed(str(one)) == one


@given(st.text(max_size=30) | st.text(alphabet='ab1 :=!<>,"\\-', max_size=12))
def test_every_text_is_a_filter_or_a_clear_error(text: str) -> None:
    said = ""
    try:
        found = parsed(text)
    except RunFilterError as error:
        said = str(error)
    else:
        assert parsed(str(found)) == found
    assert not said or "expected" in said


@given(RUNS, FILTERS)
def test_what_is_selected_are_the_runs_that_match(
    runs: list[dict[str, Any]], one: RunFilter
) -> None:
    found = one.select(runs, dict.get)
    matching = [run for run in runs if all(t.matches(run.get(t.name)) for t in one.terms)]
    assert sorted(map(id, found)) == sorted(map(id, matching))
    if one.sort is None:
        assert found == matching or any(x != x for run in runs for x in run.values())


@given(RUNS, st.booleans())
def test_an_order_is_stable_and_puts_what_is_missing_last(
    runs: list[dict[str, Any]], descending: bool
) -> None:
    order = Sort("a", descending)
    found = RunFilter(sort=order).select(runs, dict.get)
    again = RunFilter(sort=order).select(found, dict.get)
    assert list(map(id, again)) == list(map(id, found))
    missing = [run.get("a") is None or run["a"] != run["a"] for run in found]
    texts = [isinstance(run.get("a"), str) for run in found]
    assert missing == sorted(missing) or any(texts)  # a text may be that of NaN
    numbers = [
        float(run["a"])
        for run in found
        if isinstance(run.get("a"), float) and not math.isnan(run["a"])
    ]
    assert numbers == sorted(numbers, reverse=descending)


@given(VALUES, TEXTS)
def test_unequal_is_the_opposite_of_equal(value: Any, wanted: str) -> None:
    assert Term("a", "=", (wanted,)).matches(value) != Term("a", "!=", (wanted,)).matches(value)


@given(VALUES, st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["=", ":"]))
def test_several_values_mean_any_of_them(value: Any, wanted: list[str], operator: str) -> None:
    each = [Term("a", operator, (one,)).matches(value) for one in wanted]
    assert Term("a", operator, tuple(wanted)).matches(value) == any(each)


@given(st.floats(), st.floats())
@example(1.5e308, 1e307)
def test_numbers_are_compared_as_python_does(value: float, limit: float) -> None:
    found = {o: Term("a", o, (repr(limit),)).matches(value) for o in ("<", "<=", ">", ">=")}
    assert found == {
        "<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("lr=3e-4", [0, 1]),  # YAML reads 3e-4 as a text
        ("lr!=3e-4", [2, 3]),
        ("lr=none", [3]),
        ("env=cartpole-v1", [0, 2]),
        ("env:cart", [0, 2]),
        ("env=CartPole", []),
        ("status=failed,killed", [1, 2]),
        ("return>400", [0]),
        ("return>=400 return<=500", [0]),
        ("return=nan", [2]),
        ("age<2h", [0, 1]),
        ("age>=90min", [2]),
        ("ppo", [0, 1]),
        ('"b 1"', [1]),
        ("big=true", [0]),
        ("sizes=[64,64]", []),  # a comma is between values
        ('sizes="[64,64]"', [1]),
        ("sort:return", [1, 0, 2, 3]),
        ("sort:-return", [0, 1, 2, 3]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_terms(text: str, numbers: list[int]) -> None:
    runs: list[dict[str, Any]] = [
        {"run": "ppo/a", "lr": 0.0003, "env": "CartPole-v1", "status": "running", "return": 450.0,
         "age": 30.0, "big": True},
        {"run": "ppo/b 1", "lr": "3e-4", "env": "Acrobot-v1", "status": "failed", "return": 20,
         "age": 3600.0, "big": False, "sizes": [64, 64]},
        {"run": "dqn", "lr": 1e-3, "env": "CartPole-v1", "status": "killed", "return": math.nan,
         "age": 86400.0},
        {"run": "empty"},
    ]  # fmt: skip
    assert [runs.index(run) for run in selected(text, runs)] == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("return > 400", ">: got > without one name before it, expected a term like return>400, "
         "without spaces"),
        ("return>", "return>: got no value after >, expected a term like return>400, without "
         "spaces"),
        ("return>high", "return>high: got high after >, expected one number such as 3e-4, or a "
         "time such as 30s, 5min, 2h or 1d"),
        ("a=b=c", "a=b=c: got a second sign in a term, expected one of : = != <= < >= >; put a "
         'value with such signs into quotes, like note="a:b"'),
        ("a=1,", 'a=1,: got a comma without a value beside it, expected values like a=1,2; an '
         'empty text is ""'),
        ("a,b", "a,b: got a comma without a name, expected values after one, like "
         "status=failed,killed"),
        ('x note="a b', 'got "a b without a closing quote, expected "…"; write \\" for a quote in '
         "a text"),
        ("sort:-", "sort:-: got sort:-, expected one name, like sort:return, or sort:-return for "
         "the largest first"),
        ("sort:a sort:-b", "got a second order, sort:-b, expected one; leave out sort:a or "
         "sort:-b"),
    ],
)  # fmt: skip
def test_errors_name_the_term_and_the_remedy(text: str, said: str) -> None:
    with pytest.raises(RunFilterError) as caught:
        parsed(text)
    assert str(caught.value) == said


def test_short_names() -> None:
    known = ["status", "optimizer.lr", "episode_return", "eval_episode_return", "loss/actor"]
    assert full_name("status", known) == "status"
    assert full_name("return", known) == "episode_return"
    assert full_name("lr", known) == "optimizer.lr"
    assert full_name("actor", known) == "loss/actor"
    assert full_name("turn", known) is None


def test_times() -> None:
    found = [number_in(text) for text in ("1.5min", "2d", "1e3s", "-1h", "s", "inf", "")]
    assert found == [90.0, 172800.0, 1000.0, -3600.0, None, math.inf, None]
