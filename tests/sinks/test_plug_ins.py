"""Sinks of other packages."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog import sinks
from jaxlog._settings import ConfigError

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
    monkeypatch.setattr(sinks, "entry_points", found)
    try:
        with pytest.raises(ConfigError, match=text):
            jaxlog.load_config({"sinks": [{"kind": "odd"}]})
        with pytest.raises(ConfigError, match=r"takes one of jsonl, .*, odd"):
            jaxlog.load_config({"sinks": [{"kind": "other"}]})
        jaxlog.load_config({"sinks": [{"kind": "jsonl"}]})  # jaxlog's own
    finally:
        sinks._plug_ins.cache_clear()
