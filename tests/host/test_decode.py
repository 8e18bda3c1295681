from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._host.decode import env_step, in_order


@given(st.permutations(range(10)))
def test_steps_in_any_order_come_out_in_theirs(steps: list[int]) -> None:
    assert in_order(steps, steps) == list(range(10))


@given(st.lists(st.integers(0, 5)))
def test_nothing_is_lost_and_a_step_stays_behind_itself(steps: list[int]) -> None:
    ordered = in_order(list(enumerate(steps)), steps)
    assert sorted(ordered) == list(enumerate(steps))
    for step in set(steps):
        marks = [mark for mark, own in ordered if own == step]
        assert marks == sorted(marks)


def test_a_loop_that_begins_again_stays_behind_itself() -> None:
    steps = [2, 1, 0, 2, 0, 1]
    assert in_order(steps, steps) == [*(0, 1, 2), *(0, 1, 2)]


def test_a_record_without_events_is_kept() -> None:
    assert in_order(["one", "none", "zero"], [1, -1, 0]) == ["none", "zero", "one"]


@pytest.mark.parametrize(
    ("step", "per_update", "expected"),
    [
        (0, 8, 8),
        (4, 8, 40),
        (4, None, None),
        (2**63 - 2, 1, 2**63 - 1),
        (2**63 - 1, 1, None),
        (2**60 - 1, 8, None),
    ],
)
def test_environment_steps_are_those_at_the_end_of_the_update(
    step: int, per_update: int | None, expected: int | None
) -> None:
    assert env_step(step, per_update) == expected
