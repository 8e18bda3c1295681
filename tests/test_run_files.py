"""The files of a run are read only from its directory; none can block a reader or fill memory."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog import _run_files
from jaxlog._cli.main import main
from jaxlog._format.named_files import named_files
from jaxlog._host.directory import Directory
from jaxlog._host.status import facts_of
from jaxlog._reading.finding import is_run, not_read
from jaxlog._run_files import (
    NotReadError,
    drafts_of,
    has_too_deep,
    loads,
    open_below,
    open_file,
    read_lines,
    read_small,
    replacement,
)
from jaxlog._watching import lines
from jaxlog._watching.follow import Follower
from tests.conftest import MakeLogger
from tests.reading.files import episode, write

HUGE = 2**40
"""More bytes than any memory has; as a sparse file they take no space."""


def link(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def pipe(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    os.mkfifo(path)


def dangling(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere)


INSTEAD = {
    "a symbolic link": link,
    "a named pipe": pipe,
}


@pytest.fixture
def run(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """A finished run of two calls."""
    directory = tmp_path / "run"
    with make_logger(sinks=[{"kind": "jsonl"}]).open(directory) as run:
        for step in range(3):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
            run.log({"return": 5.0 * step}, step=step, name="train")
    return directory


def sparse(path: Path, size: int = HUGE) -> None:
    """Makes a file longer with a hole, which takes no space."""
    try:
        os.truncate(path, size)
    except OSError:
        pytest.skip("this file system has no sparse files")


@pytest.mark.parametrize("kind", INSTEAD)
def test_links_pipes_and_the_like_are_left_out_with_a_warning(
    kind: str,
    run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    INSTEAD[kind](run / "eval_metrics.jsonl", tmp_path / "elsewhere")
    said = (
        f"{run}/eval_metrics.jsonl: is {kind}, expected a regular file, since a run is read only "
        "from its own directory; left out: put the file itself there"
    )
    with pytest.warns(UserWarning, match="left out") as caught:
        found = jaxlog.read_run(run)
    assert [str(warning.message) for warning in caught] == [said]
    assert found.calls == ("train",)
    assert found.metrics["return"].to_list() == [0.0, 5.0, 10.0]
    for command in (["show", str(run)], ["tail", str(run)], ["report", str(run), "-o", "r.html"]):
        monkeypatch.chdir(tmp_path)
        assert main(command) == 0
        out, err = capfd.readouterr()
        assert "eval" not in out
        assert " ".join((out + err).split()).count(said) == 1, command
    assert main(["export", str(run), "--to", "csv"]) == 0
    assert said in capfd.readouterr().err
    assert [path.name for path in (run / "export").iterdir()] == ["train_metrics.csv"]


@pytest.mark.parametrize("kind", INSTEAD)
def test_facts_are_read_from_the_directory_only(kind: str, run: Path, tmp_path: Path) -> None:
    INSTEAD[kind](run / "run.json", tmp_path / "elsewhere")
    assert facts_of(run) == {}
    with pytest.warns(UserWarning, match=rf"run\.json: is {kind}, expected a regular file"):
        assert jaxlog.read_run(run).status == "unknown"
    for path in run.glob("*.jsonl"):
        path.unlink()
    assert not is_run(run)
    with pytest.raises(FileNotFoundError, match=rf"run\.json: is {kind}, expected a regular file"):
        jaxlog.read_run(run)


def test_a_broken_link_gives_a_warning_too(run: Path, tmp_path: Path) -> None:
    dangling(run / "eval_metrics.jsonl", tmp_path / "nothing")
    assert len(not_read(named_files(run))) == 1


def test_a_run_may_be_reached_by_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    found = jaxlog.read_run(tmp_path / "link")
    assert (found.status, found.calls) == ("finished", ("eval", "train"))


def test_a_directory_named_like_a_file_of_lines_is_skipped(run: Path) -> None:
    (run / "episodes.jsonl").mkdir()
    assert jaxlog.read_run(run).calls == ("eval", "train")
    with pytest.raises(NotReadError, match="is a directory, expected a regular file"):
        open_file(run / "episodes.jsonl")


def test_no_folder_on_the_way_may_be_a_link(tmp_path: Path) -> None:
    inner = tmp_path / "run" / "svg" / "batch"
    inner.mkdir(parents=True)
    (inner / "a.svg").write_text("own")
    with open_below(tmp_path / "run", "svg/batch/a.svg") as file:
        assert file.read() == b"own"
    inner.rename(tmp_path / "elsewhere")
    inner.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="batch"):
        open_below(tmp_path / "run", "svg/batch/a.svg")


@pytest.mark.parametrize("name", ["episodes.jsonl", "eval_metrics.jsonl"])
def test_a_sparse_file_takes_no_time_and_no_memory(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).touch()
    sparse(run / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a line that is none
        found = jaxlog.read_run(run)
        found.frames()
    for command in (["show", str(run)], ["tail", str(run)], ["show", str(tmp_path)]):
        assert main(command) == 0
    assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 0
    capsys.readouterr()
    if name == "eval_metrics.jsonl":  # what was in it is read
        assert found.metrics_of("eval")["loss"].to_list() == [1.0, 1 / 2, 1 / 3]
        main(["tail", str(run), "--json"])
        assert capsys.readouterr().out.count('"loss"') == 3


def test_lines_on_both_sides_of_a_hole_are_read(run: Path) -> None:
    path = run / "eval_metrics.jsonl"
    line = path.read_bytes().splitlines(keepends=True)[-1].replace(b'"step":2', b'"step":7')
    sparse(path, HUGE)
    with path.open("ab") as file:
        file.write(b"\n" + line)
    with pytest.warns(UserWarning, match="line 4: got something other"):
        assert jaxlog.read_run(run).metrics_of("eval")["step"].to_list() == [0, 1, 2, 7]
    found = [lines.read(line) for _, line in lines.forwards(path)]
    assert [fields["step"] for fields in found if fields] == [0, 1, 2, 7]
    assert lines.count(path) == 5
    assert next(lines.backwards(path))[1] + b"\n" == line


def test_a_sparse_run_json_is_left_out_with_a_warning(run: Path) -> None:
    sparse(run / "run.json")
    assert facts_of(run) == {}
    with pytest.warns(UserWarning, match="got 1,099,511,627,776 bytes, expected at most"):
        jaxlog.read_run(run)


def test_a_file_that_is_too_long_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run_files, "LARGEST", 100)
    with pytest.raises(OSError, match="got more than 100 bytes of lines, expected at most as many"):
        jaxlog.read_run(run).metrics_of("eval")


def test_a_line_that_is_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"b" * 300 + b"\nc\n" + b"d" * 300)
    monkeypatch.setattr(_run_files, "LONGEST", 100)
    with open_file(path) as file:
        assert list(_run_files.lines_from(file, 0)) == [(0, b"a\n"), (303, b"c\n")]
    path.write_bytes(b"a" * 99 + b"\n" + b"b" * 100 + b"\nc\n" + b"d" * 99)
    with open_file(path) as file:
        found = [(0, b"a" * 99 + b"\n"), (201, b"c\n"), (203, b"d" * 99)]
        assert list(_run_files.lines_from(file, 0)) == found


def test_a_file_of_the_longest_allowed_size_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100)
    assert _run_files.read_small(path, 100) == b"a" * 100
    with pytest.raises(OSError, match=r"file: got 100 bytes, expected at most 99$"):
        _run_files.read_small(path, 99)
    assert (_run_files.why_not(path, 100), _run_files.why_not(path)) == (None, None)
    assert _run_files.why_not(path, 99) == (f"{path}: got 100 bytes, expected at most 99; left out")
    monkeypatch.setattr(_run_files, "LARGEST", 100)
    assert _run_files.read_lines(path) == b"a" * 100


def nested(deep: int) -> Any:
    value: Any = 1.5
    for place in range(deep):
        value = [value] if place % 2 else {"in]": value}
    return value


@pytest.mark.parametrize(("deep", "too_deep"), [(64, False), (65, True)])
def test_json_is_read_to_a_depth(deep: int, too_deep: bool) -> None:
    text = json.dumps(nested(deep)).encode()
    assert has_too_deep(b'{"a":[1]}\n' + text + b"\n") is too_deep
    if too_deep:
        with pytest.raises(ValueError, match="got JSON nested more than 64 deep"):
            loads(text)
    else:
        assert loads(text) == nested(deep)
    wide = json.dumps([nested(3)] * 100).encode()
    assert not has_too_deep(wide)


def test_a_line_that_is_nested_too_deep_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, [episode(step, {"a": 1.0}) for step in range(2)])
    path = tmp_path / "episodes.jsonl"
    first, second = path.read_text().splitlines()
    deep = json.loads(first) | {"details": {"board": nested(80)}}
    path.write_text(f"{json.dumps(deep)}\n{second}\n")
    with pytest.warns(UserWarning, match="line 1: got something other than a complete line"):
        assert jaxlog.read_run(tmp_path).episodes["step"].to_list() == [1]


def test_a_run_json_that_is_nested_too_deep_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"status": "finished", "config": nested(80)}))
    assert facts_of(tmp_path) == {}


def test_a_draft_has_a_random_name_and_is_a_new_file(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    first, one = replacement(target)
    second, other = replacement(target)
    one.close()
    other.close()
    assert first != second
    assert sorted(drafts_of(target)) == sorted([first, second])
    (tmp_path / ".run.json.draft").symlink_to(tmp_path / "elsewhere")
    assert len(drafts_of(target)) == 2
    with pytest.raises(FileNotFoundError):
        replacement(tmp_path / "no" / "directory")


@pytest.mark.parametrize("write", ["save", "whole"])
def test_a_written_file_replaces_a_link(write: str, tmp_path: Path) -> None:
    from jaxlog._cli.files import whole_file

    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("as it was")
    directory = tmp_path / "run"
    directory.mkdir()
    for name in ("run.json", ".run.json.draft"):
        (directory / name).symlink_to(elsewhere)
    if write == "save":
        held = Directory(directory, "replace")
        held.save({"id": "1"})
        held.release()
    else:
        with whole_file(directory / "run.json") as file:
            file.write(b'{"id": "1"}')
    assert elsewhere.read_text() == "as it was"
    assert not (directory / "run.json").is_symlink()
    assert json.loads((directory / "run.json").read_text()) == {"id": "1"}


def test_marks_are_not_written_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("as it was")
    held = Directory(tmp_path / "run", "error")
    (tmp_path / "run" / "marks.jsonl").symlink_to(elsewhere)
    with pytest.raises(OSError, match="levels of symbolic links"):
        held.add_mark({"mark": 1})
    held.release()
    assert elsewhere.read_text() == "as it was"


def test_drafts_that_a_killed_process_left_are_removed(run: Path, make_logger: MakeLogger) -> None:
    draft, file = replacement(run / "run.json")
    file.close()
    with pytest.raises(FileExistsError):
        make_logger().open(run)
    assert draft.exists()  # a run that is refused changes nothing
    make_logger().open(run, if_exists="replace").close()
    assert not draft.exists()


def test_a_link_is_not_resumed_from(run: Path, tmp_path: Path) -> None:
    link(run / "run.json", tmp_path / "elsewhere")
    with pytest.raises(NotReadError, match=r"run\.json: is a symbolic link, expected a regular"):
        Directory(run, "resume")


def test_a_follower_reads_no_links(run: Path, tmp_path: Path) -> None:
    link(run / "eval_metrics.jsonl", tmp_path / "elsewhere")
    assert {group.path.name for group in Follower(run, 10).look(ended=True)} == {
        "train_metrics.jsonl"
    }


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"0123456789")
    assert read_small(path, 10) == b"0123456789"
    assert read_lines(path) == b"0123456789"
    with pytest.raises(NotReadError, match="got 10 bytes, expected at most 9"):
        read_small(path, 9)


def test_a_whole_last_line_without_its_end_is_read_and_kept(
    run: Path, make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "eval_metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n"))
    assert jaxlog.read_run(run).metrics_of("eval")["step"].to_list() == [0, 1, 2]
    assert lines.count(path) == 3
    assert [line for _, line in lines.forwards(path)] == whole.splitlines()
    assert [line for _, line in lines.backwards(path)] == whole.splitlines()[::-1]
    assert main(["tail", "-n", "1", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2
    with make_logger(sinks=[{"kind": "jsonl"}]).open(run, if_exists="resume") as again:
        again.log({"loss": 0.25}, step=3)
    assert path.read_bytes().startswith(whole)
    assert jaxlog.read_run(run).metrics_of("eval")["step"].to_list() == [0, 1, 2, 3]


def test_the_only_line_may_lack_its_end(tmp_path: Path) -> None:
    write(tmp_path, [episode(5, {"a": 1.0})])
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert jaxlog.read_run(tmp_path).episodes["step"].to_list() == [5]
    assert [start for start, _ in lines.backwards(path)] == [0]
    assert lines.count(path) == 1


def test_a_state_takes_a_file_that_lacks_its_last_end(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(directory) as run:
        run.log({"loss": 1.0}, step=0)
        run.log({"loss": 0.5}, step=1)
        state = run.state()
    path = directory / "eval_metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n"))
    with logger.open(directory, if_exists="resume", state=state):
        pass
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-2])
    with pytest.raises(Exception, match=rf"got {len(whole) - 2} bytes, expected the {len(whole)}"):
        logger.open(directory, if_exists="resume", state=state)


def test_a_follower_says_a_line_once_whose_end_comes_later(run: Path) -> None:
    path = run / "eval_metrics.jsonl"
    follower = Follower(run, 0)
    line = path.read_bytes().splitlines()[-1]
    said = []
    for piece in (line[:30], line[30:], b"\n", line.replace(b'"step":2', b'"step":3') + b"\n"):
        with path.open("ab") as file:
            file.write(piece)
        said.append([len(group.lines) for group in follower.look(ended=True)])
    assert said == [[], [1], [], [1]]
