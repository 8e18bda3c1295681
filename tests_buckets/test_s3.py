"""A run in a bucket of a real S3 server, which goes away and comes back while the run is open."""

from __future__ import annotations

import time

import pytest

import jaxlog
from tests.store.conftest import logger, store_of
from tests_buckets.s3_server import S3Server


def test_a_run_outlives_an_s3_server_that_is_slow_and_goes_down(
    s3: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    address = "s3://bucket/runs/first"
    with logger().open(address) as run:
        run.log({"loss": 0.0}, step=0)
        s3.do("slow 0.2")
        run.log({"loss": 1.0}, step=1)
        state = run.state()
        run.log({"loss": 9.0}, step=2)
        s3.do("slow 0")
        s3.do("down")
        run.log({"loss": 8.0}, step=3)
        while "is not mirrored at present" not in caplog.text:
            time.sleep(0.05)
        s3.do("up")
        s3.do("deny on")
        time.sleep(0.5)
        s3.do("deny off")
    assert "the store is back" in caplog.text
    found = jaxlog.read_run(address)
    assert found.metrics_of("eval")["loss"].to_list() == [0.0, 1.0, 9.0, 8.0]
    with logger().open(address, if_exists="resume", state=state) as run:
        run.log({"loss": 2.0}, step=2)
        with pytest.raises(FileExistsError, match="has a run that is open"):
            logger().open(address, if_exists="resume")
    assert jaxlog.read_runs("s3://bucket/runs").names == ("first",)
    found = jaxlog.read_run(address)
    assert found.metrics_of("eval")["loss"].to_list() == [0.0, 1.0, 2.0]
    names = store_of(address).find("")
    assert not [name for name in names if name.startswith("clock")]


def test_an_s3_store_that_cannot_be_used_says_why(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="there is no bucket nosuch; create it"):
        logger().open("s3://nosuch/run")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(OSError, match="there are no credentials"):
        logger().open("s3://bucket/run")
