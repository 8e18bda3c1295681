"""An S3 server on this machine."""

from __future__ import annotations

import contextlib
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Iterator

import fsspec
import pytest

from tests.store.conftest import own_copies as own_copies
from tests_buckets.s3_server import S3Server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server; it is up, and quick."""
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 server with the bucket `bucket`."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with contextlib.suppress(FileExistsError):
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    return s3_server
