"""Former names of arguments and attributes: they work for one release, and warn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from jaxlog._caller import warn_caller

T = TypeVar("T")


def former_argument(owner: str, former: str, name: str, old: T | None, new: T | None) -> T | None:
    """The value of an argument that may be given by its former name.

    Args:
      owner: what takes it, such as `Logger`.
      former: the former name.
      name: the name it has now.
      old: what is given by the former name; None for nothing.
      new: what is given by the name it has now; None for nothing.

    Raises:
      TypeError: both are given.
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
    """Decorates a dataclass that may be made with the former name of a field as a keyword."""

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
    """Warns the line of the user's that uses a former name."""
    warn_caller(
        f"{former}: this name works for one more release; the new one is {name}",
        DeprecationWarning,
    )
