"""How soon does the live page show its first chart, and what does its server cost?

The same runs are opened in TensorBoard, and as many in trackio, which is installed for this. Each
page is opened by Chromium, whose own start does not count.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

import jaxlog
from benchmarks.timing import Row, tell

STEPS, METRICS = 100, 8
TRACKIO = "trackio==0.43.0"
RUNNING = 8
"""The number of runs that grow while the server's cost is measured, each with a line a second."""
CHARTS = 40
PAIRS, UPDATES = 4, 60
"""The pairs of trainings, with the server and without, in each turn, and the updates of each."""
PATIENCE = 120.0
"""The seconds after which a page that shows no chart is given up; then they are its figure."""
READING = 240.0
"""The seconds that a server has to read the runs."""

FIRST_CHART = {
    "jaxlog": "document.querySelector('.uplot canvas')",
    # Its elements are nested in shadow roots. It shows no lines of more than 40 runs at first.
    "tensorboard": """(function has(root) {
        return [...root.querySelectorAll("*")].some(
            (e) => e.tagName === "LINE-CHART" || (e.shadowRoot && has(e.shadowRoot)));
    })(document)""",
    "trackio": "document.querySelector('.vega-embed canvas, .vega-embed svg, canvas, svg.marks')",
}
"""The condition that is true once a page shows a chart."""


class Served(NamedTuple):
    """A server.

    Attributes:
      process: its process.
      address: that of its page.
    """

    process: subprocess.Popen[str]
    address: str


@contextmanager
def serving(command: Sequence[str | Path], **environment: str) -> Iterator[Served]:
    """Runs a server that prints the address of its page."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            said.append(plain)
            if found := re.search(r"https?://\S+", plain):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield Served(process, found[0].rstrip(".)"))
                return
        raise SystemExit(f"{command[0]} did not start:\n{''.join(said)}")
    finally:
        process.terminate()
        process.wait()


def jaxlog_of(runs: Path) -> list[str | Path]:
    """The command that serves some runs with jaxlog."""
    return [sys.executable, "-m", "jaxlog", "serve", runs, "--port", "0"]


def tensorboard_of(runs: Path) -> list[str | Path]:
    """The command that serves some runs with TensorBoard."""
    program = Path(sys.executable).with_name("tensorboard")
    return [program, "--logdir", runs, "--port", "0", "--load_fast=false"]


def seconds_to_chart(browser: Browser, kind: str, address: str) -> float:
    """The seconds until a new page shows its first chart."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        start = time.perf_counter()
        page.goto(address, wait_until="commit")
        ready = f"() => Boolean({FIRST_CHART[kind]})"
        try:
            page.wait_for_function(ready, timeout=1000 * PATIENCE, polling=10)
        except Exception as error:
            if "Timeout" not in type(error).__name__:
                raise
        return time.perf_counter() - start


def first_chart(browser: Browser, kind: str, served: Served, turns: int) -> float:
    """The median over some visits, once the server has read the runs."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(served.address)
        if kind == "jaxlog":  # it reads while a page is open
            page.wait_for_selector("#runs")  # after the page that takes the token
            end = time.monotonic() + READING
            while time.monotonic() < end and not page.evaluate(_HAS_READ):
                page.wait_for_timeout(1000)
        else:
            _wait_until_idle(served.process)
    return statistics.median(seconds_to_chart(browser, kind, served.address) for _ in range(turns))


_HAS_READ = """async () => {
    const found = await fetch("runs?limit=1");
    if (!found.ok) return false;
    const answer = await found.json();
    return answer.total > 0 && !answer.unlooked && !answer.unread;
}"""


def _wait_until_idle(process: subprocess.Popen[str]) -> None:
    """Waits until a server has read what there is; for some minutes at most."""
    observed = psutil.Process(process.pid)
    end = time.monotonic() + READING
    while time.monotonic() < end and _cpu(observed, 2.0) > 0.05:
        pass


def _cpu(process: psutil.Process, seconds: float) -> float:
    """The cores that a process and its children use during some seconds."""

    def used() -> float:
        every = [process, *process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in every)

    before = used()
    time.sleep(seconds)
    return (used() - before) / seconds


def make_runs(runs: Path, number: int) -> None:
    """Makes runs with lines and event files: eight are logged, the others are copies of them."""
    logger = jaxlog.Logger(
        {"log_frequency": 1, "sinks": [{"kind": "jsonl"}, {"kind": "tensorboard"}]},
        total_updates=STEPS,
    )
    made = []
    for i in range(8):
        made.append(runs / f"run-{i:04d}")
        with logger.open(made[-1], config=_config(i)) as run:
            for step in range(STEPS):
                run.log(_values(i, step), step=step, name="batch")
    for i in range(8, number):
        copy = runs / f"run-{i:04d}"
        shutil.copytree(made[i % 8], copy)
        facts = json.loads((copy / "run.json").read_text())
        facts |= {"name": copy.name, "config": _config(i)}
        (copy / "run.json").write_text(json.dumps(facts))


def _config(number: int) -> dict[str, Any]:
    return {"lr": 10.0 ** -(number % 4), "seed": number}


def _values(number: int, step: int, metrics: int = METRICS) -> dict[str, float]:
    return {
        f"metric_{k}": (number % 4) * step * 0.01 + (step * 7 + k * 3) % 11 * 0.1
        for k in range(metrics)
    }


_LOG_TO_TRACKIO = """
import json, sys, trackio
for name, config, steps in json.load(sys.stdin):
    trackio.init(project="bench", name=name, config=config)
    for step, values in enumerate(steps):
        trackio.log(values, step=step)
    trackio.finish()
"""


def trackio_with(directory: Path, number: int) -> tuple[list[str | Path], dict[str, str]]:
    """Installs trackio, and logs as many runs; returns the command, and its environment."""
    venv.create(directory / "venv", with_pip=True)
    programs = directory / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", TRACKIO], check=True)
    environment = {"TRACKIO_DIR": str(directory / "store")}
    runs = [
        (f"run-{i:04d}", _config(i), [_values(i, step) for step in range(STEPS)])
        for i in range(number)
    ]
    subprocess.run(
        [programs / "python", "-c", _LOG_TO_TRACKIO],
        input=json.dumps(runs),
        text=True,
        check=True,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
    )
    return [programs / "trackio", "show", "--project", "bench"], environment


class Growing:
    """Runs that get a line each second, in a thread.

    Args:
      runs: their directory.
      metrics: the number of metrics of a line.
    """

    def __init__(self, runs: Path, metrics: int) -> None:
        self._metrics = metrics
        self._stack = ExitStack()
        self._runs = []
        for i in range(RUNNING):
            logger = jaxlog.Logger(
                {"log_frequency": 1, "sinks": [{"kind": "jsonl"}]}, total_updates=10_000
            )
            opened = logger.open(runs / f"run-{i}", config={"group": i})
            self._runs.append(self._stack.enter_context(opened))
        self._step = 0
        for _ in range(200):
            self._log()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def _log(self) -> None:
        for i, run in enumerate(self._runs):
            run.log(_values(i, self._step, self._metrics), step=self._step, name="batch")
        self._step += 1

    def _go_on(self) -> None:
        while not self._stopped.wait(1.0):
            self._log()

    def __enter__(self) -> Growing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._stack.close()


def script_seconds(page: Page, seconds: float) -> float:
    """The seconds of script that a page runs during some seconds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def used() -> float:
        found = session.send("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in found}["ScriptDuration"]

    before = used()
    page.wait_for_timeout(1000 * seconds)
    return used() - before


def while_running(browser: Browser, runs: Path, seconds: float) -> list[Row]:
    """The cost of the page with all its charts in sight, and of its server with the first ones."""
    with Growing(runs, CHARTS), serving(jaxlog_of(runs)) as served:
        with browser.new_context(viewport={"width": 1440, "height": 12_000}) as context:
            page = context.new_page()
            page.goto(served.address)
            page.wait_for_function(
                f"() => document.querySelectorAll('.uplot canvas').length >= {CHARTS}",
                timeout=1000 * PATIENCE,
            )
            page.wait_for_timeout(3000)
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            script = script_seconds(page, seconds)
        with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
            page = context.new_page()
            page.goto(served.address)
            page.wait_for_timeout(5000)
            cpu = _cpu(psutil.Process(served.process.pid), 2 * seconds)
    updates = sum("curves?" in address for address in asked) / CHARTS
    if updates < 1:
        raise SystemExit(f"the page brought itself up to date {updates} times in {seconds} s")
    return [
        Row("script of an update of 40 charts", "8 groups", 1e3 * script / updates, "ms", 50),
        Row("CPU of the server", "8 running runs, a page open", 100 * cpu, "%", 2),
    ]


def memory(browser: Browser, directory: Path, lanes: int, steps: int) -> Row:
    """The memory of a server that shows a run of many lanes."""
    code = (
        "import sys; from pathlib import Path; from benchmarks import lanes_case\n"
        f"lanes_case.train(['arrow'], {lanes}, {steps // 4}, Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, directory / "wide"], check=True)
    with serving(jaxlog_of(directory)) as served:
        first_chart(browser, "jaxlog", served, 1)
        status = Path(f"/proc/{served.process.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return Row(
        "memory of the server",
        f"{lanes:,} lanes, {steps:,} steps, 10 metrics",
        peak / 1024,
        "MB",
        300,
    )


def beside(browser: Browser, runs: Path, turns: int) -> Row:
    """Measures how much longer a training takes while its run is served than while it is not.

    It is examples/ppo_cartpole.py with four seeds, logged at every update.
    """
    import jax
    import jax.numpy as jnp

    from examples import ppo_cartpole

    config = ppo_cartpole.Config(num_updates=UPDATES)
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "jsonl"}]})
    train = jax.jit(jax.vmap(ppo_cartpole.make_train(config, logger)))
    number = itertools.count()

    def seconds() -> float:
        with logger.open(runs / f"training-{next(number)}"):
            start = time.perf_counter()
            jax.block_until_ready(train(jnp.arange(4)))
            return time.perf_counter() - start

    seconds()
    found: list[float] = []
    with serving(jaxlog_of(runs)) as served, browser.new_context() as context:
        page = context.new_page()
        page.goto(served.address)
        page.wait_for_function(f"() => {FIRST_CHART['jaxlog']}")
        page.wait_for_timeout(2000)
        _wait_until_idle(served.process)

        def alone() -> float:
            served.process.send_signal(signal.SIGSTOP)
            taken = seconds()
            served.process.send_signal(signal.SIGCONT)
            _wait_until_idle(served.process)  # it reads what it missed
            return taken

        # The server is stopped for every other training, so what else the machine does is in both.
        for turn in range(PAIRS * turns):
            if turn % 2:
                without = alone()
                found.append(seconds() / without)
            else:
                with_it = seconds()
                found.append(with_it / alone())
    return Row("PPO while it is served", "alone", statistics.median(found), "x", 1.01)


def paints(browser: Browser, directory: Path, sizes: Mapping[str, int], turns: int) -> list[Row]:
    """Measures how soon pages show their first chart."""
    few, many, most = (directory / name for name in sizes)
    for path, number in zip((few, many, most), sizes.values(), strict=True):
        make_runs(path, number)
    seconds: dict[str, float] = {}
    for name, path in (("few", few), ("many", many), ("most", most)):
        with serving(jaxlog_of(path)) as served:
            seconds[name] = first_chart(browser, "jaxlog", served, turns)
    with serving(tensorboard_of(many)) as served:
        seconds["tensorboard"] = first_chart(browser, "tensorboard", served, turns)
    command, environment = trackio_with(directory, sizes["many"])
    with serving(command, **environment) as served:
        seconds["trackio"] = seconds_to_chart(browser, "trackio", served.address)
    what = f"first chart, {sizes['many']:,} runs"
    return [
        Row(what, "TensorBoard", seconds["many"] / seconds["tensorboard"], "x", 0.2),
        Row(what, "trackio", seconds["many"] / seconds["trackio"], "x", 0.5),
        Row(
            f"first chart, {sizes['most']:,} runs",
            f"{sizes['few']:,} runs",
            seconds["most"] / seconds["few"],
            "x",
            3,
        ),
    ]


def main(turns: int = 5, *, quick: bool = False) -> list[Row]:
    """Prints the figures."""
    sizes = {"few": 100, "many": 1000, "most": 5000}
    if quick:
        sizes = {name: number // 50 + 8 for name, number in sizes.items()}
    with tempfile.TemporaryDirectory() as path, sync_playwright() as playwright:
        directory = Path(path)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        rows = [
            *paints(browser, directory / "paints", sizes, turns),
            *while_running(browser, directory / "running", 5.0 if quick else 30.0),
            memory(browser, directory / "memory", *((100, 400) if quick else (1000, 10_000))),
            beside(browser, directory / "beside", turns),
        ]
        browser.close()
    tell("serve", rows, turns=turns)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it runs")
    given = parser.parse_args()
    main(given.turns, quick=given.quick)
