"""The commands describe arrays that were logged whole."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.cli.conftest import Command


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two lanes, whose calls log arrays beside their metrics, and without any."""
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "jsonl"}]}, total_updates=8)

    def lane(seed: jax.Array) -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            table = step * jnp.arange(4).reshape(2, 2) + seed
            arrays = {"table": table, "visited": table > 2}
            jaxlog.log(logger, step, {"loss": 0.5}, arrays=arrays, labels={"seed": seed})
            return None, None

        jax.lax.scan(update, None, jnp.arange(8))

    with logger.open(tmp_path / "run") as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(2)))
        run.flush()
        run.log(step=7, arrays={"\x1b[31mmap": np.array([[0.5, np.nan, np.inf]])})
    return tmp_path / "run"


def test_tail_says_the_shape_and_the_range(run: Path, command: Command) -> None:
    code, out, err = command("tail", run, "-n", 4)
    assert (code, err.count("\n")) == (0, 1)
    assert out.splitlines() == [
        "train · step 7 · 8/8 updates done  loss 0.5",
        "train · step 7 · 8/8 updates done  table [2, 2] 0 … 22  visited [2, 2] 6 of 8 true",
        "eval · step 7 · 8/8 updates done",
        "eval · step 7 · 8/8 updates done  �[31mmap [1, 3] 0.5 (2 not finite)",
    ]
    code, out, _ = command("tail", run, "-n", 1, "--json")
    assert code == 0
    assert '"arrays":{"\\u001b[31mmap":[[0.5,null,null]]}' in out


def test_show_has_a_row_for_each_array(run: Path, command: Command) -> None:
    code, out, err = command("show", run)
    assert (code, err) == (0, "")
    assert "17 in arrays.jsonl" in out  # eight steps of two lanes, and one of plain Python
    rows = [line.split() for line in out.splitlines()]
    assert [words for words in rows if words[:1] == ["table"]] == [
        ["table", "[2,", "2]", "0", "…", "22"]
    ]
    assert [words for words in rows if words[:1] == ["visited"]] == [
        ["visited", "[2,", "2]", "6", "of", "8", "true"]
    ]
    assert "�[31mm…" in {word for words in rows for word in words}


def test_export_writes_them_as_a_table(run: Path, command: Command) -> None:
    code, _, err = command("export", run, "--to", "csv")
    assert (code, err) == (0, "")
    first, second, *_ = (run / "export" / "arrays.csv").read_text().splitlines()
    assert first == "timestamp,step,name,lane,seed,table,visited,\x1b[31mmap"
    assert second.split(",", 1)[1] == '0,train,0,0,"[[0,0],[0,0]]","[[false,false],[false,false]]",'
