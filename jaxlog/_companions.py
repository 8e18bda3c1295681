"""Makes the parts of a run that work beside its sinks, as the settings want them."""

from __future__ import annotations

import math

from jaxlog._crossing.jax_settings import changed_flags, described_devices
from jaxlog._host.alert_rules import AlertRule
from jaxlog._host.alert_targets import (
    CommandTarget,
    ConsoleTarget,
    LogTarget,
    Target,
    WebhookTarget,
)
from jaxlog._host.alerts import Alerts
from jaxlog._host.companion import Companion
from jaxlog._host.output_capture import OutputCapture
from jaxlog._host.process_watch import ProcessWatch
from jaxlog._host.shared_run import SharedRun
from jaxlog._host.what_ran import WhatRan
from jaxlog._settings import LoggingConfig, address_of, recorded_variables


def companions_of(
    settings: LoggingConfig, *, has_directory: bool, shared: SharedRun | None = None
) -> list[Companion]:
    """The parts of one run that work beside its sinks.

    Args:
      settings: of the logger.
      has_directory: whether the run has a directory; without one, it keeps neither output nor
        facts about the program.
      shared: the run as one of several processes sees it; None if it is of one process.

    Raises:
      ConfigError: the environment lacks a variable that the settings name.
    """
    found: list[Companion] = []
    if settings.capture_output and has_directory:
        found.append(OutputCapture())
    if has_directory and (parts := settings.what_ran):
        environment = "environment" in parts
        found.append(
            WhatRan(
                parts,
                variables=recorded_variables() if environment else {},
                devices=described_devices() if environment else (),
                flags=changed_flags,
            )
        )
    if shared is not None:
        found.append(ProcessWatch(shared))
    if settings.alerts:
        found.append(Alerts(_rules(settings), _targets(settings)))
    return found


def _rules(settings: LoggingConfig) -> list[AlertRule]:
    return [
        AlertRule(
            one.kind,
            one.metric,
            math.nan if one.value is None else one.value,
            one.lines,
            math.inf if one.seconds is None else one.seconds,
            one.again_after,
            one.to,
        )
        for one in settings.alerts
    ]


def _targets(settings: LoggingConfig) -> list[Target]:
    found: list[Target] = []
    for number, one in enumerate(settings.alert_to):
        match one.kind:
            case "log":
                found.append(LogTarget())
            case "console":
                found.append(ConsoleTarget())
            case "command":
                found.append(CommandTarget(one.command, one.seconds))
            case "webhook":
                address = address_of(one, f"alert_to.{number}.address")
                found.append(WebhookTarget(address, one.seconds))
    return found or [LogTarget()]
