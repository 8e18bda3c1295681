"""Copies what `jaxlog demo` runs into a wheel: the examples, and the settings files.

All else is in pyproject.toml. They are copied here, and not mapped by `package-dir` there: with a
mapping, an editable install needs an import hook, which type checkers and editors do not follow.
Without one it is a path entry.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COPIED = {"configs": ("*.yaml", "schema.json"), "examples": ("*.py",)}


class BuildWithDemo(build_py):
    """Builds the packages, and puts the folders of the demo beside them."""

    def run(self) -> None:
        """Build. In an editable install the demo finds these folders in the checkout."""
        super().run()
        if self.editable_mode:
            return
        for folder, patterns in COPIED.items():
            target = Path(self.build_lib, "jaxlog", folder)
            target.mkdir(parents=True, exist_ok=True)
            for pattern in patterns:
                for file in Path(folder).glob(pattern):
                    self.copy_file(str(file), str(target / file.name))


setup(cmdclass={"build_py": BuildWithDemo})
