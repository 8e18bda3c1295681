"""From states to SVG: pictures of episodes and of steps, and sheets of many. NumPy, never jax."""

from jaxlog.render.choose import RENDERERS as RENDERERS
from jaxlog.render.choose import load as load
from jaxlog.render.picture import picture as picture
from jaxlog.render.sheet import sheet as sheet
from jaxlog.render.style import Style as Style
