"""The settings: every key with its type, its default and a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeVar, Unpack

from pydantic import (
    BaseModel,
    Field,
)

from jaxlog._format.keys import STATISTICS
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._format.schedule import DEFAULT, Schedule, has_own, is_evaluation, of_call
from jaxlog._format.what_ran import PARTS
from jaxlog._limits import MAX_ARRAY_BYTES
from jaxlog._settings.forms import (
    AnyAlert,
    AnyAlertTarget,
    AnySink,
    CountKeyOrByCall,
    Distinct,
    Edges,
    FrequencyOrByCall,
    StatisticsOrByName,
    SwitchOrByCall,
)
from jaxlog._settings.typed import GivenSettings

_Value = TypeVar("_Value")

BY_CALL = ("log_frequency", "sample_frequency", "sampling_enabled", "count_key")
"""The settings that have one value for all calls, or one by call."""
_DEFAULT_LOG_FREQUENCY, _DEFAULT_SAMPLE_FREQUENCY = 10, 100
_DEFAULT_STATISTICS = ("mean", "std", "min", "max")
_NAMES = ", ".join(f"`{name}`" for name in STATISTICS)


class LoggingConfig(BaseModel, frozen=True, extra="forbid", strict=True):
    """The settings of a logger, frozen and hashable. An unknown key is an error."""

    batched_logging_enabled: bool = Field(
        default=True,
        description="`false` switches off `batch_step`, `window_step` and `log_window`, which then "
        "add nothing to the program. `jaxlog.log` and the methods for a single environment still "
        "log.",
    )
    log_frequency: FrequencyOrByCall = Field(
        default=_DEFAULT_LOG_FREQUENCY,
        description="The number of updates from one aggregate line to the next: a number for all "
        "calls, or a mapping of the names of calls to numbers, in which `default` is for all "
        "others. Evaluations (calls whose name begins with the word `eval`, `evaluation`, `test`, "
        "`val` or `validation`) are logged every time unless the mapping has their name. `every=` "
        "in a call wins.",
    )
    statistics: StatisticsOrByName = Field(
        default=_DEFAULT_STATISTICS,
        description="The statistics computed for each metric that has a value per episode: a list "
        "for all metrics, or a mapping of metrics to lists, in which `default` is for all others. "
        f"{_NAMES}, and quantiles: `median`, or `p0` to `p100`.",
    )
    histograms: dict[str, Edges] = Field(
        default={},
        description="The metrics with a histogram, each with the edges of its bins, or with `low`, "
        "`high` and `bins`.",
    )

    count_key: CountKeyOrByCall = Field(
        default=EPISODE_COUNT,
        description="The key of the number of entries that the statistics of a line are over: "
        "`episode_count`, or another name, like `draws`, or `null` to leave it out; for all calls, "
        "or by call, like `{chains: draws}`.",
    )

    sampling_enabled: SwitchOrByCall = Field(
        default=True,
        description="Whether complete episodes are sampled and logged: for all calls, or by call, "
        "like `{eval: false}`, in which `default` is for all others.",
    )
    sample_frequency: FrequencyOrByCall = Field(
        default=_DEFAULT_SAMPLE_FREQUENCY,
        description="The number of updates from one sample of episodes to the next, for all calls, "
        "or by call, like `log_frequency`. It is also that of evaluations and of calls with "
        "`every=`.",
    )
    num_samples: int = Field(
        default=3,
        ge=1,
        lt=2**31,
        description="The number of episodes sampled each time, in each lane.",
    )
    sample_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="The seed of sampling: with the step, it decides which episodes are sampled.",
    )

    log_aggregated_rewards: bool = Field(
        default=True, description="Whether `episode_returns` are logged."
    )
    log_aggregated_similarity: bool = Field(
        default=True, description="Whether `similarity_scores` are logged."
    )
    log_episode_lengths: bool = Field(
        default=True, description="Whether `episode_lengths` are logged."
    )
    log_success_rates: bool = Field(default=True, description="Whether `success_mask` is logged.")
    log_loss_metrics: bool = Field(
        default=True, description="Whether `entropy`, `loss` and every `*_loss` are logged."
    )
    log_gradient_norms: bool = Field(
        default=True,
        description="Whether `gradient_norm`, `grad_norm`, and metrics whose names end with one of "
        "these, are logged.",
    )
    include: Distinct[str] = Field(
        default=(),
        description=(
            "The metrics to log, by the names that `batch_step` is given; all, if empty. "
            "`eval/NAME` is a metric of the call `eval` only."
        ),
    )
    exclude: Distinct[str] = Field(
        default=(),
        description="The metrics not to log, in the form of `include`, which it overrides.",
    )

    over_lanes: Distinct[Literal["mean", "std", "iqm"]] = Field(
        default=(),
        description="If several lanes log, for example seeds: an additional line for each of these "
        "with every metric's mean, standard deviation or interquartile mean over the lanes.",
    )
    delivery: Literal["live", "return"] = Field(
        default="live",
        description="`live`: records leave the running program through a callback. `return`: the "
        "program has no callback and returns its records, and `logger.write` writes them.",
    )
    strict: bool = Field(
        default=False,
        description="Whether errors of logging are raised: at once if a sink cannot be opened, all "
        "others when the run is closed. By default they are warnings.",
    )
    max_array_bytes: int = Field(
        default=MAX_ARRAY_BYTES,
        ge=1,
        le=2**22,
        description="The most bytes that the `arrays` of one call may have at one step, in each "
        "lane. Larger ones are an error while the program is traced.",
    )
    env_steps_per_update: int | None = Field(
        default=None,
        ge=1,
        description="The environment steps of one update (environments x rollout length). With it, "
        "each line has `env_step`, the environment steps taken when its update was done.",
    )
    what_ran: Distinct[Literal["command", "code", "packages", "environment"]] = Field(
        default=PARTS,
        description="The facts about the program that the run keeps: `command`, the command line "
        "and the working directory; `code`, the commit in git and the differences to it; "
        "`packages`, those installed; `environment`, JAX's flags, variables of the environment, "
        "devices and the machine. `[]` for none. Secrets are left out.",
    )
    capture_output: bool = Field(
        default=False,
        description="Whether what the program prints, to standard output and standard error, is "
        "also written into `output.txt` in the run's directory. Lines of C++ code and of other "
        "processes are not.",
    )
    mirror_seconds: float = Field(
        default=10.0,
        ge=0.1,
        le=3600,
        description="The seconds between two uploads of a run that was opened with an address in a "
        "store, such as s3://bucket/runs/first. If the machine is lost, so is what was logged "
        "since the last upload.",
    )
    alerts: Distinct[AnyAlert] = Field(
        default=(),
        description="The conditions of which you are told while a run is open, or when it ends "
        "badly. Each has its `kind`.",
    )
    alert_to: Distinct[AnyAlertTarget] = Field(
        default=(),
        description="Where alerts go. Each has its `kind`; if empty, `log`.",
    )
    sinks: Distinct[AnySink] = Field(
        default=(),
        description="The sinks that records are written to. Each has its `kind`, and the keys of "
        "that kind. In Python, an object of a subclass of `jaxlog.sinks.Sink` is also allowed.",
    )

    if TYPE_CHECKING:  # what a key takes is wider than what it holds: lists, and sinks as dicts

        def __init__(self, **settings: Unpack[GivenSettings]) -> None: ...

    def __hash__(self) -> int:
        values = (getattr(self, key) for key in type(self).model_fields)
        return hash(tuple(frozenset(v.items()) if isinstance(v, Mapping) else v for v in values))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the settings that are not as they are by default."""
        default = LoggingConfig()
        fields = type(self).model_fields
        return tuple(key for key in fields if getattr(self, key) != getattr(default, key))

    def statistics_of(self, call: str, metric: str) -> tuple[str, ...]:
        """The statistics of one metric that has a value per episode."""
        if isinstance(self.statistics, tuple):
            return self.statistics
        default = self.statistics.get("default", _DEFAULT_STATISTICS)
        return _of_metric(self.statistics, call, metric, default)

    def schedule_of(self, call: str) -> Schedule:
        """The steps at which a call logs that has no schedule of its own."""
        log_frequency = of_call(self.log_frequency, call, _DEFAULT_LOG_FREQUENCY)
        if is_evaluation(call) and not has_own(self.log_frequency, call):
            log_frequency = 1
        sampled = of_call(self.sampling_enabled, call, True)
        frequency = of_call(self.sample_frequency, call, _DEFAULT_SAMPLE_FREQUENCY)
        return Schedule(log_frequency, frequency if sampled else None)

    def count_key_of(self, call: str) -> str | None:
        """The key of the number of counted entries on the lines of a call; None for no such key."""
        return of_call(self.count_key, call, EPISODE_COUNT)

    @property
    def calls_with_schedules(self) -> dict[str, tuple[str, ...]]:
        """The names of calls that a setting has an entry for, by the setting."""
        found = {
            key: tuple(name for name in value if name != DEFAULT)
            for key in BY_CALL
            if isinstance(value := getattr(self, key), Mapping)
        }
        return {key: names for key, names in found.items() if names}

    @property
    def samples(self) -> bool:
        """True if episodes of any call may be sampled."""
        by_call = self.sampling_enabled
        if not isinstance(by_call, Mapping):
            return by_call
        return by_call.get(DEFAULT, True) or any(by_call.values())

    def edges_of(self, call: str, metric: str) -> tuple[float, ...]:
        """The edges of one metric's histogram; empty for none."""
        return _of_metric(self.histograms, call, metric, ())


def _of_metric(by_name: Mapping[str, _Value], call: str, metric: str, default: _Value) -> _Value:
    """The entry for a metric: by its whole name first, then by shorter beginnings of it."""
    name = metric
    while name:
        for own in (f"{call}/{name}", name):
            if own in by_name:
                return by_name[own]
        name = name.rpartition("/")[0]
    return default
