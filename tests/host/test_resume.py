"""A run that goes on: from a state its files are those of a run that nobody stopped."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._host.directory import Directory
from tests.conftest import MakeLogger

NUM_STEPS = 40
FILES = ("batch_metrics.jsonl", "eval_metrics.jsonl", "episodes.jsonl")


def lines(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """What a run wrote, times aside."""
    found = {}
    for name in FILES:
        text = (directory / name).read_text()
        assert text.endswith("\n")
        found[name] = [json.loads(line) for line in text.splitlines()]
        for line in found[name]:
            del line["timestamp"]
    return found


class Training:
    """Two seeds, in chunks: a window, an evaluation with a step of its own, episodes."""

    def __init__(self, make_logger: MakeLogger, **settings: Any) -> None:
        self.logger = logger = make_logger(
            NUM_STEPS, log_frequency=3, sample_frequency=10, sinks=[{"kind": "jsonl"}], **settings
        )
        returns = {"episode_returns": jnp.zeros(1)}

        def update(seed: jax.Array, carry: Any, step: jax.Array) -> Any:
            total, window = carry
            total += jnp.sin(total + step.astype(np.float32))
            metrics = {"episode_returns": total + jnp.arange(4.0)}
            _, window = jaxlog.window_step(
                logger, window, step, metrics, where=jnp.arange(4) <= step % 5, labels={"s": seed}
            )
            again = jaxlog.batch_step(
                logger, step // 4, {"x": total}, name="eval", when=step % 4 == 0
            )
            return (total, window), again

        def start(seed: jax.Array) -> Any:
            return seed.astype(np.float32), jaxlog.empty_window(logger, returns)

        def advance(seed: jax.Array, carry: Any, steps: jax.Array) -> Any:
            return jax.lax.scan(lambda carry, step: update(seed, carry, step), carry, steps)[0]

        self.seeds = jnp.arange(2)
        self.start = jax.jit(jax.vmap(start))
        self.advance = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    def run(self, carry: Any, begin: int, end: int) -> Any:
        return self.advance(self.seeds, carry, jnp.arange(begin, end))


@pytest.fixture
def training(make_logger: MakeLogger) -> Training:
    return Training(make_logger)


def test_what_came_after_the_state_is_dropped_and_comes_again(
    training: Training, tmp_path: Path
) -> None:
    with training.logger.open(tmp_path / "whole"):
        training.run(training.start(training.seeds), 0, NUM_STEPS)
    expected = lines(tmp_path / "whole")

    carry, state, done = training.start(training.seeds), None, 0
    ids = set()
    for stop in (7, 8, 20, NUM_STEPS):
        with training.logger.open(
            tmp_path / "run", if_exists="resume" if state else "error", state=state
        ) as run:
            ids.add(run.info.id)
            carry = training.run(carry, done, stop)
            done, state = stop, jax.tree.map(jnp.asarray, run.state())  # as a checkpoint may
            if stop < NUM_STEPS:
                training.run(carry, stop, min(stop + 9, NUM_STEPS))  # lost with its process
    assert lines(tmp_path / "run") == expected
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [s["status"] for s in facts["sessions"]] == ["finished"] * 3
    assert ids == {facts["id"]}


def test_a_state_of_what_was_dropped_is_of_no_use_any_more(
    training: Training, tmp_path: Path
) -> None:
    with training.logger.open(tmp_path) as run:
        carry = training.run(training.start(training.seeds), 0, 5)
        first = run.state()
        carry = training.run(carry, 5, 10)
        run.state()
        last = run.state()
    with training.logger.open(tmp_path, if_exists="resume", state=first):
        pass
    with pytest.raises(
        ValueError, match=r"got the state of run .* at mark 3, but .* with 1 mark; give"
    ):
        training.logger.open(tmp_path, if_exists="resume", state=last)
    with training.logger.open(tmp_path, if_exists="resume", state=first) as run:
        assert run.info.resumes_at == 4  # 0 and 3 were logged
        again = run.state()
        assert again["mark"] == 4  # no number is given twice
    with training.logger.open(tmp_path, if_exists="resume", state=again) as run:
        assert run.info.resumes_at == 4  # nothing was logged since
    with pytest.raises(ValueError, match=r"at mark 3, but .* with 2 marks"):
        training.logger.open(tmp_path, if_exists="resume", state=last)


def test_what_is_refused_leaves_all_as_it_was(training: Training, tmp_path: Path) -> None:
    with training.logger.open(tmp_path) as run:
        carry = training.run(training.start(training.seeds), 0, 5)
        first = run.state()
        training.run(carry, 5, 10)
        second = run.state()

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = files()
    other = {"run": np.uint32(1), "mark": np.int32(1)}
    for how, error in (
        ({"if_exists": "replace", "config": {"seed": 2**70}}, ValueError),
        ({"if_exists": "replace", "tags": (1,)}, TypeError),
        ({"if_exists": "resume", "state": other}, ValueError),
    ):
        with pytest.raises(error):
            training.logger.open(tmp_path, **how)
        assert files() == before
    path = tmp_path / "batch_metrics.jsonl"
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="put the file back"):
        training.logger.open(tmp_path, if_exists="resume", state=first)
    (tmp_path / "elsewhere").rename(path)
    assert files() == before
    with training.logger.open(tmp_path, if_exists="resume", state=second):
        pass


def test_files_of_the_users_own_are_let_be(training: Training, tmp_path: Path) -> None:
    own = tmp_path / "my_metrics.jsonl"
    own.write_text('{"mine": 1}\n')
    with training.logger.open(tmp_path, if_exists="replace") as run:
        training.run(training.start(training.seeds), 0, 5)
        state = run.state()
    with training.logger.open(tmp_path, if_exists="resume", state=state):
        pass
    assert own.read_text() == '{"mine": 1}\n'


def test_a_run_that_goes_on_keeps_what_is_not_given_anew(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger()
    with logger.open(tmp_path / "r", config={"lr": 0.1}, tags=("a",), name="first") as run:
        run.state()
    with logger.open(tmp_path / "r", if_exists="resume") as run:
        assert (run.info.name, run.info.tags, run.info.config) == ("first", ("a",), {"lr": 0.1})
    with logger.open(tmp_path / "r", if_exists="resume", config={"lr": 0.2}, name="second") as run:
        assert (run.info.name, run.info.tags, run.info.config) == ("second", ("a",), {"lr": 0.2})
    facts = json.loads((tmp_path / "r" / "run.json").read_text())
    assert [session["config"] for session in facts["sessions"]] == [{"lr": 0.1}, {"lr": 0.1}]


def test_a_state_that_cannot_be_kept_says_so(
    training: Training, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with training.logger.open(tmp_path / "run") as run:
        carry = training.run(training.start(training.seeds), 0, 5)
        first = run.state()
        with (tmp_path / "run" / "marks.jsonl").open("a") as file:
            file.write('{"mark": 2, "ti')  # torn, by a kill, say
        second = run.state()
        assert caplog.messages == []
        training.run(carry, 5, 8)
        shutil.move(tmp_path / "run", tmp_path / "elsewhere")
        third = run.state()
    assert "its state could not be kept" in caplog.text
    assert {key: int(value) for key, value in third.items()} == {"run": 0, "mark": 0}
    shutil.move(tmp_path / "elsewhere", tmp_path / "run")
    caplog.clear()
    with training.logger.open(tmp_path / "run", if_exists="resume", state=third):
        pass
    assert "The run goes on at its end; lines that are logged again are there twice" in caplog.text
    for state, last in ((second, 3), (first, 3)):
        with training.logger.open(tmp_path / "run", if_exists="resume", state=state):
            pass
        assert lines(tmp_path / "run")["batch_metrics.jsonl"][-1]["step"] == last


def test_a_state_of_another_run_is_refused(training: Training, tmp_path: Path) -> None:
    with training.logger.open(tmp_path / "first") as run:
        state = run.state()
    with training.logger.open(tmp_path / "second"):
        training.run(training.start(training.seeds), 0, 5)
    before = lines(tmp_path / "second")
    with pytest.raises(ValueError, match=r"state: got the state of run .*, but .* has run"):
        training.logger.open(tmp_path / "second", if_exists="resume", state=state)
    assert before == lines(tmp_path / "second")


def test_lines_that_are_missing_are_missed(training: Training, tmp_path: Path) -> None:
    with training.logger.open(tmp_path) as run:
        training.run(training.start(training.seeds), 0, 5)
        state = run.state()
    path = tmp_path / "batch_metrics.jsonl"
    path.write_text(path.read_text()[:-10])
    with pytest.raises(
        ValueError, match=r"batch_metrics\.jsonl: got [\d,]+ bytes, expected the [\d,]+"
    ):
        training.logger.open(tmp_path, if_exists="resume", state=state)
    with training.logger.open(tmp_path, if_exists="resume"):  # without, it is mended
        pass
    assert path.read_text().endswith("}\n")


def test_without_a_state_it_goes_on_at_its_end(training: Training, tmp_path: Path) -> None:
    carry = training.start(training.seeds)
    for begin in (0, 20):
        with training.logger.open(tmp_path, if_exists="resume"):
            carry = training.run(carry, begin, begin + 20)
        path = tmp_path / "batch_metrics.jsonl"
        path.write_text(path.read_text() + "torn " * 30_000)
    with training.logger.open(tmp_path, if_exists="resume"):
        pass
    steps = [line["step"] for line in lines(tmp_path)["batch_metrics.jsonl"]]
    assert steps == [step for step in [*range(0, NUM_STEPS, 3)] for _ in range(2)]


def test_a_run_can_be_written_over(training: Training, tmp_path: Path) -> None:
    for end in (NUM_STEPS, 10):
        (tmp_path / "notes.txt").write_text("of the user's own")
        with training.logger.open(tmp_path, if_exists="replace") as run:
            training.run(training.start(training.seeds), 0, end)
            run.state()
    assert len(lines(tmp_path)["batch_metrics.jsonl"]) == 2 * 4
    assert len((tmp_path / "marks.jsonl").read_text().splitlines()) == 1
    assert "sessions" not in json.loads((tmp_path / "run.json").read_text())
    assert (tmp_path / "notes.txt").exists()


def test_where_there_is_no_run_one_begins(
    training: Training, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with training.logger.open(tmp_path / "first") as run:
        state = run.state()
    assert caplog.messages == []
    with training.logger.open(tmp_path / "moved", if_exists="resume", state=state):
        pass
    (said,) = caplog.messages
    assert "has no run to resume, so a new one begins" in said


def test_a_state_needs_a_directory_and_an_open_run(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger()
    with logger.open() as run, pytest.raises(RuntimeError, match="the run has no directory"):
        run.state()
    with logger.open(tmp_path) as run:
        pass
    with pytest.raises(RuntimeError, match="the run is closed; take its state before"):
        run.state()
    run.flush()  # of a closed run there is nothing to write


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ({"if_exists": "append"}, ValueError, "if_exists: got 'append', takes one of"),
        ({"state": {"run": 1, "mark": 1}}, ValueError, "state: is given with if_exists='error'"),
        ({"tags": "ab"}, TypeError, "tags: got the text 'ab', expected several"),
        ({"tags": (1,)}, TypeError, r"tags: got \(1,\), expected a tuple of texts"),
        ({"name": 5}, TypeError, "name: got 5, expected a text"),
        ({"config": [1]}, TypeError, "config: got list, expected hyper-parameters by name"),
        ({"state": {"run": None, "mark": 1}, "if_exists": "resume"}, TypeError, "expected what"),
        ({"state": 7, "if_exists": "resume"}, TypeError, "state: got 7, expected what `Run.state`"),
    ],
)
def test_bad_arguments(
    how: Any, error: type[Exception], text: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        make_logger().open(tmp_path, **how)


def test_switched_off_there_is_a_state_all_the_same(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user's program stores it, and gives it back."""
    monkeypatch.setenv("JAXLOG", "off")
    logger = make_logger()
    with logger.open(tmp_path / "run") as run:
        state = run.state()
        run.flush()
    assert {key: (value.dtype, value.shape, int(value)) for key, value in state.items()} == {
        "run": (np.uint32, (), 0),
        "mark": (np.int32, (), 0),
    }
    with logger.open(tmp_path / "run", if_exists="resume", state=state):
        pass
    assert not (tmp_path / "run").exists()


def test_returned_records_can_go_on_too(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, delivery="return", sinks=[{"kind": "jsonl"}])

    def chunk(begin: int) -> Any:
        steps = jnp.arange(begin, begin + 5)
        return jax.lax.scan(
            lambda _, step: (None, jaxlog.batch_step(logger, step, {"x": step})), None, steps
        )[1]

    with logger.open(tmp_path) as run:
        logger.write(chunk(0))
        state = run.state()
        logger.write(chunk(5))
    with logger.open(tmp_path, if_exists="resume", state=state):
        logger.write(chunk(5))
        logger.write(chunk(10))
    text = (tmp_path / "batch_metrics.jsonl").read_text()
    assert [json.loads(line)["step"] for line in text.splitlines()] == list(range(15))


def test_run_json_tells_where_it_ran_and_no_secrets(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {
        "lr": 0.1,
        "api_key": "abc",
        "wandb": {"API_KEY": "abc", "token": "abc", "num_tokens": 5, "tokenizer": "abc"},
        "users": [{"password": "abc", "max_token": 3}],
        "wandbApiKey": "abc",
        "authTokens": ["abc", "def"],
        "credentials": {"user": "abc"},
        "url": "postgres://me:abc@host/db",
        "sort_key": "name",
    }
    logger = make_logger(log_frequency=7)
    with caplog.at_level(logging.WARNING), logger.open(tmp_path, config=config) as run:
        live = json.loads((tmp_path / "run.json").read_text())
    facts = json.loads((tmp_path / "run.json").read_text())
    assert (live["status"], facts["status"]) == ("running", "finished")
    assert live["id"] == facts["id"] == run.info.id
    hidden = "(redacted)"
    assert facts["config"] == {
        "lr": 0.1,
        "api_key": hidden,
        "wandb": {"API_KEY": hidden, "token": hidden, "num_tokens": 5, "tokenizer": "abc"},
        "users": [{"password": hidden, "max_token": 3}],
        "wandbApiKey": hidden,
        "authTokens": [hidden, hidden],
        "credentials": {"user": hidden},
        "url": "postgres://me:(redacted)@host/db",
        "sort_key": "name",
    }
    assert facts["settings"]["log_frequency"] == 7
    assert facts["settings"]["sinks"] == [{"kind": "memory"}]
    assert facts["versions"]["jax"] == jax.__version__
    assert facts["versions"]["jaxlog"] == jaxlog.__version__
    assert facts["devices"] == ["4 x cpu: cpu"]
    assert set(facts["git"].removesuffix("-dirty")) <= set("0123456789abcdef")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["program", "run.json"]


def test_marks_after_the_one_a_run_goes_on_from_are_gone(tmp_path: Path) -> None:
    held = Directory(tmp_path, "error")
    for number in (1, 2, 3):
        held.add_mark({"mark": number})
    held.add_mark({"resumed": 2})
    held.add_mark({"mark": 4})
    with (tmp_path / "marks.jsonl").open("ab") as file:
        file.write(b'{"mark":5')  # torn, by a kill
    held.add_mark({"mark": 6})
    assert held.marks() == ({number: {"mark": number} for number in (1, 2, 4, 6)}, 6)
    held.add_mark({"resumed": 1})
    assert held.marks() == ({1: {"mark": 1}}, 6)
    held.release()


@pytest.mark.parametrize(
    ("facts", "holder"),
    [
        ({"pid": os.getpid(), "host": socket.gethostname()}, "this process"),
        ({"pid": 1, "host": socket.gethostname()}, "process 1"),
        ({"pid": os.getpid(), "host": "elsewhere"}, f"process {os.getpid()} on elsewhere"),
        ({}, "another process"),
    ],
    ids=["own", "other", "elsewhere", "unknown"],  # each of pytest-xdist's workers has a pid
)
def test_who_holds_a_directory_is_said(facts: dict[str, Any], holder: str, tmp_path: Path) -> None:
    held = Directory(tmp_path, "error")
    (tmp_path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(FileExistsError, match=f": has a run that is open, of {holder}; choose"):
        Directory(tmp_path, "resume")
    held.release()
