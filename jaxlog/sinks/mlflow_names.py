"""The names and values that MLflow takes, and those that jaxlog's are sent as."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

LONGEST_NAME = 250
"""The most characters of the name of a metric or a parameter."""
LONGEST_PARAMETER = 6000
"""The most characters of the value of a parameter."""
LONGEST_TAG = 8000
"""The most characters of the value of a tag."""

_REFUSED = re.compile(r"[^\w\-. :/]")
_MARKED = re.compile(r" :[0-9a-f]{12}$")
_READABLE = str.maketrans({"=": ":", ",": " ", "[": ".", "]": "", "(": ".", ")": ""})


def name_in_mlflow(name: str) -> str:
    """The name under which MLflow stores a metric or a parameter.

    MLflow refuses a whole request for one name with signs like `=`, with an empty part between
    slashes, or that is too long. Such a name gets other signs, and a mark that is computed from all
    of it, so that no two names become one. Any other name stays as it is.

    >>> name_in_mlflow("batch/loss"), name_in_mlflow("batch/loss/seed=3,lr=0.1")
    ('batch/loss', 'batch/loss/seed:3 lr:0.1 :e660dbdf6ef7')
    """
    parts = name.split("/")
    plain = not any(part in ("", ".", "..") for part in parts) and name.isprintable()
    plain = plain and len(name) <= LONGEST_NAME
    if plain and not _REFUSED.search(name) and not _MARKED.search(name):
        return name
    shown = _REFUSED.sub("_", name.translate(_READABLE))
    parts = [part if part not in ("", ".", "..") else "_" for part in shown.split("/")]
    mark = f" :{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"
    return "/".join(parts)[: LONGEST_NAME - len(mark)] + mark


def is_rounded(value: Any) -> bool:
    """True for a number that MLflow, which stores float64, stores as another one."""
    if isinstance(value, int):
        return int(float(value)) != value
    return math.isinf(value)


def cut(text: str, longest: int) -> str:
    """The text, or its first characters and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
