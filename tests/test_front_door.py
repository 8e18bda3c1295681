"""Errors for users who know other loggers or swap arguments say what to write."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from typing import Any

import jax
import pytest

import jaxlog
from jaxlog import _public, _public_names
from jaxlog._other_loggers import OF_LOGGER, OF_MODULE, OF_RUN
from tests.conftest import MakeLogger


def said(owner: object, name: str) -> str:
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    return str(caught.value)


@pytest.mark.parametrize("name", OF_MODULE)
def test_names_of_other_loggers_are_errors_with_the_name_here(name: str) -> None:
    assert said(jaxlog, name) == (
        f"jaxlog has no attribute {name!r}; in jaxlog, write {OF_MODULE[name]}"
    )
    assert not hasattr(jaxlog, name)


def test_the_error_needs_no_jax() -> None:
    code = (
        "import sys, jaxlog\n"
        "try: jaxlog.init(project='x')\n"
        "except AttributeError as error: print(error)\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "jaxlog has no attribute 'init'; in jaxlog, write `logger = jaxlog.Logger(settings)`, and "
        "`with logger.open('runs/first', config={...}) as run:`\nFalse\n"
    )


def test_only_what_is_used_is_imported() -> None:
    code = (
        "import sys, jaxlog\n"
        "jaxlog.read_runs, jaxlog.scan_runs, jaxlog.compare, jaxlog.diff, jaxlog.live\n"
        "print([name for name in ('jax', 'polars', 'pydantic', 'rich') if name in sys.modules])\n"
        "jaxlog.Logger\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nTrue\n"


def test_each_public_name_is_that_of_the_list() -> None:
    for name in _public.__all__:
        assert getattr(jaxlog, name) is getattr(_public, name)
    assert jaxlog.__all__ == _public.__all__


def test_without_sources_the_names_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _public_names._modules()
    assert found.keys() == set(_public.__all__)
    monkeypatch.setattr(SourceFileLoader, "get_source", lambda *_: None)
    assert _public_names._modules.__wrapped__() == dict.fromkeys(found, "jaxlog._public")


def test_a_logger_and_a_run_raise_such_errors_too(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with logger.open() as run:
        for owner, title, known in ((logger, "a Logger", OF_LOGGER), (run, "a Run", OF_RUN)):
            for name, remedy in known.items():
                assert said(owner, name) == (
                    f"{title} has no attribute {name!r}; in jaxlog, write {remedy}"
                )
    assert said(logger, "log").endswith("write `jaxlog.log(logger, step, values)`")
    assert said(run, "batch_step").endswith("write `jaxlog.batch_step(logger, step, metrics)`")


def test_the_names_in_these_errors_exist(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with logger.open() as run:
        owners = {"jaxlog": jaxlog, "logger": logger, "run": run, "info": run.info}
        for text in {*OF_MODULE.values(), *OF_LOGGER.values(), *OF_RUN.values()}:
            named = re.findall(r"\b(jaxlog|logger|run|info)\.(\w+)", text)
            assert named, text
            for owner, name in named:
                assert hasattr(owners[owner], name), text


def test_any_other_name_is_pythons_error(make_logger: MakeLogger) -> None:
    logger = make_logger()
    assert said(logger, "setings") == "'Logger' object has no attribute 'setings'"
    with logger.open() as run:
        assert said(run, "clsoe") == "'Run' object has no attribute 'clsoe'"
    assert said(jaxlog, "bath_step") == "module 'jaxlog' has no attribute 'bath_step'"
    assert copy.copy(logger) is logger
    assert pickle.loads(pickle.dumps(logger)).settings == logger.settings


METRICS = {"x": 1.0}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda logger, step, _: jaxlog.batch_step(step, logger, METRICS),
            "batch_step: got (a number, a Logger, a dict), expected batch_step(logger, step, "
            "metrics), in this order",
        ),
        (
            lambda logger, step, _: jaxlog.batch_step(logger, METRICS, step),  # pyright: ignore
            "batch_step: got (a Logger, a dict, a number), expected batch_step(logger, step, "
            "metrics), in this order",
        ),
        (
            lambda logger, step, _: jaxlog.batch_step(METRICS, step, logger),  # pyright: ignore
            "batch_step: got (a dict, a number, a Logger), expected batch_step(logger, step, "
            "metrics), in this order",
        ),
        (
            lambda logger, step, _: jaxlog.batch_step(step, logger),
            "batch_step: got (a number, a Logger), expected batch_step(logger, step, metrics), in "
            "this order",
        ),
        (
            lambda logger, step, _: jaxlog.log(step, logger, METRICS),
            "log: got (a number, a Logger, a dict), expected log(logger, step, values), in this "
            "order",
        ),
        (
            lambda logger, step, _: jaxlog.log(logger, METRICS, step),  # pyright: ignore
            "log: got (a Logger, a dict, a number), expected log(logger, step, values), in this "
            "order",
        ),
        (
            lambda logger, step, window: jaxlog.window_step(logger, step, window, METRICS),
            "window_step: got (a Logger, a number, a window, a dict), expected window_step(logger, "
            "window, step, metrics), in this order",
        ),
        (
            lambda logger, step, window: jaxlog.log_window(window, logger, step),
            "log_window: got (a window, a Logger, a number), expected log_window(logger, window, "
            "step), in this order",
        ),
        (
            lambda logger, step, window: jaxlog.empty_window(METRICS, logger),  # pyright: ignore
            "empty_window: got (a dict, a Logger), expected empty_window(logger, metrics), in this "
            "order",
        ),
    ],
)
def test_swapped_arguments_are_errors_with_the_order(
    call: Callable[[Any, Any, Any], Any], text: str, traced: bool, make_logger: MakeLogger
) -> None:
    logger = make_logger()
    window = jaxlog.empty_window(logger, METRICS)
    program = (jax.jit if traced else lambda function: function)(
        lambda step: call(logger, step, window)
    )
    with pytest.raises(TypeError) as caught:
        program(0)
    assert str(caught.value) == text


def test_arguments_by_name_have_no_order(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with logger.open() as run:
        jaxlog.batch_step(metrics=METRICS, step=0, logger=logger)
    assert [event.step for event in run.sink("memory").metrics] == [0]
