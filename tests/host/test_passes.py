"""A step that is logged again starts a new pass, wherever the batches of a sink end."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._host import passes
from jaxlog._host.passes import Passes, in_order


def ordered(steps: list[int]) -> list[int]:
    """The steps in the order in which sinks write them."""
    return [steps[place] for place in in_order(steps)]


@given(st.permutations(range(10)))
def test_steps_in_any_order_come_out_in_theirs(steps: list[int]) -> None:
    assert ordered(steps) == list(range(10))


@given(st.lists(st.integers(0, 5)))
def test_a_pass_has_each_step_once_and_ends_before_one_is_repeated(steps: list[int]) -> None:
    found, seen, expected = Passes(), set(), 0
    for step in steps:
        if step in seen:
            seen, expected = set(), expected + 1
        seen.add(step)
        assert found.number(step) == expected


@given(st.lists(st.integers(0, 5)))
def test_nothing_is_lost_and_a_step_stays_behind_itself(steps: list[int]) -> None:
    places = in_order(steps)
    assert sorted(places) == list(range(len(steps)))
    for step in set(steps):
        own = [place for place in places if steps[place] == step]
        assert own == sorted(own)


def test_a_loop_that_begins_again_stays_behind_itself() -> None:
    assert ordered([2, 1, 0, 2, 0, 1]) == [*(0, 1, 2), *(0, 1, 2)]


def test_passes_of_a_long_loop_are_told_apart_and_little_is_remembered() -> None:
    found, length = Passes(), 10 * passes.REMEMBERED
    blocks = np.arange(length).reshape(-1, 8)[:, ::-1].ravel().tolist()  # each block in reverse
    assert {found.number(step) for step in blocks} == {0}
    assert len(found._last) + len(found._before) <= 2 * passes.REMEMBERED
    assert {found.number(step) for step in blocks} == {1}
    # From the middle on, as a program that goes on from a checkpoint.
    assert {found.number(step) for step in blocks[length // 2 :]} == {2}
