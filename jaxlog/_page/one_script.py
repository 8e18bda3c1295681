"""Makes one script of the page's modules, for a page that is one file."""

from __future__ import annotations

import functools
import re
from graphlib import TopologicalSorter
from pathlib import Path

STATIC = Path(__file__).parent / "static"

_IMPORT = re.compile(
    r'^import (?:\{ (?P<names>[^}]+) \}|(?P<default>\w+)) from "(?P<file>[^"]+)";$', re.M
)
_EXPORT = re.compile(
    r"^export (?P<rest>(?:async )?(?:function|class|const|let) (?P<name>\w+))", re.M
)
_EXPORT_DEFAULT = re.compile(r"^export \{ (?P<name>\w+) as default \};$", re.M)
_COMMENT = re.compile(r"^/\*.*?\*/$", re.M | re.S)
"""A comment that begins and ends a line; a library has code in some."""


@functools.cache
def one_script(start: str = "main.js") -> str:
    """Returns a module and all that it imports as one module, which imports nothing.

    Each module becomes a function that returns what it exports, so that their names stay apart.

    Args:
      start: the module's file.
    """
    waiting, graph, sources = [start], dict[str, set[str]](), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in graph:
            continue
        sources[name] = (STATIC / name).read_text("utf-8")
        graph[name] = {_file(match) for match in _IMPORT.finditer(sources[name])}
        waiting += graph[name]
    parts = [_part(name, sources[name]) for name in TopologicalSorter(graph).static_order()]
    script = "const modules = {};\n" + "\n".join(parts)
    assert "</script" not in script.lower()  # it would end there
    assert "<!--" not in script
    return script


def _file(match: re.Match[str]) -> str:
    return match["file"].removeprefix("./")


def _part(name: str, source: str) -> str:
    source = _COMMENT.sub("", source)
    exported = {match["name"]: match["name"] for match in _EXPORT.finditer(source)}
    if default := _EXPORT_DEFAULT.search(source):
        exported["default"] = default["name"]
    body = _EXPORT_DEFAULT.sub("", _EXPORT.sub(lambda match: match["rest"], source))
    body = _IMPORT.sub(_binding, body)
    assert not re.search(r"^(import|export) ", body, re.M), f"{name}: of a form that is not read"
    names = ", ".join(f"{outside}: {inside}" for outside, inside in exported.items())
    return f'modules["{name}"] = await (async () => {{\n{body}\nreturn {{ {names} }};\n}})();'


def _binding(match: re.Match[str]) -> str:
    names = match["names"] or f"default: {match['default']}"
    return f'const {{ {names.replace(" as ", ": ")} }} = modules["{_file(match)}"];'
