"""Measures the CPU time of the thread that receives records.

Where a program keeps all cores busy, each microsecond of that thread is one that the program waits.
Its CPU time is measured, not the time that passes, and compared with that of a bare loop that takes
the same deliveries from the same queue and makes an array of each.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial

import numpy as np

from benchmarks.crossing import STEPS, by_callback, logged, make_logger, runs, scan
from benchmarks.timing import Program, Row, tell
from jaxlog._crossing import delivery
from jaxlog._crossing.queue import PythonQueue, Queue, queue
from jaxlog._format.delivery import header

METRICS = 30
BURST = 4000


def spent() -> float:
    """The CPU seconds of the thread that receives."""
    thread = delivery._thread
    assert thread is not None
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def record(handle: int, call_number: int, num_words: int) -> np.ndarray:
    """A delivery without lanes."""
    words = np.zeros(1 + num_words, np.uint32)
    words[0] = 1
    return np.concatenate([header(handle, call_number, 1, ()), words])


def bare_loop(words: np.ndarray, one: Queue) -> float:
    """The CPU seconds that a loop takes for each delivery, without jaxlog's part."""
    for _ in range(BURST):
        one.push(words, True)
    start = time.thread_time()
    while taken := one.take(0.0, math.inf, 0.0, 256):
        arrays = [np.frombuffer(buffer, np.uint32) for buffer, _ in taken]
        one.done(len(arrays), sum(array.nbytes for array in arrays))
    return (time.thread_time() - start) / BURST


def of_thread(program: Program, num_records: int) -> float:
    """The CPU seconds that the thread takes for each record of a program."""
    before = spent()
    program()
    delivery.settle()
    return (spent() - before) / num_records


def budgets(turns: int) -> list[Row]:
    """The rows about the thread that receives."""
    logger = make_logger()
    with runs(logger):
        native = scan(partial(logged, logger), METRICS)
        in_python = by_callback(scan(partial(logged, logger), METRICS))
        native()
        (known,) = logger._decoders.values()
        words = record(logger._handle, known.schema.call_number, known.schema.num_words)

        def burst() -> None:
            for _ in range(BURST):
                queue().push(words, True)

        apart = PythonQueue()  # nobody else takes from it
        bare, at_once, steadily, steadily_in_python = (
            min(found)
            for found in zip(
                *(
                    (
                        bare_loop(words, apart),
                        of_thread(burst, BURST),
                        of_thread(native, STEPS),
                        of_thread(in_python, STEPS),
                    )
                    for _ in range(turns)
                ),
                strict=True,
            )
        )
        idle = spent()
        time.sleep(3.0)
        idle = (spent() - idle) / 3.0
    what, against = "CPU of the receiving thread for a record", "a bare loop over the same buffers"
    return [
        Row(f"{what}, {BURST} at once", against, at_once / bare, "x", 6.0),
        Row(f"{what}, one a step", against, steadily / bare, "x", 20.0),
        Row(f"{what}, one a step, in Python", against, steadily_in_python / bare, "x", 20.0),
        Row("CPU of the receiving thread while idle", "a second", 1000 * idle, "ms", 1.0),
    ]


def main(turns: int = 25) -> list[Row]:
    """Measures, and reports the figures."""
    rows = budgets(turns)
    tell("receiving", rows, turns=turns, steps=STEPS, burst=BURST, metrics=METRICS)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=25)
    main(parser.parse_args().turns)
