"""The short forms of what takes long: a soak, and runs that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(600)  # programs are compiled, on a machine that may be busy


def said(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=590,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_soak_accounts_for_every_record() -> None:
    """`make soak` is the long form: a million."""
    assert said("benchmarks.soak", "--records=20000").startswith("20,000 records in ")


def test_a_run_that_is_killed_loses_nothing() -> None:
    """`make kills` is the long form: a hundred times."""
    pytest.importorskip("orbax.checkpoint")
    # A multiple of the updates between checkpoints: a rest would be compiled anew.
    assert "1 kill, 1 run of " in said("benchmarks.kills", "--kills=1", "--num-updates=16")
