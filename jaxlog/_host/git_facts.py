"""The state of the code in git: the commit, and what differs from it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from jaxlog._host.redaction import redacted, redacted_lines
from jaxlog._limits import as_utf8

MOST_DIFF_BYTES = 2**20
"""The most bytes of a diff that are kept."""
MOST_UNTRACKED = 200
"""The most untracked files that are named."""
_MOST_STATUS_BYTES = 2**24
"""The most bytes of `git status` that are read."""

_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")


class _GitError(Exception):
    """Git gave no answer. The text says why."""


@dataclass(frozen=True)
class Code:
    """The state of the code.

    Attributes:
      version: the commit, with `-dirty` if tracked files differ; None without git or a commit.
      facts: for run.json: `root`, `commit`, `branch`, `remote`, `changed`, `untracked`,
        `untracked_files`, and `missing`, why something is not known.
      diff: what `git diff` printed, without secrets; None if no tracked file differs.
      cut: whether the diff is longer.
    """

    version: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    diff: str | None = None
    cut: bool = False


def code_of(directories: list[Path], seconds: float) -> Code:
    """Asks git for the state of the code.

    Args:
      directories: those that may be in the repository; the first that is counts.
      seconds: how long all of it may take.
    """
    until = time.monotonic() + seconds
    root, why = None, "the working directory is in no git repository"
    for directory in directories:
        try:
            found = _answer(directory, until, "rev-parse", "--show-toplevel")
            root = Path(found.decode(errors="surrogateescape").rstrip("\n"))
            break
        except _GitError as error:
            why = str(error)
    if root is None:
        return Code(facts={"missing": why})
    facts: dict[str, Any] = {"root": as_utf8(str(root))}
    try:
        words = _answer(
            root, until, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"
        )
        facts |= _status(words)
        with contextlib.suppress(_GitError):  # it has no such remote
            remote = _answer(root, until, "config", "--get", "remote.origin.url")
            facts["remote"] = redacted(as_utf8(remote.decode(errors="replace").strip()))
        diff, cut = _diff(root, until) if facts["changed"] and facts["commit"] else (None, False)
    except _GitError as error:
        facts["missing"] = str(error)
        diff, cut = None, False
    commit = facts.get("commit")
    version = None if commit is None else commit + ("-dirty" if facts["changed"] else "")
    return Code(version, facts, diff, cut)


def _status(words: bytes) -> dict[str, Any]:
    """The facts in what `git status --porcelain=v2 --branch -z` prints."""
    commit, branch, changed = None, None, 0
    untracked: list[str] = []
    number = 0
    parts = iter(words.split(b"\0"))
    for part in parts:
        text = as_utf8(part.decode(errors="surrogateescape"))
        if text.startswith("# branch.oid "):
            found = text.removeprefix("# branch.oid ")
            commit = None if found == "(initial)" else found
        elif text.startswith("# branch.head "):
            found = text.removeprefix("# branch.head ")
            branch = None if found == "(detached)" else found
        elif text.startswith("? "):
            number += 1
            if number <= MOST_UNTRACKED:
                untracked.append(text[2:])
        elif text[:2] in ("1 ", "2 ", "u "):
            changed += 1
            if text[0] == "2":  # renamed: its former name follows
                next(parts, None)
    return {
        "commit": commit,
        "branch": branch,
        "changed": changed,
        "untracked": number,
        "untracked_files": untracked,
    }


def _diff(root: Path, until: float) -> tuple[str, bool]:
    """The difference of the tracked files to the commit, without secrets, and whether it is cut."""
    words = _answer(
        root,
        until,
        "diff",
        "HEAD",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        most=MOST_DIFF_BYTES + 1,
    )
    cut = len(words) > MOST_DIFF_BYTES
    if cut:  # to whole lines
        words = words[: words.rfind(b"\n", 0, MOST_DIFF_BYTES) + 1]
    return redacted_lines(as_utf8(words.decode(errors="replace"))), cut


def _answer(
    directory: Path, until: float, *arguments: str, most: int = _MOST_STATUS_BYTES
) -> bytes:
    """The output of a command of git, up to `most` bytes.

    Raises:
      _GitError: git is not installed, failed, or took too long.
    """
    if time.monotonic() > until:
        raise _GitError("git took too long")
    try:
        process = subprocess.Popen(
            [*_GIT, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise _GitError(f"git could not be started: {type(error).__name__}") from None
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(max(0.0, until - time.monotonic()), kill)
    timer.daemon = True
    timer.start()
    try:
        with process:
            out = _read(process.stdout, most)
            if len(out) >= most:
                process.kill()
                return out
            said = _read(process.stderr, 2**12)
            code = process.wait()
    finally:
        timer.cancel()
    if late.is_set():
        raise _GitError("git took too long")
    if code:
        words = said.decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
        raise _GitError(redacted(as_utf8(f"git {arguments[0]}: {words[0][:200]}")))
    return out


def _read(pipe: IO[bytes] | None, most: int) -> bytes:
    return b"" if pipe is None else pipe.read(most)
