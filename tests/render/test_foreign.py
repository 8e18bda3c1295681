"""An SVG by a user is shown if it is valid, without its active content."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxlog._render import Style, picture, sheet
from jaxlog._render.choose import load
from jaxlog._render.foreign import NotSvgError, embedded, is_own
from tests.render.pictures import SVG, episode, root_of, words_of

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def own(body: str, root: str = 'viewBox="0 0 10 10"') -> str:
    return f"{HEAD}{root}>{body}</svg>"


def drawn_by(renderer: Any, state: Any = 0) -> tuple[str, list[str]]:
    problems: list[str] = []
    tree = {"initial_state": state, "final_state": state}
    svg = picture(episode(tree=tree), Style(renderer), problems.append)
    root_of(sheet([svg, svg]))
    return svg, problems


def test_a_function_gets_the_state_and_draws_it() -> None:
    svg, problems = drawn_by(
        lambda state: own(f"<text>{state['x'].sum()}</text>"), {"x": np.ones(3)}
    )
    assert words_of(svg).count("3.0") == 2
    assert not problems


def test_a_state_that_draws_itself_does_so() -> None:
    class Itself:
        def to_svg(self) -> str:
            return own("<text>myself</text>")

    class Notebook:
        def _repr_svg_(self) -> str:
            return own("<text>in a notebook</text>")

    assert "myself" in words_of(drawn_by("auto", Itself())[0])
    assert "in a notebook" in words_of(drawn_by("auto", Notebook())[0])


BOMB = '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


def broken(_: Any) -> str:
    raise KeyError("board <&")


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (own("").encode(), "got bytes, expected the text of an SVG"),
        (None, "got NoneType, expected"),
        ("<svg", "not well-formed"),
        ("", "not well-formed"),
        ("<html><body/></html>", "got a document of <html>, expected <svg>"),
        (BOMB + own("<text>&b;</text>"), "got a DOCTYPE with declarations"),
        (own("<text>&undefined;</text>"), "not well-formed"),
        (own("<text>\x00</text>"), "not well-formed"),
        (own("<text>\ud800</text>"), "not well-formed"),
        (own("<g>" * 200 + "</g>" * 200), "nested more than 100 deep"),
        (own(" " * 2_000_001), "expected at most 2000000"),
        (broken, "KeyError: 'board <&'"),
    ],
)
def test_an_error_is_drawn_in_place_of_a_bad_svg(result: Any, why: str) -> None:
    svg, problems = drawn_by(result if callable(result) else lambda _: result)
    assert len(problems) == 2
    assert why in problems[0]
    assert words_of(svg).count("cannot be drawn") == 2


@pytest.mark.parametrize(
    "harmful",
    [
        "<script>alert(1)</script>",
        '<script xlink:href="http://evil"/>',
        '<rect width="1" height="1" onload="alert(1)" ONCLICK="alert(1)"/>',
        '<a xlink:href="javascript:alert(1)"><text>t</text></a>',
        '<a href="https://evil"><text>t</text></a>',
        '<image href="http://evil/a.png"/>',
        '<image xlink:href="//evil/a.png"/>',
        '<image href="data:image/svg+xml,evil"/>',
        '<use href="http://evil/a.svg#x"/>',
        '<use href="data:image/png,evil"/>',
        '<rect fill="url(http://evil/#a)"/>',
        "<rect style=\"fill: url( 'http://evil' )\"/>",
        '<rect style="fill: u\\72l(http://evil)"/>',
        "<style>@import 'http://evil';</style>",
        "<style>@import url(http://evil); rect { fill: url(http://evil) }</style>",
        "<style>@font-face { src: url(http://evil) }</style>",
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml">evil</body></foreignObject>',
        '<iframe xmlns="http://www.w3.org/1999/xhtml" src="http://evil"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<set attributeName="onload" to="alert(1)"/>',
        '<g xml:base="http://evil/"/>',
        "<?xml-stylesheet href='http://evil'?>",
        "<!-- evil alert( -->",
        '<rect fill="URL(http://evil)"/>',
        "<rect style=\"background: image-set('http://evil' 1x)\"/>",
        '<rect style="background: -webkit-image-set(evil)"/>',
        '<rect style="background: cross-fade(evil)"/>',
        '<rect style="background: paint(evil)"/>',
        '<rect style="width: evil(3)"/>',
        '<rect fill="url/**/(evil)"/>',
        '<rect style="fill: url (evil)"/>',
        '<rect style="fill: url(#a)url(//evil)"/>',
        '<rect xmlns:e="http://evil" e:fill="evil"/>',
        '<rect data-evil="1" evil="1"/>',
        '<image href="data:image/png+xml,evil"/>',
        '<image href="data:image/png;base64,%3Cevil%3E"/>',
        "<style>rect { content: '} evil { fill: url(http://evil) }</style>",
        "<style>rect:evil(3) { fill: red }</style>",
        "<style>rect['{fill:url(evil)}</style>",
        "<style>rect { fill: red } @media print { rect { fill: url(evil) } }</style>",
    ],
)
def test_active_and_external_content_is_removed(harmful: str) -> None:
    svg, problems = drawn_by(lambda _: own(harmful + '<circle r="3"/>'))
    assert not problems
    lower = svg.lower()
    for word in ("evil", "alert(", "javascript", "<script", "onload", "@import"):
        assert word not in lower
    assert len([c for c in root_of(svg).iter(f"{SVG}circle") if c.get("r") == "3"]) == 2


def test_identifiers_and_style_sheets_are_limited_to_one_drawing() -> None:
    body = (
        "<style>/* all */ *{stroke: red} .a, #g > rect{fill: url(#g)}</style>"
        "<style>@media print { rect { fill: red } } @font-face { x: y }</style>"
        '<linearGradient id="g"/>'
        '<rect id="r" class="curly" fill="url(#g)" style="mask:url(\'#g\')"/>'
        '<use xlink:href="#r"/>'
    )
    drawing = embedded(own(body), "p")
    for kept in (
        "#p * {stroke: red}",
        "#p .a, #p #p-g &gt; rect {fill: url(#p-g)}",
        'id="p-g"',
        'fill="url(#p-g)"',
        'style="mask:url(#p-g)"',
        'class="curly"',
        'href="#p-r"',
    ):
        assert kept in drawing.body
    assert "fill: red" not in drawing.body
    assert "x: y" not in drawing.body
    svg, _ = drawn_by(lambda _: own(body))
    page = sheet([svg] * 3)
    assert len({e.get("id") for e in root_of(page).iter(f"{SVG}linearGradient")}) == 6
    # What refers to something refers to what is in the same drawing.
    for state in root_of(page).iter(f"{SVG}svg"):
        for use in state.findall(f"{SVG}use"):
            assert use.get("href", "")[1:] in {e.get("id") for e in state}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fill", "rgb(10, 20, 30)"),
        ("fill", "hsl(10deg 20% 30%)"),
        ("transform", "translate(1,2) rotate(30) scale(1.5) matrix(1 0 0 1 0 0) skewX(3)"),
        ("style", "transform: translateX(calc((1px + 2px) * 3)); fill: var(--c, red)"),
        ("style", "filter: blur(2px) drop-shadow(0 0 1px black)"),
        ("style", "clip-path: inset(1px); font-family: 'DejaVu Sans', sans-serif"),
        ("font-family", "'Segoe UI', sans-serif"),
        ("d", "M 0 0 C 1 2 3 4 5 6 z"),
        ("points", "0,0 1,1"),
        ("aria-label", "loss (mean), it's fine"),
        ("stroke-dasharray", "3 2"),
        ("preserveAspectRatio", "xMidYMid meet"),
    ],
)
def test_allowed_content_is_kept(name: str, value: str) -> None:
    body = embedded(own(f'<g {name}="{value}"/>'), "p").body
    shown = next(ElementTree.fromstring(body).iter("g"))
    assert shown.get(name) == value


def test_a_picture_by_jaxlog_is_recognized() -> None:
    drawn = {
        "arrays": picture(episode(tree={"initial_state": np.eye(3), "final_state": np.eye(3)})),
        "an image": picture(episode(tree={"final_state": np.full((9, 9, 3), 200, np.uint8)})),
        "numbers": picture(episode()),
        "somebody's": drawn_by(
            lambda _: own('<style>rect{fill:url(#g)}</style><rect id="g" transform="scale(2)"/>')
        )[0],
        "a problem": drawn_by(broken)[0],
    }
    for kind, svg in drawn.items():
        assert is_own(svg), kind
    svg = drawn["somebody's"]
    changes = {
        "another start": svg.replace("jaxlog ", "other ", 1),
        "cut": svg[:-10],
        "a script": svg.replace("</svg>", "<script>1</script></svg>"),
        "a handler": svg.replace("<rect ", '<rect onload="1" ', 1),
        "an address": svg.replace("<rect ", '<rect fill="url(//other)" ', 1),
        "a style sheet": svg.replace("</svg>", "<style>@import 'a'</style></svg>", 1),
        "another namespace": svg.replace("</svg>", '<p xmlns="http://p"/></svg>', 1),
    }
    for kind, changed in changes.items():
        assert changed != svg
        assert not is_own(changed), kind


@pytest.mark.parametrize(
    ("root", "size", "box"),
    [
        ('width="20" height="30"', (20, 30), "0 0 20 30"),
        ('width="72pt" height="1in" viewBox="0 0 7 8"', (96, 96), "0 0 7 8"),
        ('viewBox="-5 -5,10 20"', (10, 20), "-5 -5 10 20"),
        ('width="100%" viewBox="0 0 40 20"', (40, 20), "0 0 40 20"),
        ('width="80" viewBox="0 0 40 20"', (80, 40), "0 0 40 20"),
        ('height="nan" viewBox="0 0 0 nan"', (300, 150), "0 0 300 150"),
        ('width="-1" height="1e999"', (300, 150), "0 0 300 150"),
        ("", (300, 150), "0 0 300 150"),
    ],
)
def test_its_size_is_found(root: str, size: tuple[float, float], box: str) -> None:
    drawing = embedded(own("", root), "p")
    assert (drawing.width, drawing.height) == pytest.approx(size)
    assert f'viewBox="{box}"' in drawing.body


def test_a_drawing_cannot_pose_as_a_state_on_a_sheet() -> None:
    svg, _ = drawn_by(lambda _: own('<svg class="state" data-title="x"><circle r="3"/></svg>'))
    assert len(list(root_of(sheet([svg])).iter(f"{SVG}circle"))) == 2


def test_a_document_of_a_plotting_library_is_embedded() -> None:
    drawing = embedded(
        '<?xml version="1.0" encoding="utf-16" standalone="no"?>\n'
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/g/svg11.dtd">\n'
        + own('<metadata><a xmlns="x">b</a></metadata><text>é <tspan>t</tspan> end</text>'),
        "p",
    )
    assert "<text>é <tspan>t</tspan> end</text>" in drawing.body
    assert "metadata" not in drawing.body
    assert "fine" in embedded("<svg><text>fine</text></svg>", "p").body  # without a namespace


def test_an_unknown_renderer_is_an_error_that_lists_the_others() -> None:
    assert load("grid") == "grid"
    assert load("tests.render.test_foreign:own") is not None
    for name, why in (
        ("gird", "got 'gird', takes one of auto, .*, or package.module:f"),
        ("no.such:thing", "cannot be imported .ModuleNotFoundError"),
        ("json:nothing", "cannot be imported .AttributeError"),
        ("json:__name__", "is a str, takes one of"),
        (":x", "takes one of"),
    ):
        with pytest.raises(ValueError, match=why):
            load(name)


def test_only_text_is_accepted() -> None:
    with pytest.raises(NotSvgError, match="got int, expected"):
        embedded(3, "p")
