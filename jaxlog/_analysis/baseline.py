"""Compares each group of lanes with a baseline, in pairs where both have the same seeds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from jaxlog._analysis.differences import difference
from jaxlog._analysis.groups import Values, named, worded

_DIFFERENCES = (
    "difference", "lower", "upper", "probability", "probability_lower", "probability_upper",
)  # fmt: skip


def group_of(given: Any, groups: Values) -> tuple[Any, ...]:
    """Returns the values of the group that the user has given as the baseline.

    Raises:
      LookupError: there is no such group.
    """
    wanted = tuple(given.values()) if isinstance(given, Mapping) else given
    if isinstance(given, Mapping):
        wanted = tuple(given.get(name) for name in groups.by) if set(given) == {*groups.by} else ()
    parts = wanted if isinstance(wanted, tuple) else (wanted,)
    known = [key for key, _ in groups.groups()]
    for key in known:
        if len(parts) == len(key) and list(map(worded, parts)) == list(map(worded, key)):
            return key
    texts = [named(groups.by, key) for key in known]
    values = {", ".join(map(worded, key)): text for key, text in zip(known, texts, strict=True)}
    near = difflib.get_close_matches(", ".join(map(worded, parts)), values, 1)
    suggestion = f"; did you mean {values[near[0]]}?" if near else ""
    shown = "; ".join(texts[:12]) + ("; …" if len(texts) > 12 else "")
    raise LookupError(
        f"baseline: got {given!r}, expected a group by {', '.join(groups.by) or 'nothing'}: "
        f"{shown}{suggestion}"
    )


def differences_from(
    groups: Values,
    baseline: tuple[Any, ...],
    task: str | None,
    seeds: Sequence[str],
    confidence: float,
    resamples: int,
    seed: int,
) -> pl.DataFrame:
    """Compares each group with the baseline, on the tasks that both have."""
    every = list(groups.groups())
    base = next(rows for key, rows in every if str(key) == str(baseline))
    rows: list[tuple[Any, ...]] = []
    for key, own in every:
        if str(key) == str(baseline):
            continue
        first, second = _by_seed(own, seeds, task), _by_seed(base, seeds, task)
        paired = first.keys() == second.keys() and all(
            own_seeds is not None and own_seeds == second[name][1]
            for name, (_, own_seeds) in first.items()
        )
        shared = [name for name in first if name in second]
        one, other = [first[name][0] for name in shared], [second[name][0] for name in shared]
        numbers: tuple[float | None, ...] = (None,) * len(_DIFFERENCES)
        if shared:
            found = difference(
                one, other, paired=paired, confidence=confidence, resamples=resamples, seed=seed
            )
            numbers = tuple(None if np.isnan(value) else value for value in found)
        counts = (sum(map(len, one)), sum(map(len, other)), len(shared))
        rows.append((*key, *numbers, paired and bool(shared), *counts))
    schema = (
        {name: groups.frame.schema[name] for name in groups.by}
        | dict.fromkeys(_DIFFERENCES, pl.Float64())
        | {"paired": pl.Boolean()}
        | dict.fromkeys(("scores", "baseline_scores", "tasks"), pl.Int64())
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def _by_seed(
    rows: pl.DataFrame, seeds: Sequence[str], task: str | None
) -> dict[Any, tuple[np.ndarray, list[Any] | None]]:
    """The finite scores of each task by seed, and the seeds; None if seeds do not tell lanes."""
    finite = rows.filter(pl.col("score").is_finite())
    if seeds:
        finite = finite.sort(seeds, maintain_order=True)
    found: dict[Any, tuple[np.ndarray, list[Any] | None]] = {}
    parts = [finite] if task is None else finite.partition_by(task, maintain_order=True)
    for part in filter(len, parts):
        own = part.select(seeds).rows() if seeds else []
        tells = len(set(own)) == len(part) and not all(v is None for row in own for v in row)
        name = None if task is None else part[task][0]
        found[name] = part["score"].cast(pl.Float64).to_numpy(), own if tells else None
    return found
