"""Differences to a baseline, aggregates and profiles, compared with the numbers of rliable."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import jaxlog
from jaxlog._analysis.aggregates import aggregates, profile
from jaxlog._analysis.differences import difference

KNOWN = json.loads(Path(__file__).with_name("rliable.json").read_text())
SETTINGS: dict[str, Any] = {"confidence": 0.95, "resamples": 20_000, "seed": 1}
SCORES = {name: np.array(scores) for name, scores in KNOWN["scores"].items()}
"""Scores of shape (runs, tasks)."""


def near(found: Any, expected: Any, width: float) -> bool:
    """True if the ends of two intervals from other draws agree to a tenth of their width."""
    return bool(np.allclose(found, expected, atol=0.1 * width))


@pytest.mark.parametrize("group", SCORES)
def test_aggregates_are_those_of_rliable(group: str) -> None:
    found = aggregates(list(SCORES[group].T), **SETTINGS)
    for name, (value, lower, upper) in KNOWN["numbers"]["aggregates"][group].items():
        assert found[name].value == pytest.approx(value, rel=1e-12)
        assert near((found[name].lower, found[name].upper), (lower, upper), upper - lower), name


@pytest.mark.parametrize("group", SCORES)
def test_a_profile_is_that_of_rliable(group: str) -> None:
    found = profile(list(SCORES[group].T), np.array(KNOWN["thresholds"]), **SETTINGS)
    values, *ends = KNOWN["numbers"]["profile"][group]
    np.testing.assert_allclose(found[0], values, rtol=1e-12)
    np.testing.assert_allclose(found[1:], ends, atol=0.03)


def test_the_probability_of_improvement_is_that_of_rliable() -> None:
    first, second = (list(scores.T) for scores in SCORES.values())
    found = difference(second, first, paired=False, **SETTINGS)
    value, lower, upper = KNOWN["numbers"]["improvement"]
    assert found.probability == pytest.approx(value, rel=1e-12)
    ends = (found.probability_lower, found.probability_upper)
    assert near(ends, (lower, upper), upper - lower)


@pytest.mark.parametrize("paired", [False, True])
def test_many_scores_have_the_same_interval_of_the_probability(paired: bool) -> None:
    random = np.random.default_rng(0)
    one = random.normal(0.3, 1, 1000)
    other = one + random.normal(-0.3, 0.2, 1000) if paired else random.normal(0, 1, 1000)
    drawn = difference([one], [other], paired=paired, **(SETTINGS | {"resamples": 500}))
    twice = difference(  # more pairs than are drawn
        [np.tile(one, 2)], [np.tile(other, 2)], paired=paired, **(SETTINGS | {"resamples": 10})
    )
    assert twice.probability == pytest.approx(drawn.probability)
    half = (twice.probability_upper - twice.probability_lower) * math.sqrt(2)
    assert half == pytest.approx(drawn.probability_upper - drawn.probability_lower, rel=0.15)
    u = scipy.stats.mannwhitneyu(one, other).statistic
    assert drawn.probability == pytest.approx(u / (len(one) * len(other)))


def test_pairs_make_an_interval_narrower_where_seeds_matter() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(0, 10, 16)
    one, other = hard + 2 + random.normal(0, 0.5, 16), hard + random.normal(0, 0.5, 16)
    apart = difference([one], [other], paired=False, **SETTINGS)
    together = difference([one], [other], paired=True, **SETTINGS)
    assert together.value == apart.value
    assert together.upper - together.lower < (apart.upper - apart.lower) / 3
    assert apart.lower < 0 < together.lower


def sweep(directory: Path, *, seeds: int = 8, extra: bool = False, shift: float = 2.0) -> Path:
    """Runs of two algorithms on two tasks; a seed is a lane, and is hard for both."""
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    hard = np.random.default_rng(3).normal(0, 5, (2, seeds))
    for algorithm in ("ppo", "sac"):
        config = {"algorithm": algorithm} | ({"width": len(algorithm + "x" * (algorithm == "sac"))})
        config = config if extra else {"algorithm": algorithm}
        lanes = [{"env": env, "seed": s} for env in ("maze", "cart") for s in range(seeds)]
        values = hard.ravel() + shift * (algorithm == "sac") + np.tile(np.arange(seeds) * 0.01, 2)
        with logger.open(directory / algorithm, config=config, lanes=lanes) as run:
            run.log({"return": values.tolist()}, step=0)
    return directory


def test_groups_are_compared_with_a_baseline(tmp_path: Path) -> None:
    found = jaxlog.compare(
        sweep(tmp_path), "return", by="algorithm", task="env", baseline="ppo", resamples=400
    )
    assert found.baseline == ("ppo",)
    assert found.differences is not None
    [row] = found.differences.rows(named=True)
    iqms = dict(found.frame.select("algorithm", "iqm").rows())
    assert row["difference"] == pytest.approx(iqms["sac"] - iqms["ppo"])
    assert (row["algorithm"], row["paired"], row["tasks"]) == ("sac", True, 2)
    assert (row["scores"], row["baseline_scores"]) == (16, 16)
    assert row["lower"] <= 2.0 <= row["upper"]
    assert row["upper"] - row["lower"] < 0.1  # each seed is better by two
    [sentence] = found.sentences
    chances = f"{row['probability_lower']:.2f} to {row['probability_upper']:.2f}"
    assert sentence == (
        "return of algorithm sac is 2 higher than that of algorithm ppo (95 % interval of the "
        "difference 2 to 2; 16 and 16 scores on the 2 tasks that both have, paired by seed). A "
        "lane of algorithm sac scores higher than one of algorithm ppo with probability "
        f"{row['probability']:.2f} ({chances})."
    )
    assert sentence in repr(found)
    assert "| sac |" in found.to_markdown()


def test_a_difference_that_may_be_none_is_said_to_be(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    random = np.random.default_rng(5)
    for name, lanes in (("a", 8), ("b", 7)):
        with logger.open(
            tmp_path / name, config={"algorithm": name}, lanes=[{"seed": i} for i in range(lanes)]
        ) as run:
            run.log({"value_loss": random.normal(1, 1, lanes).tolist()}, step=0)
    found = jaxlog.compare(tmp_path, "value_loss", baseline={"algorithm": "a"})
    assert found.differences is not None
    assert not found.differences["paired"][0]  # one has a seed that the other has not
    assert not found.higher_is_better
    [sentence] = found.sentences
    assert sentence.endswith("The interval contains 0: these scores do not tell which is better.")
    worse = found.differences["difference"][0] > 0
    assert f"{'higher' if worse else 'lower'} than that of algorithm a, which is" in sentence
    assert f"which is {'worse' if worse else 'better'}" in sentence


def test_it_warns_of_few_seeds_and_of_other_differences(tmp_path: Path) -> None:
    directory = sweep(tmp_path, seeds=2, extra=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = jaxlog.compare(directory, "return", by="algorithm", baseline="ppo")
    assert found.notes == (
        "the groups differ in more than algorithm: also in width, which may be the reason for a "
        "difference",
        "some groups have fewer than 5 scores (algorithm ppo: 4; algorithm sac: 4), so that "
        "intervals are much too narrow: add seeds",
    )
    assert [str(warning.message) for warning in caught] == [f"return: {n}" for n in found.notes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jaxlog.compare(directory, "return")  # by both, and nothing else
        jaxlog.compare(directory, "return", by="run")


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        ("pp", "got 'pp', expected a group by algorithm: algorithm ppo; algorithm sac; did you"),
        ({"width": 3}, "expected a group by algorithm"),
        (("ppo", 1), "expected a group by algorithm"),
    ],
)
def test_a_baseline_that_is_no_group_is_refused(tmp_path: Path, baseline: Any, text: str) -> None:
    with pytest.raises(LookupError, match="baseline: ") as raised:
        jaxlog.compare(sweep(tmp_path), "return", by="algorithm", baseline=baseline)
    assert text in str(raised.value)


def test_aggregates_and_profiles_are_frames(tmp_path: Path) -> None:
    found = jaxlog.compare(
        sweep(tmp_path),
        "return",
        by="algorithm",
        task="env",
        normalize={"maze": (-10.0, 10.0), "cart": (-10.0, 10.0)},
        resamples=200,
    )
    frame = found.aggregates()
    assert frame.columns == ["algorithm", "statistic", "value", "lower", "upper"]
    assert frame["statistic"].to_list()[:4] == ["iqm", "mean", "median", "optimality_gap"]
    iqm = frame.filter(statistic="iqm", algorithm="sac").row(0, named=True)
    row = found.frame.filter(algorithm="sac").row(0, named=True)
    assert [iqm[name] for name in ("value", "lower", "upper")] == [
        row[name] for name in ("iqm", "lower", "upper")
    ]
    assert (frame["lower"] <= frame["value"]).all()
    assert (frame["value"] <= frame["upper"]).all()
    profiles = found.profile([0.0, 0.5])
    scores = found.scores.filter(algorithm="ppo")["score"].to_numpy()
    own = profiles.filter(algorithm="ppo")
    assert own["fraction"].to_list() == [(scores > 0).mean(), (scores > 0.5).mean()]
    assert found.profile().height == 202
    plain = jaxlog.compare(tmp_path, "return", by="algorithm", resamples=50).aggregates()
    assert plain["statistic"].unique().sort().to_list() == ["iqm", "mean", "median"]


def test_tables_have_the_names_and_the_order_that_were_given(tmp_path: Path) -> None:
    found = jaxlog.compare(sweep(tmp_path), "return", by="algorithm", baseline="ppo", resamples=50)
    lines = found.to_markdown(rename={"sac": "SAC & friends", "ppo": "PPO"}).splitlines()
    assert lines[0] == (
        "| algorithm | return | 95 % interval | lanes | difference | probability of improvement |"
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| SAC & friends", "| PPO"]
    assert " | baseline | " in lines[3]
    latex = found.to_latex(rename={"sac": "SAC & friends"}).splitlines()
    assert latex[0] == r"\begin{tabular}{lrrrrr}"
    assert latex[3].startswith(r"SAC \& friends & ")
    assert latex[4].startswith("ppo & ")
    assert r"95 \% interval" in latex[2]
