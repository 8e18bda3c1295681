"""The steps by which a logger opens a run: checks the arguments, and takes the run's directory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from jaxlog._format.events import RunInfo
from jaxlog._host.directory import Directory, IfExists
from jaxlog._host.facts import new_id
from jaxlog._host.open_arguments import checked_lanes, checked_name, checked_state
from jaxlog._host.plain import plain_dict, plain_texts
from jaxlog._host.progress import State
from jaxlog._host.redaction import without_secrets
from jaxlog._host.shared_run import SharedRun
from jaxlog._host.sink_objects import Claim
from jaxlog._paths import is_address, local_path
from jaxlog._say import log as _log
from jaxlog._settings import LoggingConfig
from jaxlog.sinks import sink_class
from jaxlog.sinks.sink import ObjectSettings, Sink

if TYPE_CHECKING:
    from jaxlog._store.address import StoreAddress
    from jaxlog._store.opening import StoredRunOpening

_MOST_SECRETS = 20
"""The number of secrets that the warning about them names."""


@dataclass(frozen=True)
class RunRequest:
    """The checked arguments of `Logger.open`. Nothing was changed for them yet.

    Attributes:
      info: of the run, without secrets.
      named: whether the run was given a name.
      place: the absolute path of its directory, or its address in a store; None without files.
      if_exists: as for `Logger.open`.
      state: as for `Logger.open`.
      sinks: of the run, not opened yet.
      objects: those sinks that the settings have as objects.
      secrets: the names of the values that were left out.
    """

    info: RunInfo
    named: bool
    place: Path | StoreAddress | None
    if_exists: IfExists
    state: State | None
    sinks: Sequence[Sink]
    objects: Sequence[Sink]
    secrets: Sequence[str]

    @staticmethod
    def of(
        settings: LoggingConfig,
        default_name: str,
        total_updates: int | None,
        directory: str | os.PathLike[str] | None,
        *,
        config: Any,
        name: str | None,
        tags: Sequence[str],
        lanes: Sequence[Mapping[str, Any]] | None,
        if_exists: IfExists,
        state: State | None,
    ) -> RunRequest:
        """Checks the arguments of `Logger.open`, with its errors.

        Args:
          settings: of the logger.
          default_name: the name of a run without a name and without a directory.
          total_updates: as for `Logger`.
          directory: as for `Logger.open`, like the others.
          config: of the user.
          name: of the run.
          tags: of the run.
          lanes: the labels of each lane.
          if_exists: what to do with a run that is there.
          state: from which the run goes on.
        """
        checked_name(name)
        words = plain_texts("tags", tags)
        hyper_parameters = {} if config is None else plain_dict("config", config)
        if if_exists not in get_args(IfExists):
            raise ValueError(f"if_exists: got {if_exists!r}, takes one of {get_args(IfExists)}")
        checked_state(state, if_exists)
        lane_labels = checked_lanes(lanes)
        place = _place(directory)
        sinks, objects = _sinks(settings, has_place=place is not None)
        hyper_parameters, secrets = without_secrets("config", hyper_parameters)
        words, secret_words = without_secrets("tags", words)
        lane_labels, secret_labels = without_secrets("lanes", lane_labels)
        info = RunInfo(
            name if name is not None else (default_name if place is None else place.name),
            place if isinstance(place, Path) else None,
            total_updates,
            hyper_parameters,
            tuple(words),
            tuple(lane_labels),
            id=new_id(),
            if_exists=if_exists if if_exists == "replace" else "error",
            env_steps_per_update=settings.env_steps_per_update,
        )
        left_out = [*secrets, *secret_words, *secret_labels]
        named = name is not None
        return RunRequest(info, named, place, if_exists, state, sinks, objects, left_out)

    @property
    def resumes_from_state(self) -> bool:
        """True if the run is to go on from a state of a run that wrote something."""
        return self.state is not None and int(self.state["run"]) > 0

    def warn_of_secrets(self) -> None:
        """Warns of the secrets that were left out, if there are any."""
        if self.secrets:
            more = ", …" if len(self.secrets) > _MOST_SECRETS else ""
            _log.warning(
                "jaxlog: run %s: left out as secrets, of run.json and of what sinks write: %s%s. "
                "If one is not a secret, rename it. Said once.",
                self.info.name,
                ", ".join(self.secrets[:_MOST_SECRETS]),
                more,
            )


def _place(directory: str | os.PathLike[str] | None) -> Path | StoreAddress | None:
    if directory is None:
        return None
    if is_address(directory):
        from jaxlog._store.address import parsed  # only addresses need it

        return parsed(os.fsdecode(directory), "directory")
    # Absolute, because the program may change its working directory while the run is open.
    return local_path(directory, "directory").absolute()


def _sinks(settings: LoggingConfig, *, has_place: bool) -> tuple[list[Sink], list[Sink]]:
    """The sinks of the settings, and those of them that are objects of the user."""
    sinks: list[Sink] = []
    objects: list[Sink] = []
    for one in settings.sinks:
        if isinstance(one, ObjectSettings):
            sink = one.sink
            objects.append(sink)
        else:
            sink = sink_class(one.kind)(one)
        if sink.needs_directory and not has_place:
            raise ValueError(
                f"directory: is missing, and the sink {one.kind!r} of the settings writes "
                "files; give one, as in logger.open('runs/first')"
            )
        sinks.append(sink)
    return sinks, objects


class RunPlace:
    """The sink objects, and the directory or the address, that a run takes before it is opened.

    Args:
      request: what was asked for.
      seconds: between two uploads to a store.
      writes: False for a run that leaves no trace: it takes nothing.
      shared: the run as one of several processes sees it; None if it is of one process.

    Attributes:
      info: of the run, with the directory that it got, and what it takes over from a run that it
        continues.
      directory: of the run; None without files.
      stored: the run in a store; None for a local one.

    Raises:
      OSError: as for `Logger.open`.
      RuntimeError: an open run has a sink object of this one.
    """

    def __init__(
        self, request: RunRequest, seconds: float, *, writes: bool, shared: SharedRun | None
    ) -> None:
        self.info = request.info
        self.directory: Directory | None = None
        self.stored: StoredRunOpening | None = None
        self._claim = Claim(request.objects if writes else (), self.info.name)
        self._claim.acquire()
        try:
            if shared is not None and not shared.is_first:
                self.info = _as_opened_by_the_first(self.info, shared)
            if writes and request.place is not None:
                self._take(request, request.place, seconds)
            if writes and request.resumes_from_state and not self.resumes:
                _log.warning(
                    "jaxlog: run %s: %s has no run to resume, so a new one begins. If the run "
                    "was moved, give the directory it is in.",
                    request.info.name,
                    request.place if self.address is None else self.address,
                )
        except BaseException:
            self.leave()
            raise

    def _take(self, request: RunRequest, place: Path | StoreAddress, seconds: float) -> None:
        if isinstance(place, Path):
            self.directory = Directory(place, request.if_exists)
        else:
            from jaxlog._store.opening import StoredRunOpening  # the extra `cloud`

            self.stored = StoredRunOpening(place, request.if_exists, seconds)
            self.directory = Directory(self.stored.directory, "resume")
        path = self.directory.path
        own = self.info.name if request.named else path.name
        self.info = dataclasses.replace(self.info, name=own, directory=path)
        if self.directory.previous is not None:
            self.info = _resumed(self.info, self.directory.previous, named=request.named)

    @property
    def resumes(self) -> bool:
        """True if the run continues one that is there."""
        return self.directory is not None and self.directory.previous is not None

    @property
    def address(self) -> str | None:
        """The address of the run in a store; None for a local one."""
        return None if self.stored is None else str(self.stored.address)

    def release_objects(self) -> None:
        """Gives the sink objects back, when the run is closed."""
        self._claim.release()

    def leave(self) -> None:
        """Gives everything back if the run cannot be opened."""
        self._claim.release()
        if self.directory is not None:
            self.directory.leave()
        if self.stored is not None:
            self.stored.leave()


def opened(info: RunInfo) -> dict[str, Any]:
    """The facts about an open run that the other processes need."""
    directory = None if info.directory is None else str(info.directory)
    return {"id": info.id, "name": info.name, "directory": directory}


def _as_opened_by_the_first(info: RunInfo, shared: SharedRun) -> RunInfo:
    """The info of a run that process 0 has opened."""
    try:
        found = shared.of_the_first("open")
    except TimeoutError as error:
        _log.warning("jaxlog: run %s: %s", info.name, error)
        return info
    directory = None if found["directory"] is None else Path(found["directory"])
    return dataclasses.replace(info, id=found["id"], name=found["name"], directory=directory)


def _resumed(info: RunInfo, previous: Mapping[str, Any], *, named: bool) -> RunInfo:
    """The info of a resumed run: what `open` was not given is taken from `run.json`."""

    def kept(key: str, kind: type, default: Any) -> Any:
        found = previous.get(key)  # checked, because the file may have been edited
        return found if isinstance(found, kind) else default

    lanes = [labels for labels in kept("lanes", list, []) if isinstance(labels, dict)]
    return dataclasses.replace(
        info,
        id=previous["id"],
        if_exists="resume",
        name=info.name if named else kept("name", str, info.name),
        tags=info.tags or tuple(tag for tag in kept("tags", list, []) if isinstance(tag, str)),
        config=info.config or kept("config", dict, {}),
        lanes=info.lanes or tuple(lanes),
    )
