"""Runs that are mirrored into a store while they train, and taken up on another machine."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import jaxlog
from jaxlog._cli.main import main
from jaxlog._store import sessions
from jaxlog._store.mirror import RunMirror
from jaxlog._store.objects import ObjectStore, StoreError
from jaxlog._store.sessions import HeldSession, newest, read_session
from jaxlog._store.snapshot import snapshot
from jaxlog._store.uploads import Uploads
from tests.store.conftest import logger, store_of


def losses(address: str) -> list[float]:
    return jaxlog.read_run(address).metrics_of("eval")["loss"].to_list()


def until(true: Callable[[], Any]) -> None:
    while not true():
        time.sleep(0.01)


def log(run: jaxlog.Run, *steps: int) -> None:
    for step in steps:
        run.log({"loss": 1.0 * step}, step=step)


def test_a_run_at_an_address_is_read_from_there(bucket: str) -> None:
    address = f"{bucket}/runs/first"
    with logger().open(address, config={"lr": 0.1}) as run:
        assert run.address == address
        assert run.directory is not None
        assert run.directory.name == run.info.name == "first"
        log(run, 0, 1, 2)
    found = jaxlog.read_run(address)
    assert (found.status, found.info["config"], found.info["store"]) == (
        "finished",
        {"lr": 0.1},
        address,
    )
    assert losses(address) == [0.0, 1.0, 2.0]
    assert found.path != run.directory
    assert (found.path / "run.json").read_bytes() == (run.directory / "run.json").read_bytes()
    assert address in repr(found)


def test_what_is_logged_is_in_the_store_while_the_run_is_live(bucket: str) -> None:
    address = f"{bucket}/live"
    with logger().open(address) as run:
        for step in range(5):
            log(run, step)
            run.flush()
            until(lambda step=step: _has_run(address) and losses(address)[-1:] == [1.0 * step])
        assert jaxlog.read_run(address).status == "running"


def _has_run(address: str) -> bool:
    try:
        return bool(jaxlog.read_run(address).calls)
    except FileNotFoundError:
        return False


def test_a_run_goes_on_from_a_state_on_another_machine(bucket: str) -> None:
    address = f"{bucket}/preempted"
    with logger().open(address) as run:
        log(run, 0, 1)
        state = run.state()
        log(run, 2, 3)
    assert run.directory is not None
    shutil.rmtree(run.directory)
    with logger().open(address, if_exists="resume", state=state) as resumed:
        assert resumed.info.session == 1
        log(resumed, 2, 30, 4)
    assert losses(address) == [0.0, 1.0, 2.0, 30.0, 4.0]
    assert jaxlog.read_run(address).info["sessions"][0]["status"] == "finished"
    with logger().open(address, if_exists="resume") as resumed:
        log(resumed, 5)
    assert losses(address) == [0.0, 1.0, 2.0, 30.0, 4.0, 5.0]
    files = read_session(store_of(address), 3).files
    used = {part.name for one in files.values() for part in one.parts}
    assert used == set(store_of(address).find("data"))  # nothing else is left


def test_a_state_is_in_the_store_when_it_is_returned(bucket: str) -> None:
    address = f"{bucket}/marked"
    with logger(mirror_seconds=3600).open(address) as run:
        for step in range(3):
            log(run, step)
            state = run.state()
            store = store_of(address)
            files = read_session(store, newest(store.entries())[0]).files
            marks = b"".join(store.get(part.name) for part in files["marks.jsonl"].parts)
            assert json.loads(marks.splitlines()[-1])["mark"] == int(state["mark"]) == step + 1


@pytest.mark.parametrize("if_exists", ["error", "replace", "next"])
def test_an_address_that_has_a_run_is_treated_like_a_directory(bucket: str, if_exists: Any) -> None:
    address = f"{bucket}/runs/x"
    with logger().open(address) as run:
        log(run, 0)
    if if_exists == "error":
        with pytest.raises(FileExistsError, match=r"memory://bucket/runs/x: holds a run already"):
            logger().open(address)
        assert losses(address) == [0.0]
        return
    with logger().open(address, if_exists=if_exists) as run:
        log(run, 7)
    other = {"replace": address, "next": f"{address}-2"}[if_exists]
    assert run.address == other
    assert losses(other) == [7.0]
    assert len(store_of(other).find("data")) == 1
    assert losses(address) == ([7.0] if if_exists == "replace" else [0.0])


def test_a_run_that_does_not_open_leaves_the_store_as_it_was(bucket: str) -> None:
    with logger().open(f"{bucket}/x") as run:
        log(run, 0)
    wrong = {"run": np.array(5, np.uint32), "mark": np.array(9, np.int32)}
    with pytest.raises(ValueError, match="got the state of run 00000005"):
        logger().open(f"{bucket}/x", if_exists="resume", state=wrong)
    assert losses(f"{bucket}/x") == [0.0]
    with logger().open(f"{bucket}/x", if_exists="resume") as run:  # nobody holds it
        log(run, 1)
    assert losses(f"{bucket}/x") == [0.0, 1.0]


def test_of_two_machines_the_second_is_refused_while_the_first_lives(
    bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"{bucket}/shared"
    with logger().open(address) as run:
        log(run, 0)
        with pytest.raises(FileExistsError, match="has a run that is open, of process"):
            logger().open(address, if_exists="resume")
        log(run, 1)
    assert losses(address) == [0.0, 1.0]


def test_a_machine_that_was_taken_for_dead_writes_nothing_any_more(
    bucket: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{bucket}/taken"
    monkeypatch.setattr(sessions, "_LEAST_SECONDS", 0.5)
    sleeping, awake = threading.Event(), threading.Event()
    sync = RunMirror._sync

    def slow_sync(self: RunMirror, *, final: bool) -> None:
        if self.session.number == 1 and self._published:
            sleeping.set()
            awake.wait()
        sync(self, final=final)

    monkeypatch.setattr(RunMirror, "_sync", slow_sync)
    first = logger().open(address)
    log(first, 0)
    sleeping.wait()
    with logger().open(address, if_exists="resume") as second:  # it waits for half a second
        log(second, 10)
        awake.set()
        first.close()
        log(second, 11)
    assert losses(address) == [10.0, 11.0]
    assert f"is no longer mirrored: {address}: was taken up by process" in caplog.text


class Broken(ObjectStore):
    """A store that can be away."""

    away = False

    def put(self, name: str, data: bytes) -> None:
        if Broken.away:
            raise StoreError(f"{self.address}: could not be written: away")
        super().put(name, data)


def test_the_training_goes_on_while_the_store_is_away(
    bucket: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._store.opening.ObjectStore", Broken)
    address = f"{bucket}/away"
    with logger().open(address) as run:
        log(run, 0)
        run.state()
        monkeypatch.setattr(Broken, "away", True)
        log(run, 1)
        until(lambda: "is not mirrored at present" in caplog.text)
        state = run.state()  # it does not wait
        log(run, 2)
        monkeypatch.setattr(Broken, "away", False)
    assert "the store is back" in caplog.text
    assert losses(address) == [0.0, 1.0, 2.0]
    with logger().open(address, if_exists="resume", state=state) as run:
        log(run, 3)
    assert losses(address) == [0.0, 1.0, 3.0]


def test_what_is_not_uploaded_at_the_end_is_said_and_can_be_uploaded(
    bucket: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("jaxlog._store.opening.ObjectStore", Broken)
    monkeypatch.setattr("jaxlog._store.mirror.AT_END", 1.0)
    address = f"{bucket}/late"
    with logger().open(address) as run:
        log(run, 0)
        run.state()
        monkeypatch.setattr(Broken, "away", True)
        log(run, 1)
    said = f"To upload them when the store is back: jaxlog upload {run.directory} {address}"
    assert said in caplog.text
    assert losses(address) == [0.0]
    monkeypatch.setattr(Broken, "away", False)
    assert main(said.partition("back: jaxlog ")[2].split()) == 0
    assert "files" in capsys.readouterr().out
    assert losses(address) == [0.0, 1.0]
    assert jaxlog.read_run(address).status == "finished"
    with logger().open(f"{bucket}/other") as other:
        log(other, 0)
    assert main(["upload", str(run.directory), f"{bucket}/other"]) == 2
    assert "has another run" in capsys.readouterr().err


def test_no_key_of_a_store_is_written(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fsspec.config import conf

    secret = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY"
    monkeypatch.setitem(conf, "memory", {"secret": secret})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    address = f"{bucket}/secret"
    with logger(what_ran=["command", "code", "packages", "environment"]).open(address) as run:
        log(run, 0)
    store = store_of(address)
    written = b"".join(store.get(name) for name in store.find(""))
    assert b"loss" in written
    assert run.directory is not None
    here = b"".join(p.read_bytes() for p in run.directory.rglob("*") if p.is_file())
    assert secret.encode() not in written + here + caplog.text.encode()


def test_a_run_whose_directory_is_deleted_keeps_what_the_store_has(
    bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    with logger().open(f"{bucket}/gone") as run:
        log(run, 0)
        run.state()
        assert run.directory is not None
        shutil.rmtree(run.directory)
        said = "was deleted while it is open. memory://bucket/gone keeps"
        until(lambda: said in caplog.text)
    assert losses(f"{bucket}/gone") == [0.0]


def test_a_directory_that_is_being_deleted_drops_no_file(bucket: str, tmp_path: Path) -> None:
    uploads = uploads_of(store_of(bucket), tmp_path)
    for name in ("run.json", "a.jsonl"):
        (tmp_path / name).write_text("{}\n")
    uploads.update(snapshot(tmp_path))
    (tmp_path / "a.jsonl").unlink()
    uploads.update(snapshot(tmp_path))
    assert set(uploads.files) == {"run.json", "a.jsonl"}
    uploads.update(snapshot(tmp_path))
    assert set(uploads.files) == {"run.json"}


def test_objects_that_were_deleted_are_uploaded_again_at_the_end(bucket: str) -> None:
    address = f"{bucket}/deleted"
    with logger().open(address) as run:
        log(run, 0)
        run.state()
        fsspec.filesystem("memory").rm("/bucket/deleted", recursive=True)
        log(run, 1)
    assert losses(address) == [0.0, 1.0]
    logger().open(address, if_exists="resume").close()


def uploads_of(store: ObjectStore, directory: Path) -> Uploads:
    return Uploads(store, directory, 1, "token", {}, lambda: None)


def test_the_traffic_of_a_file_that_grows_is_not_quadratic(bucket: str, tmp_path: Path) -> None:
    store = store_of(f"{bucket}/grows")
    uploads = uploads_of(store, tmp_path)
    path = tmp_path / "batch_metrics.jsonl"
    line = b'{"step":1,"loss":0.25}\n'
    for _ in range(600):
        with path.open("ab") as file:
            file.write(line)
        uploads.update(snapshot(tmp_path))
    stored = uploads.files[path.name]
    assert b"".join(store.get(part.name) for part in stored.parts) == path.read_bytes()
    assert len(stored.parts) <= 8 * 4
    assert uploads.num_bytes <= 5 * path.stat().st_size
    current = {part.name for part in stored.parts}
    assert set(store.find("data")) == current | uploads.obsolete.keys()


def test_a_line_that_is_being_written_is_not_uploaded(bucket: str, tmp_path: Path) -> None:
    store = store_of(f"{bucket}/half")
    uploads = uploads_of(store, tmp_path)
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(b'{"step":1}\n{"st')
    uploads.update(snapshot(tmp_path))
    assert uploads.files[path.name].size == len(b'{"step":1}\n')
    path.write_bytes(b'{"step":1}\n{"step":2}\n')
    uploads.update(snapshot(tmp_path))
    assert uploads.files[path.name].size == path.stat().st_size


def test_a_file_that_was_cut_or_replaced_gets_another_stream(bucket: str, tmp_path: Path) -> None:
    store = store_of(f"{bucket}/cut")
    uploads = uploads_of(store, tmp_path)
    path = tmp_path / "episodes.jsonl"
    streams = []
    for text in (b"a\n", b"a\nb\n", b"a\nc\nd\n", b"x\n"):
        path.write_bytes(text)
        uploads.update(snapshot(tmp_path))
        stored = uploads.files[path.name]
        assert b"".join(store.get(part.name) for part in stored.parts) == text
        streams.append(stored.stream)
    assert streams[0] == streams[1]
    assert len(set(streams)) == 3


def test_a_session_is_taken_once(bucket: str) -> None:
    store = store_of(f"{bucket}/once")
    held = [HeldSession(store, 1, 5.0, {}) for _ in range(8)]
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: taken.append(one.take())) for one in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(True) == 1


def test_what_is_no_session_is_refused(bucket: str) -> None:
    store = store_of(f"{bucket}/bad")
    for name in ("../up", "/etc/passwd", "a/../../b", ""):
        facts = json.loads(HeldSession(store, 1, 5.0, {})._data(ended=True))
        facts["files"] = {name: {"stream": "s", "text": "x"}}
        store.put("session-0001.json", json.dumps(facts).encode())
        with pytest.raises(OSError, match="is not the object of a session"):
            jaxlog.read_run(f"{bucket}/bad")
    store.put("session-0001.json", b'{"format": 99}')
    with pytest.raises(OSError, match="has format 99"):
        jaxlog.read_run(f"{bucket}/bad")
