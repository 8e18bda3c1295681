"""The settings: every key with its type, its default and a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Unpack, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    RootModel,
    SerializeAsAny,
    Strict,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from jaxlog._format.keys import STATISTICS, quantile
from jaxlog._format.names import CALL_NAME, EPISODE_COUNT, check_call
from jaxlog._format.schedule import DEFAULT, Schedule, has_own, is_evaluation, of_call
from jaxlog._format.what_ran import PARTS
from jaxlog._limits import MAX_ARRAY_BYTES
from jaxlog._settings.alerts import AlertSettings, AlertTarget
from jaxlog._settings.environment import in_ci
from jaxlog._settings.typed import GivenSettings
from jaxlog._settings.wording import key_of, shown
from jaxlog.sinks import kinds, sink_class
from jaxlog.sinks.sink import ObjectSettings, Sink, SinkSettings, kind_of

_KNOWN_STATISTICS = (*STATISTICS, "median")


def _known_statistic(name: str) -> str:
    if name not in STATISTICS and quantile(name) is None:
        raise PydanticCustomError(
            "choice",
            "Input should be one of {names}, or a percentile, p0 to p100",
            {"names": ", ".join(_KNOWN_STATISTICS), "known": _KNOWN_STATISTICS},
        )
    return name


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            named = str(getattr(value, "kind", value))
            context = {"value": key_of((named,)), "index": index}
            raise PydanticCustomError("repeated", "{value} is listed twice", context)
    return values


def _of_its_kind(value: Any, _: Any) -> SinkSettings:
    """A sink's settings, validated by the model of its `kind`."""
    if isinstance(value, ObjectSettings):
        return value
    if isinstance(value, Sink):
        return ObjectSettings(kind=kind_of(value), sink=value)
    if isinstance(value, type) and issubclass(value, Sink):
        raise PydanticCustomError(
            "sink",
            "got the class {name}, expected an object of it, like {name}()",
            {"name": value.__name__},
        )
    if any(callable(getattr(value, name, None)) for name in ("open", "write_metrics", "close")):
        raise PydanticCustomError(
            "sink",
            "got {name}, which is not a jaxlog.sinks.Sink; derive the class from it",
            {
                "name": "the class " + value.__name__
                if isinstance(value, type)
                else "an object of " + type(value).__name__
            },
        )
    if not isinstance(value, dict | SinkSettings):
        raise PydanticCustomError("form", "Input should be a mapping with the key kind")
    kind = value.kind if isinstance(value, SinkSettings) else value.get("kind")
    try:
        model = sink_class(kind).Settings
    except LookupError as error:
        context = {"why": str(error), "kind": kind, "kinds": kinds()}
        raise PydanticCustomError("kind", "{why}", context) from None
    try:
        # Sinks do not read the environment themselves.
        return model.model_validate(value, context={"ci": in_ci()})
    except ValidationError as error:
        inner = {"model": model, "errors": error.errors(include_url=False)}
        raise PydanticCustomError("inner", "{why}", {"why": str(error), **inner}) from None


_Item = TypeVar("_Item")
_Model = TypeVar("_Model", bound=BaseModel)
_Distinct = Annotated[
    tuple[_Item, ...],
    Strict(False),
    AfterValidator(_no_repeats),
    Field(json_schema_extra={"uniqueItems": True}),
]
_PERCENTILE = {
    "pattern": r"^p(0?[0-9]{1,2}(\.[0-9]+)?|100(\.0+)?)$",
    "type": "string",
    "description": "a percentile, p0 to p100",
}
_Statistic = Annotated[
    str,
    AfterValidator(_known_statistic),
    WithJsonSchema({"anyOf": [{"enum": list(_KNOWN_STATISTICS)}, _PERCENTILE]}),
]


class _ForAll(RootModel[_Distinct[_Statistic]], strict=True):
    """The same statistics for all metrics."""


class _ByName(RootModel[dict[str, _Distinct[_Statistic]]], strict=True):
    """Statistics by metric."""


class _Bins(BaseModel, extra="forbid", strict=True):
    """Bins of equal width."""

    low: float = Field(description="The first edge.")
    high: float = Field(description="The last edge.")
    bins: int = Field(ge=1, le=10_000, description="The number of bins between them.")


class _GivenEdges(
    RootModel[Annotated[tuple[float, ...], Strict(False), Field(min_length=2)]], strict=True
):
    """The edges of the bins."""


def _as(model: type[BaseModel], value: Any) -> Any:
    """A part of the settings with several forms, validated as one of them."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        inner = {"model": model, "errors": error.errors(include_url=False)}
        raise PydanticCustomError("inner", "{why}", {"why": str(error), **inner}) from None


def _statistics(value: Any, _: Any) -> Any:
    if not isinstance(value, dict | list | tuple):
        raise PydanticCustomError(
            "form", "Input should be a list of statistics, or a mapping of metrics to such lists"
        )
    return _as(_ByName if isinstance(value, dict) else _ForAll, value).root


def _edges(value: Any, _: Any) -> tuple[float, ...]:
    if not isinstance(value, dict | list | tuple):
        raise PydanticCustomError(
            "form", "Input should be a list of edges, or a mapping with low, high and bins"
        )
    with np.errstate(all="ignore"):  # the check below finds edges that are infinite or too large
        if isinstance(value, dict):
            bins = _as(_Bins, value)
            edges = tuple(np.linspace(bins.low, bins.high, bins.bins + 1).tolist())
        else:
            edges = _as(_GivenEdges, value).root
        increase = (np.diff(np.asarray(edges, np.float32)) > 0).all()
    if not increase:
        raise PydanticCustomError(
            "ascending",
            "got {value}, expected edges that increase, as float32",
            {"value": shown(value)},
        )
    return edges


def _either(*models: type[BaseModel]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [model.model_json_schema() for model in models]})


_BY_CALLS: dict[str, Any] = {"propertyNames": {"pattern": CALL_NAME + r"(?![\s\S])"}}
"""The JSON Schema of the keys of a mapping by call."""


class _Frequency(RootModel[Annotated[int, Field(ge=1, lt=2**31)]], strict=True):
    """The same number of updates for all calls."""


class _FrequencyByCall(
    RootModel[dict[str, Annotated[int, Field(ge=1, lt=2**31)]]],
    strict=True,
    json_schema_extra=_BY_CALLS,
):
    """A number of updates by call."""


class _Switch(RootModel[bool], strict=True):
    """The same for all calls."""


class _SwitchByCall(
    RootModel[dict[str, bool]],
    strict=True,
    json_schema_extra=_BY_CALLS,
):
    """On or off by call."""


class _CountKey(RootModel[Annotated[str, Field(min_length=1)] | None], strict=True):
    """The same key for all calls."""


class _CountKeyByCall(
    RootModel[dict[str, Annotated[str, Field(min_length=1)] | None]],
    strict=True,
    json_schema_extra=_BY_CALLS,
):
    """A key by call."""


def _count_key(value: Any, _: Any) -> Any:
    return _by_call(value, _CountKey, _CountKeyByCall)


def _frequency(value: Any, _: Any) -> Any:
    return _by_call(value, _Frequency, _FrequencyByCall)


def _switch(value: Any, _: Any) -> Any:
    return _by_call(value, _Switch, _SwitchByCall)


def _by_call(value: Any, for_all: type[BaseModel], by_call: type[BaseModel]) -> Any:
    if not isinstance(value, dict):
        return _as(for_all, value).root
    for name in value:
        try:
            check_call(name)
        except ValueError:
            raise PydanticCustomError(
                "call_name",
                "got {name}, expected the name of a call: letters, digits, '_', '-' and '.'",
                {"name": shown(name)},
            ) from None
    return _as(by_call, value).root


_FrequencyOrByCall = Annotated[
    int | Mapping[str, int], WrapValidator(_frequency), _either(_Frequency, _FrequencyByCall)
]
_CountKeyOrByCall = Annotated[
    str | Mapping[str, str | None] | None,
    WrapValidator(_count_key),
    _either(_CountKey, _CountKeyByCall),
]
_SwitchOrByCall = Annotated[
    bool | Mapping[str, bool], WrapValidator(_switch), _either(_Switch, _SwitchByCall)
]

_Sink = Annotated[
    SerializeAsAny[SinkSettings],
    WrapValidator(_of_its_kind),
    WithJsonSchema({"type": "object", "required": ["kind"]}),
]


def _alert(value: Any, _: Any) -> AlertSettings:
    return value if isinstance(value, AlertSettings) else _of_kind(AlertSettings, value)


def _alert_target(value: Any, _: Any) -> AlertTarget:
    return value if isinstance(value, AlertTarget) else _of_kind(AlertTarget, value)


def _of_kind(model: type[_Model], value: Any) -> _Model:
    """A mapping with the key `kind`, validated; errors do not show another value."""
    if not isinstance(value, dict):
        raise PydanticCustomError(
            "sink",
            "got {name}, expected a mapping with the key kind, like {example}",
            {
                "name": "a text" if isinstance(value, str) else type(value).__name__,
                "example": f"{{kind: {get_args(model.model_fields['kind'].annotation)[0]}}}",
            },
        )
    return _as(model, value)


_Alert = Annotated[
    AlertSettings, WrapValidator(_alert), WithJsonSchema(AlertSettings.model_json_schema())
]
_AlertTarget = Annotated[
    AlertTarget, WrapValidator(_alert_target), WithJsonSchema(AlertTarget.model_json_schema())
]

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
    log_frequency: _FrequencyOrByCall = Field(
        default=_DEFAULT_LOG_FREQUENCY,
        description="The number of updates from one aggregate line to the next: a number for all "
        "calls, or a mapping of the names of calls to numbers, in which `default` is for all "
        "others. Evaluations (calls whose name begins with the word `eval`, `evaluation`, `test`, "
        "`val` or `validation`) are logged every time unless the mapping has their name. `every=` "
        "in a call wins.",
    )
    statistics: Annotated[
        tuple[str, ...] | Mapping[str, tuple[str, ...]],
        WrapValidator(_statistics),
        _either(_ForAll, _ByName),
    ] = Field(
        default=_DEFAULT_STATISTICS,
        description="The statistics computed for each metric that has a value per episode: a list "
        "for all metrics, or a mapping of metrics to lists, in which `default` is for all others. "
        f"{_NAMES}, and quantiles: `median`, or `p0` to `p100`.",
    )
    histograms: dict[
        str,
        Annotated[tuple[float, ...], WrapValidator(_edges), _either(_GivenEdges, _Bins)],
    ] = Field(
        default={},
        description="The metrics with a histogram, each with the edges of its bins, or with `low`, "
        "`high` and `bins`.",
    )

    count_key: _CountKeyOrByCall = Field(
        default=EPISODE_COUNT,
        description="The key of the number of entries that the statistics of a line are over: "
        "`episode_count`, or another name, like `draws`, or `null` to leave it out; for all calls, "
        "or by call, like `{chains: draws}`.",
    )

    sampling_enabled: _SwitchOrByCall = Field(
        default=True,
        description="Whether complete episodes are sampled and logged: for all calls, or by call, "
        "like `{eval: false}`, in which `default` is for all others.",
    )
    sample_frequency: _FrequencyOrByCall = Field(
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
    include: _Distinct[str] = Field(
        default=(),
        description=(
            "The metrics to log, by the names that `batch_step` is given; all, if empty. "
            "`eval/NAME` is a metric of the call `eval` only."
        ),
    )
    exclude: _Distinct[str] = Field(
        default=(),
        description="The metrics not to log, in the form of `include`, which it overrides.",
    )

    over_lanes: _Distinct[Literal["mean", "std", "iqm"]] = Field(
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
    what_ran: _Distinct[Literal["command", "code", "packages", "environment"]] = Field(
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
    alerts: _Distinct[_Alert] = Field(
        default=(),
        description="The conditions of which you are told while a run is open, or when it ends "
        "badly. Each has its `kind`.",
    )
    alert_to: _Distinct[_AlertTarget] = Field(
        default=(),
        description="Where alerts go. Each has its `kind`; if empty, `log`.",
    )
    sinks: _Distinct[_Sink] = Field(
        default=(),
        description="The sinks that records are written to. Each has its `kind`, and the keys of "
        "that kind. In Python, an object of a subclass of `jaxlog.sinks.Sink` is also allowed.",
    )

    if TYPE_CHECKING:  # what a key takes is wider than what it holds: lists, and sinks as dicts

        def __init__(self, **settings: Unpack[GivenSettings]) -> None: ...

    def __hash__(self) -> int:
        values = (getattr(self, key) for key in type(self).model_fields)
        return hash(tuple(frozenset(v.items()) if isinstance(v, Mapping) else v for v in values))

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


def _of_metric(by_name: Mapping[str, _Item], call: str, metric: str, default: _Item) -> _Item:
    """The entry for a metric: by its whole name first, then by shorter beginnings of it."""
    name = metric
    while name:
        for own in (f"{call}/{name}", name):
            if own in by_name:
                return by_name[own]
        name = name.rpartition("/")[0]
    return default
