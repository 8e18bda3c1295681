"""Computes the numbers of rliable.json with rliable, in an environment of its own.

`nox -s rliable` installs rliable and runs this; with `--write`, it writes the file anew.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("rliable.json")
RUNS, TASKS, REPS = 8, 5, 20_000
FRAMES, CURVE_REPS = 6, 5_000
THRESHOLDS = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]


def scores() -> dict[str, np.ndarray]:
    """Scores of shape (runs, tasks), rounded so that the file has them exactly."""
    random = np.random.default_rng(7)
    level = np.array([0.2, 0.5, 0.7, 0.9, 1.2])
    first = level + 0.2 * random.normal(size=(RUNS, TASKS))
    second = level + 0.1 + 0.3 * random.normal(size=(RUNS, TASKS))
    return {"first": first.round(3), "second": second.round(3)}


def curves() -> dict[str, np.ndarray]:
    """Scores of shape (runs, tasks, frames), which grow with the frames."""
    random = np.random.default_rng(11)
    grown = 1 - np.exp(-np.arange(1, FRAMES + 1) / 4)
    return {
        name: (own[:, :, None] * grown + 0.05 * random.normal(size=(RUNS, TASKS, FRAMES))).round(3)
        for name, own in scores().items()
    }


def numbers() -> dict[str, Any]:
    """The aggregates, the profile and the probability of improvement, with their intervals."""
    from rliable import library, metrics  # pyright: ignore[reportMissingImports]

    own = scores()
    functions = {
        "iqm": metrics.aggregate_iqm,
        "mean": metrics.aggregate_mean,
        "median": metrics.aggregate_median,
        "optimality_gap": metrics.aggregate_optimality_gap,
    }
    found: dict[str, Any] = {"aggregates": {name: {} for name in own}}
    for name, function in functions.items():
        points, ends = library.get_interval_estimates(
            own, lambda s, f=function: np.array([f(s)]), reps=REPS
        )
        for group in own:
            found["aggregates"][group][name] = [
                float(points[group][0]), *map(float, ends[group][:, 0])
            ]  # fmt: skip

    def iqm_by_frame(scores: np.ndarray) -> np.ndarray:
        return np.array([metrics.aggregate_iqm(scores[..., f]) for f in range(scores.shape[-1])])

    points, ends = library.get_interval_estimates(curves(), iqm_by_frame, reps=CURVE_REPS)
    found["efficiency"] = {group: [points[group].tolist(), *ends[group].tolist()] for group in own}
    fractions, ends = library.create_performance_profile(own, np.array(THRESHOLDS), reps=REPS)
    found["profile"] = {group: [fractions[group].tolist(), *ends[group].tolist()] for group in own}
    pair = {"pair": (own["second"], own["first"])}
    points, ends = library.get_interval_estimates(
        pair, metrics.probability_of_improvement, reps=REPS
    )
    found["improvement"] = [float(points["pair"]), *map(float, np.ravel(ends["pair"]))]
    return found


def main() -> None:
    """Writes the file, or compares it with what rliable computes now."""
    found = numbers()
    if "--write" in sys.argv:
        known = {
            "rliable": version("rliable"),
            "made_by": "python tests/analysis/rliable_numbers.py --write",
            "repetitions": REPS,
            "thresholds": THRESHOLDS,
            "scores": {name: own.tolist() for name, own in scores().items()},
            "curves": {name: own.tolist() for name, own in curves().items()},
            "numbers": found,
        }
        FILE.write_text(json.dumps(known, indent=1) + "\n")
        return
    expected = json.loads(FILE.read_text())["numbers"]
    for group, aggregates in expected["aggregates"].items():
        for name, (value, *ends) in aggregates.items():
            now, *now_ends = found["aggregates"][group][name]
            np.testing.assert_allclose(now, value, rtol=1e-12)
            np.testing.assert_allclose(now_ends, ends, atol=0.1 * (ends[1] - ends[0]))
    for group, (values, *ends) in expected["efficiency"].items():
        now, *now_ends = found["efficiency"][group]
        np.testing.assert_allclose(now, values, rtol=1e-12)
        widest = max(np.subtract(ends[1], ends[0]))
        np.testing.assert_allclose(now_ends, ends, atol=0.1 * widest)
    print("rliable computes the numbers of", FILE.name)


if __name__ == "__main__":
    main()
