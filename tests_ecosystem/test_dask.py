"""Dask's executor reads runs in two workers, with the result of this process."""

from __future__ import annotations

from pathlib import Path

from dask.distributed import Client, LocalCluster

import jaxlog


def test_two_workers_read_the_same(tmp_path: Path) -> None:
    for number in range(40):
        kind = ("jsonl", "arrow")[number % 2]
        logger = jaxlog.Logger({"sinks": [{"kind": kind}]})
        with logger.open(tmp_path / f"run-{number}", config={"number": number}) as run:
            run.log({"loss": 1.0 / (number + 1)}, step=number)
    here = jaxlog.read_runs(tmp_path)
    cluster = LocalCluster(2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    with cluster, Client(cluster) as client, client.get_executor() as executor:
        there = jaxlog.read_runs(tmp_path, executor=executor)
        assert there.metrics.equals(here.metrics)
        assert [run.info for run in there] == [run.info for run in here]
        assert len(client.run(lambda: None)) == 2
