"""The diffs of two runs to their commits, compared file by file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from jaxlog._text import counted

MOST_LINES = 5000
"""The most lines of one file's diff that are compared line by line."""
_FILE = re.compile(r"^diff --git (?P<names>.+)$", re.MULTILINE)
_BLOBS = re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+.*\n", re.MULTILINE)


def compared(a: str, b: str, names: tuple[str, str]) -> list[str]:
    r"""The lines in which two diffs differ, as a unified diff of them, for each file.

    Args:
      a: what `git diff` printed for one run.
      b: the same for the other.
      names: the names of the runs.

    >>> one = "diff --git a/x b/x\n@@ -1 +1 @@\n-lr = 1\n+lr = 2\n"
    >>> print("\n".join(compared(one, one.replace("= 2", "= 3"), ("A", "B"))[3:]))
     @@ -1 +1 @@
     -lr = 1
    -+lr = 2
    ++lr = 3
    """
    of_a, of_b = files(a), files(b)
    return [
        line
        for file in dict.fromkeys([*of_a, *of_b])
        for line in changed_lines(
            file, of_a.get(file, "").splitlines()[1:], of_b.get(file, "").splitlines()[1:], names
        )
    ]


def files(diff: str) -> dict[str, str]:
    """The part of a diff that is about each file, by the names in its heading."""
    starts = [(found.start(), found["names"]) for found in _FILE.finditer(diff)]
    ends = [*(start for start, _ in starts[1:]), len(diff)]
    return {
        _name(name): _BLOBS.sub("", diff[start:end])
        for (start, name), end in zip(starts, ends, strict=False)
    }


def _name(names: str) -> str:
    """The name of a file, from `a/x b/x`."""
    _, _, name = names.rpartition(" b/")
    return name or names


def changed_lines(name: str, a: list[str], b: list[str], runs: tuple[str, str]) -> Iterator[str]:
    """The lines of a unified diff of two texts; none if they are equal.

    Args:
      name: the name of the text.
      a: its lines in one run.
      b: its lines in the other.
      runs: the names of the runs.
    """
    if a == b:
        return
    if max(len(a), len(b)) > MOST_LINES:
        yield f"--- {runs[0]}: {name}"
        yield f"+++ {runs[1]}: {name}"
        yield f"@@ {len(a):,} and {counted(len(b), 'line')}, not compared one by one @@"
        return
    yield from difflib.unified_diff(
        a, b, f"{runs[0]}: {name}", f"{runs[1]}: {name}", lineterm="", n=3
    )
