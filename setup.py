"""Builds the part in C, and copies the examples and settings files that `jaxlog demo` runs.

All else is in pyproject.toml. The folders are copied here, and not mapped by `package-dir` there:
with a mapping, an editable install needs an import hook, which type checkers and editors do not
follow. Without one it is a path entry.
"""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup
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


NATIVE_QUEUE = Extension(
    "jaxlog._crossing.native_queue",
    sources=["jaxlog/_crossing/native_queue.c"],
    depends=["jaxlog/_crossing/record_queue.h", "jaxlog/_crossing/xla_ffi.h"],
    extra_compile_args=["-std=c11", "-pthread"],
    extra_link_args=["-pthread"],
    define_macros=[("_GNU_SOURCE", None), ("Py_LIMITED_API", "0x030B0000")],
    py_limited_api=True,  # one binary for Python 3.11 and later
    optional=True,  # without a C compiler, records leave programs by a Python callback
)

# The part in C relies on the interpreter's lock.
HAS_LOCK = not sysconfig.get_config_var("Py_GIL_DISABLED")
setup(
    cmdclass={"build_py": BuildWithDemo},
    ext_modules=[NATIVE_QUEUE] if HAS_LOCK else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if HAS_LOCK else {},
)
