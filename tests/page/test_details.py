"""What the page shows of one run: facts, configs, episodes, arrays and histograms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import jaxlog
from jaxlog._page import run_pictures
from jaxlog._page.asked import AbsentError
from tests.cli.conftest import Command as Command
from tests.cli.conftest import command as command
from tests.page.conftest import Page
from tests.page.frames import opened


def test_facts_are_those_of_show(sweep: Path, command: Command) -> None:
    page = Page(sweep)
    page.look()
    found = page(f"facts?run={page.ids()['run-5']}")
    assert (found["name"], found["status"]) == ("run-5", "failed")
    facts = {label: (text, bad) for label, text, bad in found["facts"]}
    assert facts["error"] == ("ValueError: no luck", True)
    assert facts["lanes"][0].startswith("4: env a, b · seed 0, 1, 2, 3")
    shown = " ".join(command("show", sweep / "run-5").out.split())
    for label in ("error", "lanes", "records", "lines"):
        assert f"{label} {' '.join(facts[label][0].split())}" in shown
    assert ["net.width", "64"] in found["config"]
    settings = yaml.safe_load(found["settings"])
    assert settings == json.loads((sweep / "run-5" / "run.json").read_text())["settings"]
    assert found["notes"] == []


def test_configs_are_compared_key_by_key(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    one, other = (page.ids()[name] for name in ("run-0", "run-1"))
    found = page(f"configs?a={one}&b={other}")
    assert found["names"] == ["run-0", "run-1"]
    assert found["rows"] == [
        ["lr", "0.001", "0.003", True],
        ["net.width", "64", "64", False],
        ["seed", "0", "0", False],
    ]


@pytest.mark.parametrize("address", ["facts", "pictures", "picture"])
@pytest.mark.parametrize("one", ["", "aaaaaaaaaaaaaaaa", "../run-0", "run-0", "%2e%2e%2frun-0"])
def test_a_run_is_named_by_its_id_and_never_by_a_path(sweep: Path, address: str, one: str) -> None:
    page = Page(sweep)
    page.look()
    with pytest.raises(AbsentError, match="is no run, or is one that was removed"):
        page(f"{address}?run={one}")


def test_pictures_begin_with_the_episodes_that_failed(
    pictured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(pictured.parent)
    page.look()
    one = page.ids()["grid"]
    frame = jaxlog.read_run(pictured).episodes
    found = page(f"pictures?run={one}")
    failed = int((~frame["success"]).sum())
    assert 0 < failed < len(frame)
    flags = [episode["failed"] for episode in found["episodes"]]
    assert flags == [True] * failed + [False] * (len(frame) - failed)
    steps = [episode["step"] for episode in found["episodes"]]
    assert steps[:failed] == sorted(steps[:failed], reverse=True)
    assert found["left_out"] == 0
    source = found["episodes"][0]["source"]
    kind, run, name = source.split("/")
    assert (kind, run) == ("picture", one)
    svg = page.body(f"picture?run={one}&name={name}").decode()
    row = frame.row(int(name.removeprefix("episode-")), named=True)
    assert not row["success"]
    assert svg.startswith("<svg")
    assert f"step {row['step']}" in svg or str(row["step"]) in svg
    assert found["arrays"][0]["title"].startswith("train/table")
    table = page.body(f"picture?run={one}&name=array-0").decode()
    assert found["arrays"][0]["source"] == f"picture/{one}/array-0"
    assert table.startswith("<svg")
    assert found["arrays"][0]["title"].removeprefix("train/table · ") in table
    monkeypatch.setattr(run_pictures, "MOST_EPISODES", 3)
    again = Page(pictured.parent)
    again.look()
    fewer = again(f"pictures?run={one}")
    assert (len(fewer["episodes"]), fewer["left_out"]) == (3, len(frame) - 3)


@pytest.mark.parametrize(
    "name",
    ["", "episode-9999", "episode--1", "episode-x", "../run.json", "svg/a.svg", "array-999", "x"],
)
def test_a_picture_has_no_path(pictured: Path, name: str) -> None:
    page = Page(pictured.parent)
    page.look()
    with pytest.raises(AbsentError, match=r"is no (episode|array) of this run"):
        page.body(f"picture?run={page.ids()['grid']}&name={name}")


def test_a_run_without_episodes_has_no_pictures(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    found = page(f"pictures?run={page.ids()['run-0']}")
    assert (found["episodes"], found["arrays"], found["left_out"]) == ([], [], 0)


def test_heat_is_the_share_of_each_bin_by_its_width(pictured: Path) -> None:
    page = Page(pictured.parent)
    page.look()
    header, data = opened(page.body("heat?call=batch&key=episode_return_histogram"))
    steps, bins = header["steps"], header["bins"]
    assert (steps, bins, header["edges"]) == (20, 4, [0.0, 10.0, 20.0, 30.0, 40.0])
    x = np.frombuffer(data, "<f8", steps)
    density = np.frombuffer(data, "<f4", steps * bins, 8 * steps).reshape(steps, bins)
    np.testing.assert_array_equal(x, np.arange(20))
    for step in range(20):
        values = [3.0 * i + step + seed for i in range(8) for seed in range(3)]
        counts, _ = np.histogram(values, header["edges"])
        np.testing.assert_allclose(density[step], counts / len(values) / 10, rtol=1e-6)
    outside = sum(3 * i + s + seed > 40 for i in range(8) for seed in range(3) for s in range(20))
    share = outside / (24 * 20)
    assert f"{share:.2%} of the values are outside of the bins" in header["notes"]
    with pytest.raises(AbsentError, match="is a histogram that none of these runs has logged"):
        page.body("heat?call=batch&key=episode_return_mean")
