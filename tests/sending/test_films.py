"""`jaxlog sync` sends the films of recorded episodes that the sinks of a run would have sent."""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger
from tests.sinks import wandb_files
from tests.sinks.filmed import SINKS, record, rows_in_trackio
from tests.sinks.test_films import gifs


def draw(tree: Any) -> np.ndarray:
    """Draws the count of a step, as grey."""
    return np.full((8, 6, 3), 10 * tree["pair"][0], np.uint8)


def films(kind: str, path: Path, run_id: str) -> list[Any]:
    """The steps of the films that a tracker has, with caption and checksum of each."""
    if kind == "tensorboard":
        return [
            (step, None, _sum(film)) for step, (_, _, *own) in gifs(path).items() for film in own
        ]
    if kind == "wandb":
        (run,) = (run for run in wandb_files.read_all(path) if run.id == run_id)
        return [
            (row["recorded/step"], caption, video["sha256"])
            for row in run.rows
            for caption, video in zip(
                row["recorded/films/captions"], row["recorded/films/videos"], strict=True
            )
        ]
    if kind == "trackio":
        media = Path(os.environ["TRACKIO_DIR"]) / "media"
        return [
            (row["step"], row[key]["caption"], _sum((media / row[key]["file_path"]).read_bytes()))
            for row in rows_in_trackio(run_id)
            for key in sorted(row)
            if "films" in key
        ]
    client = importlib.import_module("mlflow").MlflowClient()
    experiment = client.get_experiment_by_name("films").experiment_id
    (found,) = client.search_runs([experiment], f"tags.`jaxlog.run` = '{run_id}'")
    folder = Path(client.download_artifacts(found.info.run_id, "recorded/films"))
    return [(file.name, None, _sum(file.read_bytes())) for file in sorted(folder.iterdir())]


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("kind", "drawn"), [*((kind, False) for kind in SINKS), ("wandb", True), ("trackio", True)]
)
def test_a_tracker_gets_the_films_that_its_sink_gave_it(
    kind: str, drawn: bool, make_logger: MakeLogger, tmp_path: Path
) -> None:
    settings = SINKS[kind](**({"film_renderer": f"{__name__}:draw"} if drawn else {}))
    path = tmp_path / "run"
    logger = make_logger(sinks=[{"kind": "jsonl"}, settings])
    with logger.open(path) as run:
        record(logger)
    expected = films(kind, path, run.info.id)
    assert len(expected) == 4
    assert len({checksum for *_, checksum in expected}) == 2  # the same two at both steps
    jaxlog.sync(path, cast("Any", kind), settings=settings, again=True)
    assert films(kind, path, run.info.id + "_1" * (kind != "tensorboard")) == expected


def test_the_table_of_recorded_episodes_is_the_same(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    settings = SINKS["trackio"](films=0)
    logger = make_logger(sinks=[{"kind": "jsonl"}, settings])
    with logger.open(tmp_path / "run") as run:
        record(logger)
    jaxlog.sync(tmp_path / "run", "trackio", settings=settings, again=True)
    tables = [
        [row["recorded/episodes"]["_value"] for row in rows_in_trackio(run_id)]
        for run_id in (run.info.id, f"{run.info.id}_1")
    ]
    assert tables[0] == tables[1] != []


def test_an_episode_whose_file_is_gone_has_no_film(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "run"
    logger = make_logger(sinks=[{"kind": "jsonl", "keep_episodes": 4}])
    with logger.open(path) as run:
        record(logger)
    (sent,) = jaxlog.sync(path, "trackio", settings=SINKS["trackio"]())
    assert sent.events == 6
    assert [step for step, *_ in films("trackio", path, run.info.id)].count(1) == 2
    said = [one.getMessage() for one in caplog.records if "without its film" in one.getMessage()]
    assert len(said) == 1
    assert "is not there; as many files of episodes are kept as keep_episodes" in said[0]
