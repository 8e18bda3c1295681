"""The type of the setting `renderer`, which chooses how the states of episodes are drawn."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from jaxlog._render import RENDERERS, load
from jaxlog._render.choose import OWN


def _loadable(name: str) -> str:
    try:
        load(name)
    except ValueError as error:
        context = {"why": str(error), "known": list(RENDERERS)}
        raise PydanticCustomError("renderer", "{why}", context) from None
    return name


Renderer = Annotated[
    str,
    AfterValidator(_loadable),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(RENDERERS)},
                {"type": "string", "pattern": r"^.+:.+$", "description": OWN},
            ]
        }
    ),
]
