"""How the site is made: Markdown pages, and the reference from docstrings."""

from __future__ import annotations

import inspect
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

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
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

default_role = "code"  # docstrings write names as `name`
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": "BaseModel, Exception"}
autodoc_typehints_format = "short"
autodoc_use_legacy_class_based = False
napoleon_use_ivar = True
