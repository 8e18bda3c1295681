"""HTML pages from Jinja2 templates, in which every value is escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jaxlog._render.markup import xml_text


class InlineFile(NamedTuple):
    """A style or script of jaxlog's own, to stand in a page.

    Attributes:
      text: the source; templates write it unescaped.
      source: its hash, as the page's content security policy names it.
    """

    text: Markup
    source: Markup


def rendered(package: str, template: str, **values: Any) -> str:
    """A page: a template with its values.

    Values are escaped, except `InlineFile` and what `tojson` wrote.

    Args:
      package: the package with the template and what it includes.
      template: its file.
      **values: its variables.
    """
    return _environment(package).get_template(template).render(values)


def inline(package: str, *names: str) -> InlineFile:
    """Files of a package, one after the other, as one style or script."""
    return inlined("\n".join(_read(package, name) for name in names))


def inlined(text: str) -> InlineFile:
    """A style or script of jaxlog's own."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return InlineFile(Markup(text), Markup(f"'sha256-{digest}'"))


def _read(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text("utf-8")


def brief(text: str, most: int = 160) -> str:
    """A name, cut to a length that is still readable: names of users may have any length.

    >>> brief("learning_rate", 8)
    'learnin…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


@functools.cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief
    # NaN is not JSON: a value that is not finite has to be replaced before.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _cleaned(value: Any) -> Any:
    """A value without the characters that HTML cannot hold."""
    return value if hasattr(value, "__html__") else xml_text(str(value))
