"""The records that each sink of a run wrote and lost, as facts, words and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jaxlog._errors import LoggingError
from jaxlog._format.events import Account
from jaxlog._host.redaction import redacted
from jaxlog._limits import as_utf8
from jaxlog._text import counted


def account_facts(account: Account) -> dict[str, Any]:
    """The account of one sink, as run.json has it."""
    facts: dict[str, Any] = {
        "kind": account.kind,
        "written": account.written,
        "lost": account.arrived - account.written,
        "failure": None if account.failure is None else redacted(as_utf8(account.failure)),
    }
    return facts | {"files": account.files} if account.files else facts


def loss(facts: Mapping[str, Any]) -> str:
    """The records that one sink lost, in words, from its `account_facts`."""
    arrived = counted(facts["written"] + facts["lost"], "record")
    return f"the sink {facts['kind']} lost {facts['lost']:,} of {arrived}: {facts['failure']}"


def logging_error(
    run: str, accounts: Iterable[Account], causes: Iterable[BaseException]
) -> LoggingError:
    """The error of a strict run.

    Args:
      run: the run's name.
      accounts: of the sinks that failed or lost records.
      causes: the exceptions that these sinks raised.
    """
    losses = "; ".join(loss(account_facts(account)) for account in accounts)
    error = LoggingError(f"run {run}: {losses}")
    raised = list(causes)
    if raised:
        error.__cause__ = BaseExceptionGroup("what the sinks raised", raised)
    return error
