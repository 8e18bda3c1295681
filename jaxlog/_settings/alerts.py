"""The settings of alerts: the conditions, and where an alert goes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    Strict,
    field_serializer,
    field_validator,
    model_validator,
)

from jaxlog._errors import ConfigError
from jaxlog._settings.environment import variable

_LIMITS = ("below", "above")
_TARGETS = Literal["log", "console", "command", "webhook"]


class AlertSettings(BaseModel, frozen=True, extra="forbid", strict=True):
    """One condition of which the user is told."""

    kind: Literal["not_finite", "below", "above", "stalled", "failed", "lost"] = Field(
        description="The condition: a value is NaN or infinite (`not_finite`), or is `below` or "
        "`above` the limit `value`; no record arrived for some `seconds` (`stalled`); the run "
        "`failed`, or its process was told to end; records were `lost`."
    )
    metric: str = Field(
        default="",
        description="The key of the lines that is watched, such as `episode_return_mean`; "
        "`eval/loss` is that of the call `eval` only, and `*` stands for any letters. With "
        "`not_finite` it may be left out, for all keys.",
    )
    value: float | None = Field(
        default=None, allow_inf_nan=False, description="The limit of `below` and `above`."
    )
    lines: int = Field(
        default=1,
        ge=1,
        lt=2**31,
        description="The number of successive lines of a lane on which the condition has to hold.",
    )
    seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The time of `stalled`."
    )
    again_after: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="The least seconds from one alert of the condition to the next, if it has "
        "ended and holds again.",
    )
    to: Annotated[tuple[_TARGETS, ...], Strict(False)] = Field(
        default=(),
        description="The kinds of `alert_to` that get the alerts; all, if empty.",
    )

    @model_validator(mode="after")
    def _has_its_keys(self) -> Self:
        if self.kind in _LIMITS and (not self.metric or self.value is None):
            missing = "metric, a key of the lines" if not self.metric else "value, the limit"
            raise ValueError(f"an alert of kind {self.kind} needs {missing}")
        if self.kind == "stalled" and self.seconds is None:
            raise ValueError("an alert of kind stalled needs seconds, such as seconds: 600")
        unused = {
            "metric": self.kind not in ("not_finite", *_LIMITS),
            "value": self.kind not in _LIMITS,
            "lines": self.kind not in ("not_finite", *_LIMITS),
            "seconds": self.kind != "stalled",
        }
        for key, is_unused in unused.items():
            if is_unused and key in self.model_fields_set:
                raise ValueError(f"an alert of kind {self.kind} has no key {key}; leave it out")
        return self


class AlertTarget(BaseModel, frozen=True, extra="forbid", strict=True):
    """One place that alerts go to."""

    kind: _TARGETS = Field(
        description="`log`: a warning of the logger `jaxlog` of Python's logging. `console`: a "
        "line on standard error. `command`: runs a program. `webhook`: posts JSON to an address, "
        "as Slack, Mattermost and Discord take it."
    )
    command: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(),
        description="The words of the command, which is run without a shell, like `[notify-send, "
        '"{run}", "{text}"]`. `{text}`, `{run}`, `{kind}`, `{metric}`, `{step}`, `{value}` and '
        "`{directory}` are replaced, and standard input has all of the alert as JSON.",
    )
    address: SecretStr | None = Field(
        default=None,
        description="The address of the webhook, or, with a `$` before it, the name of the "
        "variable of the environment that has it: `$SLACK_WEBHOOK`. It is a secret, and is "
        "written nowhere.",
    )
    seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="How long one attempt of a command or webhook may take.",
    )

    @field_validator("address", mode="before")
    @classmethod
    def _is_an_address(cls, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is None:
            return None
        if not isinstance(text, str) or not (is_variable(text) or is_address(text)):
            # The value may be a secret: it is not shown.
            raise ValueError(
                "expected an address that begins with https:// or http://, or the name of a "
                "variable after a $, like $SLACK_WEBHOOK"
            )
        return SecretStr(text)

    @field_serializer("address")
    def _without_secret(self, value: SecretStr | None) -> str | None:
        text = None if value is None else value.get_secret_value()
        return text if text is None or is_variable(text) else "(redacted)"

    @model_validator(mode="after")
    def _has_its_keys(self) -> Self:
        for kind, key in (("command", "command"), ("webhook", "address")):
            if self.kind == kind and not getattr(self, key):
                raise ValueError(f"a target of kind {kind} needs {key}")
            if self.kind != kind and key in self.model_fields_set:
                raise ValueError(f"a target of kind {self.kind} has no key {key}; leave it out")
        return self


def is_variable(text: str) -> bool:
    """True if an address is given as the name of a variable of the environment."""
    return text.startswith("$") and text[1:].isidentifier()


def is_address(text: str) -> bool:
    """True for an address of the web."""
    try:
        found = urlsplit(text)
        _ = found.port  # raises for a port that is no number
    except ValueError:
        return False
    printable = text.isascii() and text.isprintable() and " " not in text
    return printable and found.scheme in ("http", "https") and bool(found.hostname)


def address_of(target: AlertTarget, place: str) -> str:
    """The address of a webhook, from the environment if it names a variable.

    Args:
      target: a webhook.
      place: the key of the setting, for errors.

    Raises:
      ConfigError: the variable is not set, or has no address.
    """
    assert target.address is not None
    text = target.address.get_secret_value()
    if not is_variable(text):
        return text
    found = variable(text[1:])
    if found is None:
        raise ConfigError(
            f"{place}: the environment variable {text[1:]} is not set; set it to the address of "
            "the webhook, or leave this target out"
        )
    if not is_address(found):
        raise ConfigError(
            f"{place}: the environment variable {text[1:]} has no address that begins with "
            "https:// or http://"
        )
    return found
