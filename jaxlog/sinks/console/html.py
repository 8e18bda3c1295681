"""Pictures of Rich as HTML that follows the theme of the notebook it is in."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.style import Style

COLOURS: Mapping[str, tuple[str, str, str]] = {
    # The variables of JupyterLab (also in Notebook 7), of VS Code and of marimo, each of which
    # follows its theme.
    "red": ("--jp-error-color1", "--vscode-terminal-ansiRed", "--red-11"),
    "green": ("--jp-success-color1", "--vscode-terminal-ansiGreen", "--grass-11"),
    "blue": ("--jp-brand-color1", "--vscode-terminal-ansiBlue", "--blue-11"),
    "cyan": ("--jp-info-color1", "--vscode-terminal-ansiCyan", "--cyan-11"),
    "yellow": ("--jp-warn-color1", "--vscode-terminal-ansiYellow", "--amber-11"),
}
FALLBACKS: Mapping[str, tuple[str, str]] = {
    "red": ("#cf222e", "#ff7b72"),
    "green": ("#116329", "#3fb950"),
    "blue": ("#0969da", "#58a6ff"),
    "cyan": ("#1b7c83", "#39c5cf"),
    "yellow": ("#7d4e00", "#d29922"),
}
"""The colours elsewhere, on a light and on a dark page."""

_PRE = (
    "white-space:pre;overflow-x:auto;line-height:normal;margin:0;"
    "font-family:Menlo,'DejaVu Sans Mono',consolas,'Courier New',monospace"
)


def html_and_text(picture: RenderableType, width: int) -> tuple[str, str]:
    """Draws a picture as HTML, with all texts escaped, and as plain text.

    Args:
      picture: what to draw.
      width: the columns it may take.
    """
    paper = Console(
        file=io.StringIO(),
        width=width,
        force_jupyter=False,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    rows: list[str] = []
    texts: list[str] = []
    for line in paper.render_lines(picture, pad=False):
        shown = [segment for segment in line if not segment.control]
        rows.append("".join(_span(segment.text, segment.style) for segment in shown))
        texts.append("".join(segment.text for segment in shown).rstrip())
    joined = "\n".join(rows)
    return f'<pre style="{_PRE}">{joined}\n</pre>', "\n".join(texts)


def _span(text: str, style: Style | None) -> str:
    css = _css(style) if style is not None and text.strip() else ""
    escaped = html.escape(text)
    return f'<span style="{css}">{escaped}</span>' if css else escaped


def _css(style: Style) -> str:
    parts = ["font-weight:bold"] if style.bold else []
    name = "" if style.color is None or style.color.is_default else style.color.name
    if name in COLOURS:
        parts.append(f"color:{colour(name)}")
    elif name.startswith("grey"):  # the rest of a bar
        parts.append("opacity:0.25")
    elif name and style.color is not None:
        parts.append(f"color:{style.color.get_truecolor().hex}")
    if style.dim:
        parts.append("opacity:0.7")
    return ";".join(parts)


def colour(name: str) -> str:
    """The CSS value of a colour: that of the notebook's theme, or else of the page's scheme."""
    light, dark = FALLBACKS[name]
    value = f"light-dark({light},{dark})"
    for variable in reversed(COLOURS[name]):
        value = f"var({variable},{value})"
    return value
