"""Addresses of stores, and the errors for those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

import jaxlog
from jaxlog._store.address import parsed
from tests.store.conftest import logger


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("gs://bucket/runs/x", "gs://bucket/runs/x"),
        ("S3://bucket//runs/x/", "s3://bucket/runs/x"),
        ("s3:/bucket/x", "s3://bucket/x"),  # a Path has one slash
        ("file:/tmp/x", "file:///tmp/x"),
        ("az://container@account.example/x", "az://container@account.example/x"),
    ],
)
def test_an_address_is_known_in_each_form(text: str, same: str) -> None:
    assert str(parsed(text, "directory")) == same


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://example.org/run", "of a store that can be written"),
        ("simplecache::s3://bucket/run", "of a store that can be written"),
        ("sftp://me:hunter2@host/run", "with credentials in it"),
        ("s3://bucket/run?X-Amz-Signature=hunter2", "with credentials in it"),
        ("s3://", "the address of a directory in a store"),
        ("s3://bucket/../run", "the address of a directory in a store"),
    ],
)
def test_an_address_that_is_no_place_for_a_run_is_refused(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (logger().open, jaxlog.read_run, jaxlog.read_runs):
        with pytest.raises(ValueError, match=told) as raised:
            use(text)
        assert "hunter2" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gs://bucket/run", "pip install gcsfs"),
        ("nosuch://bucket/run", "no file system 'nosuch'"),
    ],
)
def test_a_store_without_its_package_says_what_to_install(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (logger().open, jaxlog.read_run):
        with pytest.raises(OSError, match=told):
            use(text)
    assert list(tmp_path.iterdir()) == []


def test_without_fsspec_an_address_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(OSError, match=r"jaxlog\[cloud\]"):
        logger().open("s3://bucket/run")


def test_an_address_without_a_run_says_so(bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match="memory://bucket/nothing: has no run"):
        jaxlog.read_run(f"{bucket}/nothing")
