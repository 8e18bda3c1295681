"""Logging from inside `jit`, `scan` and `vmap`.

Aggregates and sampled episodes are computed in the compiled program; one callback carries those of
all seeds to the host, where sinks write them.
"""

from importlib.metadata import version as _version

from jaxlog.events import Account as Account
from jaxlog.events import EpisodeEvent as EpisodeEvent
from jaxlog.events import EvaluationEvent as EvaluationEvent
from jaxlog.events import Histogram as Histogram
from jaxlog.events import Key as Key
from jaxlog.events import Lane as Lane
from jaxlog.events import MetricsEvent as MetricsEvent
from jaxlog.events import RunInfo as RunInfo
from jaxlog.events import StepEvent as StepEvent
from jaxlog.events import TaskEvent as TaskEvent
from jaxlog.explore.comparing import Comparison as Comparison
from jaxlog.explore.comparing import compare as compare
from jaxlog.explore.run_data import RunData as RunData
from jaxlog.explore.run_data import read_run as read_run
from jaxlog.explore.runs_data import RunsData as RunsData
from jaxlog.explore.runs_data import read_runs as read_runs
from jaxlog.graph.episodes import EpisodeTracker as EpisodeTracker
from jaxlog.graph.histogram import histogram as histogram
from jaxlog.graph.quantiles import QuantileSketch as QuantileSketch
from jaxlog.graph.record import Record as Record
from jaxlog.graph.sampling import sample_indices as sample_indices
from jaxlog.graph.sampling import sample_indices_where as sample_indices_where
from jaxlog.graph.statistics import Moments as Moments
from jaxlog.graph.window import Window as Window
from jaxlog.host.run import LoggingError as LoggingError
from jaxlog.host.run import Run as Run
from jaxlog.logger import Logger as Logger
from jaxlog.settings import ConfigError as ConfigError
from jaxlog.settings import ConfigWarning as ConfigWarning
from jaxlog.settings import LoggingConfig as LoggingConfig
from jaxlog.settings import load_config as load_config
from jaxlog.sinks.sink import Sink as Sink
from jaxlog.sinks.sink import SinkSettings as SinkSettings
from jaxlog.step import batch_step as batch_step
from jaxlog.step import from_info as from_info
from jaxlog.step import log as log
from jaxlog.windows import empty_window as empty_window
from jaxlog.windows import log_window as log_window
from jaxlog.windows import window_step as window_step

__version__ = _version("jaxlog")
