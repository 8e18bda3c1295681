"""Logging of one environment, step by step, from plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxlog._format.events import Event, KeyData, ReadOnlyDict
from jaxlog._host.engine import Engine
from jaxlog._host.host_events import checked_step
from jaxlog._host.single import NamedValues
from jaxlog._limits import as_utf8, check_depth, check_integer, check_name, check_named
from jaxlog._program.array_like import is_prng_key
from jaxlog._program.leaves import leaf_name


class SingleEnvironmentLog:
    """The methods of `Logger` for a Python loop that steps a single environment.

    Every call is logged, whatever `log_frequency` and `batched_logging_enabled` are. Each method
    takes a mapping whose values are numbers, texts, arrays of NumPy or JAX, or pytrees of these.
    Arrays are copied, so the call waits until JAX has computed them. These methods cannot be used
    inside of `jit`, `vmap`, `grad` or `scan`; use `jaxlog.log` there.
    """

    def log_task_start(self, task: Mapping[str, Any]) -> None:
        """Logs the start of a task, to which the following steps and episodes belong.

        Args:
          task: the facts about the task, by name. Its `task_id`, a number or a text, becomes a
            label of these steps and episodes.

        Raises:
          TypeError: `task` is not a mapping, or has a value that is not a number, text or array.
          ValueError: two values have the same name, or no file can hold a name, an integer or the
            depth of the nesting.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open() as run:
        ...     logger.log_task_start({"task_id": "maze-7", "size": 5})
        ...     logger.log_step({"reward": 1.0})
        >>> run.sink("memory").steps[0].labels
        {'task_id': 'maze-7'}
        """
        self._take("task", task, lambda engine, values: engine.single.task(values))

    def log_step(self, step: Mapping[str, Any]) -> None:
        """Logs one step of the environment.

        Args:
          step: the facts about the step, by name: `reward`, `action`, and so on. The sink `svg`
            draws `state`, or `before_state` and `after_state`.

        Raises:
          TypeError: `step` is not a mapping, or has a value that is not a number, text or array.
          ValueError: two values have the same name, or no file can hold a name, an integer or the
            depth of the nesting.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open() as run:
        ...     for reward in (0.0, 1.0):
        ...         logger.log_step({"reward": reward, "state": np.zeros((2, 2))})
        >>> [(event.step, event.values["reward"]) for event in run.sink("memory").steps]
        [(0, 0.0), (1, 1.0)]
        """
        self._take("step", step, lambda engine, values: engine.single.step(values))

    def log_episode_summary(self, summary: Mapping[str, Any]) -> None:
        """Logs the end of an episode.

        Args:
          summary: the facts about the episode, by name. Sinks know `total_reward`, `total_steps`,
            `final_similarity` and `success`; the sink `svg` draws `initial_state` and
            `final_state`.

        Raises:
          TypeError: `summary` is not a mapping, or has a value that is not a number, text or array.
          ValueError: two values have the same name, or no file can hold a name, an integer or the
            depth of the nesting.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open() as run:
        ...     logger.log_episode_summary({"total_reward": 9.0, "total_steps": 20})
        >>> run.sink("memory").episodes[0].step
        19
        """
        self._take("summary", summary, lambda engine, values: engine.single.episode(values))

    def log_evaluation_summary(
        self, summary: Mapping[str, Any], *, step: int | None = None
    ) -> None:
        """Logs the result of an evaluation.

        Args:
          summary: the results, by name: `success_rate`, `num_episodes`, and so on.
          step: the step of the line; None takes the last step that was logged, and waits for it.

        Raises:
          TypeError: `summary` is not a mapping, or has a value that is not a number, text or array.
          ValueError: two values have the same name, or no file can hold a name, an integer or the
            depth of the nesting.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open() as run:
        ...     logger.log_evaluation_summary({"success_rate": 0.9})
        >>> run.sink("memory").evaluations[0].values
        {'success_rate': 0.9}
        """

        def evaluation(engine: Engine, values: NamedValues) -> Event:
            at = engine.last_step() if step is None else checked_step(step)
            return engine.single.evaluation(values, at)

        self._take("summary", summary, evaluation)

    def _take(
        self, argument: str, given: Any, event: Callable[[Engine, NamedValues], Event]
    ) -> None:
        """Passes an event made from a user's mapping to the open run."""
        if (engine := self._writing_engine()) is not None:
            values = _named_values(argument, given)
            engine.take(event(engine, values), values.num_bytes)

    def _writing_engine(self) -> Engine | None:
        """The engine of the open run that writes; None if there is none."""
        raise NotImplementedError


def _named_values(argument: str, mapping: Any) -> NamedValues:
    """Converts a user's mapping to plain values, arrays, and a tree of both."""
    values: dict[str, Any] = {}
    details: dict[str, np.ndarray] = {}
    tree: dict[str, Any] = {}
    for name, part in check_named(argument, mapping).items():
        check_depth(f"{argument}[{name!r}]", part)
        if isinstance(part, _LEAVES):
            leaves, rebuild = [(name, part)], None
        else:
            try:
                paths, structure = jax.tree_util.tree_flatten_with_path({name: part}, is_leaf=_row)
            except ValueError as error:
                raise TypeError(f"{argument}[{name!r}]: is not a pytree: {error}") from None
            leaves, rebuild = [(leaf_name(path), leaf) for path, leaf in paths], structure.unflatten
        plain = []
        for key, leaf in leaves:
            check_name(argument, key)
            found = _plain(f"{argument}[{key!r}]", leaf)
            plain.append(found.view(KeyData) if is_prng_key(leaf) else found)
            if key in values or key in details:
                raise ValueError(f"{argument}: two values are called {key!r}; rename one")
            (details if isinstance(found, np.ndarray) else values)[key] = found
        tree |= {name: plain[0]} if rebuild is None else rebuild(plain)
    return NamedValues(ReadOnlyDict(values), ReadOnlyDict(details), tree)


_LEAVES = (bool, int, float, str, np.ndarray, np.generic, jax.Array)


def _row(part: Any) -> bool:
    """True for a list of numbers that NumPy can make one array of, also if it is nested."""
    if not _has_numbers_only(part):
        return False
    try:
        np.array(part)
    except ValueError:  # lists of different lengths
        return False
    return True


def _has_numbers_only(part: Any) -> bool:
    if type(part) not in (list, tuple):
        return False
    return all(isinstance(x, bool | int | float) or _has_numbers_only(x) for x in part)


def _plain(path: str, leaf: Any) -> Any:
    """Converts a leaf to a number or a text of Python or NumPy, or to its own copy of an array."""
    if isinstance(leaf, bool | float):
        return leaf
    if isinstance(leaf, str):
        return as_utf8(leaf)
    if isinstance(leaf, int):
        check_integer(path, leaf)
        return leaf
    if isinstance(leaf, Tracer):
        raise TypeError(
            f"{path}: is a value of a program that is being traced; use jaxlog.log in there"
        )
    if is_prng_key(leaf):
        leaf = jax.random.key_data(leaf)
    array = np.array(leaf)
    if array.dtype.kind == "U" and not array.ndim:
        return as_utf8(str(array))
    if array.dtype.kind not in "biufcV" or issubclass(array.dtype.type, np.void):
        got = f"{array.dtype} array" if isinstance(leaf, np.ndarray) else type(leaf).__name__
        raise TypeError(
            f"{path}: got {got}, expected a number, a text, an array of numbers, or a pytree of "
            "these"
        )
    if array.dtype.char in "gG":  # long doubles, which no file can hold
        array = array.astype(np.float64 if array.dtype.char == "g" else np.complex128)
    array.flags.writeable = False  # all sinks share it
    return array if array.ndim else array[()]
