"""Writes the table of a comparison in LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxlog._analysis.comparison_text import ComparedGroups
from jaxlog.sinks.console.values import number

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)


def latex(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Returns a table in LaTeX, without any package; all texts are escaped.

    >>> print(latex(["env", "return"], [["a_b", "1"]]))
    \begin{tabular}{lr}
    \hline
    env & return \\ \hline
    a\_b & 1 \\
    \hline
    \end{tabular}
    """
    lines = [r"\begin{tabular}{l" + "r" * (len(titles) - 1) + "}", r"\hline"]
    lines.append(_latex_row(titles) + r" \hline")
    lines += [_latex_row(row) for row in rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Returns a table in Markdown; the columns after the first are aligned at the right.

    >>> print(markdown(["env", "return"], [["a|b", "1"]]))
    | env | return |
    | --- | ---: |
    | a\|b | 1 |
    """
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


def cells(found: ComparedGroups, names: Mapping[Any, str]) -> tuple[list[str], list[list[str]]]:
    """Returns the titles and the rows of the table of a comparison, as texts.

    Args:
      found: the comparison.
      names: for values of `by` and the metric, the texts that are shown instead; their order is
        that of the rows.
    """
    from jaxlog._analysis import renaming
    from jaxlog._analysis.groups import worded

    level = f"{100 * found.confidence:.4g} % interval"
    titles = [", ".join(found.by) or "lanes", names.get(found.metric, found.metric), level, "lanes"]
    of_others = {}
    if found.differences is not None:
        titles += ["difference", "probability of improvement"]
        keys = found.differences.select(found.by).rows()
        of_others = dict(zip(map(str, keys), found.differences.iter_rows(named=True), strict=True))
    rows: list[list[str]] = []
    groups = [tuple(row[name] for name in found.by) for row in found.frame.iter_rows(named=True)]
    renaming.warn_if_unused(names, renaming.values_of(found.by, groups), [found.metric])
    for key, row in zip(groups, found.frame.iter_rows(named=True), strict=True):
        own_texts = [renaming.text_of(*pair, names) for pair in zip(found.by, key, strict=True)]
        texts = [
            worded(v) if text is None else text for v, text in zip(key, own_texts, strict=True)
        ]
        name = ", ".join(texts) or "all"
        value = "" if row["iqm"] is None else number(row["iqm"])
        lanes = row["alive"] + row["diverged"]
        alive = f"{lanes}" if row["alive"] == lanes else f"{row['alive']} of {lanes}"
        own = [name, value, _interval(row["lower"], row["upper"]), alive]
        if found.differences is not None:
            own += _of_other(of_others.get(str(key)), is_baseline=key == found.baseline)
        rows.append(own)
    return titles, [rows[number] for number in renaming.ordered(found.by, groups, names)]


def _of_other(row: Mapping[str, Any] | None, *, is_baseline: bool) -> list[str]:
    if row is None or row["difference"] is None:
        return ["baseline" if is_baseline else "", ""]
    sign = "" if row["difference"] < 0 else "+"
    ends = _interval(row["lower"], row["upper"])
    least, most = row["probability_lower"], row["probability_upper"]
    chances = "" if least is None else f"[{least:.2f}, {most:.2f}]"
    probability = f"{row['probability']:.2f}"
    return [
        f"{sign}{number(row['difference'])} {ends}".strip(),
        f"{probability} {chances}".strip(),
    ]


def _interval(lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None:
        return ""
    return f"[{number(lower)}, {number(upper)}]"
