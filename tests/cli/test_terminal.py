"""No command prints characters of a run that would steer a terminal."""

from __future__ import annotations

import ast
import json
import unicodedata
from pathlib import Path

import pytest

import jaxlog
from jaxlog._format.named_files import named_files
from jaxlog._reading.finding import run_files
from jaxlog._terminal import clean, escaped, plain
from jaxlog.sinks.console.lines import line
from tests.cli.conftest import Command
from tests.conftest import MakeLogger

CLI = Path(jaxlog.__file__).parent / "_cli"
ACTS = "\x1b]0;\x07\x9b\x7f\u00ad\u061c\u200b\u200f\u202e\u2066\u2028\u2029\ufeff\U000e0041"
"""An escape, C1, bidirectional, invisible and line-ending characters."""
NAME = f"a{ACTS}b"


def acting(text: str) -> set[str]:
    """Returns the characters of a text that steer a terminal or are invisible."""
    shapes = {"\n"}
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")} - shapes


@pytest.fixture
def run(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """A failed run in which all names and texts of the user have such characters."""
    directory = tmp_path / f"run{ACTS.replace(chr(0), '')}"
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    run = logger.open(directory, config={NAME: {NAME: NAME}}, tags=(NAME,), lanes=[{}, {}])
    for step in range(3):
        run.log({NAME: [1.5, float("nan")]}, step=step, labels={NAME: NAME})
    run.close(ValueError(NAME))
    file = directory / "run.json"
    facts = json.loads(file.read_text())
    facts |= {"name": NAME, "host": NAME, "git": NAME, "devices": [NAME]}
    facts["versions"] = {NAME: NAME}
    facts["settings"][NAME] = NAME
    facts["sinks"] = [{"kind": NAME, "written": 1, "lost": 2, "failure": NAME}]
    file.write_text(json.dumps(facts))
    fields = {"timestamp": 1.5, "step": 3, "name": NAME, "lane": 0, "labels": {NAME: NAME}}
    episode = fields | {"episode": {NAME: NAME, "total_reward": 2.0}, "details": {}}
    task = {"timestamp": 1.5, "step": 3, "task": {NAME: NAME}, "details": {}}
    (directory / "episodes.jsonl").write_text(json.dumps(episode, separators=(",", ":")) + "\n")
    (directory / "tasks.jsonl").write_text(json.dumps(task, separators=(",", ":")) + "\n")
    (directory / f"{NAME}_metrics.jsonl").write_text(
        (directory / "eval_metrics.jsonl").read_text() + "broken\n"
    )
    return directory


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "RUN"],
        ["show", "BELOW"],
        ["top", "RUN"],
        ["top", "BELOW"],
        ["tail", "RUN"],
        ["tail", "BELOW"],
        ["tail", "RUN", "--json"],
        ["report", "RUN", "--output", "BELOW/report.html"],
        ["export", "RUN", "--to", "csv"],
        ["export", "RUN", "--to", "parquet", "--output", f"BELOW/{NAME}"],
        ["export", f"BELOW/{NAME}", "--to", "csv"],
        ["check", "RUN"],
        ["check", f"BELOW/{NAME}"],
        ["check", "BELOW/settings.yaml"],
        ["report", f"BELOW/{NAME}"],
        ["tail", f"BELOW/{NAME}"],
    ],
)
def test_no_command_prints_control_characters(
    arguments: list[str], run: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "settings.yaml").write_text(json.dumps({NAME: NAME, "log_frequency": NAME}))
    named = (word.replace("RUN", str(run)).replace("BELOW", str(tmp_path)) for word in arguments)
    said = command(*named)
    assert said.out or said.err
    assert acting(said.out) == set()
    assert acting(said.err) == set()


def test_escaped_lines_of_tail_have_the_same_values(run: Path, command: Command) -> None:
    said = command("tail", run, "--json", "-n", "100")
    logged = [
        json.loads(text)
        for path in run_files(named_files(run))
        for text in path.read_text().split("\n")
        if text.startswith("{")
    ]
    found = [json.loads(text) for text in said.out.splitlines()]
    assert sorted(found, key=str) == sorted(logged, key=str)


def test_the_name_of_a_call_is_cleaned_in_the_console() -> None:
    event = jaxlog.sinks.MetricsEvent(NAME, 0, None, 1.5, (jaxlog.sinks.Lane(0, {}, {}),), {})
    assert acting(line(event, None)) == set()


@pytest.mark.parametrize("text", ["plain", "ünïcode · 日本 ▁▅█ 👩‍", "e\u0301", "a  b"])
def test_visible_characters_are_kept(text: str) -> None:
    seen = text.replace("\u200d", "\ufffd")
    assert clean(text) == seen
    assert plain(text) == " ".join(seen.split())
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


def test_every_control_and_format_character_is_known() -> None:
    """All of Unicode, except for signs before numbers, which are visible."""
    shaped = {chr(c) for c in (*range(0x600, 0x606), 0x6DD, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)}
    # Joins of hieroglyphs, which have no meaning elsewhere.
    shaped |= {chr(c) for c in range(0x13430, 0x13456)}
    every = {chr(c) for c in range(0x110000)}
    known = {c for c in every if acting(c)} - shaped
    assert {c for c in known if clean(c) == c} == set()
    assert clean("\n") == "\n"


def test_only_one_module_of_the_command_prints() -> None:
    printing = {
        file.name
        for file in CLI.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert printing == {"stream.py"}
