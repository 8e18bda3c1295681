"""Finds the step of each value of a W&B row, which `define_metric` may have given it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.names import CALL_NAME
from jaxlog._importing.rows import SourceRow
from jaxlog._importing.wandb_values import converted, number_of

_STEP, _ENV_STEP = "/step", "/env_step"
_STATISTICS = ("min", "max", "mean", "best", "first", "last")
"""The values of `summary=` in `define_metric`."""


class Part(NamedTuple):
    """The values of a row that have one step.

    Attributes:
      call: the call that they become lines of.
      step: their step.
      env_step: their environment steps; None if they have none.
      row: the values.
    """

    call: str
    step: int
    env_step: int | None
    row: SourceRow

    def joined(self, later: Part) -> Part | None:
        """Both as one, if they have the same step and no value in common; else None."""
        one, other = self.row, later.row
        same = (self.step, self.env_step) == (later.step, later.env_step)
        names = {*one.values, *one.arrays, *one.media}
        if not same or names & {*other.values, *other.arrays, *other.media}:
            return None
        row = SourceRow(
            {**one.values, **other.values},
            arrays={**one.arrays, **other.arrays},
            media={**one.media, **other.media},
        )
        return self._replace(row=row)


class Axes:
    """The axes of a run's values.

    A value whose axis is `train/step` or `train/env_step` is one of the call `train`; its name
    loses this beginning, if no other value of the call has the rest as its name. Other axes are
    calls by their names, if all their values are steps. Everything else has W&B's own step, and is
    one of the call for that; so has an axis in a row without a value that it is the axis of.

    Args:
      call: the call of the values that have W&B's own step.
    """

    def __init__(self, call: str) -> None:
        self._call = call
        self._defined: dict[str, str] = {}
        self._globs: dict[str, str] = {}
        self._no_steps: set[str] = set()
        self._final: dict[str, Any] = {}
        self._last: dict[str, int] = {}
        self._of: dict[str, str] = {}

    def joined(self, earlier: Axes) -> Axes:
        """The axes of all files of a run: these, and those of an earlier file."""
        self._defined = earlier._defined | self._defined
        self._globs = earlier._globs | self._globs
        self._no_steps |= earlier._no_steps
        self._final = earlier._final | self._final
        return self

    def define(self, metric: Any) -> None:
        """Notes a call of `define_metric`."""
        if metric.step_metric:
            name, axis = (
                given.replace(
                    "\\.", "."
                )  # W&B takes a.b for nested, and a\.b for a name with a dot
                for given in (metric.glob_name or metric.name, metric.step_metric)
            )
            (self._globs if metric.glob_name else self._defined)[name] = axis

    def note(self, row: Mapping[str, Any]) -> None:
        """Notes the last value of each name, and which names are no steps."""
        for name, value in row.items():
            self._final[name] = number_of(value)
            if name not in self._no_steps and _as_step(value) is None:
                self._no_steps.add(name)

    def only_in_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the user has put into the summary, and no row has.

        A value that rows have is among them if it is another number than that of the last row.
        `loss.min` is not, which W&B computes of the rows if `define_metric` asks for it.
        """
        return {
            name: value
            for name, value in summary.items()
            if not name.startswith("_") and self._is_own(name, number_of(value))
        }

    def _is_own(self, name: str, number: Any) -> bool:
        if name not in self._final:
            stem, _, statistic = name.rpartition(".")
            return stem not in self._final or statistic not in _STATISTICS
        return number is not None and repr(number) != repr(self._final[name])

    def parts(self, row: Mapping[str, Any], files: Path, left_out: Counter[str]) -> Iterator[Part]:
        """Divides a row by the steps of its values."""
        for name, value in row.items():
            if (step := _as_step(value)) is not None:
                self._last[name] = step
        of_axis: dict[str, dict[str, Any]] = {}
        for name, value in row.items():
            if name not in ("_step", "_timestamp", "_runtime", "_wandb"):
                of_axis.setdefault(self._axis(name), {})[name] = value
        for axis in [axis for axis in of_axis if axis]:
            counters = {name for name in of_axis[axis] if name == axis or name in _counters(axis)}
            values = of_axis.pop(axis)
            if counters == values.keys():
                of_axis.setdefault("", {}).update(values)
            else:
                of_axis[axis] = {name: values[name] for name in values if name != axis}
        for axis, values in of_axis.items():
            if part := self._part(axis, values, row, files, left_out):
                yield part

    def _part(
        self,
        axis: str,
        values: Mapping[str, Any],
        row: Mapping[str, Any],
        files: Path,
        left_out: Counter[str],
    ) -> Part | None:
        call, step, env_step = self._call, self._last.get("_step", 0), None
        if axis:
            call, step = call_of_axis(axis), self._last.get(axis, 0)
        if own := _counters(axis):
            found = [None if name in self._no_steps else _as_step(row.get(name)) for name in own]
            step, env_step = step if found[0] is None else found[0], found[1]
            values = {
                self._short(name, axis): value
                for name, value in values.items()
                if name not in own or name in self._no_steps
            }
        made = converted(values, files, left_out)
        if not (made.values or made.arrays or made.media):
            return None
        return Part(call, step, env_step, made)

    def _short(self, name: str, axis: str) -> str:
        """The name of a value in its call."""
        short = name.removeprefix(_prefix(axis)) or name
        return name if short in self._final and self._axis(short) == axis else short

    def _axis(self, name: str) -> str:
        """The axis of a value; empty for W&B's own step."""
        if name not in self._of:
            self._of[name] = self._found_axis(name)
        return self._of[name]

    def _found_axis(self, name: str) -> str:
        axis = self._defined.get(name)
        if axis is None:
            globs = [glob for glob in self._globs if name.startswith(glob.removesuffix("*"))]
            axis = self._globs[max(globs, key=len)] if globs else ""
        if name in self._defined.values() or name in self._globs.values():
            return name if self._is_axis(name) else ""  # is not one of its own values
        return axis if self._is_axis(axis) else ""

    def _is_axis(self, axis: str) -> bool:
        return axis in self._final and axis not in self._no_steps and bool(call_of_axis(axis))


def call_of_axis(axis: str) -> str:
    """The call of an axis; empty for none, and for those of W&B itself.

    >>> call_of_axis("train/step"), call_of_axis("epoch"), call_of_axis("train/global_step")
    ('train', 'epoch', 'train_global_step')
    """
    call = _prefix(axis).removesuffix("/") or axis
    call = "" if call.startswith("_") else re.sub(r"[^A-Za-z0-9_.-]+", "_", call).strip("_.-")[:100]
    return call if re.fullmatch(CALL_NAME, call) else ""


def _prefix(axis: str) -> str:
    """The beginning of the names that an axis like `train/step` counts, `train/`; else empty."""
    name, slash, end = axis.rpartition("/")
    return f"{name}/" if slash and name and f"/{end}" in (_STEP, _ENV_STEP) else ""


def _counters(axis: str) -> list[str]:
    """The names of the steps and the environment steps that belong to an axis like `train/step`."""
    prefix = _prefix(axis)
    return [prefix.removesuffix("/") + end for end in (_STEP, _ENV_STEP)] if prefix else []


def _as_step(value: Any) -> int | None:
    number = number_of(value)
    if number is None or isinstance(number, bool) or not 0 <= number < 2**63 or number % 1:
        return None
    return int(number)
