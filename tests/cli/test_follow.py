"""A follower reads every line once, also if files grow, shrink or are replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._watching.follow import Follower


def line(step: int, lane: int = 0, time: float | None = None) -> bytes:
    time = float(step) if time is None else time
    text = f'{{"timestamp":{time},"step":{step},"lane":{lane},"labels":{{}},"metrics":{{}}}}\n'
    return text.encode()


def episode(step: int, number: int = 0) -> bytes:
    return line(step, number).replace(b'"metrics"', b'"episode"')


def steps(follower: Follower, *, ended: bool = False) -> list[tuple[str, int]]:
    return [
        (group.path.name.split("_")[0].split(".")[0], int(group.timestamp))
        for group in follower.look(ended=ended)
    ]


@given(
    st.lists(st.integers(1, 4), max_size=8),
    st.lists(st.integers(0, 400), max_size=12),
    st.integers(0, 3),
)
def test_every_line_is_read_once_with_all_lanes_of_its_step(
    tmp_path_factory: pytest.TempPathFactory, lanes: list[int], cuts: list[int], quiet: int
) -> None:
    directory = tmp_path_factory.mktemp("run")
    path = directory / "batch_metrics.jsonl"
    events = [b"".join(line(i, lane) for lane in range(n)) for i, n in enumerate(lanes)]
    whole = b"".join(events)
    follower, found = Follower(directory, 10), []
    written = 0
    for cut in [*sorted(min(cut, len(whole)) for cut in cuts), len(whole)]:
        with path.open("ab") as file:
            file.write(whole[written:cut])
        torn = written == cut  # then a look finds it unchanged, and takes it for complete
        written = cut
        if not torn:
            found += list(follower.look())
    for _ in range(quiet):
        found += list(follower.look())
    found += list(follower.look(ended=True))
    assert [b"".join(one + b"\n" for one in group.lines) for group in found] == events


def test_it_begins_with_the_last_events_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "batch_metrics.jsonl").write_bytes(b"".join(line(i, i % 2) for i in range(9)))
    (tmp_path / "episodes.jsonl").write_bytes(b"".join(map(episode, (1, 5, 8))))
    expected = [("batch", 6), ("batch", 7), ("batch", 8), ("episodes", 8)]
    assert steps(Follower(tmp_path, 4), ended=True) == expected
    assert steps(Follower(tmp_path, 0), ended=True) == []
    assert len(steps(Follower(tmp_path, 100), ended=True)) == 12


def test_the_last_event_waits_for_its_lanes_and_its_episodes_for_it(tmp_path: Path) -> None:
    path, episodes = tmp_path / "train_metrics.jsonl", tmp_path / "episodes.jsonl"
    follower = Follower(tmp_path, 10)
    path.write_bytes(line(1) + line(1, 1) + line(2))
    episodes.write_bytes(episode(2) + episode(3))
    assert steps(follower) == [("train", 1)]
    with path.open("ab") as file:
        file.write(line(2, 1) + line(3)[:30])
    assert steps(follower) == []
    found = list(follower.look())  # it did not grow, so it is complete
    assert list(found[0].lines) == [line(2)[:-1], line(2, 1)[:-1]]
    assert [group.path for group in found[1:]] == [episodes, episodes]


def test_a_file_that_is_cut_back_is_followed_from_there(tmp_path: Path) -> None:
    path = tmp_path / "batch_metrics.jsonl"
    path.write_bytes(b"".join(map(line, range(6))))
    follower = Follower(tmp_path, 1)
    assert steps(follower, ended=True) == [("batch", 5)]
    os.truncate(path, len(line(0)) * 3)
    assert steps(follower) == []
    with path.open("ab") as file:
        file.write(line(3) + line(4))
    assert steps(follower, ended=True) == [("batch", 3), ("batch", 4)]


def test_a_file_that_is_rewritten_between_two_looks_gives_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "batch_metrics.jsonl"
    path.write_bytes(line(1) + line(2))
    follower = Follower(tmp_path, 1)
    assert steps(follower, ended=True) == [("batch", 2)]
    with path.open("r+b") as file:
        file.truncate()
        file.write(line(1) + line(1001) + line(1002))  # longer lines, other ends
    assert steps(follower, ended=True) == [("batch", 1002)]


def test_a_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "batch_metrics.jsonl"
    path.write_bytes(line(1) + line(2))
    follower = Follower(tmp_path, 0)
    (tmp_path / "other").write_bytes(line(7))
    (tmp_path / "other").replace(path)
    assert steps(follower, ended=True) == [("batch", 7)]
    path.unlink()
    assert steps(follower, ended=True) == []
    path.write_bytes(line(8))
    assert steps(follower, ended=True) == [("batch", 8)]


@pytest.mark.parametrize("seen", [True, False])
def test_a_removed_and_recreated_file_is_read_from_its_start(tmp_path: Path, seen: bool) -> None:
    """File systems reuse the inode number of a removed file for the next new one."""
    path = tmp_path / "batch_metrics.jsonl"
    path.write_bytes(line(1) + line(2) + line(3))
    follower = Follower(tmp_path, 0)
    assert steps(follower, ended=True) == []
    for again in (line(7) + line(8), line(1, time=9.0) + line(2, time=9.5)):
        if seen:
            path.unlink()
            assert steps(follower, ended=True) == []
            path.touch()
        os.truncate(path, 0)  # this is the same file, whatever the file system
        with path.open("ab") as file:
            file.write(again)
        assert len(steps(follower, ended=True)) == 2


def test_unchanged_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "batch_metrics.jsonl").write_bytes(line(1) + line(2))
    follower = Follower(tmp_path, 10)
    assert len(steps(follower, ended=True)) == 2

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(os, "open", refuse)
    assert steps(follower) == []
