"""What all tests share: JAX at its strictest, and a logger that keeps what it is given."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

# Before anything imports jax: one platform, wherever the tests run.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from hypothesis import settings

import jaxlog
from tests.browser import open_page as open_page
from tests.month import build as build_month

if importlib.util.find_spec("jaxtyping") is not None:  # else program/test_shapes.py fails
    from tests import shapes as shapes  # before anything imports jaxlog._program

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Compiling takes longer than an example should.
settings.register_profile("jaxlog", deadline=None, max_examples=60)
settings.register_profile("few", deadline=None, max_examples=15)  # on other versions of JAX
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "jaxlog"))

MakeLogger = Callable[..., jaxlog.Logger]


def module_of(script: Path) -> Any:
    """A script as a module: an example, say, which is in no package."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


LONGEST = {"test_long_runs.py", "test_docs.py", "test_demo.py", "test_notebooks.py"}
"""Files of tests that train: first, so that none of two processes waits for the other's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, here and in processes that a test starts.

    Where the tests run in the background of a script, it is ignored, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make_logger() -> MakeLogger:
    """A logger whose runs keep their events in memory; any setting can be given."""

    def make(total_updates: int | None = None, **settings: Any) -> jaxlog.Logger:
        defaults = {"batched_logging_enabled": True, "sinks": [{"kind": "memory"}]}
        return jaxlog.Logger(defaults | settings, total_updates=total_updates)

    return make


@pytest.fixture
def logged(make_logger: MakeLogger) -> Callable[..., Any]:
    """Runs a program in a run of its own and gives back the sink with what it logged."""

    def run(logger: jaxlog.Logger, program: Callable[[], Any]) -> Any:
        with logger.open() as opened:
            jax.block_until_ready(program())
        return opened.sink("memory")

    return run


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the runs of `tests.month`: read them, and copy what a test changes."""
    return build_month(tmp_path_factory.mktemp("month"))
