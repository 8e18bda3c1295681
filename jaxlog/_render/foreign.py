"""Reads SVG that jaxlog did not draw, removes everything active or external, and embeds it.

Only elements and attributes on a list of allowed ones are kept, since pictures end up in reports
that are opened in a browser.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.parsers import expat

from jaxlog._render.markup import START, SVG, Drawing, xml_text

_XLINK = "http://www.w3.org/1999/xlink"
_LARGEST = 2_000_000  # characters
_DEEPEST = 100

_ELEMENTS = frozenset((
    "svg", "g", "defs", "symbol", "use", "switch", "title", "desc", "style", "path", "rect",
    "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "textPath", "image",
    "clipPath", "mask", "pattern", "linearGradient", "radialGradient", "stop", "marker", "filter",
    "feBlend", "feColorMatrix", "feComponentTransfer", "feComposite", "feConvolveMatrix",
    "feDiffuseLighting", "feDisplacementMap", "feDistantLight", "feDropShadow", "feFlood",
    "feFuncA", "feFuncB", "feFuncG", "feFuncR", "feGaussianBlur", "feMerge", "feMergeNode",
    "feMorphology", "feOffset", "fePointLight", "feSpecularLighting", "feSpotLight", "feTile",
    "feTurbulence",
))  # fmt: skip
_ATTRIBUTES = frozenset((
    # what any element has
    "id", "class", "style", "lang", "role", "tabindex", "transform", "data-value",
    "aria-label", "aria-labelledby", "aria-describedby", "aria-hidden", "aria-roledescription",
    # where it is, and its outline
    "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "fr", "dx", "dy",
    "width", "height", "d", "points", "pathLength", "rotate", "textLength", "lengthAdjust",
    "startOffset", "method", "side", "spacing", "version", "viewBox", "preserveAspectRatio",
    "refX", "refY", "markerWidth", "markerHeight", "markerUnits", "orient", "offset",
    "gradientUnits", "gradientTransform", "spreadMethod", "patternUnits", "patternContentUnits",
    "patternTransform", "clipPathUnits", "maskUnits", "maskContentUnits", "filterUnits",
    "primitiveUnits", "requiredExtensions", "requiredFeatures", "systemLanguage",
    # how it looks
    "alignment-baseline", "baseline-shift", "clip", "clip-path", "clip-rule", "color",
    "color-interpolation", "color-interpolation-filters", "color-rendering", "cursor",
    "direction", "display", "dominant-baseline", "enable-background", "fill", "fill-opacity",
    "fill-rule", "filter", "flood-color", "flood-opacity", "font", "font-family", "font-size",
    "font-size-adjust", "font-stretch", "font-style", "font-variant", "font-weight",
    "image-rendering", "kerning", "letter-spacing", "lighting-color", "marker", "marker-end",
    "marker-mid", "marker-start", "mask", "mask-type", "mix-blend-mode", "opacity", "overflow",
    "paint-order", "pointer-events", "shape-rendering", "stop-color", "stop-opacity", "stroke",
    "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "text-anchor", "text-decoration",
    "text-overflow", "text-rendering", "transform-box", "transform-origin", "unicode-bidi",
    "vector-effect", "visibility", "white-space", "word-spacing", "writing-mode",
    # filters
    "in", "in2", "result", "stdDeviation", "mode", "type", "values", "operator", "k1", "k2", "k3",
    "k4", "order", "kernelMatrix", "divisor", "bias", "targetX", "targetY", "edgeMode",
    "preserveAlpha", "surfaceScale", "diffuseConstant", "specularConstant", "specularExponent",
    "kernelUnitLength", "scale", "xChannelSelector", "yChannelSelector", "azimuth", "elevation",
    "z", "pointsAtX", "pointsAtY", "pointsAtZ", "limitingConeAngle", "radius", "baseFrequency",
    "numOctaves", "seed", "stitchTiles", "tableValues", "slope", "intercept", "amplitude",
    "exponent",
    # of a style sheet
    "media",
))  # fmt: skip
_OF_WORDS = frozenset(("aria-label", "aria-roledescription", "class"))
_FUNCTIONS = frozenset((
    "",  # brackets within `calc`, say
    "rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color", "color-mix",
    "matrix", "matrix3d", "translate", "translatex", "translatey", "scale", "scalex", "scaley",
    "rotate", "skew", "skewx", "skewy", "calc", "min", "max", "clamp", "var", "blur", "brightness",
    "contrast", "drop-shadow", "grayscale", "hue-rotate", "invert", "opacity", "saturate", "sepia",
    "inset", "circle", "ellipse", "polygon", "path", "rect", "not", "is", "where", "nth-child",
    "nth-last-child", "nth-of-type", "nth-last-of-type", "lang",
))  # fmt: skip
"""The CSS functions that are allowed in values and selectors: none of them loads anything."""
_PIXELS_INLINE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.I)
_LENGTH = re.compile(r"\s*\+?(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*(px|pt|pc|mm|cm|in|)\s*$")
_PIXELS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96}
_DEFAULT_SIZE = (300.0, 150.0)  # of an SVG that does not say, by the CSS standard
_LOCAL_URL = re.compile(r"""url\(\s*['"]?#([^'"()\\\s<>]+)['"]?\s*\)""", re.IGNORECASE)
_CALLED = re.compile(r"([\w-]*)\s*\(")
_TEXT = re.compile(r""""[^"\n]*"|'[^'\n]*'""")
_AT_BLOCK = re.compile(r"@[^{};]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


class NotSvgError(ValueError):
    """A text is not an SVG that can be embedded; the message says why."""


def embedded(svg: object, prefix: str) -> Drawing:
    """Turns an SVG document into a drawing that can be embedded beside others.

    Everything that is not on the lists is left out: scripts, event handlers, links, animations,
    references to other documents, and CSS functions that could load something. Identifiers get a
    prefix, and style sheets apply only inside the drawing.

    Args:
      svg: the text of the document.
      prefix: the prefix of its identifiers.

    Raises:
      NotSvgError: it is not text, not well-formed or too large, its root is not `<svg>`, or it
        declares entities.
    """
    if not isinstance(svg, str):
        raise NotSvgError(f"got {type(svg).__name__}, expected the text of an SVG, as str")
    if len(svg) > _LARGEST:
        raise NotSvgError(f"got {len(svg)} characters of SVG, expected at most {_LARGEST}")
    root = parse(svg)
    if root.tag != f"{{{SVG}}}svg" and root.tag != "svg":
        raise NotSvgError(f"got a document of <{_local(root.tag)}>, expected <svg>")
    width, height, box = _size(root)
    kept = _kept(root, prefix)
    assert kept is not None
    # An inner `<svg>` keeps its fonts, colours and style sheets to itself.
    kept.attrib.update(
        x="0", y="0", width=f"{width:g}", height=f"{height:g}", viewBox=box, id=prefix
    )
    return Drawing(width, height, ElementTree.tostring(kept, encoding="unicode"))


def parse(svg: str) -> ElementTree.Element:
    """Parses a document, without comments and processing instructions.

    Raises:
      NotSvgError: it is not well-formed, declares entities, or is nested too deep.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise NotSvgError(f"got elements nested more than {_DEEPEST} deep")
        builder.start(_named(tag), {_named(name): value for name, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_named(tag))

    def doctype(_name: str, _system: object, _public: object, has_subset: int) -> None:
        # It could declare entities, a few of which can expand to gigabytes.
        if has_subset:
            raise NotSvgError("got a DOCTYPE with declarations, expected none, or one without")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(svg, True)
        return builder.close()
    except (expat.ExpatError, UnicodeError, AssertionError) as error:
        raise NotSvgError(f"got text that is not well-formed XML: {error}") from None


def _named(name: str) -> str:
    """Returns a name as ElementTree writes it: the namespace in braces."""
    return "{" + name if "}" in name else name


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _size(root: ElementTree.Element) -> tuple[float, float, str]:
    """Returns width and height in pixels, and the view box."""
    box = [_number(part) for part in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
    lengths = [_length(root.get("width")), _length(root.get("height"))]
    left, top, across, down = 0.0, 0.0, *_DEFAULT_SIZE
    if len(box) == 4 and None not in box and (box[2] or 0) > 0 and (box[3] or 0) > 0:
        left, top, across, down = (part or 0.0 for part in box)
        width, height = lengths
        if width is None and height is None:
            width, height = across, down
        elif height is None:
            width, height = width or across, (width or across) * down / across
        elif width is None:
            width = height * across / down
    else:
        width, height = lengths[0] or across, lengths[1] or down
        across, down = width, height
    return width or across, height or down, f"{left:g} {top:g} {across:g} {down:g}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e6 else None


def _length(text: str | None) -> float | None:
    """Converts a length to pixels; None if it is missing or relative, like `50%`."""
    found = _LENGTH.match(text or "")
    if found is None:
        return None
    value = float(found[1]) * _PIXELS[found[2]]
    return value if 0.01 <= value < 1e6 else None


def _kept(element: ElementTree.Element, prefix: str) -> ElementTree.Element | None:
    """Copies the allowed parts of an element, without a namespace; None if it is not allowed."""
    namespace, _, tag = element.tag.rpartition("}")
    if namespace not in ("", "{" + SVG):
        return None
    if tag == "a":
        tag = "g"  # the content of a link is kept
    if tag not in _ELEMENTS:
        return None
    kept = ElementTree.Element(tag)
    for name, value in element.attrib.items():
        safe = _attribute(tag, name, value, prefix)
        if safe is not None:
            kept.set(*safe)
    kept.text, kept.tail = _text(element.text), _text(element.tail)
    if tag == "style":
        kept.text = _style_sheet("".join(element.itertext()), prefix)
        return kept if kept.text else None
    for child in element:
        part = _kept(child, prefix)
        if part is not None:
            kept.append(part)
        elif child.tail and child.tail.strip():
            if len(kept):
                kept[-1].tail = (kept[-1].tail or "") + xml_text(child.tail)
            else:
                kept.text = (kept.text or "") + xml_text(child.tail)
    return kept


def _text(text: str | None) -> str | None:
    return xml_text(text) if text and text.strip() else text and " "


def _attribute(tag: str, name: str, value: str, prefix: str) -> tuple[str, str] | None:
    namespace, _, local = name.rpartition("}")
    value = xml_text(value)
    if local == "href" and namespace in ("", "{" + _XLINK):
        if value.startswith("#"):
            return "href", f"#{prefix}-{value[1:]}"
        return ("href", value) if tag == "image" and _PIXELS_INLINE.fullmatch(value) else None
    if namespace or local not in _ATTRIBUTES:
        return None
    if local == "id":
        return "id", f"{prefix}-{value}"
    if local in ("aria-labelledby", "aria-describedby"):
        return local, " ".join(f"{prefix}-{part}" for part in value.split())
    if local in _OF_WORDS:
        return local, value
    declared = _declarations(value, prefix)
    return None if declared is None else (local, declared)


def _declarations(value: str, prefix: str) -> str | None:
    """Prefixes the identifiers in CSS declarations; None if they have a forbidden function."""
    if not _is_plain(_LOCAL_URL.sub("", value)):
        return None
    return _LOCAL_URL.sub(rf"url(#{prefix}-\1)", value)


def _is_plain(css: str) -> bool:
    """True if CSS has only allowed functions, and all its strings are closed."""
    # A backslash can spell any name, and a comment can hide one.
    if "\\" in css or "@" in css or "/*" in css:
        return False
    if any(mark in _TEXT.sub("", css) for mark in "\"'"):
        return False
    return all(name.lower() in _FUNCTIONS for name in _CALLED.findall(css))


def _style_sheet(css: str, prefix: str) -> str:
    """Keeps the rules that load nothing, limited to this drawing; `@` rules are left out."""
    css = re.sub(r"/\*.*?\*/", "", xml_text(css), flags=re.DOTALL)
    css = _AT_BLOCK.sub("", css)
    rules: list[str] = []
    for selectors, declarations in _RULE.findall(css):
        # The text before a rule may be a statement without a block: `@import "a.css";`
        selectors = selectors.rpartition(";")[2].strip()
        safe = _declarations(declarations, prefix)
        if not _is_plain(selectors) or "<" in selectors or safe is None:
            continue
        bound = re.sub(r"#(?=[A-Za-z_])", f"#{prefix}-", selectors)
        names = ", ".join(f"#{prefix} {name.strip()}" for name in bound.split(",") if name.strip())
        if names:
            rules.append(f"{names} {{{safe.strip()}}}")
    return "\n".join(rules)


def is_own(svg: str) -> bool:
    """True if a text is a picture drawn by jaxlog, with nothing active or external in it."""
    if not svg.startswith(START):
        return False
    try:
        root = parse(svg)
    except NotSvgError:
        return False
    return all(map(_is_allowed, root.iter()))


def _is_allowed(element: ElementTree.Element) -> bool:
    namespace, _, tag = element.tag.rpartition("}")
    if namespace != "{" + SVG or tag not in (*_ELEMENTS, "metadata"):
        return False
    if tag == "style" and not _is_plain(_LOCAL_URL.sub("", element.text or "")):
        return False
    return all(
        name == "data-title" or _attribute(tag, name, value, "") is not None
        for name, value in element.attrib.items()
    )
