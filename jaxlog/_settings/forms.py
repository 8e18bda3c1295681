"""The types of settings that have several forms, or a kind, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

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
from jaxlog._format.names import CALL_NAME, check_call
from jaxlog._settings.alerts import AlertSettings, AlertTarget
from jaxlog._settings.environment import in_ci
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
Distinct = Annotated[
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


class _ForAll(RootModel[Distinct[_Statistic]], strict=True):
    """The same statistics for all metrics."""


class _ByName(RootModel[dict[str, Distinct[_Statistic]]], strict=True):
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


StatisticsOrByName = Annotated[
    tuple[str, ...] | Mapping[str, tuple[str, ...]],
    WrapValidator(_statistics),
    _either(_ForAll, _ByName),
]
Edges = Annotated[tuple[float, ...], WrapValidator(_edges), _either(_GivenEdges, _Bins)]

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


FrequencyOrByCall = Annotated[
    int | Mapping[str, int], WrapValidator(_frequency), _either(_Frequency, _FrequencyByCall)
]
CountKeyOrByCall = Annotated[
    str | Mapping[str, str | None] | None,
    WrapValidator(_count_key),
    _either(_CountKey, _CountKeyByCall),
]
SwitchOrByCall = Annotated[
    bool | Mapping[str, bool], WrapValidator(_switch), _either(_Switch, _SwitchByCall)
]

AnySink = Annotated[
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


AnyAlert = Annotated[
    AlertSettings, WrapValidator(_alert), WithJsonSchema(AlertSettings.model_json_schema())
]
AnyAlertTarget = Annotated[
    AlertTarget, WrapValidator(_alert_target), WithJsonSchema(AlertTarget.model_json_schema())
]
