"""Checks the shapes in the signatures of `jaxlog._program` whenever a test calls one of them.

Importing this module switches it on, and has to come before the first import of that package. Other
annotations are left to pyright: jaxlog itself refuses a wrong argument, and tests compare its text.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import beartype


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises if an array does not have the shape or dtype of its annotation.

    JAX makes pytrees with leaves of any kind, so initializers are not checked.
    """
    given = inspect.get_annotations(function)
    shapes = {name: kind for name, kind in given.items() if _has_shape(kind)}
    if not shapes or function.__name__ == "__init__":
        return function
    function.__annotations__ = shapes
    return beartype(function)


def _has_shape(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, get_args(annotation)))


assert "jaxlog._program" not in sys.modules, "tests.shapes is imported too late to check anything"
jaxtyping.install_import_hook("jaxlog._program", "tests.shapes.checked")


def load() -> None:
    """Imports the modules of the package, before any test has a thread.

    CPython 3.11 cannot make two syntax trees at a time, as the hook does for each module: where two
    threads need other modules for the first time, one of them raises a SystemError.
    """
    for module in pkgutil.iter_modules(importlib.import_module("jaxlog._program").__path__):
        importlib.import_module(f"jaxlog._program.{module.name}")
