"""Tells which module defines a public name, without importing them all.

`_public.py` lists the names for type checkers, and for this module, which reads it as text.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from importlib.util import find_spec


def module_of(name: str) -> str | None:
    """The module that defines a public name; None if there is no such name."""
    return _modules().get(name)


@cache
def _modules() -> dict[str, str]:
    spec = find_spec("jaxlog._public")
    get_source = getattr(spec.loader if spec else None, "get_source", None)
    source = get_source("jaxlog._public") if get_source else None
    if source is None:  # installed without sources
        names = import_module("jaxlog._public").__all__
        return dict.fromkeys(names, "jaxlog._public")
    return {
        alias.name: node.module
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
