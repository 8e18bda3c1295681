"""Waits until it is certain whether the holder of a session lives."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from jaxlog._say import log as _log
from jaxlog._store.objects import ObjectStore
from jaxlog._store.sessions import SessionRecord, read_session, session_name


def refuse_if_live(
    store: ObjectStore,
    record: SessionRecord,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once it is certain that the holder of a session has left it, or is gone.

    The times compared are those of the store, not those of two machines. Where the session was
    written a short time ago, it is watched until it is written again, or is too old.

    Raises:
      FileExistsError: the holder lives.
      StoreError: the store cannot be read.
    """
    if record.ended:
        return
    age = _age(store, session_name(record.number))
    left = record.seconds - (0.0 if age is None else age)
    if left <= 0:
        return
    _log.warning(
        "jaxlog: %s: was not closed by %s; waiting for up to %.0f s to see whether that lives",
        store.address,
        record.described,
        left,
    )
    until = time.monotonic() + left
    while time.monotonic() < until:
        sleep(min(1.0, max(0.0, until - time.monotonic())))
        now = read_session(store, record.number, read=record.objects)
        if now.ended:
            return
        if now.beat != record.beat or now.holder != record.holder:
            raise FileExistsError(
                f"{store.address}: has a run that is open, of {record.described}; choose another "
                "address, or end that run first"
            )


def _age(store: ObjectStore, name: str) -> float | None:
    """Seconds since an object was written, by the store's own clock; None if it has none."""
    written = store.written(name)
    if written is None:
        return None
    probe = f"clock-{secrets.token_hex(6)}"
    store.put(probe, b"")
    try:
        now = store.written(probe)
    finally:
        with contextlib.suppress(OSError):
            store.delete([probe])
    return None if now is None else max(0.0, now - written)
