"""The pure functions and pytrees with which the logging calls compute, for use in any program."""

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
