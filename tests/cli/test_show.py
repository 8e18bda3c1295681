"""`jaxlog show`: one run in any state, or a list of runs."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import shutil
import tempfile
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

import jaxlog
from jaxlog._cli.main import main
from jaxlog._format.events import RunInfo
from jaxlog._reading.finding import event_files
from jaxlog._watching import lines as cli_lines
from jaxlog._watching.history import last_events, logged_before
from jaxlog._watching.spread import SMALL
from jaxlog.sinks.console.lines import WIDTH
from jaxlog.sinks.console.run_display import RunDisplay
from tests.cli.conftest import STEPS, Command, Logged
from tests.conftest import without_rates
from tests.report.pages import Parsed


@pytest.fixture
def copy(logged: Logged, tmp_path: Path) -> Path:
    """A copy of the run, which a test may change."""
    return Path(shutil.copytree(logged.directory, tmp_path / "copy"))


def change(path: Path, facts: Mapping[str, Any]) -> None:
    file = path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def rows(out: str) -> dict[str, str]:
    """Returns the facts above the tables, by their labels."""
    above = out.split("\n\n")[0].splitlines()[1:]
    return dict(line.split(maxsplit=1) for line in above if not line.startswith(" "))


def test_the_tables_are_those_of_the_console(command: Command, logged: Logged) -> None:
    code, out, err = command("show", logged.directory)
    assert (code, err) == (0, "")
    picture = RunDisplay(RunInfo("first", total_updates=STEPS), 0.0)
    for event in (*logged.memory.metrics, *logged.memory.episodes):
        picture.add(event)
    console = Console(width=WIDTH)
    with console.capture() as captured:
        console.print(picture.draw(WIDTH, None, 0.0, ended=True))
    drawn = captured.get().splitlines()
    shown = out.splitlines()
    start = next(i for i, line in enumerate(shown) if line.startswith("batch · step"))
    # The last line has the time it took. A pipe gets no blanks at the ends of lines.
    assert shown[start:-1] == [line.rstrip() for line in drawn[:-1]]
    assert all(line == line.rstrip() for line in shown)


def test_the_facts_about_the_run_are_listed(command: Command, logged: Logged) -> None:
    out = command("show", logged.directory).out
    diverged = "diverged (1 of 3 lanes, from step 0)"
    assert re.match(rf"first · finished \d+ (s|min) ago · {re.escape(diverged)}\n", out)
    assert f"health   {diverged} · critic_loss, return\n" in out
    found = rows(out)
    assert found["diverged"].strip() == "lane 1 in critic_loss, return"
    assert found["directory"].strip() == str(logged.directory)
    assert found["tags"].strip() == "a · b"
    assert found["config"].strip() == "note ünïcode · 日本"
    assert "log_frequency 1 · " in found["settings"]
    assert "num_samples 2" in out
    assert "sample_seed" not in out  # the default
    assert found["lanes"].strip() == "3: seed 0, 1, 2"
    assert found["lines"].startswith(
        "100 in batch_metrics.jsonl · 24 in episodes.jsonl · 3 in eval_metrics.jsonl"
    )
    assert found["records"].strip() == "78, all written by jsonl, memory"
    assert "lost" not in found


def test_the_settings_are_those_that_were_chosen_when_the_run_was_made(
    command: Command, copy: Path
) -> None:
    """A default of today may be another one than that of the jaxlog that wrote the run."""
    known = json.loads((copy / "run.json").read_text())
    chosen = known["chosen_settings"]
    assert "log_frequency" in chosen
    assert "sample_seed" not in chosen
    before = rows(command("show", copy).out)["settings"]
    change(copy, {"settings": known["settings"] | {"sample_seed": 5}})  # as by another default
    assert rows(command("show", copy).out)["settings"] == before
    del known["chosen_settings"]  # a run of jaxlog 0.1: the defaults of today are all there is
    known["settings"]["sample_seed"] = 5
    (copy / "run.json").write_text(json.dumps(known))
    out = command("show", copy).out
    assert "log_frequency 1 · " in out
    assert "sample_seed 5" in out


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"status": "failed", "error": "ValueError: no\nmore"}, "failed"),
        ({"status": "interrupted", "error": "KeyboardInterrupt: "}, "interrupted"),
        ({"status": "running", "host": "elsewhere"}, "unknown: the run started on elsewhere;"),
        ({"status": "running"}, "killed: its process is gone"),
    ],
)
def test_the_status_is_shown(
    command: Command, copy: Path, facts: dict[str, Any], said: str
) -> None:
    change(copy, facts)
    code, out, _ = command("show", copy)
    assert code == 0
    assert out.startswith(f"copy · {said}")
    assert ("error      ValueError: no more" in out) == (said == "failed")
    assert "KeyboardInterrupt" not in out


@pytest.mark.parametrize("status", ["failed", "interrupted", "terminated", "exited", "running"])
def test_a_run_that_was_ended_early_does_not_look_finished(
    command: Command, copy: Path, status: str
) -> None:
    change(copy, {"status": status})  # without a process, `running` means killed
    out = command("show", copy).out
    said = "killed" if status == "running" else status
    assert f"\n{said} after 25 of 25 updates\n" in out
    assert "finished" not in out
    assert "100%" not in out
    assert "━" not in out


LINE = (
    '{{"timestamp":1790000000.{step},"step":{step},"lane":{lane},"labels":{{}},'
    '"metrics":{{{of}}}{nan}}}\n'
)


def test_the_health_of_an_old_run_is_counted_in_its_lines(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.mkdir()
    facts = {"status": "failed", "total_updates": 90, "pid": 1, "host": "here"}
    (path / "run.json").write_text(json.dumps(facts))
    with (path / "train_metrics.jsonl").open("w") as file:
        for step in range(60):
            for lane in range(2):
                dead = lane == 1 and step >= 7
                nan = ',"nonfinite":{"loss":"nan"}' if dead else ""
                of = f'"loss":{"null" if dead else 0.5}'
                file.write(LINE.format(step=step, lane=lane, of=of, nan=nan))
    out = command("show", path).out
    health = "diverged (1 of 2 lanes, from step 7) · unfinished (60 of 90 updates)"
    assert out.startswith(f"old · failed · {health}\n")
    assert f"health  {health} · loss\n" in out
    assert command("tail", path, "-n", 1) == (
        0,
        "train · step 59 · 60/90 updates done  loss 0.5 (1 of 2 lanes)\n",
        f"jaxlog: {path}: failed; {health}\n",
    )


def test_every_display_names_an_update_by_its_step(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"log_frequency": 1, "sinks": [{"kind": "jsonl"}, {"kind": "console"}]}
    logger = jaxlog.Logger(settings, total_updates=9)
    with logger.open(tmp_path / "run"):
        for step, loss in enumerate([0.5, 0.25, float("nan"), float("nan")]):
            jaxlog.log(logger, step, {"loss": loss})
    title = "train · step 3 · 4/9 updates done  loss NaN"
    assert without_rates(capsys.readouterr().out).splitlines()[-1] == title
    assert command("tail", tmp_path / "run", "-n", 1).out.splitlines() == [title]
    out = command("show", tmp_path / "run").out
    assert "\ntrain · step 3\n" in out
    health = "diverged (from step 2) · unfinished (4 of 9 updates)"
    assert f"health  {health} · loss\n" in out
    found = jaxlog.read_run(tmp_path / "run")
    assert str(found.health) == health
    assert found.metrics["step"].to_list() == [0, 1, 2, 3]
    page = tmp_path / "report.html"
    assert command("report", tmp_path / "run", "-o", page).code == 0
    (facts,) = Parsed(page.read_text("utf-8")).facts()
    assert health in facts


def log_steps(directory: Path, steps: Sequence[int]) -> Path:
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "jsonl"}]})
    with logger.open(directory) as run:
        for step in steps:
            run.log({"score": float(step)}, step=step)
            run.flush()  # a line each, in this order
    return directory


def test_a_late_line_is_shown_in_the_order_of_steps(command: Command, tmp_path: Path) -> None:
    steps = [*range(1, 31), 0]
    out = command("show", log_steps(tmp_path / "late", steps)).out
    assert "eval · step 30" in out
    (row,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["score"]]
    # The last tenth of the run began after step 27.
    assert row == ["score", "30", "▲", "+3", "▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▅▆▆▆▆▇▇▇▇███"]
    assert command("show", tmp_path).out.splitlines()[1].split()[2] == "31"


def test_a_new_pass_is_shown(command: Command, tmp_path: Path) -> None:
    out = command("show", log_steps(tmp_path / "again", [*range(100), *range(3)])).out
    (row,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["score"]]
    assert row[:4] == ["score", "2", "▼", "-89"]  # since step 91 of the pass before
    assert row[4].startswith("▁▁▁▁▁▁▁▁▂▂▂")
    assert row[4].endswith("▇▇████████▁▁")


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(("kind", "steps"), [("jsonl", 3000), ("arrow", 40_000)])
def test_the_trend_of_a_long_run_covers_all_of_it(
    command: Command, tmp_path: Path, kind: str, steps: int, lanes: int
) -> None:
    """One period of a cosine, whose files are too large to be read as a whole."""
    names = [{"seed": seed} for seed in range(lanes)]
    run = jaxlog.Logger({"sinks": [{"kind": kind}]}).open(tmp_path / "run", lanes=names)
    for step in range(steps):
        value = math.cos(2 * math.pi * step / (steps - 1))
        run.log({"score": [value] * lanes}, step=step)
    run.close()
    (file,) = event_files(tmp_path / "run")
    assert file.stat().st_size > SMALL
    out = command("show", tmp_path / "run").out
    (row,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["score"]]
    *_, change, trend = row
    assert len(trend) > 60
    quarter = len(trend) // 4
    assert trend[0] == trend[-1] == "█"
    assert trend[: 2 * quarter] == "".join(sorted(trend[: 2 * quarter], reverse=True))
    assert trend[-2 * quarter :] == "".join(sorted(trend[-2 * quarter :]))
    assert trend[2 * quarter - 2 : 2 * quarter + 3] == "▁▁▁▁▁"
    tenth = 1 - math.cos(2 * math.pi * 0.9)
    assert float(change) == pytest.approx(tenth, abs=0.05)


def test_a_live_run_is_shown_as_running(command: Command, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}, total_updates=9)
    with logger.open(tmp_path / "live") as run:
        assert "Nothing to show: " in command("show", tmp_path / "live").out
        run.log({"loss": 0.5}, step=2)
        run.flush()
        out = command("show", tmp_path / "live").out
        assert out.startswith("live · running · process ")
        assert "training ━" in out
        assert "3/9" in out
        (row,) = command("show", tmp_path).out.splitlines()[1:]
        assert "running" in row
        assert "3/9" in row


def test_total_steps_of_an_older_run_is_read(command: Command, tmp_path: Path) -> None:
    """Before 0.2, run.json had the key total_steps."""
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}, total_updates=9).open(
        tmp_path / "old"
    ) as run:
        run.log({"loss": 0.5}, step=2)
    file = tmp_path / "old" / "run.json"
    facts = json.loads(file.read_text())
    facts["total_steps"] = facts.pop("total_updates")
    file.write_text(json.dumps(facts))
    (row,) = command("show", tmp_path).out.splitlines()[1:]
    assert "3/9" in row
    assert "unfinished (3 of 9 updates)" in command("show", tmp_path / "old").out


def test_a_run_without_records_is_shown(command: Command, tmp_path: Path) -> None:
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(tmp_path / "empty"):
        pass
    out = command("show", tmp_path / "empty").out
    assert rows(out)["records"].strip() == "none"
    assert "Nothing to show: the run has no sink jsonl, or has logged nothing yet." in out


def test_lost_records_are_shown(command: Command, copy: Path) -> None:
    account = {"kind": "svg", "written": 1200, "lost": 7, "failure": "disk full"}
    change(copy, {"sinks": [account, {"kind": "jsonl", "written": 3, "lost": 0, "failure": None}]})
    out = command("show", copy).out
    assert "lost       the sink svg lost 7 of 1,207 records: disk full" in out
    assert "all written by jsonl\n" in out
    row = re.split(r" {2,}", command("show", copy.parent).out.splitlines()[1].strip())
    assert row[-2:] == ["7", "diverged (1 of 3 lanes, from step 0)"]


@pytest.mark.parametrize("text", [None, "", "{", '{"name": 3, "sinks": 7, "tags": 1}'])
def test_a_run_without_a_usable_run_json_is_shown(
    command: Command, copy: Path, text: str | None
) -> None:
    if text is None:
        (copy / "run.json").unlink()
    else:
        (copy / "run.json").write_text(text)
    with (copy / "batch_metrics.jsonl").open("ab") as file:
        file.write(b'{"timestamp":1795470316.9,"step":99,"la')  # torn
    code, out, err = command("show", copy)
    assert (code, err) == (0, "")
    assert "batch · step 24 · " in out
    assert "unknown: run.json is missing, or does not have the status" in out
    assert command("show", copy.parent).code == 0


TIMES = ("2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59Z")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=3)
    | st.sampled_from((*TIMES, "finished", "running", "failed")),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["kind", "written", "lost", "sinks", "a"]), inner),
    max_leaves=5,
)  # fmt: skip
FACTS = (
    "name", "tags", "config", "settings", "total_updates", "host", "versions", "git", "devices",
    "started", "ended", "status", "error", "pid", "arrived", "sinks", "sessions",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FACTS), JSON, max_size=5))
@example({"settings": {"sinks": [3, {"kind": None}]}})
@example({"started": TIMES[2], "ended": TIMES[3]})
def test_a_run_with_any_run_json_is_shown(facts: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run")
        path.mkdir()
        (path / "run.json").write_bytes(orjson.dumps(facts))
        (path / "eval_metrics.jsonl").write_text(
            '{"timestamp":1790000000,"step":3,"lane":0,"labels":{},"metrics":{"a":1}}\n'
        )
        for shown in (path, folder):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                assert main(["show", str(shown)]) == 0
            assert out.getvalue()


def test_runs_are_listed_newest_first(command: Command, copy: Path) -> None:
    for i, name in enumerate(("old", "sweep/one", "sweep/two")):
        path = shutil.copytree(copy, copy.parent / name)
        change(Path(path), {"started": f"2026-01-0{i + 1}T00:00:00+00:00"})
    (copy.parent / "no run").mkdir()
    change(copy, {"started": "2026-02-01T00:00:00+00:00"})
    code, out, _ = command("show", copy.parent)
    names = [line.split()[0] for line in out.splitlines()]
    expected = [str(copy.parent / name) for name in ("copy", "sweep/two", "sweep/one", "old")]
    assert (code, names) == (0, ["run", *expected])
    assert all("25/25" in line for line in out.splitlines()[1:])


UNREADABLE = Path("/proc/self/mem")  # which root cannot read either


@pytest.mark.skipif(not UNREADABLE.exists(), reason="Linux has files that nobody can read")
@pytest.mark.parametrize("has_facts", [True, False])
def test_a_run_that_cannot_be_read_does_not_hide_the_others(
    command: Command, copy: Path, has_facts: bool
) -> None:
    private = copy.parent / "private"
    private.mkdir()
    (private / "batch_metrics.jsonl").symlink_to(UNREADABLE)
    if has_facts:
        shutil.copy(copy / "run.json", private)
    code, out, err = command("show", copy.parent)
    assert (code, err) == (0, "")
    shown = {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]}
    assert shown == {str(copy): "finished"} | ({str(private): "finished"} if has_facts else {})
    code, _, err = command("show", private)
    assert code == (0 if has_facts else 2)
    assert err.startswith(f"jaxlog: {private}/batch_metrics.jsonl: is a symbolic link, expected a")
    assert err.count("\n") == 1


@pytest.mark.parametrize("path", ["nope", "firts", "a file", "empty", ""])
def test_a_path_without_a_run_is_an_error(
    command: Command, copy: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    Path("a file").touch()
    Path("empty").mkdir()
    copy.rename("first")
    if not path:
        shutil.rmtree("first")  # then there is no run, and no directory `runs`
    code, out, err = command("show", *([path] if path else []))
    assert (code, out) == (2, "")
    assert err.startswith(f"jaxlog: {path or 'runs'}: ")
    assert err.count("\n") == 1
    assert ("first" in err) == (path in ("nope", "firts", "empty"))


def test_only_the_last_lines_of_a_long_file_are_parsed(
    command: Command, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy / "batch_metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) * (200_000 // len(lines)))
    parsed: list[bytes] = []
    read = cli_lines.read

    def counting(line: bytes) -> object:
        parsed.append(line)
        return read(line)

    monkeypatch.setattr(cli_lines, "read", counting)
    out = command("show", copy).out
    assert "200,000 in batch_metrics.jsonl" in out
    assert 0 < len(parsed) < 2000


def test_a_long_file_takes_no_more_memory_than_its_last_events(tmp_path: Path) -> None:
    path = tmp_path / "batch_metrics.jsonl"
    with path.open("w") as file:
        for step in (*range(30_000), 7):
            file.write(LINE.format(step=step, lane=0, of='"a":1', nan=""))
    was_logged = logged_before([path], list(last_events([path])))
    tracemalloc.start()
    assert was_logged("batch", 7)
    assert not was_logged("batch", 29_999)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("width", [1, 20, 60, 300])
def test_any_width_works(
    command: Command, logged: Logged, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for path in (logged.directory, logged.directory.parent):
        code, out, _ = command("show", path)
        assert code == 0
        assert max(map(len, out.splitlines())) <= width
