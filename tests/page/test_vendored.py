"""The chart library is fetched when jaxlog is built, and is the one that is pinned."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from jaxlog._page import vendored


def npm_that(folder: Path, script: str) -> None:
    """Puts a program named npm into a folder."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\nimport pathlib, sys\nplace = sys.argv[-1]\n{script}\n")
    program.chmod(0o755)


def packed(file: Path) -> None:
    """An archive with the names of the library's files and other contents."""
    with tarfile.open(file, "w:gz") as archive:
        for name in vendored.FILES:
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"other"))


def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.tgz"
    packed(other)
    npm_that(tmp_path / "bin", f"pathlib.Path({str(other)!r}).rename(pathlib.Path(place, 'x.tgz'))")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(vendored.NotFetchedError, match=r"got sha512-.+, expected sha512-KIMVnG"):
        vendored.fetch(tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


def test_a_build_without_the_registry_goes_on_and_says_so(tmp_path: Path) -> None:
    npm_that(tmp_path / "bin", "print('npm error code ENOTFOUND', file=sys.stderr); sys.exit(1)")
    source = Path(vendored.__file__)
    copy = tmp_path / source.name
    copy.write_text(source.read_text())
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, str(copy)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0
    assert done.stderr == (
        "jaxlog: the chart library of `jaxlog serve` was not fetched: npm pack uplot@1.6.32 did "
        "not work: npm error code ENOTFOUND. All else works; to fetch it later, run: "
        f"{sys.executable} {copy}\n"
    )


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in vendored.FILES.values():
        (tmp_path / name).write_text("there")
    assert vendored.missing(tmp_path) == []
    (tmp_path / vendored.STAMP).write_text(vendored.INTEGRITY)
    npm_that(tmp_path / "bin", "sys.exit('npm was called')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    vendored.fetch(tmp_path)
    (tmp_path / vendored.STAMP).write_text("sha512-of-another-version")
    with pytest.raises(vendored.NotFetchedError, match="npm was called"):
        vendored.fetch(tmp_path)
