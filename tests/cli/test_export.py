"""`jaxlog export`: its files can be read by other programs, and it overwrites none by accident."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

import jaxlog
from tests.cli.conftest import Command, Logged, refused_without

NAMES = ["batch_metrics", "batch_over_lanes", "episodes", "eval_metrics"]


def test_parquet_has_the_values_of_the_lines(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    code, out, err = command("export", logged.directory, "--to", "parquet", "-o", tmp_path)
    assert (code, err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.parquet" for n in NAMES]
    assert f"{tmp_path / 'batch_metrics.parquet'}: 75 rows, " in out
    table = pyarrow.parquet.read_table(tmp_path / "batch_metrics.parquet").to_pylist()
    lines = (logged.directory / "batch_metrics.jsonl").read_text().splitlines()
    written = [line for line in map(json.loads, lines) if "lane" in line]
    assert len(table) == len(written)
    for row, line in zip(table, written, strict=True):
        assert row["seed"] == line["labels"]["seed"]
        assert row["step"] == line["step"]
        for key, value in line["metrics"].items():
            expected = math.inf if value is None else value
            assert row[key] == pytest.approx(expected)


def test_csv_has_lists_as_json(command: Command, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run"):
        for step in range(2):
            logger.log_step({"reward": 0.5, "state": [[1, 2], [3, 4 + step]], "note": 'a,"b"\nü'})
    code, out, _ = command("export", tmp_path / "run", "--to", "csv")
    assert (code, out.count("\n")) == (0, 1)
    with (tmp_path / "run" / "export" / "steps.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(row["state"]) for row in rows] == [[[1, 2], [3, 4]], [[1, 2], [3, 5]]]
    assert rows[0]["note"] == 'a,"b"\nü'
    frame = pd.read_csv(tmp_path / "run" / "export" / "steps.csv")
    assert frame["reward"].tolist() == [0.5, 0.5]


def test_a_path_that_is_not_utf_8_works(command: Command, logged: Logged, tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"\xff out")
    for kind in ("csv", "parquet"):
        code, out, err = command("export", logged.directory, "--to", kind, "-o", directory)
        assert (code, err, out.count("\n")) == (0, "", len(NAMES))


def test_a_file_is_overwritten_only_with_force(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    (tmp_path / "episodes.csv").write_text("mine")
    arguments = ("export", logged.directory, "--to", "csv", "--output", tmp_path)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(
        f"jaxlog: {tmp_path / 'episodes.csv'}: would be overwritten; pass --force "
    )
    assert [path.name for path in tmp_path.iterdir()] == ["episodes.csv"]
    assert command(*arguments, "--force").code == 0
    assert (tmp_path / "episodes.csv").read_text() != "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.csv" for n in NAMES]


def test_a_file_that_cannot_be_written_is_named(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    (tmp_path / "episodes.csv").mkdir()
    arguments = ("export", logged.directory, "--to", "csv", "-o", tmp_path, "--force")
    code, _, err = command(*arguments)
    assert (code, err) == (
        2,
        f"jaxlog: {tmp_path / 'episodes.csv'}: cannot be written: Is a directory\n",
    )
    assert not list(tmp_path.glob(".*"))


def test_bad_arguments_are_errors(command: Command, logged: Logged, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "run").mkdir()
    shutil.copy(logged.directory / "run.json", tmp_path / "run")
    for arguments, why in (
        ((tmp_path / "none", "--to", "csv"), "does not exist, expected the directory of a run"),
        ((tmp_path / "run", "--to", "csv"), "has no lines to export"),
        ((logged.directory, "--to", "csv", "-o", tmp_path / "file"), "File exists"),
        ((logged.directory, "--to", "csv", "-o", tmp_path / "file" / "x"), "Not a directory"),
    ):
        code, out, err = command("export", *arguments)
        assert (code, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1
    assert command("export", logged.directory, "--to", "xls").code == 2


def test_without_polars_it_says_what_to_install(logged: Logged, tmp_path: Path) -> None:
    refused_without("polars", "export", logged.directory, "--to", "csv", "-o", tmp_path)


TEXTS = ["=1+1", "+a", "-a", "@a", "\ta", "\ra", "-1.5", "+2e3", "a=1", "", "'=a", "-", "日本"]
SAFE = [
    "'=1+1",
    "'+a",
    "'-a",
    "'@a",
    "'\ta",
    "'\ra",
    "-1.5",
    "+2e3",
    "a=1",
    "",
    "'=a",
    "'-",
    "日本",
]


@pytest.mark.parametrize("safe", [False, True])
def test_csv_for_a_spreadsheet_has_no_formulas(
    command: Command, tmp_path: Path, safe: bool
) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path / "run") as run:
        for step, text in enumerate(TEXTS):
            run.log({"-loss": -0.5}, step=step, labels={"=note": text, "rate": -1.0})
    flag = ["--safe-text"] if safe else []
    code, _, err = command("export", tmp_path / "run", "--to", "csv", *flag)
    assert code == 0
    file = tmp_path / "run" / "export" / "eval_metrics.csv"
    with file.open(newline="", encoding="utf-8") as opened:
        names, *found = csv.reader(opened)
    at = names.index("'=note" if safe else "=note")
    assert ("'-loss" if safe else "-loss") in names
    assert [row[at] for row in found] == (SAFE if safe else TEXTS)
    numbers = names.index("rate"), names.index("'-loss" if safe else "-loss")
    assert {(float(row[numbers[0]]), float(row[numbers[1]])) for row in found} == {(-1.0, -0.5)}
    said = (
        f"jaxlog: {file}: 9 texts begin like spreadsheet formulas; pass --safe-text to open the "
        "file in a spreadsheet\n"
    )
    assert err == ("" if safe else said)


def test_safe_texts_are_for_csv(command: Command, logged: Logged, tmp_path: Path) -> None:
    said = command("export", logged.directory, "--to", "parquet", "-o", tmp_path, "--safe-text")
    assert said == (2, "", "jaxlog: export: --safe-text: got --to parquet, expected --to csv\n")


def test_an_export_does_not_leave_the_run_by_a_link(
    command: Command, logged: Logged, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(logged.directory, run)
    (tmp_path / "elsewhere").mkdir()
    (run / "export").symlink_to(tmp_path / "elsewhere")
    code, _, err = command("export", run, "--to", "csv")
    assert (code, list((tmp_path / "elsewhere").iterdir())) == (2, [])
    assert err.startswith(f"jaxlog: {run}/export: is a symbolic link, which may lead out of the")
