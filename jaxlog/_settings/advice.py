"""Settings that can be used, and that make no sense together: told of, never refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from jaxlog._format.names import look_up
from jaxlog._settings.models import LoggingConfig
from jaxlog._settings.problems import Place
from jaxlog._settings.wording import Location, key_of
from jaxlog.sinks import sink_class
from jaxlog.sinks.sink import Sink, SinkSettings

MANY_SAMPLES = 1000
"""Above so many sampled episodes, a step's are more than anybody looks at."""

_OF_BATCHES = (
    "statistics",
    "histograms",
    "sampling_enabled",
    "sample_frequency",
    "num_samples",
    "sample_seed",
    "log_aggregated_rewards",
    "log_aggregated_similarity",
    "log_episode_lengths",
    "log_success_rates",
)
"""The keys that do nothing without `batched_logging_enabled`: `jaxlog.log` reads the others."""


_PlaceOf = Callable[[Location], Place]


def advice(config: LoggingConfig, place: _PlaceOf) -> Iterator[tuple[Location, str]]:
    """What does not make sense: where it stands, and a sentence about it.

    Args:
      config: the settings.
      place: where something in them was given. What one file says may be made more exact by another
        that extends it, or by an override: names contradict each other only within one source.
    """
    given = config.model_fields_set
    if "batched_logging_enabled" not in given and (idle := given & set(_OF_BATCHES)):
        key = next(key for key in _OF_BATCHES if key in idle)
        yield (
            (key,),
            "does nothing, because batched_logging_enabled is not set; set it to true, or to false "
            "if batches are not to be logged",
        )
    on: Location = ("batched_logging_enabled",)
    # In a program, settings without sinks are those of a test.
    if config.batched_logging_enabled and "sinks" not in given and place(on).line:
        yield (
            on,
            "is true, and there are no sinks, so that nothing is written; add some, like "
            "`sinks: [{kind: jsonl}]`, or say `sinks: []`",
        )
    if config.batched_logging_enabled and config.sampling_enabled:
        yield from _of_samples(config)
    yield from _of_names(config, place)
    for index, sink in enumerate(config.sinks):
        if getattr(sink, "x_axis", "") == "env_step" and config.env_steps_per_update is None:
            yield (
                ("sinks", index, "x_axis"),
                "is env_step, which is not known without env_steps_per_update: charts will be over "
                "step; set it to environments x rollout length",
            )


def _of_samples(config: LoggingConfig) -> Iterator[tuple[Location, str]]:
    if config.num_samples > MANY_SAMPLES:
        yield (
            ("num_samples",),
            f"{config.num_samples} episodes, each time and of each lane, are more than anybody "
            "looks at, and each is copied out of the program; a few show as much, and `histograms` "
            "tells of all",
        )
    if config.sinks and not any(map(_takes_episodes, config.sinks)):
        kinds = ", ".join(sink.kind for sink in config.sinks)
        yield (
            ("sampling_enabled",) if "sampling_enabled" in config.model_fields_set else ("sinks",),
            f"episodes are sampled, and no sink takes them (there is: {kinds}); set "
            "sampling_enabled to false, or add a sink like jsonl",
        )


def _takes_episodes(sink: SinkSettings) -> bool:
    can = sink_class(sink.kind).write_episode is not Sink.write_episode
    return can and getattr(sink, "episodes", "") != "off"


def _of_names(config: LoggingConfig, place: _PlaceOf) -> Iterator[tuple[Location, str]]:
    def in_one_source(*keys: str) -> bool:
        return len({place((key,)).source for key in keys}) == 1

    for index, name in enumerate(config.exclude):
        if name in config.include and in_one_source("include", "exclude"):
            yield (
                ("exclude", index),
                f"{key_of((name,))} stands in include, too; what is excluded is not logged",
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
                yield ((key, name), "stands in exclude, too, and is not logged")
