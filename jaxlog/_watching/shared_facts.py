"""Keeps once the parts of run.json that many runs have in common, and names runs."""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from jaxlog._format.events import Key
from jaxlog._format.keys import from_json

MOST_SHARED = 1000
"""The most parts of run.json that are kept to be shared."""
_shared: dict[bytes, Any] = {}


def json_of(value: Any) -> str:
    """A value of a config as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def share(facts: dict[str, Any]) -> None:
    """Lets parts of run.json that many runs have in common be the same objects."""
    for name in ("settings", "calls", "versions"):
        if isinstance(facts.get(name), dict):
            if len(_shared) >= MOST_SHARED:
                _shared.clear()
            facts[name] = _shared.setdefault(marshal.dumps(facts[name], 2), facts[name])


def run_id(name: str) -> str:
    """Names a run in addresses: by its path below the directory, which nobody can read from it."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=10).digest()
    return base64.b32encode(digest).decode().lower()


@lru_cache(64)
def described_keys(calls: bytes) -> Mapping[tuple[str, str], Key]:
    """The meaning of the keys in `calls` of run.json, which many runs have in common."""
    described = orjson.loads(calls)
    found: dict[tuple[str, str], Key] = {}
    for call, own in described.items() if isinstance(described, Mapping) else ():
        keys = own.get("keys") if isinstance(own, Mapping) else None
        found |= {
            (str(call), name): key
            for name, key in from_json(keys).items()
            if key.statistic != "nonfinite"
        }
    return found
