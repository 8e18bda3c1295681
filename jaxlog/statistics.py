"""Pure functions and pytrees that the logging calls compute with, for programs of one's own."""

from jaxlog._program.episodes import EpisodeTracker
from jaxlog._program.histogram import histogram
from jaxlog._program.quantiles import QuantileSketch
from jaxlog._program.sampling import sample_indices, sample_indices_where
from jaxlog._program.statistics import Moments

__all__ = [
    "EpisodeTracker",
    "Moments",
    "QuantileSketch",
    "histogram",
    "sample_indices",
    "sample_indices_where",
]
