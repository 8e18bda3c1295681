"""Warnings about settings that are valid but contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from jaxlog._format.names import look_up
from jaxlog._settings.models import LoggingConfig
from jaxlog._settings.problems import SourcePosition
from jaxlog._settings.wording import Location, key_of
from jaxlog.sinks import sink_class
from jaxlog.sinks.sink import ObjectSettings, Sink, SinkSettings

MANY_SAMPLES = 1000
"""With more sampled episodes, an update has more than anyone looks at."""

_ASKS_FOR_SAMPLES = (
    "batched_logging_enabled",
    "sampling_enabled",
    "sample_frequency",
    "num_samples",
    "sample_seed",
)
"""With one of these keys the user asks for sampled episodes. Sampling is on by default, so without
them the program may only call `jaxlog.log`."""


_PositionOf = Callable[[Location], SourcePosition]


def advice(config: LoggingConfig, place: _PositionOf) -> Iterator[tuple[Location, str]]:
    """The location of each contradiction, and a sentence about it.

    Args:
      config: the settings.
      place: returns the position of a location. A file or an override may refine the settings of
        another file, so names contradict each other only within one source.
    """
    given = config.model_fields_set
    on: Location = ("batched_logging_enabled",)
    # A dict without sinks is normal in a test.
    on_by_name = on[0] in given and config.batched_logging_enabled
    if on_by_name and "sinks" not in given and place(on).line:
        yield (
            on,
            "is true, and there are no sinks, so that nothing is written; add some, like "
            "`sinks: [{kind: jsonl}]`, or write `sinks: []`",
        )
    if config.batched_logging_enabled and config.samples:
        yield from _of_samples(config)
    yield from _of_names(config, place)
    yield from _of_alerts(config)
    for index, sink in enumerate(config.sinks):
        if getattr(sink, "x_axis", "") == "env_step" and config.env_steps_per_update is None:
            yield (
                ("sinks", index, "x_axis"),
                "is env_step, which is not known without env_steps_per_update, so charts are over "
                "step; set env_steps_per_update to environments x rollout length",
            )


def _of_samples(config: LoggingConfig) -> Iterator[tuple[Location, str]]:
    if config.num_samples > MANY_SAMPLES:
        yield (
            ("num_samples",),
            f"{config.num_samples} episodes of each lane are more than anyone looks at, and each "
            "is copied out of the program; sample a few, and use `histograms` for all episodes",
        )
    asked = not config.model_fields_set.isdisjoint(_ASKS_FOR_SAMPLES)
    if asked and config.sinks and not any(map(_takes_episodes, config.sinks)):
        kinds = ", ".join(sink.kind for sink in config.sinks)
        yield (
            ("sampling_enabled",) if "sampling_enabled" in config.model_fields_set else ("sinks",),
            f"episodes are sampled, and no sink takes them (there is: {kinds}); set "
            "sampling_enabled to false, or add a sink like jsonl",
        )


def _of_alerts(config: LoggingConfig) -> Iterator[tuple[Location, str]]:
    if config.alerts and not config.sinks:
        yield (
            ("alerts",),
            "are given, and there are no sinks: values are decoded for sinks, so that none is "
            "watched; add one, like `sinks: [{kind: jsonl}]`",
        )
    known = {target.kind for target in config.alert_to} or {"log"}
    for index, alert in enumerate(config.alerts):
        for kind in alert.to:
            if kind not in known:
                yield (
                    ("alerts", index, "to"),
                    f"names {kind}, which alert_to does not have; add it there",
                )
    if config.alert_to and not config.alerts:
        yield ("alert_to",), "is given, and there are no alerts; add conditions to `alerts`"


def _takes_episodes(sink: SinkSettings) -> bool:
    made = type(sink.sink) if isinstance(sink, ObjectSettings) else sink_class(sink.kind)
    can = made.write_episode is not Sink.write_episode
    return can and (getattr(sink, "episodes", "") != "off" or bool(getattr(sink, "films", 0)))


def _of_names(config: LoggingConfig, place: _PositionOf) -> Iterator[tuple[Location, str]]:
    def in_one_source(*keys: str) -> bool:
        return len({place((key,)).source for key in keys}) == 1

    for index, name in enumerate(config.exclude):
        if name in config.include and in_one_source("include", "exclude"):
            yield (
                ("exclude", index),
                f"{key_of((name,))} is in include, too; what is excluded is not logged",
            )
    for index, name in enumerate(config.include):
        switch = look_up(name.rpartition("/")[2]).setting
        if switch and not getattr(config, switch) and in_one_source("include", switch):
            yield (
                ("include", index),
                f"{key_of((name,))} is included, and {switch}: false leaves it out of the lines",
            )
    named = config.statistics if isinstance(config.statistics, Mapping) else {}
    for key, names in (("statistics", named), ("histograms", config.histograms)):
        for name in names:
            if name in config.exclude and in_one_source(key, "exclude"):
                yield ((key, name), "is in exclude, too, and is not logged")
