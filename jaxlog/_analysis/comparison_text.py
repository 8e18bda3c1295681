"""Says the result of a comparison in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from jaxlog._text import counted
from jaxlog.sinks.console.values import number

if TYPE_CHECKING:
    import polars as pl


class ComparedGroups(Protocol):
    """The attributes of a `Comparison` that texts and tables need."""

    @property
    def frame(self) -> pl.DataFrame: ...
    @property
    def differences(self) -> pl.DataFrame | None: ...
    @property
    def metric(self) -> str: ...
    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def baseline(self) -> tuple[Any, ...] | None: ...
    @property
    def confidence(self) -> float: ...
    @property
    def higher_is_better(self) -> bool: ...


def sentences(found: ComparedGroups) -> Iterator[str]:
    """Yields a sentence for each group, or for each group but the baseline."""
    from jaxlog._analysis.groups import named

    level = f"{100 * found.confidence:.4g} % interval"
    if found.baseline is None or found.differences is None:
        for row in found.frame.iter_rows(named=True):
            name = named(found.by, [row[one] for one in found.by]) or "all lanes"
            if row["iqm"] is None:
                yield f"{name}: no finite score of {found.metric}"
                continue
            ends = _ends(row["lower"], row["upper"])
            yield (
                f"{name}: {found.metric} {number(row['iqm'])}"
                f" ({level} {ends}, {counted(row['scores'], 'score')})"
            )
        return
    base = named(found.by, found.baseline)
    for row in found.differences.iter_rows(named=True):
        name = named(found.by, [row[one] for one in found.by])
        yield _of_difference(found, row, name, base, level)


def _of_difference(
    found: ComparedGroups, row: dict[str, Any], name: str, base: str, level: str
) -> str:
    value = row["difference"]
    if value is None:
        return (
            f"{name} and {base} have no task in common with finite scores, so nothing is compared"
        )
    direction = "higher" if value > 0 else "lower"
    is_better = (value > 0) == found.higher_is_better
    judged = "" if found.higher_is_better or not value else f", which is {_word(is_better)}"
    counts = f"{row['scores']:,} and {counted(row['baseline_scores'], 'score')}"
    counts += f" on the {row['tasks']} tasks that both have" if row["tasks"] > 1 else ""
    counts += ", paired by seed" if row["paired"] else ""
    text = (
        f"{found.metric} of {name} is {number(abs(value))} {direction} than that of {base}{judged}"
        f" ({level} of the difference {_ends(row['lower'], row['upper'])}; {counts})."
    )
    least, most = row["probability_lower"], row["probability_upper"]
    chances = "unknown" if least is None else f"{least:.2f} to {most:.2f}"
    text += (
        f" A lane of {name} scores higher than one of {base} with probability "
        f"{row['probability']:.2f} ({chances})."
    )
    if row["lower"] is None:
        return f"{text} One score a group says nothing about others: add seeds."
    if row["lower"] <= 0 <= row["upper"]:
        return f"{text} The interval contains 0: these scores do not tell which is better."
    return text


def _word(is_better: bool) -> str:
    return "better" if is_better else "worse"


def _ends(lower: float | None, upper: float | None) -> str:
    return "unknown" if lower is None or upper is None else f"{number(lower)} to {number(upper)}"
