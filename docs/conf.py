"""Settings of Sphinx for the site: Markdown pages, and the reference from docstrings."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import jaxlog

project = "jaxlog"
author = "the developers of jaxlog"
project_copyright = f"2026, {author}"
version = release = jaxlog.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_site"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "jaxlog"
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".gp, .go"  # do not copy prompts and outputs

autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseModel, Exception, BaseException",
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}  # instead of the union it stands for
maximum_signature_line_length = 80
napoleon_use_ivar = True

# Names that other packages document: the site is built without a network.
nitpick_ignore_regex = [
    ("py:.*", rf"({name})(\..*)?")
    for name in ("jax", "numpy", "np", "pl", "pathlib", "os", "collections", "concurrent")
]
# Private types, and the types inside a Record: the text describes them.
nitpick_ignore_regex += [
    (
        "py:class",
        r"[A-Z]\w*|jaxlog\._format\.schema\.Schema|jaxlog\._format\.events\.Leaf|"
        r"jaxlog\._program\.summary\.MetricStatistics",
    )
]

PUBLIC: dict[str, tuple[str, Any]] = {}
"""Each public name, with the module whose page documents it, and its value."""
for module in (jaxlog.statistics, jaxlog.sinks, jaxlog):  # if two have a name, the last is shown
    PUBLIC |= {name: (module.__name__, getattr(module, name)) for name in module.__all__}


def returns_in_prose(docstring: GoogleDocstring, **_: Any) -> list[tuple[str, str, list[str]]]:
    """Reads `Returns:` as text, even with a colon in it: signatures have the types."""
    return [("", "", docstring._dedent(docstring._consume_to_next_section()))]


GoogleDocstring._consume_returns_section = returns_in_prose  # type: ignore[method-assign]
next(f for f in PyObject.doc_field_types if f.name == "variable").label = "Attributes"


def code_is_literal(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Turns single backticks, which docstrings use for code, into double ones."""
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?![`_])", r"``\1``", line) for line in lines]


def aliases_by_name(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str | None, ...] | None:
    """Replaces text that Sphinx 9.0 puts into signatures for type aliases and defaults.

    It shows a type alias inside another type as a `TypeAliasForwardRef`, and cannot break a
    signature into lines if a default is not an expression.
    """
    stand_in = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    named, unnamed = (
        re.compile(r"<class '(?:\w+\.)*(\w+)'>"),
        re.compile(r"<factory>|<function .*?>>?"),
    )
    return tuple(
        text and unnamed.sub("...", named.sub(r"\1", stand_in.sub(r"\1", text)))
        for text in (signature, returns)
    )


def types_in_short(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Shortens the types of attributes to the names that signatures have."""
    for number, line in enumerate(lines):
        if line.startswith(":vartype "):
            short = re.sub(r"\b(?!numpy|pl)(?:[a-z_]\w*\.)+(?=[A-Z])", "", line)
            lines[number] = short.replace("numpy.", "np.")


def at_its_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """Links a private path, `jaxlog._program.record.Record`, to the public `jaxlog.Record`."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in PUBLIC:
        return None
    python = env.domains.python_domain
    return python.resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"{PUBLIC[name][0]}.{name}", node, text
    )


class HelpOf(SphinxDirective):
    """A directive that shows the `--help` text of a subcommand."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns the text as a literal block."""
        command = [sys.executable, "-m", "jaxlog", self.arguments[0], "--help"]
        env = os.environ | {"COLUMNS": "88", "NO_COLOR": "1"}
        said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        return [nodes.literal_block(said.strip(), said.strip(), language="none")]


def all_is_documented(app: Sphinx, env: BuildEnvironment) -> None:
    """Warns, which fails the build, about a public name without a page or a docstring."""
    warn = logging.getLogger(__name__).warning
    shown = {entry[0] for entry in env.domains.python_domain.get_objects()}
    for short, (module, value) in PUBLIC.items():
        name = f"{module}.{short}"
        if name not in shown:
            warn("%s is public, and on no page of docs/reference", name)
        if not inspect.isclass(value):
            continue
        fields = getattr(value, "__dataclass_fields__", {})
        for member, what in inspect.getmembers(value):
            own = getattr(what, "fget", None) or getattr(what, "__func__", what)
            ours = inspect.isfunction(own) and own.__module__.startswith("jaxlog.")
            if ours and not (member.startswith("_") or member in fields or inspect.getdoc(own)):
                warn("%s.%s is public, and has no docstring", name, member)
        docstring = inspect.getdoc(value) or ""
        for field in fields:
            if not field.startswith("_") and not re.search(
                rf"^ +{field}: ", docstring, re.MULTILINE
            ):
                warn("%s says nothing of its field %s", name, field)


def setup(app: Sphinx) -> None:
    """Registers the functions above with Sphinx."""
    app.add_directive("help-of", HelpOf)
    app.connect("autodoc-process-docstring", code_is_literal, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", types_in_short, priority=600)  # after it
    app.connect("autodoc-process-signature", aliases_by_name)
    app.connect("missing-reference", at_its_public_name)
    app.connect("env-check-consistency", all_is_documented)
