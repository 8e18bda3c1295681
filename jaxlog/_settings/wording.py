"""Values and keys as messages show them, and suggestions for wrong ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

Location = tuple[str | int, ...]

_LONGEST = 100
"""The characters of a value that a message shows: enough to find it."""

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """`; did you mean NAME?` if a known name is similar; else empty.

    >>> suggestion("log_freqency", ["log_frequency", "sinks"])
    '; did you mean log_frequency?'
    """
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(wrong).lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[near[0]]}?" if near else ""


def shown(value: object) -> str:
    """A value as a message shows it: nearly as YAML does; a long one is cut.

    >>> shown("ten"), shown(None), shown({"kind": "jsonl"}), shown([True])
    ("'ten'", 'null', "{kind: 'jsonl'}", '[true]')
    """
    text = _flow(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _flow(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key_of((key,))}: {_flow(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return repr(value)


def key_of(place: Location) -> str:
    """A location as a message names it, on one line even if a key has line breaks.

    >>> key_of(("sinks", 0, "kind"))
    'sinks.0.kind'
    """
    text = ".".join(map(str, place))
    return text if text.isprintable() else repr(text)


def candidates(got: object) -> Iterator[object]:
    """Values that the user may have meant instead of a wrong one, the most similar first.

    >>> list(candidates("Yes"))[:2]
    [True, 'yes']
    """
    if isinstance(got, str):
        word = got.strip().lower()
        if word in _WORDS:
            yield _WORDS[word]
        if word == "none":
            yield None
        if got != word:
            yield word
        for number in (int, float):
            try:
                yield number(word)  # both read 1_000
            except ValueError:
                continue
    elif isinstance(got, bool):
        yield from (word for word, value in _WORDS.items() if value is got)
    elif isinstance(got, int | float):
        if isinstance(got, float) and got.is_integer():
            yield int(got)
        yield str(got)
    elif isinstance(got, list | tuple) and len(got) == 1:
        yield got[0]
    if isinstance(got, str):
        yield from ({"kind": got}, [{"kind": got}])
    if got not in (None, "") and not isinstance(got, list | tuple):
        yield [got]
