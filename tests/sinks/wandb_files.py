"""Reads the files W&B writes offline: a LevelDB log of protobuf records."""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32768


@dataclass
class Run:
    """What one file holds."""

    id: str = ""
    name: str = ""
    group: str = ""
    project: str = ""
    job_type: str = ""
    notes: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    x_axes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    resumes: bool = False  # `wandb sync` adds its rows to those of a run that is there


def records(path: Path) -> Iterator[bytes]:
    """The records of a LevelDB log; its checksums are looked at."""
    data = path.read_bytes()
    if len(data) < 7:
        return
    assert data[:4] == b":W&B", data[:8]
    at, parts = 7, []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, at)
        if not kind:
            return
        chunk = data[at + 7 : at + 7 + length]
        if len(chunk) < length:  # W&B still writes it
            return
        assert crc == zlib.crc32(bytes([kind]) + chunk)
        parts.append(chunk)
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            yield b"".join(parts)
            parts = []


def read(path: Path) -> Run:
    """The run of one `.wandb` file."""
    messages: Any = wandb_internal_pb2  # made at run time: type checkers know none of them
    run = Run()
    for raw in records(path):
        record = messages.Record()
        record.ParseFromString(raw)
        match record.WhichOneof("record_type"):
            case "run":
                new = record.run
                run.id, run.name, run.group = new.run_id, new.display_name, new.run_group
                run.project, run.job_type, run.notes = new.project, new.job_type, new.notes
                run.tags = list(new.tags)
                run.resumes = new.resume
                run.config |= {u.key: json.loads(u.value_json) for u in new.config.update}
            case "config":
                run.config |= {u.key: json.loads(u.value_json) for u in record.config.update}
            case "history":
                # What is no number has several items: `key/_type`, and so on.
                keys = ["/".join([item.key, *item.nested_key]) for item in record.history.item]
                row = zip(
                    keys, (json.loads(i.value_json) for i in record.history.item), strict=True
                )
                run.rows.append({key.strip("/"): value for key, value in row})
            case "metric":
                metric = record.metric
                run.x_axes[metric.name or metric.glob_name] = metric.step_metric
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def read_all(directory: Path) -> list[Run]:
    """The runs below a directory, by their names, when W&B's own process has written them."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        runs = [read(path) for path in directory.rglob("*.wandb")]
        if all(run.exit_code is not None for run in runs):
            return sorted(runs, key=lambda run: run.name)
        time.sleep(0.05)
    raise TimeoutError(f"{directory}: W&B does not finish its files")
