"""The public names of `jaxlog`, imported from the modules that define them."""

from jaxlog._analysis.comparing import compare
from jaxlog._analysis.comparison import Comparison
from jaxlog._analysis.run_data import RunData, read_run
from jaxlog._analysis.run_difference import RunDifference, diff
from jaxlog._analysis.runs_data import RunsData, find_runs, read_runs
from jaxlog._analysis.scanning_runs import scan_runs
from jaxlog._calls.infos import from_info
from jaxlog._calls.recording import empty_recorder, log_episodes, record_step
from jaxlog._calls.step import batch_step, log
from jaxlog._calls.windows import empty_window, log_window, window_step
from jaxlog._environments.renderers import renderer
from jaxlog._errors import LoggingError
from jaxlog._format.media import Image, Table
from jaxlog._host.run import Run
from jaxlog._import_runs import import_runs
from jaxlog._importing.source import ImportedRun
from jaxlog._logger import Logger
from jaxlog._program.episodes import EpisodeTracker
from jaxlog._program.norms import norms
from jaxlog._program.parts import Parts, parts
from jaxlog._program.record import Record
from jaxlog._program.recorder import EpisodeRecorder
from jaxlog._program.sampling import sample_indices, sample_indices_where
from jaxlog._program.window import Window
from jaxlog._sending.outcome import SentRun
from jaxlog._serve.notebook import LiveView, live
from jaxlog._settings import ConfigError, ConfigWarning, LoggingConfig, SettingsDict, load_config
from jaxlog._sync import sync

__all__ = [
    "Comparison",
    "ConfigError",
    "ConfigWarning",
    "EpisodeRecorder",
    "EpisodeTracker",
    "Image",
    "ImportedRun",
    "LiveView",
    "Logger",
    "LoggingConfig",
    "LoggingError",
    "Parts",
    "Record",
    "Run",
    "RunData",
    "RunDifference",
    "RunsData",
    "SentRun",
    "SettingsDict",
    "Table",
    "Window",
    "batch_step",
    "compare",
    "diff",
    "empty_recorder",
    "empty_window",
    "find_runs",
    "from_info",
    "import_runs",
    "live",
    "load_config",
    "log",
    "log_episodes",
    "log_window",
    "norms",
    "parts",
    "read_run",
    "read_runs",
    "record_step",
    "renderer",
    "sample_indices",
    "sample_indices_where",
    "scan_runs",
    "sync",
    "window_step",
]
