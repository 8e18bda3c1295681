from __future__ import annotations

import pytest

from jaxlog._host.decode import env_step


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
