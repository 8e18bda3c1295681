"""One run of several processes: what they tell each other, whatever the order of their words."""

from __future__ import annotations

import threading

import pytest

from jaxlog._host import shared_run
from jaxlog._host.shared_run import SharedRun


class Texts:
    """The texts that processes share, in one process; `lost` makes the next ones fail."""

    def __init__(self, texts: dict[str, str], index: int, count: int) -> None:
        self.texts, self.index, self.count = texts, index, count
        self.lost = 0
        self.has_beat = threading.Event()

    def put(self, key: str, text: str) -> None:
        if self.lost:
            self.lost -= 1
            raise RuntimeError("UNAVAILABLE")
        self.texts[key] = text
        if "/alive/" in key:
            self.has_beat.set()

    def wait(self, key: str, seconds: float) -> str:
        if key not in self.texts:
            raise TimeoutError(key)
        return self.texts[key]

    def below(self, prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(f"{prefix}/"): text
            for key, text in self.texts.items()
            if key.startswith(f"{prefix}/")
        }

    def preempted(self) -> bool:
        return False


def processes(count: int) -> list[SharedRun]:
    texts: dict[str, str] = {}
    return [SharedRun(Texts(texts, index, count), "run") for index in range(count)]


def test_two_processes_that_fail_together_are_both_named() -> None:
    texts: dict[str, str] = {}
    stores = [Texts({}, 1, 3), Texts({}, 2, 3)]
    others = [SharedRun(store, "run") for store in stores]
    for store, one in zip(stores, others, strict=True):
        one.ended("failed", ValueError("a bad batch"))  # none has heard of the other yet
        texts |= store.texts
    for store in stores:
        store.texts = texts
    for one in others:  # a process says it again when its run is closed
        one.ended("failed", ValueError("a bad batch"))
    first = SharedRun(Texts(texts, 0, 3), "run")
    first.ended("finished", None)
    words = first.last_words(None)
    assert words is not None
    assert words.count("ValueError: a bad batch") == 2


def test_a_process_that_fails_after_another_is_a_consequence() -> None:
    first, one, other = processes(3)
    one.ended("failed", ValueError("a bad batch"))
    other.ended("failed", RuntimeError("connection closed"))
    one.ended("failed", ValueError("a bad batch"))
    assert [ended.process for ended in first.failed(first.processes())] == [1]


def test_a_beat_that_is_lost_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_run, "BEAT", 0.001)
    store = Texts({}, 1, 2)
    store.lost = 3  # the word of the process itself, and two beats
    run = SharedRun(store, "run")
    run.join()
    assert store.has_beat.wait(30)
    run.ended("finished", None)


def test_a_run_that_cannot_be_opened_leaves_no_thread() -> None:
    first, other = processes(2)
    with pytest.raises(FileExistsError, match="taken"), first.opening():
        raise FileExistsError("taken")
    other.join()
    with pytest.raises(FileExistsError, match="process 0: taken"), other.opening():
        other.of_the_first("open")
    for thread in threading.enumerate():
        if thread.name == "jaxlog-alive":
            thread.join(30)
            assert not thread.is_alive()


def test_an_error_that_takes_more_than_a_text_comes_as_a_text() -> None:
    first, other = processes(2)
    with pytest.raises(UnicodeDecodeError):
        first.same("value", lambda: b"\xff".decode())
    with pytest.raises(RuntimeError, match="process 0: 'utf-8' codec can't decode"):
        other.same("value", lambda: None)
