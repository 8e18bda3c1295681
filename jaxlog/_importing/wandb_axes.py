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

    A value whose axis is `train/step` or `train/env_step`, and whose name begins with `train/`, is
    one of the call `train`. Other axes are calls by their names, if all their values are steps.
    Everything else has W&B's own step, and is one of the call for that.

    Args:
      call: the call of the values that have W&B's own step.
    """

    def __init__(self, call: str) -> None:
        self._call = call
        self._defined: dict[str, str] = {}
        self._globs: dict[str, str] = {}
        self._no_steps: set[str] = set()
        self._names: set[str] = set()
        self._last: dict[str, int] = {}
        self._of: dict[str, str] = {}

    def joined(self, earlier: Axes | None) -> Axes:
        """The axes of all files of a run."""
        if earlier is not None:
            self._defined = earlier._defined | self._defined
            self._globs = earlier._globs | self._globs
            self._no_steps |= earlier._no_steps
            self._names |= earlier._names
        return self

    def define(self, metric: Any) -> None:
        """Notes a call of `define_metric`."""
        if metric.step_metric:
            if metric.glob_name:
                self._globs[metric.glob_name] = metric.step_metric
            else:
                self._defined[metric.name] = metric.step_metric

    def note(self, row: Mapping[str, Any]) -> None:
        """Notes the names in a row, and which of them are no steps."""
        self._names |= row.keys()
        for name, value in row.items():
            if name not in self._no_steps and _as_step(value) is None:
                self._no_steps.add(name)

    def only_in_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the user has put into the summary, and no row has."""
        return {
            name: value
            for name, value in summary.items()
            if name not in self._names and not name.startswith("_")
        }

    def parts(self, row: Mapping[str, Any], files: Path, left_out: Counter[str]) -> Iterator[Part]:
        """Divides a row by the steps of its values."""
        for name, value in row.items():
            if (step := _as_step(value)) is not None:
                self._last[name] = step
        of_axis: dict[str, dict[str, Any]] = {}
        for name, value in row.items():
            if name not in ("_step", "_timestamp", "_runtime", "_wandb"):
                of_axis.setdefault(self._axis(name), {})[name] = value
        counters = {axis for axis in of_axis if axis}
        for axis, values in of_axis.items():
            others = {name: value for name, value in values.items() if name not in counters}
            if part := self._part(axis, others, row, files, left_out):
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
        if axis.endswith((_STEP, _ENV_STEP)):
            own = [f"{call}{end}" for end in (_STEP, _ENV_STEP)]
            found = [None if name in self._no_steps else _as_step(row.get(name)) for name in own]
            step, env_step = step if found[0] is None else found[0], found[1]
            values = {
                name.removeprefix(f"{call}/"): value
                for name, value in values.items()
                if name not in own or name in self._no_steps
            }
        made = converted(values, files, left_out)
        if not (made.values or made.arrays or made.media):
            return None
        return Part(call, step, env_step, made)

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
        return axis in self._names and axis not in self._no_steps and bool(call_of_axis(axis))


def call_of_axis(axis: str) -> str:
    """The call of an axis; empty if it cannot be the name of a call.

    >>> call_of_axis("train/step"), call_of_axis("epoch"), call_of_axis("a b")
    ('train', 'epoch', '')
    """
    call = axis
    for end in (_STEP, _ENV_STEP):
        call = call.removesuffix(end)
    return call if re.fullmatch(CALL_NAME, call) else ""


def _as_step(value: Any) -> int | None:
    number = number_of(value)
    if number is None or isinstance(number, bool) or not 0 <= number < 2**63 or number % 1:
        return None
    return int(number)
