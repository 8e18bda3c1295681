"""Which pictures are in the run's directory, and what becomes of those that were there."""

from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.events import EpisodeEvent, RunInfo, StepEvent
from jaxlog._format.svg_files import safe_name
from jaxlog.sinks import svg
from jaxlog.sinks.svg import SvgSettings, SvgSink
from tests.conftest import MakeLogger
from tests.render.pictures import episode, grids_of, root_of, values_of, words_of

GRID = np.array([[0, 1, 2], [7, 8, 9]], np.int8)


def open_sink(directory: Path, info: dict[str, Any] | None = None, **settings: Any) -> SvgSink:
    sink = SvgSink(SvgSettings(**settings))
    run = RunInfo("run", directory, **(info or {}))
    sink.check(run)
    sink.open(run)
    return sink


def write(directory: Path, *events: EpisodeEvent | StepEvent, **settings: Any) -> list[str]:
    """What is in the directory when a sink has written some events."""
    sink = open_sink(directory, **settings)
    for event in events:
        if isinstance(event, StepEvent):
            sink.write_step(event)
        else:
            sink.write_episode(event)
    sink.close()
    return files(directory)


def files(directory: Path) -> list[str]:
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    for path in found:
        if path.suffix == ".svg" and path.read_text().startswith("<svg"):
            root_of(path.read_text())
    return [path.relative_to(directory).as_posix() for path in found]


def at(step: int, environment: int = 0, **changes: Any) -> EpisodeEvent:
    details = {"initial_state": GRID, "final_state": GRID + environment}
    return episode(details, **{"step": step, "environment_id": environment, **changes})


def test_seeds_under_vmap_have_their_own_states_and_one_sheet(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(4, sample_frequency=3, num_samples=2, sinks=[{"kind": "svg"}])

    def train(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            environment = jnp.arange(5, dtype=np.int32)
            board = jnp.zeros((5, 2, 3), np.int32).at[:, 0, 1].set(environment)
            jaxlog.batch_step(
                logger,
                step,
                {"episode_returns": environment.astype(np.float32)},
                details={
                    "initial_state": board,
                    "final_state": {"board": board.at[:, 1, 2].set(seed), "moves": environment},
                },
                labels={"seed": seed},
            )
            return None, None

        return jax.lax.scan(update, None, jnp.arange(4))

    with logger.open(tmp_path) as run:
        jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(3)))
    (worker,) = run._engine._workers
    assert worker.failure is None
    for step in (0, 3):
        folder = tmp_path / f"svg/batch/step_{step:010d}"
        pictures = sorted(folder.glob("lane_*.svg"))
        assert len(pictures) == 3 * 2
        for path in pictures:
            _, lane, _, environment = path.stem.split("_")
            first, last = map(values_of, grids_of(path.read_text()))
            expected = np.zeros((2, 3), int)
            expected[0, 1] = int(environment)
            np.testing.assert_array_equal(first, expected)
            expected[1, 2] = int(lane)
            np.testing.assert_array_equal(last, expected)
            assert f"moves | {int(environment)}" in words_of(path.read_text())
            assert f"return | {int(environment)}" in words_of(path.read_text())
        page = (folder / "sheet.svg").read_text()
        assert len(grids_of(page)) == 12
        assert "seed 2" in words_of(page)


def test_files_are_named_so_that_they_sort_and_never_meet(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        at(100, 19, lane=3),
        at(99, 19, lane=12),
        at(99, 19, lane=12),  # another pass through the loop
        at(2**31 - 1, 2, batch_index=[0, 2]),
        at(2**31 - 1, 2, batch_index=[1, 2]),
        at(7, name="eval", sampled=False),
        at(7, name="eval", sampled=False),
        StepEvent(12, 0.0, 3, {}, {"reward": 1.0}, {"before_state": GRID, "after_state": GRID}),
        StepEvent(13, 0.0, 3, {}, {"reward": 1.0}, {}),  # has no states
    )
    assert found == [
        "svg/batch/step_0000000099/lane_0012_env_000019.svg",
        "svg/batch/step_0000000099/lane_0012_env_000019_2.svg",
        "svg/batch/step_0000000099/sheet.svg",
        "svg/batch/step_0000000100/lane_0003_env_000019.svg",
        "svg/batch/step_0000000100/sheet.svg",
        "svg/batch/step_2147483647/lane_0000_env_000000-000002.svg",
        "svg/batch/step_2147483647/lane_0000_env_000001-000002.svg",
        "svg/batch/step_2147483647/sheet.svg",
        "svg/eval/step_0000000007.svg",
        "svg/eval/step_0000000007_2.svg",
        "svg/steps/episode_000003/step_0000000012.svg",
    ]


def test_what_is_switched_off_is_not_drawn(tmp_path: Path) -> None:
    step = StepEvent(12, 0.0, 3, {}, {}, {"state": GRID})
    assert write(tmp_path, at(1), step, steps=False, contact_sheet=False) == [
        "svg/batch/step_0000000001/lane_0000_env_000000.svg"
    ]


NAMES = ["../../x", "/etc/x", "a\x00b", "x" * 5000, "été", "\ud800", "", ".", "..", "a/b", "A b"]


def test_no_name_leads_out_of_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "run"
    directory.mkdir(parents=True)
    found = write(directory, *(at(1, name=name, environment_id=name) for name in NAMES))
    assert len(found) == 2 * len(NAMES)
    assert all(path.startswith("svg/") and len(path) < 150 and path.isascii() for path in found)
    assert files(tmp_path) == [f"deep/run/{path}" for path in found]
    assert len({safe_name(name) for name in NAMES}) == len(NAMES)
    # All of them are known again.
    assert write(directory, info={"if_exists": "replace"}) == []


def test_a_sheet_is_whole_when_its_episodes_come_in_two_batches_or_two_runs(tmp_path: Path) -> None:
    sink = open_sink(tmp_path)
    path = tmp_path / "svg/batch/step_0000000005/sheet.svg"
    for lane in (1, 0):
        sink.write_episode(at(5, lane=lane, num_lanes=3))
        sink.write_episode(at(6, lane=lane, num_lanes=3))
        sink.flush()
    assert "2 episodes" in words_of(path.read_text())
    sink.close()
    assert "2 episodes" in words_of(path.read_text())
    sink = open_sink(tmp_path, {"if_exists": "resume"})
    sink.write_episode(at(5, lane=2, num_lanes=3))
    sink.close()
    words = words_of(path.read_text())
    assert "3 episodes" in words
    assert words.index("lane 0") < words.index("lane 1") < words.index("lane 2")


def test_of_many_episodes_each_lane_has_its_share_and_the_others_are_told_of(
    tmp_path: Path,
) -> None:
    events = [at(1, k, lane=lane, num_lanes=3) for lane in range(3) for k in range(5)]
    found = write(tmp_path, *events, max_episodes_per_step=7)
    assert [Path(path).stem for path in found] == [
        *(f"lane_{lane:04d}_env_{k:06d}" for lane in range(3) for k in range(2)),
        "sheet",
    ]
    sheet = tmp_path / "svg/batch/step_0000000001/sheet.svg"
    assert "6 episodes, 9 more left out" in words_of(sheet.read_text())
    write(tmp_path, at(1, 9), info={"if_exists": "resume"}, max_episodes_per_step=6)
    assert "6 episodes, 10 more left out" in words_of(sheet.read_text())


def test_steps_that_come_again_are_dropped(tmp_path: Path) -> None:
    step = [StepEvent(k, 0.0, k, {}, {}, {"state": GRID}) for k in (4, 5)]
    write(tmp_path, at(4), at(5), at(5, name="e", sampled=False), at(6), *step)
    kept = write(
        tmp_path,
        info={
            "if_exists": "resume",
            "resumes_at": 5,
            "resumes": {"batch": 5, "e": 5, "steps": 5},
        },
    )
    assert kept == [
        "svg/batch/step_0000000004/lane_0000_env_000000.svg",
        "svg/batch/step_0000000004/sheet.svg",
        "svg/steps/episode_000004/step_0000000004.svg",
    ]
    assert sorted(p.name for p in (tmp_path / "svg/batch").iterdir()) == ["step_0000000004"]
    (tmp_path / kept[0]).with_name(".sheet.svg.draft").write_text("half of one")
    assert write(tmp_path, info={"if_exists": "resume"}) == kept


def test_only_its_own_files_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, at(4))
    with pytest.raises(FileExistsError, match="of another run; choose another directory"):
        write(tmp_path, at(4))
    folder = tmp_path / "svg/batch/step_0000000004"
    mine = [
        tmp_path / "svg/notes.txt",
        tmp_path / "svg/mine.svg",
        folder / "mine.svg",
        folder / "lane_0007.svg",
        folder / "lane_x.svg",
    ]
    for path in mine:
        path.write_text("mine")
    (folder / ".lane_0000_env_000000.svg.draft").write_text("half of")
    (folder / ".sheet.svg.0123456789abcdef.draft").write_text("half of")
    found = write(tmp_path, at(4), info={"if_exists": "replace"})
    assert found == sorted(
        [
            *(path.relative_to(tmp_path).as_posix() for path in mine),
            "svg/batch/step_0000000004/lane_0000_env_000000.svg",
            "svg/batch/step_0000000004/sheet.svg",
        ]
    )
    assert "1 episodes" not in words_of((folder / "sheet.svg").read_text())


def test_a_picture_is_not_written_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("as it was")
    folder = tmp_path / "svg/batch/step_0000000004"
    sink = open_sink(tmp_path)
    folder.mkdir(parents=True)
    for name in (".lane_0000_env_000000.svg.draft", ".sheet.svg.draft", "sheet.svg"):
        (folder / name).symlink_to(elsewhere)
    sink.write_episode(at(4))
    sink.close()
    assert elsewhere.read_text() == "as it was"
    assert "1 episode" in words_of((folder / "sheet.svg").read_text())
    assert not (folder / "sheet.svg").is_symlink()


def test_a_file_in_its_place_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "svg").write_text("")
    with pytest.raises(NotADirectoryError, match="needs a folder of this name; move it away"):
        open_sink(tmp_path)


def failing(_: Any) -> str:
    raise RuntimeError("no board")


def test_a_renderer_that_raises_loses_nothing_and_is_warned_of_once(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"kind": "svg", "renderer": f"{__name__}:failing"}
    logger = make_logger(sample_frequency=1, sinks=[settings])
    with caplog.at_level(logging.WARNING, "jaxlog"), logger.open(tmp_path) as run:
        for step in range(4):
            jaxlog.batch_step(
                logger,
                jnp.int32(step),
                {"episode_returns": jnp.ones(2)},
                details={"final_state": jnp.ones((2, 3, 3))},
            )
    (worker,) = run._engine._workers
    assert (worker.lost, worker.failure) == (0, None)
    (record,) = caplog.records
    assert "the final state cannot be drawn: RuntimeError: no board" in record.getMessage()
    pictures = list((tmp_path / "svg").rglob("lane_*.svg"))
    assert len(pictures) == 8
    assert all("RuntimeError: no board" in words_of(path.read_text()) for path in pictures)


def test_a_picture_that_somebody_broke_keeps_no_sheet_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_sink(tmp_path)
    sink.write_episode(at(1))
    path = tmp_path / "svg/batch/step_0000000001/lane_0000_env_000000.svg"
    path.write_text(path.read_text()[:-20])
    sink.write_episode(at(2))
    sink.flush()
    assert "sheet.svg: cannot be drawn: got text that is not well-formed" in caplog.text
    assert (tmp_path / "svg/batch/step_0000000002/sheet.svg").exists()


def test_a_write_that_fails_leaves_nothing_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = open_sink(tmp_path)
    replace = Path.replace

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        sink.write_episode(at(1))
    assert files(tmp_path) == []
    monkeypatch.setattr(Path, "replace", replace)
    sink.write_episode(at(1))
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        sink.flush()
    monkeypatch.setattr(Path, "replace", replace)
    sink.flush()
    assert [path[-12:] for path in files(tmp_path)] == ["v_000000.svg", "01/sheet.svg"]


def test_memory_does_not_grow_with_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svg, "_STEPS_KEPT", 8)
    sink = open_sink(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    def run(steps: range) -> int:
        for step in steps:
            sink.write_episode(episode({"final_state": noise}, step=step))
            sink.flush()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = run(range(10))
        # Kept, these pictures would be more than 16 KiB each.
        assert run(range(10, 60)) - before < 50 * 4096
    finally:
        tracemalloc.stop()
    assert len(sink._drawn) == 8


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"renderer": "gird"},
            "got 'gird', takes one of auto, grid, image, line, ",
        ),
        ({"renderer": "no.such:thing"}, "cannot be imported (ModuleNotFoundError: No module named"),
        ({"renderer": 3}, "got 3: Input should be a valid string"),
        ({"palette": ["#000000", "red"]}, "got 'red': String should match pattern '^#"),
        ({"size": 1}, "got 1: Input should be greater than or equal to 32"),
        ({"cells": 1}, "unknown key"),
    ],
)
def test_settings_that_cannot_be_used_say_what_can(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config({"sinks": [{"kind": "svg", **settings}]})
    assert told in str(caught.value)
