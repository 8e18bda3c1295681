"""The set-up of the tests on libraries of environments: their own warnings are not errors."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # craftax imports pygame
os.environ.setdefault("MPLBACKEND", "agg")

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default")
