"""Array types with shapes, for signatures: `Int32[Array, "bins"]` is an int32 vector.

Nothing evaluates them at run time, and no package is needed for them. Type checkers read them as
`Array`. The tests import jaxtyping first, and check each call against them (tests/shapes.py).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int32
    from typing import Annotated as Integer
    from typing import Annotated as Num
    from typing import Annotated as Shaped
    from typing import Annotated as UInt32
elif "jaxtyping" in sys.modules:  # never imported for this alone: it takes longer than all of this
    from jaxtyping import Bool, Float, Int32, Integer, Num, Shaped, UInt32
else:

    class _Array:
        """For tools that evaluate annotations: the type of the array, without the shape."""

        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Int32 = Integer = Num = Shaped = UInt32 = _Array

__all__ = ["Bool", "Float", "Int32", "Integer", "Num", "Shaped", "UInt32"]
