"""`jaxlog schema`: what settings may be, for editors and for readers."""

from __future__ import annotations

import json
from typing import Literal

from jaxlog._cli.stream import out
from jaxlog._settings.reference import json_schema, reference


def schema(*, to: Literal["json", "markdown"] = "json") -> int:
    """Print what a settings file may say: a JSON Schema, or a page to read.

    Args:
      to: A JSON Schema, which editors complete and check by, or a reference in Markdown.

    Returns:
      0.
    """
    out(json.dumps(json_schema(), indent=2) if to == "json" else reference().rstrip("\n"))
    return 0
