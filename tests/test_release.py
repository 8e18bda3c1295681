"""What a release says of itself is the same in all places."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def test_the_changelog_the_citation_and_the_package_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    releases = [heading for heading in headings if heading != "Unreleased"]
    assert releases[0] == f"{project['version']} - {citation['date-released']}"
    assert headings.index(releases[0]) <= 1
    assert citation["version"] == project["version"]
    assert citation["title"] == project["name"]
    assert citation["license"] == project["license"]
    assert citation["abstract"] == project["description"]
    assert citation["authors"] == project["authors"]
    assert set(citation["keywords"]) <= set(project["keywords"])


def test_a_commit_is_formatted_by_the_ruff_of_make_lint() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    pinned = re.findall(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [repo["rev"] for repo in hooks["repos"]] == [f"v{version}" for version in pinned]


def test_the_workflows_call_commands_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^([a-z][a-z ]*):", makefile, re.MULTILINE)).split())
    called: set[str] = set()
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            runs = " ".join(step.get("run", "") for step in job["steps"])
            for name in re.findall(r"make (\$\{\{ .+? \}\}|\S+)", runs):
                is_matrix = name == "${{ matrix.jax }}"
                called |= set(job["strategy"]["matrix"]["jax"]) if is_matrix else {name}
    made = {"test", "oldest", "newest", "ecosystem", "lint", "docs", "dist", "installed"}
    assert called == made | {"distributed"}
    assert called <= targets
