"""Histograms over steps, as the page draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jaxlog._analysis.along import ALONG
from jaxlog._analysis.density import density_over_steps
from jaxlog._page.asked import AbsentError
from jaxlog._page.numbers import binary_body
from jaxlog._reading.run_frames import RunFrames
from jaxlog._terminal import plain


def heat(
    runs: Mapping[str, RunFrames], call: str, key: str, version: int, notes: Sequence[str]
) -> bytes:
    """The answer to `heat`.

    Args:
      runs: the runs by their names; the histograms of all are added up.
      call: the call that logged the histogram.
      key: its key on a line.
      version: the version of all runs.
      notes: what a reader has to know of the runs.

    Raises:
      AbsentError: none of the runs has such a histogram.
    """
    try:
        found = density_over_steps(runs, call, key)
    except LookupError as error:
        raise AbsentError(str(error.args[0])) from None
    header = {
        "version": version,
        "x": {"title": ALONG["step"].title, "kind": "number"},
        "y": {"title": plain(key.removesuffix("_histogram"))},
        "call": plain(call),
        "edges": found.edges.tolist(),
        "steps": len(found.steps),
        "bins": found.density.shape[1],
        "notes": [*notes, *found.notes],
    }
    with np.errstate(over="ignore"):
        return binary_body(header, [found.steps, found.density.astype(np.float32).reshape(-1)])
