"""Former names of arguments and attributes: they work for one release, and warn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from jaxlog._caller import warn_caller

T = TypeVar("T")


def former_argument(owner: str, former: str, name: str, old: T | None, new: T | None) -> T | None:
    """Returns the value of an argument that may be passed by its former name, with a warning.

    Args:
      owner: the function or class that takes the argument, such as `Logger`.
      former: the former name.
      name: the new name.
      old: the value that was passed by the former name, or None.
      new: the value that was passed by the new name, or None.

    Raises:
      TypeError: both were passed.
    """
    if old is None:
        return new
    if new is not None:
        raise TypeError(
            f"{owner}: got {former}= and {name}=, which is its name now; give only {name}="
        )
    warn_former_name(f"{owner}({former}=)", f"{name}=")
    return old


def former_keyword(former: str, name: str) -> Callable[[type[T]], type[T]]:
    """Decorates a class so that its constructor also takes a keyword by its former name."""

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__

        @functools.wraps(init)
        def with_former_keyword(self: Any, *args: Any, **kwargs: Any) -> None:
            if former in kwargs:
                old = kwargs.pop(former)
                value = former_argument(cls.__name__, former, name, old, kwargs.get(name))
                kwargs[name] = value
            init(self, *args, **kwargs)

        setattr(cls, "__init__", with_former_keyword)  # noqa: B010  pyright refuses an assignment
        return cls

    return decorate


def warn_former_name(former: str, name: str) -> None:
    """Warns the user's line that uses a former name."""
    warn_caller(
        f"{former}: this name works for one more release; the new one is {name}",
        DeprecationWarning,
    )
