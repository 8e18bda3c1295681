"""Both queues between programs and Python: order, bounds, waiting, stopping, and what is lost."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxlog._crossing import queue as queues
from jaxlog._crossing.queue import PythonQueue, Queue
from jaxlog._format.delivery import header

ROOT = Path(__file__).parents[2]


def native_file() -> Path | None:
    """The queue in C; None where it is not built."""
    found = importlib.util.find_spec("jaxlog._crossing.native_queue")
    return None if found is None or found.origin is None else Path(found.origin)


@pytest.fixture(params=["python", "native"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    if request.param == "python":
        yield PythonQueue()
        return
    origin = native_file()
    if origin is None:
        pytest.skip("the native crossing is not built: there is no compiler")
    # A copy has memory of its own: the queue of this process is left alone.
    copy = tmp_path / origin.name
    shutil.copy(origin, copy)
    spec = importlib.util.spec_from_file_location("native_queue", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.configure(queues.QUEUE_BYTES, queues.PATIENCE)
    yield module  # pyright: ignore[reportReturnType]


def delivery(handle: int, *words: int, lanes: int = 1) -> np.ndarray:
    head = header(handle, 5, 1, (lanes,))
    return np.concatenate([head, np.ones(lanes, np.uint32), np.array(words, np.uint32)])


def take(queue: Queue, most: int = 100) -> list[np.ndarray]:
    """Takes the queued deliveries as arrays, and marks them as done."""
    taken = queue.take(0.0, math.inf, 0.0, most)
    queue.done(len(taken), sum(len(buffer) for buffer, _ in taken))
    return [np.frombuffer(buffer, np.uint32) for buffer, _ in taken]


def test_deliveries_come_in_order_with_their_time(queue: Queue) -> None:
    before = time.time()
    for i in range(5):
        assert not queue.push(delivery(7, i), True)
    taken = queue.take(0.0, math.inf, 0.0, 3)
    assert [np.frombuffer(b, np.uint32).tolist() for b, _ in taken] == [
        delivery(7, i).tolist() for i in range(3)
    ]
    assert all(before <= at <= time.time() for _, at in taken)
    assert not queue.settle(0.0)
    queue.done(3, sum(len(buffer) for buffer, _ in taken))
    assert [words[-1] for words in take(queue)] == [3, 4]
    assert queue.settle(0.0)


def test_a_copy_is_queued_and_may_be_changed(queue: Queue) -> None:
    words = delivery(7, 1)
    queue.push(words, True)
    words[-1] = 2
    (got,) = take(queue)
    assert got[-1] == 1
    got[-1] = 3  # replays clear their bits in place


def test_a_full_queue_waits_and_goes_on(queue: Queue) -> None:
    queue.configure(3 * delivery(7, 0).nbytes, 60.0)
    pushed: list[int] = []

    def produce() -> None:
        for i in range(10):
            queue.push(delivery(7, i), True)
            pushed.append(i)

    thread = threading.Thread(target=produce)
    thread.start()
    got: list[int] = []
    while len(got) < 10:
        assert len(pushed) <= len(got) + 4  # three wait, and one is on its way
        got += [int(words[-1]) for words in take(queue, 1)]
    thread.join()
    assert got == list(range(10))
    assert queue.refused() == {}


def test_what_has_no_room_in_time_is_counted(queue: Queue) -> None:
    queue.configure(2 * delivery(7, 0).nbytes, 0.05)
    for i in range(3):
        queue.push(delivery(7, i), True)
    queue.push(delivery(8, *range(3), lanes=3), True)
    assert [words[-1] for words in take(queue)] == [0, 1]
    assert queue.refused() == {7: 1, 8: 3}
    assert queue.refused() == {}
    queue.push(delivery(7, 9), True)
    assert [words[-1] for words in take(queue)] == [9]


def test_a_delivery_larger_than_the_queue_crosses_by_itself(queue: Queue) -> None:
    queue.configure(64, 60.0)
    large = delivery(7, *range(10_000))
    queue.push(large, True)
    (got,) = take(queue)
    assert got.tolist() == large.tolist()


def test_settle_waits_for_what_is_handled_not_for_what_is_taken(queue: Queue) -> None:
    queue.push(delivery(7, 0), True)
    taken = queue.take(0.0, math.inf, 0.0, 10)
    assert not queue.settle(0.05)
    thread = threading.Timer(0.05, queue.done, (1, len(taken[0][0])))
    thread.start()
    assert queue.settle(60.0)
    thread.join()


def test_a_sleeping_consumer_is_woken(queue: Queue) -> None:
    thread = threading.Timer(0.2, queue.push, (delivery(7, 0), True))
    thread.start()
    assert len(queue.take(60.0, math.inf, 0.0, 10)) == 1
    thread.join()


def test_a_nap_ends_when_the_queue_is_half_full(queue: Queue) -> None:
    queue.configure(4 * delivery(7, 0).nbytes, 60.0)
    began, napping = time.monotonic(), threading.Event()

    def produce() -> None:
        assert napping.wait(60.0)
        time.sleep(0.2)
        for i in range(3):
            queue.push(delivery(7, i), True)

    thread = threading.Thread(target=produce)
    thread.start()
    napping.set()
    assert len(queue.take(0.0, 300.0, 300.0, 10)) >= 2  # the first alone does not end it
    thread.join()
    assert time.monotonic() - began < 150


def test_who_waits_ends_a_nap(queue: Queue) -> None:
    queue.push(delivery(7, 0), True)
    assert len(take(queue)) == 1
    settled: list[bool] = []

    def produce() -> None:
        time.sleep(0.2)
        queue.push(delivery(7, 1), True)
        settled.append(queue.settle(300.0))

    began = time.monotonic()
    thread = threading.Thread(target=produce)
    thread.start()
    (taken,) = queue.take(0.0, 300.0, 300.0, 10)
    queue.done(1, len(taken[0]))
    thread.join()
    assert settled == [True]
    assert time.monotonic() - began < 150


def test_programs_of_one_handle_are_stopped(queue: Queue) -> None:
    queue.stop(7, True)
    queue.stop(8, True)
    queue.stop(8, False)
    assert queue.push(delivery(7, 0), True)
    assert not queue.push(delivery(8, 0), True)
    queue.stop(7, False)
    queue.stop(7, False)
    assert not queue.push(delivery(7, 0), True)
    assert len(take(queue)) == 3  # the record that stops a program is logged, too


def test_a_stop_ends_the_wait_for_room(queue: Queue) -> None:
    queue.configure(1, 60.0)
    queue.push(delivery(7, 0), True)
    stopped: list[bool] = []
    thread = threading.Thread(target=lambda: stopped.append(queue.push(delivery(7, 1), True)))
    thread.start()
    queue.stop(7, True)
    thread.join(60.0)
    assert stopped == [True]
    assert queue.refused() == {}
    assert len(take(queue)) == 2


def test_a_program_that_must_not_stop_waits_for_room(queue: Queue) -> None:
    queue.configure(1, 60.0)
    queue.stop(7, True)
    queue.push(delivery(7, 0), False)
    stopped: list[bool] = []
    thread = threading.Thread(target=lambda: stopped.append(queue.push(delivery(7, 1), False)))
    thread.start()
    assert len(take(queue)) == 1
    thread.join(60.0)
    assert stopped == [False]
    assert queue.refused() == {}
    assert len(take(queue)) == 1


def test_a_retired_queue_drops_all_and_lets_nobody_wait(queue: Queue) -> None:
    queue.configure(1, 60.0)
    queue.push(delivery(7, 0), True)
    queue.retire()
    queue.push(delivery(7, 1), True)
    assert len(take(queue)) == 1


def test_a_reset_queue_is_as_new(queue: Queue) -> None:
    queue.stop(7, True)
    queue.push(delivery(7, 0), True)
    queue.reset()
    assert take(queue) == []
    assert queue.settle(0.0)
    assert not queue.push(delivery(7, 1), True)
    assert [words[-1] for words in take(queue)] == [1]


def test_four_producers_lose_nothing(queue: Queue) -> None:
    each, size = 2000, delivery(0, 0).nbytes
    queue.configure(50 * size, 60.0)
    threads = [
        threading.Thread(target=lambda n=n: [queue.push(delivery(n, i), True) for i in range(each)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    got: dict[int, list[int]] = {n: [] for n in range(4)}
    while sum(map(len, got.values())) < 4 * each:
        for words in take(queue):
            got[int(words[0])].append(int(words[-1]))
    assert all(steps == list(range(each)) for steps in got.values())
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_the_queue_in_c_is_clean(sanitizer: str, tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc")
    program = tmp_path / "stress"
    built = subprocess.run(
        [
            *(compiler, "-O1", "-g", "-std=c11", "-D_GNU_SOURCE", "-pthread"),
            *(f"-fsanitize={sanitizer}", "-I", str(ROOT / "jaxlog/_crossing")),
            *(str(Path(__file__).with_name("stress.c")), "-o", str(program)),
        ],
        capture_output=True,
        text=True,
    )
    if "cannot find" in built.stderr:
        pytest.skip(f"gcc has no sanitizer for {sanitizer}")
    assert built.returncode == 0, built.stderr
    # Where addresses are random beyond what the sanitizer knows, it cannot start.
    ran = subprocess.run(
        ["setarch", "-R", str(program)] if shutil.which("setarch") else [str(program)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (ran.returncode, ran.stdout) == (0, "200000 records\n"), ran.stderr


CROSSING = """
import json
import jax, jax.numpy as jnp
import jaxlog
from jaxlog._crossing import delivery

logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "memory"}]})

def train(start):
    def update(total, step):
        jaxlog.batch_step(logger, step, {"total": total})
        return total + 1.0, None
    return jax.lax.scan(update, start, jnp.arange(100))[0]

with logger.open() as run:
    program = jax.jit(train)
    text = program.lower(0.0).as_text()
    program(0.0)
steps = [event.step for event in run.sink("memory").metrics]
print(json.dumps([delivery.kind(), "jaxlog_record" in text, steps == list(range(100))]))
"""


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("callback", ["callback", False, True]),
        ("native", ["native", True, True]),
    ],
)
def test_the_crossing_can_be_chosen(chosen: str, expected: list[Any]) -> None:
    if chosen == "native" and native_file() is None:
        pytest.skip("the native crossing is not built: there is no compiler")
    ran = subprocess.run(
        [sys.executable, "-c", CROSSING],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAXLOG_CROSSING": chosen},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == expected


def test_the_protocol_is_what_both_queues_have() -> None:
    names = {name for name in vars(Queue) if not name.startswith("_")}
    assert names <= set(vars(PythonQueue))
    native = queues.native_queue()
    assert native is None or names <= set(dir(native))
