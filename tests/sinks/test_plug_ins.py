"""Sinks of other packages."""

from __future__ import annotations

import csv
import importlib.metadata
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog import sinks
from jaxlog._settings import ConfigError
from jaxlog.sinks import RunInfo
from tests.conftest import module_of
from tests.reading.files import metrics

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_sink"
SETTINGS = """
batched_logging_enabled: true
sinks:
  - kind: csv
    delimiter: ";"
"""
PROGRAM = """
import jax, jax.numpy as jnp, jaxlog
logger = jaxlog.Logger("settings.yaml")
with logger.open("run"):
    jax.vmap(lambda x: jaxlog.batch_step(logger, 0, {"x": x}))(jnp.array([0.5, 1.5]))
try:
    jaxlog.load_config({"sinks": [{"kind": "csv", "delimiter": "long"}]})
except jaxlog.ConfigError as error:
    print(error)
"""


def test_the_example_is_installed_and_chosen_in_a_settings_file(tmp_path: Path) -> None:
    source, site = tmp_path / "my_sink", tmp_path / "site"
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), str(source)]
    subprocess.run(pip, check=True, capture_output=True, timeout=100)
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{Path(jaxlog.__file__).parents[1]}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "run" / "metrics.csv").read_text()
    rows = list(csv.reader(text.splitlines(), delimiter=";"))
    assert rows == [
        ["name", "step", "lane", "key", "value"],
        ["batch", "0", "0", "x", "0.5"],
        ["batch", "0", "1", "x", "1.5"],
    ]
    assert "sinks.0.delimiter: got 'long': String should have at most 1 character" in done.stdout


def written(directory: Path, *steps: int, **more: Any) -> dict[str, int]:
    """Writes a session of the example's sink, a row for each step; returns its last position."""
    module = module_of(EXAMPLE / "my_sink.py")
    sink = module.CsvSink(module.CsvSettings())
    info = RunInfo("run", directory, **more)
    sink.check(info)
    sink.open(info)
    for step in steps:
        sink.write_metrics(metrics(step, ({}, {"loss": 0.5})))
        sink.flush()
    position = sink.position()
    sink.close()
    return position


def test_the_example_drops_a_row_that_a_kill_left_incomplete(tmp_path: Path) -> None:
    written(tmp_path, 0, 1)
    path = tmp_path / "metrics.csv"
    whole = path.read_bytes()
    rows = whole.splitlines(keepends=True)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        written(tmp_path, 1, if_exists="resume")
        kept = max(1, whole[:size].count(b"\n"))
        assert path.read_bytes() == b"".join([*rows[:kept], rows[2]])


def test_the_example_goes_on_from_the_position_of_a_state(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    position = written(tmp_path, 0, 1)
    whole = path.read_bytes()
    written(tmp_path, 2, if_exists="resume")
    written(tmp_path, if_exists="resume", position=position)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"got \d+ bytes, expected \d+"):
        written(tmp_path, if_exists="resume", position=position)
    with pytest.raises(FileExistsError, match="belongs to another run"):
        written(tmp_path)


def test_a_sink_that_was_written_for_0_1_works_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sink_of_0_1.py` is the example as it was then, and repairs nothing when it is resumed."""
    with pytest.warns(DeprecationWarning, match=r"^jaxlog\.\w+: this name works for one more"):
        module = module_of(Path(__file__).with_name("sink_of_0_1.py"))
    sinks._plug_ins.cache_clear()
    own = EntryPoint("csv", f"{module.__name__}:CsvSink", "jaxlog.sinks")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [own])
    try:
        settings = {
            "log_frequency": 1,
            "histograms": {"episode_returns": [0, 1, 2]},
            "sinks": [{"kind": "csv", "delimiter": ";"}],
        }
        logger = jaxlog.Logger(settings)
        for step in range(2):
            with logger.open(tmp_path, if_exists="resume" if step else "error") as run:
                jaxlog.batch_step(logger, step, {"episode_returns": jnp.ones(2), "x": 0.5})
            (account,) = run.accounts()
            assert (account.written, account.failure) == (run.arrived, None)
    finally:
        sinks._plug_ins.cache_clear()
    rows = list(csv.reader((tmp_path / "metrics.csv").read_text().splitlines(), delimiter=";"))
    assert rows[0] == ["name", "step", "lane", "key", "value"]
    assert [row[1:] for row in rows if row[3] == "x"] == [[s, "0", "x", "0.5"] for s in "01"]
    assert not [row for row in rows if row[3] == "episode_return_histogram"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("not_there:Sink", r"got 'odd', which is not_there:Sink of .* cannot be imported: "),
        ("os.path:join", r"got 'odd', .* it is no subclass of jaxlog.sinks.Sink"),
        (
            "jaxlog.sinks.sink:Sink",
            r"got 'odd', .* its Settings are no subclass of jaxlog.sinks.Si",
        ),
    ],
)
def test_what_is_no_sink_is_refused(value: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(group: str) -> Any:
        return [EntryPoint("odd", value, group), EntryPoint("jsonl", "os:getcwd", group)]

    sinks._plug_ins.cache_clear()
    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    try:
        with pytest.raises(ConfigError, match=text):
            jaxlog.load_config({"sinks": [{"kind": "odd"}]})
        with pytest.raises(ConfigError, match=r"takes one of jsonl, .*, odd"):
            jaxlog.load_config({"sinks": [{"kind": "other"}]})
        jaxlog.load_config({"sinks": [{"kind": "jsonl"}]})  # jaxlog's own
    finally:
        sinks._plug_ins.cache_clear()
