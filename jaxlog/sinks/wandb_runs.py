"""The runs of W&B that one run logs to: one for each lane, or one for all."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from jaxlog._format.events import Labels, RunInfo
from jaxlog._say import log as _log
from jaxlog.sinks.arrangement import Lanes, lane_name
from jaxlog.sinks.wandb_values import config_of

if TYPE_CHECKING:
    import wandb

INIT_TIMEOUT = 20.0
"""Seconds to wait for W&B's server when a run is opened."""
_LEAN: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


class WandbRuns:
    """Opens the runs of W&B, names them, and defines the x-axes of their calls.

    Args:
      run: the run that is logged.
      settings: those of the sink, a `WandbSettings`.
      offline: whether W&B keeps rows in files.

    Attributes:
      lanes: how lanes are shown: as in the settings, until there are too many for that.
      several: whether more than one lane has logged.
      in_sweep: whether the program is part of a W&B sweep, in which there is only one run.
    """

    def __init__(self, run: RunInfo, settings: Any, *, offline: bool) -> None:
        self.lanes: Lanes = settings.lanes
        self.several = False
        self.in_sweep = _sweep() is not None
        self._run = run
        self._settings = settings
        self._offline = offline
        self._unreached: str | None = None
        self._runs: dict[int | None, wandb.Run] = {}
        self._labels: dict[int | None, Labels] = {}
        self._names: dict[int | None, str] = {}
        self._of_users: set[int | None] = set()  # the runs that the user's program opened
        self._defined: set[tuple[int | None, str]] = set()

    def of(
        self, name: str, env_step: int | None, lane: int | None = None, labels: Labels | None = None
    ) -> wandb.Run:
        """The W&B run of a lane, or of the whole run, with the counters of a call defined."""
        labels = labels or {}
        if lane not in self._runs:
            self.begin(lane, labels)
        run = self._runs[lane]
        if labels and not self._labels[lane]:
            # It was opened by a call that has no labels.
            run.config.update(config_of(labels), allow_val_change=True)
            self._labels[lane] = labels
        # The whole run has the rows of the first lane; it gets that lane's name when others follow.
        for other in {lane, None} & self._runs.keys():
            called = self._name(other, self._labels[other])
            if called != self._names[other] and other not in self._of_users:
                self._runs[other].name = self._names[other] = called
        if (lane, name) not in self._defined:
            by_env_step = self._settings.x_axis == "env_step" and env_step is not None
            axis = f"{name}/{'env_step' if by_env_step else 'step'}"
            run.define_metric(axis)
            run.define_metric(f"{name}/*", step_metric=axis)
            self._defined.add((lane, name))
        return run

    def begin(self, lane: int | None, labels: Labels) -> None:
        """Opens the W&B run of a lane, or of the whole run."""
        self._runs[lane] = self._open_run(lane, labels)
        self._names[lane] = self._name(lane, labels)
        self._labels[lane] = labels

    def _open_run(self, lane: int | None, labels: Labels) -> wandb.Run:
        import wandb
        from wandb.errors import CommError

        settings, run = self._settings, self._run
        config = dict(run.config) | config_of(labels)
        if run.session:
            config["jaxlog"] = {"session": run.session, "resumes": dict(run.resumes)}
        if (opened := _sweep()) is not None and opened[0] is not None:
            # The values that the sweep has set are kept.
            opened[0].config.update({k: v for k, v in config.items() if k not in opened[0].config})
            self._of_users.add(lane)
            return opened[0]
        options: dict[str, Any] = {"silent": True, "init_timeout": INIT_TIMEOUT}
        options |= _LEAN if settings.lean else {}
        # A second sink of this kind needs other ids.
        first = run.id if not run.sink_number else f"{run.id}_{run.sink_number}"
        own_id = first if lane is None else f"{first}-{lane:03d}"
        init = functools.partial(
            wandb.init,
            project=settings.project,
            entity=settings.entity,
            dir=run.directory,
            name=self._name(lane, labels),
            notes=settings.notes,
            tags=tuple(dict.fromkeys((*run.tags, *settings.tags))),
            config=config,
            group=settings.group or (run.name if self.lanes == "runs" else None),
            job_type=settings.job_type,
            reinit="create_new",
            # Also offline: `wandb sync` only joins files that have it.
            resume="allow" if run.session else None,
            settings=wandb.Settings(**options),
        )
        if not self._offline:
            try:
                opened = init(id=own_id, mode="online")
            except CommError as error:
                self._offline = True
                self._unreached = own_id  # W&B refuses this id from now on
                _log.warning(
                    "jaxlog: the sink wandb cannot reach W&B, and keeps the rows of this run in "
                    "files; send them later with `wandb sync`: %s",
                    error,
                )
            else:
                if not self._runs:
                    wandb.termlog(f"jaxlog logs to {opened.url}")
                return opened
        return init(id=own_id + "-offline" * (own_id == self._unreached), mode="offline")

    def _name(self, lane: int | None, labels: Labels) -> str:
        alone = lane is None and not (labels and self.several and self.lanes == "runs")
        return self._run.name if alone else f"{self._run.name} {lane_name(lane or 0, labels)}"

    def counters(self, name: str, step: int, env_step: int | None) -> dict[str, Any]:
        """The counters of a call, for its rows."""
        counters = {f"{name}/step": step}
        if env_step is not None:
            counters[f"{name}/env_step"] = env_step
        if self._run.session:
            counters[f"{name}/session"] = self._run.session
        return counters

    def finish_in(self, stack: contextlib.ExitStack, exit_code: int) -> None:
        """Has the runs finish when a stack is left, except for those of the user's program."""
        for lane, run in self._runs.items():
            if lane not in self._of_users:
                stack.callback(run.finish, exit_code=exit_code)


def _sweep() -> tuple[wandb.Run | None] | None:
    """In a W&B sweep, a tuple with the run that the program opened, or None; None outside."""
    import wandb

    opened = wandb.run
    by_agent = wandb.setup().settings.sweep_id
    return (opened,) if by_agent or (opened is not None and opened.sweep_id) else None
