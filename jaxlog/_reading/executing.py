"""Runs functions in an executor: a few at a time, with results in the order of their arguments."""

from __future__ import annotations

import os
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, NamedTuple, TypeVar

from jaxlog._caller import warn_caller

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

AHEAD = 16
"""The most jobs that are waiting or running, or whose results are waiting."""


_MOST = 256
"""The most arguments in a job."""
_JOBS = 16
"""The number of jobs up to which they are as small as they can be."""


def groups(every: Sequence[_Job]) -> Iterator[Sequence[_Job]]:
    """Divides arguments into jobs: enough of them for many workers, and few for thousands."""
    size = max(1, min(_MOST, len(every) // _JOBS))
    for start in range(0, len(every), size):
        yield every[start : start + size]


def checked(executor: Executor) -> Executor:
    """Returns an executor that can read files.

    Raises:
      TypeError: it is not an executor.
      ValueError: its processes are forked.
    """
    if not isinstance(executor, Executor):
        raise TypeError(
            f"executor: got {type(executor).__name__}, expected a concurrent.futures.Executor, "
            "such as ProcessPoolExecutor(4, mp_context=multiprocessing.get_context('spawn')), or "
            "client.get_executor() of Dask"
        )
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor: got processes that are forked, expected new ones, since the threads of "
            "polars and JAX are missing in a fork, which would wait for ever: give "
            "ProcessPoolExecutor(..., mp_context=multiprocessing.get_context('spawn'))"
        )
    return executor


class Here(NamedTuple):
    """The process that asked for a job, by which another one knows that it is another."""

    host: str
    process: int

    @classmethod
    def now(cls) -> Here:
        """Returns that of this process."""
        return cls(socket.gethostname(), os.getpid())


class _Returned(NamedTuple):
    result: Any
    warnings: list[str]


def results(
    function: Callable[[_Job], _Result], jobs: Iterable[_Job], executor: Executor | None
) -> Iterator[_Result]:
    """Yields `function(job)` of each job, in their order.

    At most `AHEAD` jobs are sent before the result of the first is taken, so that memory is bounded
    by their results. Warnings in other processes are given in this one.

    Args:
      function: a function of a module.
      jobs: its arguments; made when they are needed.
      executor: where it is called; None for this thread.
    """
    if executor is None:
        yield from map(function, jobs)
        return
    here = Here.now()
    waiting: deque[Future[_Returned]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(_called, function, job, here))
            if len(waiting) >= AHEAD:
                yield _taken(waiting.popleft())
        while waiting:
            yield _taken(waiting.popleft())
    except BrokenExecutor as error:  # of a job that is sent, or of one whose result is taken
        raise type(error)(
            "executor: a process that read runs was killed, perhaps for its memory; try again with "
            "a new executor of fewer processes"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _called(function: Callable[[Any], Any], job: Any, asked: Here) -> _Returned:
    if asked == Here.now():  # a thread: filters of warnings are those of the process
        return _Returned(function(job), [])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        result = function(job)
    return _Returned(result, [str(one.message) for one in found])


def _taken(future: Future[_Returned]) -> Any:
    found = future.result()
    for text in found.warnings:
        warn_caller(text)
    return found.result
