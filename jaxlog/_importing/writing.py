"""Writes a run of another tracker as a run of jaxlog: beside its place, and then into it, whole."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxlog._errors import ImportingError
from jaxlog._format.events import Account, MetricsEvent, RunInfo
from jaxlog._format.imported import IMPORTED
from jaxlog._format.media_lines import FOLDER as IMAGES
from jaxlog._format.named_files import line_files
from jaxlog._format.run_file import FORMAT
from jaxlog._host.annotations import annotate, annotations_of
from jaxlog._host.directory import RUN_FILE, Directory
from jaxlog._host.facts import facts, iso
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.logged import Logged
from jaxlog._host.losses import account_facts
from jaxlog._host.plain import plain_dict
from jaxlog._host.progress import LANE_LABELS
from jaxlog._host.redaction import redacted, without_secrets
from jaxlog._host.status import facts_of
from jaxlog._importing.earlier import EarlierRuns, key_of
from jaxlog._importing.source import ImportOptions, SourceRun, in_words
from jaxlog._limits import as_utf8
from jaxlog.sinks.jsonl import JsonlSettings, JsonlSink

DRAFTS = ".importing"
"""The folder in which runs are written before they have their place; readers do not look into it,
since it is no run itself."""
VERSION = 3
"""Increases when equal files lead to other lines, so that they are imported again."""
CHUNK = 1000
"""The number of events after which lines are written."""
ALL = 2**62
"""The number of images that are kept."""


@dataclass(frozen=True)
class Written:
    """A run that was written.

    Attributes:
      path: its directory.
      state: `new`, `replaced`, or `same` if the source has not changed since.
      lines: the number of its lines with metrics.
    """

    path: Path
    state: str
    lines: int


def write(source: SourceRun, to: Path, options: ImportOptions, earlier: EarlierRuns) -> Written:
    """Writes a run below a directory, unless it is there already as it is now.

    The run is written into a folder beside its place first. If it was brought in before, its files
    are replaced one by one, run.json last; what is beside them stays: notes, tags, and how far the
    run was sent to trackers.

    Args:
      source: the run.
      to: the directory.
      options: the choices for an import.
      earlier: the runs in the directory that were imported before, to which the run is added.

    Raises:
      ImportingError: the source has nothing to bring in.
      OSError: the directory cannot be written, or another process imports the same run.
    """
    digest = _digest(source, options)
    place, is_there = earlier.find(source.key), True
    if place is None:
        place, is_there = _place(to, source)
    known = facts_of(place) if is_there else {}
    if is_there and known[IMPORTED].get("digest") == digest:
        return Written(place, "same", int(known.get("arrived") or 0))
    run_id = str(known.get("id") or hashlib.sha256(source.key.encode()).hexdigest()[:8])
    state = "replaced" if is_there else "new"
    draft = _draft(to / DRAFTS / place.name)
    has_moved = False
    try:
        _empty(draft.path)
        lines = _write_draft(draft, source, run_id, place, digest)
        if state == "new":
            draft.path.rename(place)
            has_moved = True
        else:
            _replace(draft.path, place)
        if source.note and not annotations_of(place, run_id).note:
            annotate(place, run_id, lambda old: old.with_note(as_utf8(source.note)))
        earlier.add(source.key, place)
        return Written(place, state, lines)
    finally:
        if not has_moved:  # else what has its name is another import's
            with contextlib.suppress(OSError):
                _empty(draft.path)
        draft.leave()
        for folder in (draft.path, to / DRAFTS):
            with contextlib.suppress(OSError):  # not there, or another import uses it
                folder.rmdir()


def _digest(source: SourceRun, options: ImportOptions) -> str:
    """A digest of the files and of the choices: equal digests lead to equal lines."""
    own = VERSION, source.kind, options, source.digest
    return hashlib.sha256(repr(own).encode()).hexdigest()[:16]


def _place(to: Path, source: SourceRun) -> tuple[Path, bool]:
    """The directory of a new run, named as the run is; and True if the run is there already.

    That is so if another process has imported it meanwhile.
    """
    name = re.sub(r"[^\w.+=,@ -]+", "-", source.name).strip(" .-")[:100] or source.kind
    for number in itertools.count(1):
        place = to / (name if number == 1 else f"{name}-{number}")
        if not os.path.lexists(place):
            return place, False
        if key_of(place) == source.key:
            return place, True
    raise AssertionError


def _draft(path: Path) -> Directory:
    """The directory in which a run is written.

    Raises:
      FileExistsError: another process imports the same run.
    """
    draft = Directory(path, "replace")
    if not draft.is_mine:
        raise FileExistsError(
            f"{path}: another process imports this run, or was killed as it did; this file system "
            "has no locks to tell which. If no import runs, remove this folder"
        )
    return draft


def _empty(folder: Path) -> None:
    """Removes what an import that was killed has left."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _write_draft(draft: Directory, source: SourceRun, run_id: str, place: Path, digest: str) -> int:
    """Writes all files of a run; returns the number of its lines with metrics."""
    config, _ = without_secrets("config", _config(source))
    tags, _ = without_secrets("tags", [as_utf8(tag) for tag in source.tags])
    info = RunInfo(
        as_utf8(source.name),
        place,
        config=config,
        tags=tuple(tags),
        id=run_id,
        if_exists="replace",
        sink_kinds=("jsonl",),
    )
    settings = JsonlSettings(keep_images=ALL)
    sink = JsonlSink(settings)
    sink.open(replace(info, directory=draft.path))
    logged, lanes, seen = Logged({}), LaneTable(source.name), _Seen()
    try:
        for number, event in enumerate(source.events(), 1):
            event = lanes.of_event(event, [])
            logged.add(event)
            sink.write_metrics(event)
            seen.add(event)
            if number % CHUNK == 0:
                sink.flush()
    finally:
        sink.close()
    if not seen.records:
        raise ImportingError(
            f"{source.files[0]}: has nothing that can be brought in"
            + (f" ({in_words(source.left_out)})" if source.left_out else "")
        )
    known = facts(info, {"sinks": [settings.model_dump(mode="json")]}, ["sinks"], [])
    known |= {"format": FORMAT, "host": source.host, "git": source.git, "versions": {}}
    draft.save(
        known
        | logged.facts()
        | _outcome(source, seen)
        | ({LANE_LABELS: found} if (found := lanes.facts()) else {})
        | {IMPORTED: _imported(source, digest)}
    )
    return seen.records


def _config(source: SourceRun) -> dict[str, Any]:
    """The config without the values that no file can hold, which are counted."""
    found: dict[str, Any] = {}
    for name, value in source.config.items():
        try:
            found |= plain_dict("config", {name: value})
        except ValueError:
            source.left_out["values of the config that no file can hold"] += 1
    return found


class _Seen:
    """The facts of a run that its events give."""

    def __init__(self) -> None:
        self.records = 0
        self.steps: dict[str, int] = {}
        self.lane_counts: set[int] = set()
        self.first = float("inf")
        self.last = 0.0

    def add(self, event: MetricsEvent) -> None:
        self.records += event.num_logged
        self.steps[event.name] = max(event.step, self.steps.get(event.name, 0))
        if event.num_lanes > 1:
            self.lane_counts.add(event.num_lanes)
        self.first = min(self.first, event.timestamp)
        self.last = max(self.last, event.timestamp)


def _outcome(source: SourceRun, seen: _Seen) -> dict[str, Any]:
    began = seen.first if source.started is None else source.started
    ended = seen.last if source.ended is None else source.ended
    found: dict[str, Any] = {
        "started": iso(began),
        "opened": began,
        "seconds": round(max(0.0, ended - began), 3),
        "arrived": seen.records,
        "replayed": 0,
        "sinks": [account_facts(Account("jsonl", seen.records, seen.records))],
        "steps": seen.steps,
    }
    if source.status != "running":  # then nobody knows whether it has ended
        found["ended"] = iso(ended)
    if source.status is not None:
        found["status"] = source.status
    if source.error is not None:
        found["error"] = redacted(as_utf8(source.error))
    if seen.lane_counts:
        found["lane_counts"] = sorted(seen.lane_counts)
    return found


def _imported(source: SourceRun, digest: str) -> dict[str, Any]:
    details, _ = without_secrets("imported", plain_dict("imported", source.details))
    return {
        "from": source.kind,
        "key": as_utf8(source.key),
        "digest": digest,
        "time": iso(time.time()),
        "files": [as_utf8(str(path.absolute())) for path in source.files],
        "left_out": dict(source.left_out),
        "cut": [as_utf8(text) for text in source.cut],
        **details,
    }


def _replace(draft: Path, place: Path) -> None:
    """Replaces the files of a run by those of a draft; run.json last."""
    run = Directory(place, "replace")
    try:
        files = [path.relative_to(draft) for path in draft.rglob("*") if path.is_file()]
        files.remove(Path(RUN_FILE))
        for name in files:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).replace(place / name)
        images = place / IMAGES
        old = [] if images.is_symlink() else [path for path in images.rglob("*") if path.is_file()]
        for path in (*line_files(place), *old):
            if path.relative_to(place) not in files:
                path.unlink()
        # Last: as long as the old one is there, its digest has the next import do all of this.
        (draft / RUN_FILE).replace(place / RUN_FILE)
    finally:
        run.release()
