"""Logging from inside `jit`, `scan` and `vmap`.

The compiled program computes statistics and samples episodes; one callback carries the records of
all lanes to the host, where sinks write them.
"""

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from sys import modules as _modules
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    __version__: str
    from jaxlog import sinks as sinks
    from jaxlog import statistics as statistics
    from jaxlog._public import *  # noqa: F403

    # Names of 0.1 that have moved: checkers know them as long as they work.
    from jaxlog.sinks import *  # noqa: F403
    from jaxlog.statistics import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """Imports a public name on first use, so that reading runs does not import JAX."""
        if name == "__version__":
            return _import_module("importlib.metadata").version("jaxlog")
        if (module := _import_module("jaxlog._public_names").module_of(name)) is not None:
            globals()[name] = getattr(_import_module(module), name)
            return globals()[name]
        if _find_spec(f"jaxlog.{name}") is not None:
            return _import_module(f"jaxlog.{name}")
        if name in (old := _import_module("jaxlog._moved")).MOVED:
            return old.moved(name)
        elsewhere = _import_module("jaxlog._other_loggers")
        elsewhere.refuse_foreign("jaxlog", name, elsewhere.OF_MODULE)
        if name == "__all__":
            return _import_module("jaxlog._public").__all__
        module, text = _modules[__name__], f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=module) from None

    def __dir__() -> list[str]:
        public = _import_module("jaxlog._public")
        return sorted({*globals(), *public.__all__, "sinks", "statistics"})
