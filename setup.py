"""Builds the parts in C, and adds what `jaxlog demo` runs and the charts that `jaxlog serve` shows.

All else is in pyproject.toml. The folders of the demo are copied here, and not mapped by
`package-dir` there: with a mapping, an editable install needs an import hook, which type checkers
and editors do not follow. Without one it is a path entry.
"""

import runpy
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

COPIED = {"configs": ("*.yaml", "schema.json"), "examples": ("*.py",)}


def fetch_charts() -> None:
    """Fetches the chart library, which is not in the repository; an sdist has it."""
    runpy.run_path("jaxlog/_page/vendored.py")["main"]()


class BuildWithDemo(build_py):
    """Builds the packages, and puts the folders of the demo beside them."""

    def run(self) -> None:
        """Build. In an editable install the demo finds these folders in the checkout."""
        fetch_charts()
        super().run()
        if self.editable_mode:
            return
        for folder, patterns in COPIED.items():
            target = Path(self.build_lib, "jaxlog", folder)
            target.mkdir(parents=True, exist_ok=True)
            for pattern in patterns:
                for file in Path(folder).glob(pattern):
                    self.copy_file(str(file), str(target / file.name))


class SdistWithCharts(sdist):
    """Packs the sources, with the chart library."""

    def run(self) -> None:
        """Pack."""
        fetch_charts()
        super().run()


IN_C = {
    "extra_compile_args": ["-std=c11", "-pthread", "-ffp-contract=off"],
    "extra_link_args": ["-pthread"],
    "define_macros": [("_GNU_SOURCE", None), ("Py_LIMITED_API", "0x030B0000")],
    "py_limited_api": True,  # one binary for Python 3.11 and later
    "optional": True,  # without a C compiler, Python and NumPy do the same
}
PARTS_IN_C = [
    Extension(
        "jaxlog._crossing.native_queue",
        sources=["jaxlog/_crossing/native_queue.c"],
        depends=["jaxlog/_crossing/record_queue.h", "jaxlog/_crossing/xla_ffi.h"],
        **IN_C,
    ),
    Extension(
        "jaxlog._format.native_shortest", sources=["jaxlog/_format/native_shortest.c"], **IN_C
    ),
]

# The parts in C rely on the interpreter's lock.
HAS_LOCK = not sysconfig.get_config_var("Py_GIL_DISABLED")
setup(
    cmdclass={"build_py": BuildWithDemo, "sdist": SdistWithCharts},
    ext_modules=PARTS_IN_C if HAS_LOCK else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if HAS_LOCK else {},
)
