"""Draws states as SVG: pictures of episodes and steps, and sheets of many. Never imports JAX."""

from jaxlog._render.choose import RENDERERS as RENDERERS
from jaxlog._render.choose import load as load
from jaxlog._render.picture import picture as picture
from jaxlog._render.sheet import sheet as sheet
from jaxlog._render.style import Style as Style
