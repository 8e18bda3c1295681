"""The settings: every key, what it takes, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Unpack

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
from jaxlog._settings.environment import in_ci
from jaxlog._settings.typed import GivenSettings
from jaxlog._settings.wording import key_of, shown
from jaxlog.sinks import kinds, sink_class
from jaxlog.sinks.sink import ObjectSettings, Sink, SinkSettings, kind_of


def _known_statistic(name: str) -> str:
    if name not in STATISTICS and quantile(name) is None:
        raise PydanticCustomError("choice", "not a statistic")
    return name


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            named = value.kind if isinstance(value, SinkSettings) else str(value)
            context = {"value": key_of((named,)), "index": index}
            raise PydanticCustomError("repeated", "{value} stands there twice", context)
    return values


def _of_its_kind(value: Any, handler: Any) -> SinkSettings:
    """A sink's settings, as the model of the sink that its `kind` names."""
    if isinstance(value, ObjectSettings):
        return value
    if isinstance(value, Sink):
        return ObjectSettings(kind=kind_of(value), sink=value)
    if isinstance(value, type) and issubclass(value, Sink):
        raise PydanticCustomError(
            "sink",
            "got the class {name}, takes an object of it, like {name}()",
            {"name": value.__name__},
        )
    if any(callable(getattr(value, name, None)) for name in ("open", "write_metrics", "close")):
        raise PydanticCustomError(
            "sink",
            "got {name}, which is no jaxlog.sinks.Sink; make it a subclass, which has every method "
            "of a sink",
            {
                "name": "the class " + value.__name__
                if isinstance(value, type)
                else "an object of " + type(value).__name__
            },
        )
    if not isinstance(value, dict | SinkSettings):
        return handler(value)
    kind = value.kind if isinstance(value, SinkSettings) else value.get("kind")
    try:
        model = sink_class(kind).Settings
    except LookupError as error:
        context = {"why": str(error), "kind": kind, "kinds": kinds()}
        raise PydanticCustomError("kind", "{why}", context) from None
    try:
        # Sinks do not read the environment: what they may have to know of it goes with it.
        return model.model_validate(value, context={"ci": in_ci()})
    except ValidationError as error:
        inner = {"model": model, "errors": error.errors(include_url=False)}
        raise PydanticCustomError("inner", "{why}", {"why": str(error), **inner}) from None


_Item = TypeVar("_Item")
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
    WithJsonSchema({"anyOf": [{"enum": [*STATISTICS, "median"]}, _PERCENTILE]}),
]


class _ForAll(RootModel[_Distinct[_Statistic]], strict=True):
    """Statistics of every metric."""


class _ByName(RootModel[dict[str, _Distinct[_Statistic]]], strict=True):
    """Statistics by the name of a metric."""


class _Bins(BaseModel, extra="forbid", strict=True):
    """Bins of one width."""

    low: float = Field(description="The first edge.")
    high: float = Field(description="The last edge.")
    bins: int = Field(ge=1, le=10_000, description="How many bins lie between.")


class _GivenEdges(RootModel[Annotated[tuple[float, ...], Strict(False), Field(min_length=2)]]):
    """The edges of bins."""


def _as(model: type[BaseModel], value: Any) -> Any:
    """A part of the settings that may have several forms, as one of them."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        inner = {"model": model, "errors": error.errors(include_url=False)}
        raise PydanticCustomError("inner", "{why}", {"why": str(error), **inner}) from None


def _statistics(value: Any, _: Any) -> Any:
    return _as(_ByName if isinstance(value, dict) else _ForAll, value).root


def _edges(value: Any, _: Any) -> tuple[float, ...]:
    with np.errstate(all="ignore"):  # of what is infinite or too large, the check below tells
        if isinstance(value, dict):
            bins = _as(_Bins, value)
            edges = tuple(np.linspace(bins.low, bins.high, bins.bins + 1).tolist())
        else:
            edges = _as(_GivenEdges, value).root
        increase = (np.diff(np.asarray(edges, np.float32)) > 0).all()
    if not increase:
        raise PydanticCustomError(
            "ascending",
            "got {value}, takes edges that increase, as float32",
            {"value": shown(value)},
        )
    return edges


def _either(*models: type[BaseModel]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [model.model_json_schema() for model in models]})


_Sink = Annotated[
    SerializeAsAny[SinkSettings],
    WrapValidator(_of_its_kind),
    WithJsonSchema({"type": "object", "required": ["kind"]}),
]

_DEFAULT_STATISTICS = ("mean", "std", "min", "max")
_NAMES = ", ".join(f"`{name}`" for name in STATISTICS)


class LoggingConfig(BaseModel, frozen=True, extra="forbid", strict=True):
    """The settings of one logger. Frozen and hashable; an unknown key is refused."""

    batched_logging_enabled: bool = Field(
        default=True,
        description="`false` switches off `batch_step`, `window_step` and `log_window`: they then "
        "add nothing to the program. `jaxlog.log`, and what a single environment logs, go on.",
    )
    log_frequency: int = Field(
        default=10, ge=1, lt=2**31, description="Aggregates are logged every so many updates."
    )
    statistics: Annotated[
        tuple[str, ...] | Mapping[str, tuple[str, ...]],
        WrapValidator(_statistics),
        _either(_ForAll, _ByName),
    ] = Field(
        default=_DEFAULT_STATISTICS,
        description="What is told of each metric that has a value per episode: a list for all, or "
        "a mapping of names of metrics to lists, in which `default` is for those it does not name. "
        f"{_NAMES}, and quantiles: `median`, or `p0` to `p100`.",
    )
    histograms: dict[
        str,
        Annotated[tuple[float, ...], WrapValidator(_edges), _either(_GivenEdges, _Bins)],
    ] = Field(
        default={},
        description="Metrics of which a histogram is counted, each with the edges of its bins, "
        "or with `low`, `high` and `bins`.",
    )

    sampling_enabled: bool = Field(
        default=True, description="Whether whole episodes are picked and logged."
    )
    sample_frequency: int = Field(
        default=100, ge=1, lt=2**31, description="Episodes are picked every so many updates."
    )
    num_samples: int = Field(default=3, ge=1, lt=2**31, description="How many episodes are picked.")
    sample_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="With the update's index, decides which episodes are picked.",
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
        description="Whether `gradient_norm`, `grad_norm` and what ends like these are logged.",
    )
    include: _Distinct[str] = Field(
        default=(),
        description=(
            "Only these metrics, by the names that `batch_step` is given; all, if empty. "
            "`eval/NAME` speaks of the call named `eval` alone."
        ),
    )
    exclude: _Distinct[str] = Field(
        default=(), description="Not these metrics; as `include`, and before it."
    )

    over_lanes: _Distinct[Literal["mean", "std", "iqm"]] = Field(
        default=(),
        description="Where several lanes log, a line more for each of these: every metric's mean, "
        "standard deviation or interquartile mean over the lanes, over seeds, say.",
    )
    delivery: Literal["live", "return"] = Field(
        default="live",
        description="`live`: records leave the running program, through a callback. `return`: the "
        "program has no callback; it returns its records, and `logger.write` writes them.",
    )
    strict: bool = Field(
        default=False,
        description="Whether what goes wrong with logging is raised: when a sink does not open, "
        "and, for all else, when the run is closed. Otherwise it is warned of.",
    )
    env_steps_per_update: int | None = Field(
        default=None,
        ge=1,
        description="Environment steps of one update (environments x rollout length): each line "
        "then has `env_step` too, the steps taken when its update was done.",
    )
    sinks: _Distinct[_Sink] = Field(
        default=(),
        description="Where records go; each has its `kind`, and the keys of that kind. In Python, "
        "an object of a subclass of `jaxlog.sinks.Sink` may stand among them.",
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
        return self.statistics.get(f"{call}/{metric}", self.statistics.get(metric, default))

    def edges_of(self, call: str, metric: str) -> tuple[float, ...]:
        """The edges of one metric's histogram; empty for none."""
        return self.histograms.get(f"{call}/{metric}", self.histograms.get(metric, ()))
