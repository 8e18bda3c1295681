"""`jaxlog schema`: prints the schema of the settings, for editors or for readers."""

from __future__ import annotations

import json
from typing import Literal

from jaxlog._cli.stream import out
from jaxlog._settings.reference import json_schema, reference


def schema(*, to: Literal["json", "markdown"] = "json") -> int:
    """Print all settings, as a JSON Schema or as a Markdown page.

    Args:
      to: json for a JSON Schema, with which editors complete and check settings files; markdown for
        a reference to read.

    Returns:
      0.
    """
    out(json.dumps(json_schema(), indent=2) if to == "json" else reference().rstrip("\n"))
    return 0
