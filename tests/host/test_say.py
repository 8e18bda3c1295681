"""A handler of Python's `logging` that raises reaches neither the program nor a sink's thread."""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._say import Once, log
from tests.conftest import MakeLogger


class Raising(logging.Handler):
    """Counts what it is given, and raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        raise self.error


@pytest.fixture(params=[RuntimeError("my handler"), SystemExit(3)], ids=["error", "exit"])
def handler(request: pytest.FixtureRequest) -> Iterator[Raising]:
    raising = Raising(request.param)
    logging.getLogger("jaxlog").addHandler(raising)
    yield raising
    logging.getLogger("jaxlog").removeHandler(raising)


def test_a_handler_that_raises_ends_neither_worker_nor_program(
    handler: Raising, make_logger: MakeLogger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])

    @jax.jit
    def train(steps: jax.Array) -> jax.Array:
        def update(total: jax.Array, step: jax.Array) -> Any:
            jaxlog.batch_step(logger, step, {"total": total})
            return total + 1.0, None

        return jax.lax.scan(update, jnp.zeros(()), steps)[0]

    train(jnp.arange(3)).block_until_ready()  # while no run is open, which is warned of
    jax.effects_barrier()
    assert logger.dropped == 3
    with logger.open(tmp_path, config={"api_key": "x"}) as run:
        memory = run.sink("memory")
        write, times = memory.write_metrics, []

        def fails_at_first(event: Any) -> None:
            times.append(event.step)
            if event.step == 1:
                raise ValueError("not this one")
            write(event)

        memory.write_metrics = fails_at_first  # pyright: ignore[reportAttributeAccessIssue]
        assert float(train(jnp.arange(5))) == 5.0
    assert [event.step for event in run.sink("memory").metrics] == [0, 2, 3, 4]
    assert [account.written for account in run.accounts()] == [5, 4]
    assert not any(account.off for account in run.accounts())
    said = [record.getMessage() for record in handler.records]
    assert len(said) == 4
    assert "while no run was open" in said[0]
    assert "left out as secrets" in said[1]
    assert "could not write: ValueError: not this one" in said[2]
    assert "lost 1 of 5 records" in said[3]
    errors = capfd.readouterr().err
    for text in said:  # nothing is lost without a word
        assert f"raised {handler.error!r} at this message: {text}" in errors


def test_it_is_a_logger_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "jaxlog"):
        log.warning("jaxlog: %s of %d", "one", 2)
        try:
            raise LookupError("why")
        except LookupError:
            log.exception("jaxlog: it failed")
    first, second = caplog.records
    assert (first.name, first.getMessage()) == ("jaxlog", "jaxlog: one of 2")
    assert first.pathname == __file__  # the line that logged
    assert second.exc_info is not None
    assert "why" in str(second.exc_info[1])


def test_ctrl_c_within_a_handler_is_the_programs() -> None:
    raising = Raising(KeyboardInterrupt())
    logging.getLogger("jaxlog").addHandler(raising)
    try:
        with pytest.raises(KeyboardInterrupt):
            log.warning("jaxlog: anything")
    finally:
        logging.getLogger("jaxlog").removeHandler(raising)


def test_all_of_jaxlog_says_it_there() -> None:
    root = Path(jaxlog.__file__).parent
    others = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger")
    ]
    assert others == ["_say.py", "sinks/mlflow.py"]  # which has MLflow's own loggers say less


def test_once_is_true_for_one_caller_on_all_threads() -> None:
    once, answers = Once(), list[bool]()
    threads = [
        threading.Thread(target=lambda: answers.extend(once() for _ in range(100)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(True) == 1
    assert len(answers) == 800
