"""Plots a histogram over the steps, as a heat map."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxlog._analysis import publishing, renaming
from jaxlog._analysis.along import ALONG
from jaxlog._analysis.axes import LINE
from jaxlog._analysis.density import density_over_steps
from jaxlog._analysis.drawing import LONG
from jaxlog._reading.run_frames import chosen_call
from jaxlog._text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxlog._reading.run_frames import RunFrames

_ENDING = "_histogram"


def plot_histogram(
    runs: Mapping[str, RunFrames],
    name: str,
    *,
    call: str | None,
    ax: Axes | None,
    width: float | None,
    rename: Mapping[Any, str] | None,
    save: str | os.PathLike[str] | None,
) -> Axes:
    """Draws `RunData.plot_histogram` for runs by their names."""
    publishing.check(width, 1, save)
    if ax is not None and width is not None:
        raise ValueError("width: got a width and ax, expected only one of them")
    names = rename or {}
    calls = sorted({one for run in runs.values() for one in run.calls})
    chosen = chosen_call(call, calls, counted(len(runs), "run"))
    metric = name.removesuffix(_ENDING)
    found = density_over_steps(runs, chosen, f"{metric}{_ENDING}")
    of = "" if len(runs) == 1 else f" of {len(runs):,} runs"
    words = f"the density of the values of each update, all lanes{of} together"
    letters = 90 if width is None else max(24, int(width * publishing.CAPTION_PER_INCH))
    caption = "\n".join(textwrap.fill(text, letters) for text in (words, *found.notes))
    if ax is None:
        size = (7.0, 4.0) if width is None else publishing.figure_size(width, (), caption)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    mesh = ax.pcolormesh(
        _between(found.steps),
        found.edges,
        # A column without values has no colour, unlike a bin without values.
        np.where(found.density.any(axis=1, keepdims=True), found.density, np.nan).T,
        cmap="viridis",
        vmin=0.0,
        rasterized=True,  # a rectangle for each bin of each step makes large files
    )
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label("density", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_visible(False)  # type: ignore[operator]
    ax.set_xlabel(publishing.axis_label(ALONG["step"].title, names))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if found.steps[-1] >= LONG:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.spines[["top", "right"]].set_visible(False)
    label = publishing.axis_label(name if name in names else metric, names)
    renaming.warn_if_unused(names, (), [name, metric, ALONG["step"].title])
    ax.set_ylabel(label)
    if width is None:
        ax.text(0, 1.015, caption, transform=ax.transAxes, fontsize="small", alpha=0.75)
        ax.set_title(label, loc="left", pad=20 + LINE * caption.count("\n"))
        ax.set_ylabel("")
    else:
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.suptitle(caption, fontsize="x-small", alpha=0.75, x=0.01, ha="left")
    if save is not None:
        publishing.write(ax.get_figure(root=True), save)  # type: ignore[arg-type]
    return ax


def _between(steps: np.ndarray) -> np.ndarray:
    """The borders of columns around some steps: half-way between them."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middle = (steps[1:] + steps[:-1]) / 2
    first = steps[0] - (middle[0] - steps[0])
    return np.concatenate([[first], middle, [steps[-1] + (steps[-1] - middle[-1])]])
