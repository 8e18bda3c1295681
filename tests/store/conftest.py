"""The store of the tests: fsspec's in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import jaxlog
from jaxlog._store import copies, known
from jaxlog._store.address import StoreAddress, parsed
from jaxlog._store.objects import ObjectStore


@pytest.fixture(autouse=True)
def own_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keeps the copies of each test apart, and looks at the store each time."""
    monkeypatch.setattr(copies, "_found_root", [tmp_path / "copies"])
    monkeypatch.setattr(copies, "LIVE_SECONDS", 0.0)
    monkeypatch.setattr(copies, "ENDED_SECONDS", 0.0)
    for registered in (copies._trees, known._runs, known._trees):
        registered.clear()
    yield
    for registered in (copies._trees, known._runs, known._trees):
        registered.clear()


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of an empty store in memory."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield "memory://bucket"
    memory.store.clear()


def logger(**settings: object) -> jaxlog.Logger:
    """A logger that writes lines and uploads often."""
    return jaxlog.Logger({"mirror_seconds": 0.1, "sinks": [{"kind": "jsonl"}]} | settings)


def store_of(address: str) -> ObjectStore:
    """The objects below an address."""
    found: StoreAddress = parsed(address, "test")
    return ObjectStore(found)
