"""The states of the run in a bucket; `make buckets` kills the whole program and resumes it."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import module_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_last_state_is_read_back_and_older_ones_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    states = module_of(EXAMPLES / "resume_in_bucket.py").StatesInStore(
        (tmp_path / "run-states").as_uri()
    )
    like = (jax.random.key(0), jnp.zeros(2, jnp.float32), np.array(0, np.uint32))
    assert states.last(like) == (0, like)
    for done in (1, 2, 3):
        states.save(done, (jax.random.key(done), jnp.full(2, done, jnp.float32), np.uint32(done)))
    assert sorted(path.name for path in (tmp_path / "run-states").iterdir()) == [
        "00000002.npz",
        "00000003.npz",
    ]
    done, (key, weights, number) = states.last(like)
    assert done == number == 3
    assert (jax.random.key_data(key) == jax.random.key_data(jax.random.key(3))).all()
    assert weights.tolist() == [3.0, 3.0]
    assert number.dtype == np.uint32
