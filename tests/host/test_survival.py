"""What a run survives, in processes of their own: signals, kills, forks, full disks."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jaxlog

pytestmark = pytest.mark.usefixtures("interrupts")

PRELUDE = """
import os, signal, sys, threading, time
import jax, jax.numpy as jnp
import jaxlog

directory = sys.argv[1]
logger = jaxlog.Logger(
    {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
)

@jax.jit
def train(x, steps):
    def update(x, step):
        x = jnp.tanh(x @ x)
        jaxlog.batch_step(logger, step, {"x": x[0, 0]})
        return x, None
    return jax.lax.scan(update, x, steps)[0]

def run(num_steps):
    return jax.block_until_ready(train(jnp.ones((200, 200)), jnp.arange(num_steps)))

run(0)
LONG = 10**6  # several minutes
train.lower(jnp.ones((200, 200)), jnp.arange(LONG)).compile()
print("ready", flush=True)
"""


class Child:
    """A process with a program that logs; it has said that it is ready."""

    def __init__(self, code: str, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "ready\n", self.process.communicate()[1]

    def wait_for_lines(self, number: int) -> None:
        path = self.directory / "batch_metrics.jsonl"
        end = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < number:
            assert time.monotonic() < end
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.01)

    def end(self) -> tuple[int, str, str]:
        """The exit status, and what it said."""
        output, errors = self.process.communicate(timeout=100)
        return self.process.returncode, output, errors

    def end_well(self) -> tuple[str, str]:
        """What it said, if its exit status is 0."""
        status, output, errors = self.end()
        assert status == 0, errors
        return output, errors

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.directory / "run.json").read_text())

    @property
    def steps(self) -> list[int]:
        """Those of the lines, which all have to be whole."""
        text = (self.directory / "batch_metrics.jsonl").read_text()
        assert text.endswith("\n")
        return [json.loads(line)["step"] for line in text.splitlines()]


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts a child; whatever the test comes to, it ends with it."""
    children: list[Child] = []

    def started(*arguments: Any, **environment: str) -> Child:
        children.append(Child(*arguments, **environment))
        return children[-1]

    yield started
    for child in children:
        child.process.kill()
        child.process.communicate()


ONE_DEVICE = """
with logger.open(directory):
    run(LONG)
"""
# So cheap that XLA runs it, and the callback, on the main thread.
CHEAP = """
small = jax.jit(lambda steps: train(jnp.ones((4, 4)), steps))
small.lower(jnp.arange(LONG)).compile()
with logger.open(directory):
    jax.block_until_ready(small(jnp.arange(LONG)))
"""
# The main thread waits for a value, where JAX raises its own error first.
READ = """
with logger.open(directory):
    float(train(jnp.ones((200, 200)), jnp.arange(LONG))[0].mean())
"""
# The program still runs when the block is left.
DISPATCHED = """
with logger.open(directory):
    train(jnp.ones((200, 200)), jnp.arange(LONG))
"""
# A callback of the user's own, on the main thread.
ANOTHER = """
from jax.experimental import io_callback
def loop(step):
    io_callback(lambda: time.sleep(0.001), None)
    return step + 1
other = jax.jit(lambda: jax.lax.while_loop(lambda step: step < LONG, loop, 0))
with logger.open(directory):
    run(20)
    jax.block_until_ready(other())
"""
IN_PYTHON = """
with logger.open(directory):
    for step in range(LONG):
        train(jnp.ones((200, 200)), jnp.arange(step, step + 1))
        time.sleep(0.001)
"""


# The signal's handler may then run inside of the callback.
BY_CALLBACK = {"JAXLOG_CROSSING": "callback"}


@pytest.mark.parametrize(
    ("code", "environment"),
    [
        *((code, {}) for code in (ONE_DEVICE, CHEAP, ANOTHER, IN_PYTHON, READ, DISPATCHED)),
        (CHEAP, BY_CALLBACK),
    ],
)
def test_ctrl_c_stops_a_compiled_program_at_once(
    code: str, environment: dict[str, str], tmp_path: Path, start: Callable[..., Child]
) -> None:
    child = start(code, tmp_path / "run", **environment)
    child.wait_for_lines(20)
    began = time.monotonic()
    child.process.send_signal(signal.SIGINT)
    status, _, errors = child.end()
    assert time.monotonic() - began < 60  # one second, and what a busy machine makes of it
    assert status == -signal.SIGINT  # as Python ends on a KeyboardInterrupt
    lines = errors.splitlines()
    if code == IN_PYTHON and "logger.dropped" in lines[-1]:
        # Ctrl-C came when JAX had begun a program and had not noted its effects: nobody can wait
        # for such a program. A record of it that comes too late is counted, and said.
        lines.pop()
    assert lines[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback (most recent call last)") == 1  # no error of JAX's before it
    facts = child.facts
    assert facts["status"] == "interrupted"
    assert facts["arrived"] == facts["sinks"][0]["written"] == len(child.steps)
    assert child.steps == list(range(len(child.steps)))


# The handlers of Ctrl-C that marimo's kernel has had: a function, and an object.
OF_MARIMO = {
    "function": """
def handler(number, frame):
    called.append(number)
    raise KeyboardInterrupt
handler.__module__ = "marimo._runtime.handlers"
""",
    "object": """
class SigintHandler:
    __module__ = "marimo._utils.signals"
    def __call__(self, number, frame):
        called.append(number)
        raise KeyboardInterrupt
handler = SigintHandler()
""",
    # It cancels the task of an asynchronous cell, and raises nothing.
    "asynchronous": """
def handler(number, frame):
    called.append(number)
handler.__module__ = "marimo._runtime.handlers"
""",
}


@pytest.mark.parametrize(
    ("kind", "environment"), [*((kind, {}) for kind in OF_MARIMO), ("function", BY_CALLBACK)]
)
def test_the_stop_button_of_marimo_stops_a_compiled_program(
    kind: str, environment: dict[str, str], tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = f"""
called = []
{OF_MARIMO[kind]}
signal.signal(signal.SIGINT, handler)
try:
    with logger.open(directory):
        run(LONG)
except KeyboardInterrupt as error:
    print("stopped", called, error.__suppress_context__ or error.__context__)
assert signal.getsignal(signal.SIGINT) is handler
"""
    child = start(code, tmp_path / "run", **environment)
    child.wait_for_lines(20)
    child.process.send_signal(signal.SIGINT)
    output, _ = child.end_well()
    assert output.splitlines()[-1] in ("stopped [2] True", "stopped [2] None")
    assert child.facts["status"] == "interrupted"


def test_the_stop_button_stops_an_asynchronous_cell_that_is_not_yet_in_its_program(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    """Python's handler runs at once, raises nothing, and the program comes after it."""
    code = f"""
called = []
{OF_MARIMO["asynchronous"]}
signal.signal(signal.SIGINT, handler)
try:
    with logger.open(directory):
        run(20)
        signal.raise_signal(signal.SIGINT)
        run(LONG)
except KeyboardInterrupt as error:
    print("stopped", called, error.__suppress_context__ or error.__context__)
"""
    child = start(code, tmp_path / "run")
    output, _ = child.end_well()
    assert output.splitlines()[-1] in ("stopped [2] True", "stopped [2] None")
    assert child.facts["status"] == "interrupted"
    assert child.facts["arrived"] == len(child.steps) < 1000


def test_the_stop_of_an_asynchronous_cell_stops_no_later_program(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = f"""
import jaxlog._host.signals as signals
signals.STOPS_FOR = 0.2
called = []
{OF_MARIMO["asynchronous"]}
signal.signal(signal.SIGINT, handler)
with logger.open(directory) as opened:
    run(20)
    opened.flush()
    signal.raise_signal(signal.SIGINT)
    end = time.monotonic() + 60
    while opened._engine._interrupt.is_stopping:
        assert time.monotonic() < end
        time.sleep(0.01)
    run(20)
print(called)
"""
    child = start(code, tmp_path / "run")
    output, _ = child.end_well()
    assert output.splitlines()[-1] == "[2]"
    assert child.facts["status"] == "finished"
    assert len(child.steps) == 40


def test_another_handler_of_ctrl_c_is_left_alone(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
called = []
handler = lambda number, frame: called.append(number)
signal.signal(signal.SIGINT, handler)
with logger.open(directory):
    assert signal.getsignal(signal.SIGINT) is handler
    run(2000)
print(called)
"""
    child = start(code, tmp_path / "run")
    child.wait_for_lines(20)
    child.process.send_signal(signal.SIGINT)
    output, _ = child.end_well()
    assert output.splitlines()[-1] == "[2]"
    assert child.facts["status"] == "finished"
    assert child.steps == list(range(2000))


def test_a_run_that_is_closed_by_a_second_ctrl_c_was_interrupted(tmp_path: Path) -> None:
    def press() -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
        engine = run._engine
        engine._crossing = dataclasses.replace(engine._crossing, barrier=press)
        with pytest.raises(KeyboardInterrupt):
            run.close()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


def test_ctrl_c_waits_for_a_program_on_several_devices(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    """One that stopped would leave the others waiting for it, for ever."""
    code = """
mesh = jax.make_mesh((4,), ("devices",))
x = jax.device_put(jnp.ones((4, 100, 100)), jax.NamedSharding(mesh, jax.P("devices")))
with logger.open(directory):
    jax.block_until_ready(jax.jit(jax.vmap(train, in_axes=(0, None)))(x, jnp.arange(2000)))
"""
    child = start(code, tmp_path / "run", XLA_FLAGS="--xla_force_host_platform_device_count=4")
    child.wait_for_lines(20)
    child.process.send_signal(signal.SIGINT)
    status, _, _ = child.end()
    assert status == -signal.SIGINT
    assert child.facts["status"] == "interrupted"
    assert child.facts["arrived"] == len(child.steps) == 4 * 2000


def test_ctrl_c_that_the_program_catches_stops_nothing_later(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
with logger.open(directory):
    for _ in range(3):
        try:
            print("waiting", flush=True)
            sum(range(10**8))  # seconds; signals that come meanwhile come as one
            raise AssertionError
        except KeyboardInterrupt:
            pass
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    run(50)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
assert signal.set_wakeup_fd(-1) == -1
"""
    child = start(code, tmp_path / "run")
    assert child.process.stdout is not None
    for times in (1, 3, 1):  # a wrapper may forward what the terminal has sent already
        child.process.stdout.readline()
        time.sleep(0.3)
        for _ in range(times):
            child.process.send_signal(signal.SIGINT)
    child.end_well()
    assert child.facts["status"] == "finished"
    assert child.steps == list(range(50))


def test_ctrl_c_that_was_handled_before_the_thread_of_signals_heard_stops_nothing_later(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    """That thread hears only when the main thread gives up the interpreter's lock."""
    code = """
with logger.open(directory):
    try:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError
    except KeyboardInterrupt:
        sum(range(3 * 10**7))  # keeps the lock for some tenths of a second
    time.sleep(0.5)
    run(50)
"""
    child = start(code, tmp_path / "run")
    child.end_well()
    assert child.facts["status"] == "finished"
    assert child.steps == list(range(50))


def test_sigterm_ends_the_process_when_all_that_arrived_is_written(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    child = start(ONE_DEVICE, tmp_path / "run")
    child.wait_for_lines(20)
    child.process.send_signal(signal.SIGTERM)
    status, _, _ = child.end()
    assert status == -signal.SIGTERM
    facts = child.facts
    assert facts["status"] == "terminated"
    assert facts["arrived"] == facts["sinks"][0]["written"] == len(child.steps)


def test_a_handler_and_a_wakeup_of_the_programs_own_are_left_in_force(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
reads, writes = os.pipe()
os.set_blocking(writes, False)
signal.set_wakeup_fd(writes)
caught = []
signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
with logger.open(directory):
    run(2000)
    while not caught:
        time.sleep(0.01)
assert os.read(reads, 10) == bytes([signal.SIGTERM])
assert signal.set_wakeup_fd(-1) == writes
print("caught", caught)
"""
    child = start(code, tmp_path / "run")
    child.wait_for_lines(20)
    child.process.send_signal(signal.SIGTERM)
    output, _ = child.end_well()
    assert output == "caught [15]\n"
    assert child.facts["status"] == "finished"
    assert child.steps == list(range(2000))


def test_sigterm_ends_the_process_whoever_has_the_wakeup(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
import asyncio
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGUSR1)
with logger.open(directory):
    asyncio.run(main())
    assert signal.set_wakeup_fd(-1) == -1  # asyncio has taken it
    run(20)
    time.sleep(60)
"""
    child = start(code, tmp_path / "run")
    child.wait_for_lines(20)
    time.sleep(0.3)
    child.process.send_signal(signal.SIGTERM)
    assert child.end()[0] == -signal.SIGTERM
    assert child.facts["status"] == "terminated"
    assert child.steps == list(range(20))


def test_a_handler_that_python_does_not_know_stays_in_force(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    """JAX's preemption service has such a one; so has faulthandler."""
    code = """
import ctypes, faulthandler
faulthandler.register(signal.SIGTERM, chain=False)
of_the_system = ctypes.pythonapi.PyOS_getsig
of_the_system.restype = ctypes.c_void_p
before = of_the_system(signal.SIGTERM)
assert before and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
with logger.open(directory):
    assert of_the_system(signal.SIGTERM) == before
    run(20)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
assert of_the_system(signal.SIGTERM) == before
"""
    child = start(code, tmp_path / "run")
    child.end_well()
    assert child.facts["status"] == "finished"


def test_where_sigint_is_ignored_it_stays_ignored(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    """As in the background of a script: `python train.py &`."""
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
with logger.open(directory):
    run(20)
    os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    run(20)
    os.kill(os.getpid(), signal.SIGINT)
assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
os.kill(os.getpid(), signal.SIGINT)
"""
    child = start(code, tmp_path / "run")
    child.end_well()
    assert child.facts["status"] == "finished"
    assert child.steps == [*range(20), *range(20)]


def test_a_listener_that_has_gone_is_not_missed(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
reads, writes = os.pipe()
os.set_blocking(writes, False)
signal.set_wakeup_fd(writes)
with logger.open(directory):
    os.close(writes)
    run(20)
with logger.open(directory, if_exists="resume"):
    pass
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
"""
    child = start(code, tmp_path / "run")
    child.end_well()


def test_after_kill_9_whole_lines_are_there_and_the_run_goes_on(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    child = start(ONE_DEVICE, tmp_path / "run")
    child.wait_for_lines(100)
    time.sleep(1)
    before = len(child.steps)
    child.process.kill()
    child.end()
    assert len(child.steps) >= before
    assert child.steps == list(range(len(child.steps)))
    assert child.facts["status"] == "running"  # it could not say more
    # A write that the kill has cut off: this is what it leaves.
    with (tmp_path / "run" / "batch_metrics.jsonl").open("a") as file:
        file.write('{"timestamp": 17')
    written = len((tmp_path / "run" / "batch_metrics.jsonl").read_text().splitlines()) - 1
    code = """
with logger.open(directory, if_exists="resume"):
    run(30)
"""
    again = start(code, tmp_path / "run")
    again.end_well()
    assert again.steps == [*range(written), *range(30)]
    facts = again.facts
    assert (facts["status"], facts["sessions"][0]["status"]) == ("finished", "running")


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        ("sys.exit(3)", "exited", 3),
        ("run(5); raise ValueError('diverged')", "failed", 1),
        ("opened = logger.open(directory + '2'); opened.close(); opened.close()", "finished", 0),
    ],
)
def test_however_the_program_ends_all_is_written(
    ending: str, status: str, code: int, tmp_path: Path, start: Callable[..., Child]
) -> None:
    other = "logger = jaxlog.Logger({'batched_logging_enabled': True})\n" if "2" in ending else ""
    child = start(f"opened = logger.open(directory)\nrun(40)\n{other}{ending}", tmp_path / "run")
    assert child.end()[0] == code
    assert child.steps[:40] == list(range(40))
    # Opened by hand, and not closed: of `sys.exit` nothing is known then.
    assert child.facts["status"] == ("failed" if status == "failed" else "finished")
    within = start(f"with logger.open(directory):\n    run(40); {ending}", tmp_path / "within")
    if not other:
        assert within.end()[0] == code
        assert within.facts["status"] == status
    else:
        within.end()


def test_a_directory_in_use_is_refused_with_the_process_that_uses_it(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    child = start(ONE_DEVICE, tmp_path / "run")
    child.wait_for_lines(1)
    import jaxlog

    logger = jaxlog.Logger({"batched_logging_enabled": True})
    for if_exists in ("error", "resume", "replace"):
        with pytest.raises(
            FileExistsError, match=rf"a run that is open, of process {child.process.pid};"
        ):
            logger.open(tmp_path / "run", if_exists=if_exists)
    child.process.kill()
    child.end()
    with pytest.raises(FileExistsError, match="holds a run already"):
        logger.open(tmp_path / "run")
    with logger.open(tmp_path / "run", if_exists="replace"):
        pass


@pytest.mark.filterwarnings("ignore")
def test_a_fork_leaves_the_run_to_its_parent(tmp_path: Path, start: Callable[..., Child]) -> None:
    code = """
import warnings
warnings.simplefilter("ignore")
opened = logger.open(directory)
run(10)
child = os.fork()
if child == 0:
    assert logger.dropped == 0 and threading.active_count() == 1
    opened.close()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    time.sleep(60)
    os._exit(0)
time.sleep(0.5)
os.kill(child, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
if os.fork() == 0:
    os._exit(0)
os.wait()
run(20)
opened.close()
"""
    child = start(code, tmp_path / "run")
    child.end_well()
    assert child.facts["status"] == "finished"
    assert child.steps == [*range(10), *range(20)]


def test_a_full_disk_leaves_whole_lines_and_the_training_alone(
    tmp_path: Path, start: Callable[..., Child]
) -> None:
    code = """
import resource
expected = float(run(300).sum())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
with logger.open(directory) as opened:
    for _ in range(10):
        assert float(run(300).sum()) == expected
        time.sleep(0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
    child = start(code, tmp_path / "run")
    _, errors = child.end_well()
    assert "the sink jsonl cannot flush, and tries again: OSError(27, " in errors
    assert "records: could not close: OSError: [Errno 27] File too large" in errors
    facts = child.facts
    (sink,) = facts["sinks"]
    assert facts["arrived"] == sink["written"] + sink["lost"] == 3000
    assert 0 < sink["written"] == len(child.steps) < 3000
    assert child.steps == [i % 300 for i in range(len(child.steps))]
    assert "File too large" in sink["failure"]
