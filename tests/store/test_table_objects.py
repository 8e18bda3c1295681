"""The table of a run with many files is in objects that are written once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jaxlog
from jaxlog._store import mirror, table_objects
from jaxlog._store.mirror import RunMirror
from jaxlog._store.objects import ObjectStore, StoreError
from jaxlog._store.sessions import HeldSession, read_session
from tests.store.conftest import logger, store_of


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects after a few changes."""
    monkeypatch.setattr(table_objects, "LEAST", 4)
    monkeypatch.setattr(table_objects, "MOST", 3)
    monkeypatch.setattr(mirror, "KEPT", 0.0)


def format_of(store: ObjectStore, number: int) -> int:
    return json.loads(store.get(f"session-{number:04d}.json"))["format"]


def test_the_traffic_of_the_table_of_many_files_is_not_quadratic(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {"session": 0, "table": 0}
    put, is_away = ObjectStore.put, False

    def counting(self: ObjectStore, name: str, data: bytes) -> None:
        kind = next((kind for kind in written if kind in name), "")
        if kind == "session" and is_away:
            raise StoreError("away")
        if kind:
            written[kind] += len(data)
        put(self, name, data)

    monkeypatch.setattr(ObjectStore, "put", counting)
    store, directory = store_of(f"{bucket}/many"), tmp_path / "many"
    directory.mkdir()
    (directory / "run.json").write_text("{}")
    session = HeldSession(store, 1, 30.0, {})
    session.take()
    mirrored = RunMirror(session, directory, 10.0)
    objects = table_objects.NONE
    for number in range(200):
        (directory / f"{number}.png").write_bytes(b"x")
        if number == 150:
            for old in range(100, 120):
                (directory / f"{old}.png").unlink()
        is_away = number % 50 == 20
        if is_away:
            with pytest.raises(OSError, match="away"):
                mirrored._sync(final=False)
            continue
        mirrored._sync(final=False)
        found = read_session(store, 1, read=objects)
        objects = found.objects
        assert found.files == mirrored._uploads.files
        assert read_session(store, 1).files == found.files
    found = read_session(store, 1)
    assert format_of(store, 1) == 2
    assert len(objects.parts) <= 3
    used = {part.name for one in found.files.values() for part in one.parts}
    assert set(store.find("data")) == used | {part.name for part in objects.parts}
    assert sum(written.values()) < 1_000_000  # 160 bytes of each file, 200 times, are 3 million
    mirrored._sync(final=True)
    assert format_of(store, 1) == 1  # one object has all, and any jaxlog reads it
    assert len(read_session(store, 1).files) == 181
    assert set(store.find("data")) == used


def test_a_run_with_many_files_goes_on_on_another_machine(bucket: str) -> None:
    address, other = f"{bucket}/many", f"{bucket}/lost"
    store, lost = store_of(address), store_of(other)
    with logger(mirror_seconds=3600).open(address) as run:
        assert run.directory is not None
        for number in range(10):
            (run.directory / f"{number}.txt").write_text(str(number))
            run.log({"loss": float(number)}, step=number)
            run.state()
        state = run.state()
        for name in store.find(""):
            lost.put(name, store.get(name))
    facts = json.loads(lost.get("session-0001.json"))
    assert facts["objects"]
    lost.put("session-0001.json", json.dumps(facts | {"ended": True}).encode())
    assert jaxlog.read_run(other).metrics["loss"].to_list() == [*map(float, range(10))]
    with logger(mirror_seconds=3600).open(other, if_exists="resume", state=state) as run:
        assert run.directory is not None
        assert sorted(path.name for path in run.directory.glob("*.txt")) == [
            f"{number}.txt" for number in range(10)
        ]
        run.log({"loss": 10.0}, step=10)
        run.state()
        assert jaxlog.read_run(other).metrics["loss"].to_list() == [*map(float, range(11))]
    found = read_session(lost, 2)
    assert {f"{number}.txt" for number in range(10)} <= found.files.keys()
    assert set(lost.find("data")) == {p.name for one in found.files.values() for p in one.parts}
    with logger().open(other, if_exists="replace"):
        pass
    assert "0.txt" not in read_session(lost, 3).files


def test_an_object_of_the_table_that_is_missing_or_wrong_is_noticed(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(f"{bucket}/missing")
    (tmp_path / "run.json").write_text("{}")
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("x")
    session = HeldSession(store, 1, 30.0, {})
    session.take()
    RunMirror(session, tmp_path, 10.0)._sync(final=False)
    (part,) = session.objects.parts
    data = store.get(part.name)
    get, missing = ObjectStore.get, ["once"]

    def get_later(self: ObjectStore, name: str, *args: int | None) -> bytes:
        if name == part.name and missing:
            missing.pop()
            raise FileNotFoundError(name)
        return get(self, name, *args)

    monkeypatch.setattr(ObjectStore, "get", get_later)
    assert len(read_session(store, 1).files) == 10  # the session was replaced in between
    store.put(part.name, data.replace(b"txt", b"../"))
    with pytest.raises(OSError, match="has other bytes than were uploaded"):
        read_session(store, 1)
    store.delete([part.name])
    with pytest.raises(OSError, match="an object of the list of files is missing"):
        read_session(store, 1)
