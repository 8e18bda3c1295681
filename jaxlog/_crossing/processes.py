"""The processes that train together, and the texts that they share through `jax.distributed`."""

from __future__ import annotations

import time
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxlog._crossing.jax_private import coordination_client

SLICE = 1.0
"""The seconds of one wait in C, during which Python handles no Ctrl-C."""
_NOTICE = "RECEIVED_PREEMPTION_NOTICE"
"""The key under which JAX's preemption service stores that a process was told to end."""


def joined() -> Processes | None:
    """The processes that `jax.distributed` connects; None if this one trains alone."""
    client = coordination_client()
    return None if client is None else Processes(client)


class Processes:
    """The processes of one training, and the store of texts that they share.

    The store is that of JAX's coordination service, which runs in the first process.

    Args:
      client: of that service.

    Attributes:
      index: the number of this process.
      count: the number of all.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.index = jax.process_index()
        self.count = jax.process_count()

    def put(self, key: str, text: str) -> None:
        """Stores a text, which replaces an earlier one.

        Raises:
          RuntimeError: the service does not answer.
        """
        self._client.key_value_set(key, text, allow_overwrite=True)

    def wait(self, key: str, seconds: float) -> str:
        """Waits for a text that another process stores.

        Raises:
          TimeoutError: no process stored it in that time.
          RuntimeError: the service does not answer.
        """
        until = time.monotonic() + seconds
        while True:
            left = min(SLICE, until - time.monotonic())
            try:
                return self._client.blocking_key_value_get(key, max(1, int(left * 1000)))
            except RuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise
                if time.monotonic() >= until:
                    raise TimeoutError(key) from None

    def below(self, prefix: str) -> dict[str, str]:
        """The texts whose keys begin with `prefix/`, by the rest of the key.

        Raises:
          RuntimeError: the service does not answer.
        """
        found = self._client.key_value_dir_get(prefix)
        return {key.removeprefix(f"{prefix}/"): text for key, text in found}

    def preempted(self) -> bool:
        """True once JAX's preemption service knows that one of the processes is to end."""
        try:
            return bool(self._client.key_value_try_get(_NOTICE))
        except RuntimeError:  # there is no such key, or no service
            return False


def local(array: Any) -> np.ndarray:
    """A whole array in the memory of this process, also if its parts are in several.

    For such an array all processes have to make the call, because they exchange the parts.
    """
    if isinstance(array, jax.Array) and not (
        array.is_fully_addressable or array.is_fully_replicated
    ):
        return multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array)
