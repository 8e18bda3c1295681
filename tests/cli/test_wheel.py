"""An installed jaxlog has all of it: every module, and what `jaxlog demo` runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jaxlog._page import vendored
from tests.cli.conftest import ROOT

SOURCES = ("jaxlog", "configs", "examples", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, since a build writes into its source."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        subprocess.run(["cp", "-R", ROOT / name, source / name], check=True)
    return source


@pytest.fixture(scope="module")
def site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the contents of the wheel, in place of an environment's site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source]
    subprocess.run(pip, check=True, capture_output=True, timeout=200)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_has_every_module(site: Path) -> None:
    for part, names in (
        ("jaxlog", ["*.py", "py.typed", "*.jinja", "*.js", "*.css"]),
        ("configs", ["*.yaml", "schema.json"]),
    ):
        expected = {file.relative_to(ROOT) for name in names for file in (ROOT / part).rglob(name)}
        assert expected
        for file in expected:
            installed = file if part == "jaxlog" else Path("jaxlog", file)
            assert (site / installed).read_bytes() == (ROOT / file).read_bytes(), file
    (entry_points,) = site.glob("jaxlog-*/entry_points.txt")
    assert "jaxlog = jaxlog._cli.main:main" in entry_points.read_text()


def test_the_wheel_has_the_chart_library_of_the_live_view(site: Path) -> None:
    if vendored.missing():
        pytest.skip(f"it could not be fetched here; run: {vendored.COMMAND}")
    for name in vendored.FILES.values():
        expected = (vendored.FOLDER / name).read_bytes()
        assert (site / "jaxlog/_page/static/vendor" / name).read_bytes() == expected


def test_an_editable_install_is_a_path_entry(source: Path, tmp_path: Path) -> None:
    """Type checkers and editors follow a path in a `.pth` file; they do not run import hooks."""
    build = "import sys; from setuptools.build_meta import build_editable as b; b(sys.argv[1])"
    command = [sys.executable, "-c", build, str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=200)
    (wheel,) = map(zipfile.ZipFile, tmp_path.glob("*.whl"))
    installed = [name for name in wheel.namelist() if ".dist-info/" not in name]
    (entry,) = (name for name in installed if name.endswith(".pth"))
    assert installed == [entry]
    assert Path(wheel.read(entry).decode().strip()) == source


def test_the_demo_runs_from_the_wheel(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("gymnax")
    command = [sys.executable, "-m", "jaxlog", "demo", "--num-updates", "2", "--num-seeds", "2"]
    done = subprocess.run(
        [*command, "--directory", "run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "batch · step 1  " in done.stdout
    assert "  jaxlog show run\n" in done.stdout
