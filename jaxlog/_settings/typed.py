"""The types of the settings that a program gives, for type checkers: wider than those it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from jaxlog._settings.alerts import AlertSettings, AlertTarget
    from jaxlog.sinks.sink import Sink, SinkSettings


class GivenSettings(TypedDict, total=False):
    """The keys of `LoggingConfig`, each with the types that it takes."""

    batched_logging_enabled: bool
    log_frequency: int | Mapping[str, int]
    statistics: Sequence[str] | Mapping[str, Sequence[str]]
    histograms: Mapping[str, Sequence[float] | Mapping[str, float]]
    count_key: str | Mapping[str, str | None] | None
    sampling_enabled: bool | Mapping[str, bool]
    sample_frequency: int | Mapping[str, int]
    num_samples: int
    sample_seed: int
    log_aggregated_rewards: bool
    log_aggregated_similarity: bool
    log_episode_lengths: bool
    log_success_rates: bool
    log_loss_metrics: bool
    log_gradient_norms: bool
    include: Sequence[str]
    exclude: Sequence[str]
    over_lanes: Sequence[Literal["mean", "std", "iqm"]]
    delivery: Literal["live", "return"]
    strict: bool
    max_array_bytes: int
    env_steps_per_update: int | None
    what_ran: Sequence[Literal["command", "code", "packages", "environment"]]
    capture_output: bool
    mirror_seconds: float
    alerts: Sequence[AlertSettings | Mapping[str, Any]]
    alert_to: Sequence[AlertTarget | Mapping[str, Any]]
    sinks: Sequence[Sink | SinkSettings | Mapping[str, Any]]


class SettingsDict(GivenSettings, total=False):
    """A dict of settings, as `Logger` and `load_config` take it; every key may be left out.

    A dict literal that is given to `Logger` needs no annotation. One that is kept in a variable can
    have this type, and a type checker then knows its keys.

    >>> settings: SettingsDict = {"log_frequency": 5, "sinks": [{"kind": "jsonl"}]}
    """

    extends: str | Sequence[str]
