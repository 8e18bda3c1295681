"""JAX's flags that differ from their defaults, and its devices with their memory."""

from __future__ import annotations

import ast
import contextlib
import enum
import functools
import re
from pathlib import Path
from typing import Any

import jax

from jaxlog._crossing.jax_private import config

_DEFINITION = re.compile(
    r"_(?:state|flag|holder)\(\s*(?:name=)?['\"](\w+)['\"],(.*?)\n\n", re.DOTALL
)
"""The definition of a flag in JAX's source: its name, and its other arguments."""
_DEFAULT = re.compile(r"\bdefault=([^\n#]*?)\s*[,)]\s*(?:#[^\n]*)?\n")
_CHOICE = re.compile(r"[A-Z]\w+\.([A-Z_]+)")
"""A default that is a member of an enumeration."""


def changed_flags() -> dict[str, Any]:
    """The flags of JAX that differ from their defaults, by name.

    JAX forgets a default where a variable of the environment or `jax.config.update` changes it, so
    defaults are read from its source, once a process. A flag whose default is computed there is
    left out; variables of the environment are recorded anyway.
    """
    defaults = _defaults()
    found: dict[str, Any] = {}
    for name, value in jax.config.values.items():
        if isinstance(value, enum.Enum):
            shown: Any = value.name.lower()
        else:
            plain = value is None or isinstance(value, bool | int | float | str)
            shown = value if plain else str(value)
        if name in defaults and shown != defaults[name]:
            found[name] = shown
    return found


@functools.cache
def _defaults() -> dict[str, Any]:
    """The defaults of flags, as far as JAX's source has them as plain values."""
    file = Path(config.__file__)
    try:
        source = "".join(one.read_text() for one in (file, file.with_name("xla_bridge.py")))
    except (OSError, TypeError, ValueError):
        return {}
    found: dict[str, Any] = {}
    for name, arguments in _DEFINITION.findall(source):
        if (default := _DEFAULT.search(arguments + "\n")) is None:
            continue
        if (choice := _CHOICE.fullmatch(default[1])) is not None:
            found[name] = choice[1].lower()
            continue
        with contextlib.suppress(ValueError, SyntaxError):  # computed
            found[name] = ast.literal_eval(default[1])
    return found


def described_devices() -> list[dict[str, Any]]:
    """The devices of this process: for each kind its `platform`, `kind`, `number` and `memory`.

    The memory is the most bytes that JAX may use on one of them; None where JAX does not say.
    """
    found: dict[tuple[str, str, int | None], int] = {}
    for device in jax.local_devices():
        try:
            memory = (device.memory_stats() or {}).get("bytes_limit")
        except Exception:  # not every platform has it
            memory = None
        key = device.platform, device.device_kind, memory
        found[key] = found.get(key, 0) + 1
    return [
        {"platform": platform, "kind": kind, "number": number, "memory": memory}
        for (platform, kind, memory), number in found.items()
    ]
