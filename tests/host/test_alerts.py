"""Alerts: what the user is told, how often, and where."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._cli.main import main
from jaxlog._host import alerts as host_alerts
from jaxlog._host.alert import Alert
from jaxlog._host.alert_rules import AlertRule, RuleWatch
from jaxlog._host.alert_targets import CommandTarget, NotSentError, WebhookTarget
from jaxlog._host.alerts import Alerts
from tests.conftest import MakeLogger

NAN = float("nan")
TIMEOUT = 60.0


class Webhook:
    """A server on this machine that keeps what is posted.

    Attributes:
      address: its address, with a secret in its path.
      posted: the paths and bodies, in their order.
      answers: the status codes of the next answers; then 200.
    """

    def __init__(self) -> None:
        self.posted: list[tuple[str, Any]] = []
        self.answers: list[int] = []
        self.hang = threading.Event()
        own = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                own.posted.append((self.path, json.loads(body)))
                code = own.answers.pop(0) if own.answers else 200
                if code == 0:
                    own.hang.wait(TIMEOUT)
                    return
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", f"{own.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                own.posted.append((self.path, None))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/services/sesame"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_alerts, "PAUSES", (0.01, 0.01))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def log(run: jaxlog.Run, values: list[list[float]], key: str = "loss") -> None:
    """Logs a line for each lane at each step."""
    for step, lanes in enumerate(values):
        run.log({key: lanes if len(lanes) > 1 else lanes[0]}, step=step)
        run.flush()


def test_a_thousand_lanes_that_diverge_are_one_alert(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(alerts=[{"kind": "not_finite", "again_after": 0.0}], log_frequency=1)

    def update(loss: jax.Array, step: jax.Array, seed: jax.Array) -> tuple[jax.Array, None]:
        loss = jnp.where((step == 3) & (seed >= 10), jnp.nan, step.astype(jnp.float32))
        jaxlog.batch_step(logger, step, {"loss": loss}, labels={"seed": seed})
        return loss, None

    @jax.jit
    @jax.vmap
    def train(seed: jax.Array) -> jax.Array:
        return jax.lax.scan(
            lambda loss, step: update(loss, step, seed), jnp.float32(0), jnp.arange(6)
        )[0]

    with logger.open(name="many"):
        jax.block_until_ready(train(jnp.arange(1000)))
    assert told(caplog) == [
        "jaxlog: run many: batch/loss is not finite (nan) at step 3, in 990 of 1,000 lanes: "
        "lane 10 (seed 10), lane 11 (seed 11), lane 12 (seed 12), lane 13 (seed 13), lane 14 "
        "(seed 14) and 985 more"
    ]


@pytest.mark.parametrize(
    ("rule", "values", "steps"),
    [
        ({"kind": "not_finite"}, [[1.0], [NAN], [NAN], [1.0], [float("inf")]], [1, 4]),
        ({"kind": "not_finite", "metric": "other"}, [[NAN]], []),
        (
            {"kind": "below", "metric": "loss", "value": 2},
            [[2.0], [1.0], [3.0], [NAN], [1.0]],
            [1, 4],
        ),
        ({"kind": "above", "metric": "eval/l*", "value": 2}, [[2.0], [2.5], [3.0]], [1]),
        ({"kind": "above", "metric": "train/loss", "value": 2}, [[3.0]], []),
        (
            {"kind": "below", "metric": "loss", "value": 2, "lines": 3},
            [[1.0], [1.0], [2.0], [1.0], [1.0], [1.0], [1.0]],
            [5],
        ),
        # Each lane is counted for itself, and the alert comes again when no lane is left.
        (
            {"kind": "below", "metric": "loss", "value": 2, "lines": 2},
            [[1.0, 3.0], [3.0, 1.0], [1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [1.0, 3.0], [1.0, 3.0]],
            [2, 6],
        ),
        # While it holds in one lane, others that join are no news.
        ({"kind": "not_finite"}, [[NAN, 1.0], [NAN, NAN], [1.0, NAN], [1.0, 1.0]], [0]),
    ],
)  # fmt: skip
def test_an_alert_comes_once_and_again_when_the_condition_had_ended(
    make_logger: MakeLogger,
    tmp_path: Path,
    rule: dict[str, Any],
    values: list[list[float]],
    steps: list[int],
) -> None:
    logger = make_logger(alerts=[rule | {"again_after": 0.0}])
    lanes = [{} for _ in values[0]] if len(values[0]) > 1 else None
    with logger.open(tmp_path / "run", lanes=lanes) as run:
        log(run, values)
    file = tmp_path / "run" / "alerts.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    assert [json.loads(line)["step"] for line in lines] == steps


def test_a_condition_that_comes_and_goes_is_told_once_a_while() -> None:
    watch = RuleWatch(AlertRule("above", "loss", 1.0, again_after=60.0))
    events: list[Any] = []
    logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
    with logger.open() as run:
        log(run, [[2.0], [0.0], [2.0], [2.0], [0.0]])
        events = run.sink("memory").metrics
    times = [0.0, 10.0, 20.0, 61.0, 62.0]
    found = [len(watch.see(event, now)) for event, now in zip(events, times, strict=True)]
    assert found == [1, 0, 0, 1, 0]  # at 20 it is too early, at 61 it still holds


def test_episodes_and_evaluations_of_a_single_environment_are_watched(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    rules = [
        {"kind": "below", "metric": "episode/total_reward", "value": 5},
        {"kind": "above", "metric": "evaluation/error", "value": 0.5},
    ]
    logger = make_logger(alerts=rules)
    with logger.open(name="one"):
        logger.log_episode_summary({"total_reward": 3.0, "total_steps": 9, "end": "text"})
        logger.log_evaluation_summary({"error": 0.75})
    assert sorted(text.split(": ", 2)[2].split(" at ")[0] for text in told(caplog)) == [
        "episode/total_reward is below 5 (3)",
        "evaluation/error is above 0.5 (0.75)",
    ]


def test_a_run_without_records_stalls_once_until_one_arrives(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    rule = {"kind": "stalled", "seconds": 0.2, "again_after": 0.0}
    logger = make_logger(alerts=[rule])
    file = tmp_path / "run" / "alerts.jsonl"
    with logger.open(tmp_path / "run") as run:
        wait_for(lambda: file.exists() and len(file.read_text().splitlines()) == 1)
        time.sleep(0.6)  # three times as long
        assert len(file.read_text().splitlines()) == 1
        run.log({"x": 1.0}, step=0)
        wait_for(lambda: len(file.read_text().splitlines()) == 2)
    texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
    assert all(text.startswith("run run: no record has arrived for ") for text in texts)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_run_that_fails_tells_why_without_secrets(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(alerts=[{"kind": "failed"}])
    with pytest.raises(ValueError, match="sesame"), logger.open(name="mine"):
        raise ValueError("https://me:sesame@example.com")
    with contextlib.suppress(KeyboardInterrupt), logger.open(name="stopped"):
        raise KeyboardInterrupt
    with logger.open(name="fine"):
        pass
    assert told(caplog) == [
        "jaxlog: run mine: the run failed: ValueError: https://me:(redacted)@example.com"
    ]


def test_lost_records_are_told_once_for_each_sink(tmp_path: Path) -> None:
    class Broken(jaxlog.sinks.Sink):
        def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:
            raise RuntimeError(f"no {event.step}")

    logger = jaxlog.Logger(
        {"sinks": [Broken(), {"kind": "jsonl"}], "alerts": [{"kind": "lost"}], "what_ran": []}
    )
    with logger.open(tmp_path / "run") as run:
        log(run, [[1.0], [2.0]])
    lines = (tmp_path / "run" / "alerts.jsonl").read_text().splitlines()
    (found,) = [json.loads(line) for line in lines]
    assert found["kind"] == "lost"
    assert found["text"].startswith("run run: the sink Broken ")
    assert "RuntimeError: no" in found["text"]


def test_a_webhook_gets_the_alert_and_its_address_is_written_nowhere(
    make_logger: MakeLogger,
    tmp_path: Path,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MY_WEBHOOK", webhook.address)
    settings = {
        "alerts": [{"kind": "not_finite"}, {"kind": "failed", "to": ["log"]}],
        "alert_to": [
            {"kind": "webhook", "address": "$MY_WEBHOOK"},
            {"kind": "webhook", "address": webhook.address},
            {"kind": "log"},
        ],
        "sinks": [{"kind": "jsonl"}],
    }
    logger = make_logger(**settings)
    webhook.answers = [500, 429, 200, 404]  # the first is tried three times, the second once

    def train() -> None:
        with logger.open(tmp_path / "run", lanes=[{"env": "maze"}, {"env": "maze"}]) as run:
            run.log({"loss": [1.0, NAN]}, step=7)
            run.flush()
            wait_for(lambda: len(webhook.posted) == 4)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        train()
    bodies = [body for _, body in webhook.posted]
    assert [path for path, _ in webhook.posted] == ["/services/sesame"] * 4
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3]
    text = "run run: eval/loss is not finite (nan) at step 7, in 1 of 2 lanes: lane 1 (env maze)"
    (found,) = {body["text"] for body in bodies}
    assert found == text
    body = bodies[0]
    assert (body["content"], body["kind"], body["run"]) == (text, "not_finite", "run")
    assert (body["metric"], body["step"], body["value"]) == ("eval/loss", 7, None)
    assert body["lanes"] == [{"lane": 1, "labels": {"env": "maze"}, "value": None}]
    assert (body["num_lanes"], body["of_lanes"]) == (1, 2)
    assert body["nonfinite"] == {"/value": "nan", "/lanes/0/value": "nan"}
    assert body["directory"] == str(tmp_path / "run")
    assert told(caplog) == [
        f"jaxlog: {text}",
        "jaxlog: run run: an alert could not be sent by the webhook of alert_to: it answered 404. "
        "Training goes on. Said once.",
        "jaxlog: run run: the run failed: ZeroDivisionError: division by zero",
    ]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"run.json", "alerts.jsonl"} <= {path.name for path in files}
    everything = b"".join(path.read_bytes() for path in files).decode()
    everything += repr(logger.settings) + "".join(told(caplog))
    assert "sesame" not in everything
    shown = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["alert_to"]
    assert [one["address"] for one in shown] == ["$MY_WEBHOOK", "(redacted)", None]


def test_a_webhook_follows_no_redirection(webhook: Webhook) -> None:
    webhook.answers = [302]
    alert = Alert("failed", "x", "the run failed", 0.0)
    with pytest.raises(NotSentError, match=r"^it answered 302$"):
        WebhookTarget(webhook.address, TIMEOUT).send(alert)
    assert len(webhook.posted) == 1


def test_a_webhook_that_hangs_holds_up_neither_training_nor_the_end(
    make_logger: MakeLogger, webhook: Webhook, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(host_alerts, "WAITS", 0.2)
    webhook.answers = [0]
    logger = make_logger(
        alerts=[{"kind": "not_finite", "again_after": 0.0}],
        alert_to=[{"kind": "webhook", "address": webhook.address, "seconds": 300}],
    )
    with logger.open(name="x") as run:
        log(run, [[NAN], [1.0], [NAN], [1.0]])
        assert run.accounts()[0].written == 4  # while the first alert is being sent
    assert told(caplog) == ["jaxlog: run x: 2 alerts were not sent before the run was closed"]


def test_a_command_gets_the_alert_in_its_words_and_on_standard_input(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    program = "import sys, json; open(sys.argv[1], 'a').write(json.dumps(" \
        "[sys.argv[2:], json.load(sys.stdin)]) + '\\n')"  # fmt: skip
    words = [sys.executable, "-c", program, str(out)]
    words += ["{run}|{step}|{value}|{kind}", "{metric} {other} {", "{text}"]
    logger = make_logger(
        alerts=[{"kind": "above", "metric": "loss", "value": 1, "again_after": 0}],
        alert_to=[{"kind": "command", "command": words}],
    )
    with logger.open(name="$(rm -rf /) {step}") as run:
        log(run, [[2.5], [0.0], [3.5]])
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [arguments[:2] for arguments, _ in found] == [
        [f"$(rm -rf /) {{step}}|{step}|{value}|above", "eval/loss {other} {"]
        for step, value in ((0, 2.5), (2, 3.5))
    ]
    assert all(arguments[2] == alert["text"] for arguments, alert in found)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["/no/such/program"], "it could not be started: FileNotFoundError: No such file or dir"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "its exit code was 3"),
        (["sleep", "600"], "it did not end within 0.2 s"),
    ],
)
def test_a_command_that_fails_says_why(words: list[str], why: str) -> None:
    seconds = 0.2 if words[0] == "sleep" else TIMEOUT
    with pytest.raises(NotSentError, match=why):
        CommandTarget(words, seconds).send(Alert("failed", "x", "the run failed", 0.0))


def test_the_console_has_a_line_whatever_becomes_of_logging(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(alerts=[{"kind": "not_finite"}], alert_to=[{"kind": "console"}])
    before = logging.getLogger("jaxlog").disabled
    logging.getLogger("jaxlog").disabled = True
    try:
        with logger.open(name="x\x1b[2J") as run:
            log(run, [[NAN]])
    finally:
        logging.getLogger("jaxlog").disabled = before
    assert capsys.readouterr().err == (
        "jaxlog: run x�[2J: eval/loss is not finite (nan) at step 0\n"
    )


def test_a_variable_that_is_not_set_is_an_error_when_the_run_is_opened(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = make_logger(
        alerts=[{"kind": "failed"}], alert_to=[{"kind": "webhook", "address": "$NOT_SET"}]
    )
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(jaxlog.ConfigError, match=r"^alert_to\.0\.address: the environment variab"):
        logger.open(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("NOT_SET", "sesame")
    with pytest.raises(jaxlog.ConfigError, match="has no address that begins with") as raised:
        logger.open(tmp_path / "run")
    assert "sesame" not in str(raised.value)
    monkeypatch.setenv("NOT_SET", "http://127.0.0.1:1/x")
    with logger.open(tmp_path / "run"):
        pass


def test_the_child_of_a_fork_sends_no_alerts(make_logger: MakeLogger, webhook: Webhook) -> None:
    logger = make_logger(
        alerts=[{"kind": "failed"}],
        alert_to=[{"kind": "webhook", "address": webhook.address}],
    )
    run = logger.open()
    with pytest.warns(RuntimeWarning, match="fork"):
        child = os.fork()
    if child == 0:
        run.close(ValueError("in the child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.close()
    assert webhook.posted == []


def test_show_has_the_number_of_alerts_and_the_last_one(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(alerts=[{"kind": "not_finite", "again_after": 0.0}])
    with logger.open(tmp_path / "run") as run:
        log(run, [[NAN], [1.0], [NAN]])
    assert main(["show", str(tmp_path / "run")]) == 0
    last = "run run: eval/loss is not finite (nan) at step 2"
    assert f"2, the last: {last}\n" in capsys.readouterr().out
    (tmp_path / "run" / "alerts.jsonl").write_text("[]\nbroken")
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "alerts" not in capsys.readouterr().out.partition("settings")[0]


def test_alerts_of_a_run_that_is_replaced_are_gone(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(alerts=[{"kind": "not_finite"}])
    for how, lines in (("error", 1), ("resume", 2), ("replace", 1)):
        with logger.open(tmp_path / "run", if_exists=how) as run:  # type: ignore[arg-type]
            log(run, [[NAN]])
        found = (tmp_path / "run" / "alerts.jsonl").read_text().splitlines()
        assert len(found) == lines


def test_more_alerts_than_can_wait_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    made = Alerts([AlertRule("failed")], [])
    logger = jaxlog.Logger({"sinks": [{"kind": "memory"}], "what_ran": []})
    with logger.open(name="x") as run:
        from jaxlog._host.companion import RunAccess

        made._run = RunAccess(run.info, lambda _: None, lambda: 0, tuple)
        for _ in range(host_alerts.MOST_WAITING + 3):
            made._tell(AlertRule("failed"), "the run failed")
    made._thread = threading.Thread(target=lambda: None)
    made._thread.start()
    made.end("finished", None, 1.0)
    left = host_alerts.MOST_WAITING + 3
    assert told(caplog) == [
        f"jaxlog: run x: {left:,} alerts were not sent before the run was closed"
    ]
