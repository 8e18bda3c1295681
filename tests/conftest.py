"""The set-up that all tests share: JAX with strict checks, and loggers that keep their events."""

from __future__ import annotations

import atexit
import errno
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import sys
import tempfile

# Before anything imports jax, so that tests run on the same platform everywhere.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# The local stores of trackers, which are in the home and the working directory otherwise. Trackers
# read these variables when they are imported.
os.environ["TRACKIO_DIR"] = f"{tempfile.mkdtemp(prefix='jaxlog-stores-')}/trackio"
os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{os.environ['TRACKIO_DIR']}/mlflow.db"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from hypothesis import HealthCheck, settings

import jaxlog
from jaxlog import _companions
from jaxlog._crossing.queue import choose
from jaxlog._host.companion import Companion
from jaxlog._settings.environment import native_crossing
from tests.browser import open_page as open_page
from tests.month import build as build_month

if importlib.util.find_spec("jaxtyping") is not None:  # else program/test_shapes.py fails
    from tests import shapes  # before anything imports jaxlog._program

    shapes.load()

STORES = Path(os.environ["TRACKIO_DIR"])
STORES.mkdir()
atexit.register(shutil.rmtree, STORES.parent, ignore_errors=True)

collect_ignore = ["sinks/sink_of_0_1.py"]  # a test imports it, with its warnings

# The first logger would choose it, and some tests ask before there is one.
choose(native=native_crossing())

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# No limits on time: an example that compiles takes long, and a busy machine generates it slowly.
PATIENT: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("jaxlog", max_examples=60, **PATIENT)
settings.register_profile("few", max_examples=8, **PATIENT)  # for CI, and for other versions of JAX
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "jaxlog"))

MakeLogger = Callable[..., jaxlog.Logger]
ABOUT_WHAT_RAN = {
    "test_alerts",
    "test_output_capture",
    "test_resume",
    "test_run_difference",
    "test_show",
    "test_terminal",
    "test_what_ran",
}
"""The modules whose tests look at the program that was run."""


def module_of(script: Path) -> Any:
    """Imports a script, such as an example, which is in no package."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


LONGEST = {"test_long_runs.py", "test_docs.py", "test_demo.py", "test_notebooks.py"}
"""Test files that train. They run first, so that two test processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Makes SIGINT raise KeyboardInterrupt, also in processes that a test starts.

    In the background of a script SIGINT is ignored, and child processes inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def refuse_locks(patch: pytest.MonkeyPatch, error: int = errno.ENOLCK) -> None:
    """From here on, file systems have no locks, as Lustre may be mounted."""

    def flock(*_: object) -> None:
        raise OSError(error, "no locks")

    patch.setattr(fcntl, "flock", flock)


@pytest.fixture(scope="module", autouse=True)
def _without_what_ran(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leaves git, packages and devices out of the runs of tests about something else."""
    if request.module.__name__.rpartition(".")[2] in ABOUT_WHAT_RAN:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_companions, "WhatRan", lambda *_, **__: Companion())
        yield


@pytest.fixture
def make_logger() -> MakeLogger:
    """Makes loggers whose runs keep their events in memory; takes any setting."""

    def make(total_updates: int | None = None, **settings: Any) -> jaxlog.Logger:
        defaults = {"batched_logging_enabled": True, "sinks": [{"kind": "memory"}]}
        return jaxlog.Logger(defaults | settings, total_updates=total_updates)

    return make


@pytest.fixture
def logged(make_logger: MakeLogger) -> Callable[..., Any]:
    """Runs a program in its own run, and returns the sink with the logged events."""

    def run(logger: jaxlog.Logger, program: Callable[[], Any]) -> Any:
        with logger.open() as opened:
            jax.block_until_ready(program())
        return opened.sink("memory")

    return run


def without_rates(lines: str) -> str:
    """The plain lines of the console without their rates, which depend on the machine."""
    return re.sub(r" (·|\?) \S+ (updates/s|s/update|env steps/s)", "", lines)


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the runs of `tests.month`. Tests share it: copy a run before changing it."""
    return build_month(tmp_path_factory.mktemp("month"))
