"""Files that cannot be used, each with the whole text of its error: the table that tests run."""

from __future__ import annotations

import jaxlog
from jaxlog import _render as render
from jaxlog import sinks
from jaxlog._program import summary

KEYS = ", ".join(jaxlog.LoggingConfig.model_fields)
KINDS = ", ".join(sinks.BUILT_IN)
STATISTICS = f"{', '.join(summary.STATISTICS)}, median, or a percentile, p0 to p100"
RENDERERS = (
    f"{', '.join(render.RENDERERS)}, or package.module:function, a function of yours that takes a "
    "state and returns an SVG as text"
)

BAD_FILES = {
    # Numbers
    "a word for a number": (
        "log_frequency: ten",
        "bad.yaml:1:1: log_frequency: got 'ten': Input should be a valid integer",
    ),
    "too small": (
        "# first line\nlog_frequency: 0",
        "bad.yaml:2:1: log_frequency: got 0: Input should be greater than or equal to 1",
    ),
    "negative": (
        "log_frequency: -1",
        "bad.yaml:1:1: log_frequency: got -1: Input should be greater than or equal to 1",
    ),
    "too large": (
        "log_frequency: 99999999999",
        "bad.yaml:1:1: log_frequency: got 99999999999: Input should be less than 2147483648",
    ),
    "a fraction": (
        "num_samples: 2.5",
        "bad.yaml:1:1: num_samples: got 2.5: Input should be a valid integer",
    ),
    "a float that is whole": (
        "log_frequency: 1e3",
        "bad.yaml:1:1: log_frequency: got 1000.0: Input should be a valid integer; did you "
        "mean 1000?",
    ),
    "a number in quotes": (
        "log_frequency: '10'",
        "bad.yaml:1:1: log_frequency: got '10': Input should be a valid integer; did you mean 10?",
    ),
    "an underscore in a number": (
        "log_frequency: 1_000",
        "bad.yaml:1:1: log_frequency: got '1_000': Input should be a valid integer; did you "
        "mean 1000?",
    ),
    "a comma in a number": (
        "log_frequency: 10,000",
        "bad.yaml:1:1: log_frequency: got '10,000': Input should be a valid integer",
    ),
    "an octal number": (
        "log_frequency: 0o17",
        "bad.yaml:1:1: log_frequency: got '0o17': Input should be a valid integer",
    ),
    "a switch for a number": (
        "log_frequency: true",
        "bad.yaml:1:1: log_frequency: got true: Input should be a valid integer",
    ),
    "a list of one number": (
        "log_frequency: [10]",
        "bad.yaml:1:1: log_frequency: got [10]: Input should be a valid integer; did you mean 10?",
    ),
    "a mapping for a number": (
        "num_samples: {every: 1}",
        "bad.yaml:1:1: num_samples: got {every: 1}: Input should be a valid integer",
    ),
    "a mapping for the number of a call": (
        "log_frequency: {eval: {every: 1}}",
        "bad.yaml:1:17: log_frequency.eval: got {every: 1}: Input should be a valid integer",
    ),
    "a call that is logged never": (
        "sample_frequency: {default: 10, eval: 0}",
        "bad.yaml:1:33: sample_frequency.eval: got 0: Input should be greater than or equal to 1",
    ),
    "a number for the switch of a call": (
        "sampling_enabled: {eval: 0}",
        "bad.yaml:1:20: sampling_enabled.eval: got 0: Input should be a valid boolean",
    ),
    "a count without a name": (
        "count_key: {chains: 3}",
        "bad.yaml:1:13: count_key.chains: got 3: Input should be a valid string; did you mean '3'?",
    ),
    "a schedule of no call": (
        "log_frequency: {eval/loss: 1}",
        "bad.yaml:1:1: log_frequency: got 'eval/loss', expected the name of a call: letters, "
        "digits, '_', '-' and '.'",
    ),
    "not a number": (
        "log_frequency: .nan",
        "bad.yaml:1:1: log_frequency: got nan: Input should be a valid integer",
    ),
    "nothing for a number": (
        "log_frequency:",
        "bad.yaml:1:1: log_frequency: got null: Input should be a valid integer; leave the key "
        "out for its default, 10",
    ),
    "a seed below 0": (
        "sample_seed: -1",
        "bad.yaml:1:1: sample_seed: got -1: Input should be greater than or equal to 0",
    ),
    "a seed of more than 32 bits": (
        "sample_seed: 4294967296",
        "bad.yaml:1:1: sample_seed: got 4294967296: Input should be less than 4294967296",
    ),
    "null or a number": (
        "env_steps_per_update: many",
        "bad.yaml:1:1: env_steps_per_update: got 'many': Input should be a valid integer",
    ),
    "None for null": (
        "env_steps_per_update: None",
        "bad.yaml:1:1: env_steps_per_update: got 'None': Input should be a valid integer; did "
        "you mean null?",
    ),
    "arrays beyond the length of a line": (
        "max_array_bytes: 5000000",
        "bad.yaml:1:1: max_array_bytes: got 5000000: Input should be less than or equal to 4194304",
    ),
    "no steps": (
        "env_steps_per_update: 0",
        "bad.yaml:1:1: env_steps_per_update: got 0: Input should be greater than or equal to 1",
    ),
    "a long text": (
        "log_frequency: " + "x" * 500,
        "bad.yaml:1:1: log_frequency: got "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxx…: "
        "Input should be a valid integer",
    ),
    # Switches and choices
    "a number for a switch": (
        "batched_logging_enabled: 1",
        "bad.yaml:1:1: batched_logging_enabled: got 1: Input should be a valid boolean",
    ),
    "yes is text": (
        "sampling_enabled: yes",
        "bad.yaml:1:1: sampling_enabled: got 'yes': Input should be a valid boolean; did you "
        "mean true?",
    ),
    "on is text": (
        "sampling_enabled: on",
        "bad.yaml:1:1: sampling_enabled: got 'on': Input should be a valid boolean; did you "
        "mean true?",
    ),
    "off is text": (
        "strict: off",
        "bad.yaml:1:1: strict: got 'off': Input should be a valid boolean; did you mean false?",
    ),
    "a switch in quotes": (
        "strict: 'true'",
        "bad.yaml:1:1: strict: got 'true': Input should be a valid boolean; did you mean true?",
    ),
    "a switch in a list": (
        "strict: [true]",
        "bad.yaml:1:1: strict: got [true]: Input should be a valid boolean; did you mean true?",
    ),
    "nothing for a switch": (
        "strict:",
        "bad.yaml:1:1: strict: got null: Input should be a valid boolean; leave the key out "
        "for its default, false",
    ),
    "an unknown choice": (
        "delivery: retrun",
        "bad.yaml:1:1: delivery: got 'retrun': Input should be 'live' or 'return'; did you "
        "mean return?",
    ),
    "a choice in capitals": (
        "delivery: Live",
        "bad.yaml:1:1: delivery: got 'Live': Input should be 'live' or 'return'; did you mean "
        "live?",
    ),
    "a switch for a choice": (
        "delivery: true",
        "bad.yaml:1:1: delivery: got true: Input should be 'live' or 'return'",
    ),
    "a list for a choice": (
        "delivery: [live]",
        "bad.yaml:1:1: delivery: got ['live']: Input should be 'live' or 'return'; did you "
        "mean 'live'?",
    ),
    "null for a choice": (
        "delivery: null",
        "bad.yaml:1:1: delivery: got null: Input should be 'live' or 'return'; leave the key "
        "out for its default, 'live'",
    ),
    # Lists of names
    "no list": (
        "include: episode_returns",
        "bad.yaml:1:1: include: got 'episode_returns': Input should be a list; did you mean "
        "['episode_returns']?",
    ),
    "a number for a name": (
        "include: [1]",
        "bad.yaml:1:11: include.0: got 1: Input should be a valid string; did you mean '1'?",
    ),
    "a list in a list": (
        "exclude: [[loss]]",
        "bad.yaml:1:11: exclude.0: got ['loss']: Input should be a valid string; did you mean "
        "'loss'?",
    ),
    "a mapping for a list": (
        "exclude: {loss: true}",
        "bad.yaml:1:1: exclude: got {loss: true}: Input should be a list",
    ),
    "a name twice": (
        "include: [loss, loss]",
        "bad.yaml:1:17: include.1: loss is listed twice",
    ),
    "a name with a line break twice": (
        'include: ["a\\nb", "a\\nb"]',
        "bad.yaml:1:19: include.1: 'a\\nb' is listed twice",
    ),
    "a key in a value with a line break": (
        'num_samples: {"a\\nb": 1}',
        "bad.yaml:1:1: num_samples: got {'a\\nb': 1}: Input should be a valid integer",
    ),
    "a set": (
        "include: !!set {loss}",
        "bad.yaml:1:1: include: got {loss: null}: Input should be a list",
    ),
    "an unknown statistic over lanes": (
        "over_lanes: [mean, median]",
        "bad.yaml:1:20: over_lanes.1: got 'median': Input should be 'mean', 'std' or 'iqm'; "
        "did you mean mean?",
    ),
    "one for a list": (
        "over_lanes: mean",
        "bad.yaml:1:1: over_lanes: got 'mean': Input should be a list; did you mean ['mean']?",
    ),
    "a statistic over lanes twice": (
        "over_lanes: [iqm, iqm]",
        "bad.yaml:1:19: over_lanes.1: iqm is listed twice",
    ),
    "null for a list": (
        "over_lanes: null",
        "bad.yaml:1:1: over_lanes: got null: Input should be a list; leave the key out for its "
        "default, []",
    ),
    # Alerts
    "an unknown kind of alert": (
        "alerts:\n  - kind: nan",
        "bad.yaml:2:5: alerts.0.kind: got 'nan': Input should be 'not_finite', 'below', 'above', "
        "'stalled', 'failed' or 'lost'",
    ),
    "an alert that is a text": (
        "alerts: [not_finite]",
        "bad.yaml:1:10: alerts.0: got a text, expected a mapping with the key kind, like "
        "{kind: not_finite}",
    ),
    "an alert without its limit": (
        "alerts:\n  - kind: below\n    metric: loss",
        "bad.yaml:2:5: alerts.0: an alert of kind below needs value, the limit",
    ),
    "an alert of a stall without a time": (
        "alerts: [{kind: stalled}]",
        "bad.yaml:1:10: alerts.0: an alert of kind stalled needs seconds, such as seconds: 600",
    ),
    "an alert with the key of another": (
        "alerts: [{kind: failed, lines: 2}]",
        "bad.yaml:1:10: alerts.0: an alert of kind failed has no key lines; leave it out",
    ),
    "an alert twice": (
        "alerts: [{kind: failed}, {kind: failed}]",
        "bad.yaml:1:26: alerts.1: failed is listed twice",
    ),
    "an address that may be a secret": (
        "alert_to: [{kind: webhook, address: hooks.example.com/sesame}]",
        "bad.yaml:1:28: alert_to.0.address: expected an address that begins with https:// or "
        "http://, or the name of a variable after a $, like $SLACK_WEBHOOK",
    ),
    "an address where a target should be": (
        "alert_to: [https://hooks.example.com/sesame]",
        "bad.yaml:1:12: alert_to.0: got a text, expected a mapping with the key kind, like "
        "{kind: log}",
    ),
    "a command without words": (
        "alert_to: [{kind: command}]",
        "bad.yaml:1:12: alert_to.0: a target of kind command needs command",
    ),
    "an address of a log": (
        "alert_to: [{kind: log, address: $HOOK}]",
        "bad.yaml:1:12: alert_to.0: a target of kind log has no key address; leave it out",
    ),
    # Statistics and histograms
    "an unknown statistic": (
        "statistics:\n  - mean\n  - maen",
        f"bad.yaml:3:5: statistics.1: got 'maen': Input should be one of {STATISTICS}; "
        "did you mean mean?",
    ),
    "a percentile beyond 100": (
        "statistics:\n  default: [mean]\n  episode_returns: [p50, p101]",
        "bad.yaml:3:26: statistics.episode_returns.1: got 'p101': Input should be one of "
        f"{STATISTICS}",
    ),
    "a percentile in capitals": (
        "statistics: [P50]",
        f"bad.yaml:1:14: statistics.0: got 'P50': Input should be one of {STATISTICS}; "
        "did you mean 'p50'?",
    ),
    "a percentile in other digits": (
        "statistics: [p\u0665]",
        f"bad.yaml:1:14: statistics.0: got 'p\u0665': Input should be one of {STATISTICS}",
    ),
    "a statistic twice": (
        "statistics: [mean, mean]",
        "bad.yaml:1:20: statistics.1: mean is listed twice",
    ),
    "a statistic of a metric twice": (
        "statistics: {loss: [min, min]}",
        "bad.yaml:1:26: statistics.loss.1: min is listed twice",
    ),
    "a statistic that is a number": (
        "statistics: {default: [p50, 3]}",
        "bad.yaml:1:29: statistics.default.1: got 3: Input should be a valid string",
    ),
    "one statistic": (
        "statistics: mean",
        "bad.yaml:1:1: statistics: got 'mean': Input should be a list of statistics, or a "
        "mapping of metrics to such lists; did you mean ['mean']?",
    ),
    "one statistic of a metric": (
        "statistics: {default: mean}",
        "bad.yaml:1:14: statistics.default: got 'mean': Input should be a list; did you mean "
        "['mean']?",
    ),
    "a number for statistics": (
        "statistics: 3",
        "bad.yaml:1:1: statistics: got 3: Input should be a list of statistics, or a mapping "
        "of metrics to such lists",
    ),
    "no statistics of a metric": (
        "statistics: {loss: null}",
        "bad.yaml:1:14: statistics.loss: got null: Input should be a list",
    ),
    "edges that fall": (
        "histograms:\n  episode_returns: [0, 2, 1]",
        "bad.yaml:2:3: histograms.episode_returns: got [0, 2, 1], expected edges that "
        "increase, as float32",
    ),
    "edges that stand still": (
        "histograms: {loss: [0, 1, 1]}",
        "bad.yaml:1:14: histograms.loss: got [0, 1, 1], expected edges that increase, as float32",
    ),
    "one edge": (
        "histograms:\n  episode_returns: [0]",
        "bad.yaml:2:3: histograms.episode_returns: got [0]: List should have at least 2 items",
    ),
    "an edge that is a word": (
        "histograms: {loss: [0, one]}",
        "bad.yaml:1:24: histograms.loss.1: got 'one': Input should be a valid number",
    ),
    "an edge in quotes": (
        "histograms: {loss: [0, '1']}",
        "bad.yaml:1:24: histograms.loss.1: got '1': Input should be a valid number; did you "
        "mean 1?",
    ),
    "an edge that is a switch": (
        "histograms: {loss: [false, true]}",
        "bad.yaml:1:21: histograms.loss.0: got false: Input should be a valid "
        "number\nbad.yaml:1:28: histograms.loss.1: got true: Input should be a valid number",
    ),
    "an edge that is not a number": (
        "histograms: {loss: [0, .nan]}",
        "bad.yaml:1:14: histograms.loss: got [0, nan], expected edges that increase, as float32",
    ),
    "an edge beyond float64": (
        "histograms: {loss: [0, 1" + "0" * 400 + "]}",
        "bad.yaml:1:24: histograms.loss.1: got "
        "10000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00000000000000000000…: "
        "Input should be a valid number",
    ),
    "bins without an end": (
        "histograms:\n  episode_returns: {low: 0, bins: 5}",
        "bad.yaml:2:3: histograms.episode_returns.high: is missing; it has no default, and has "
        "to be given",
    ),
    "no bins": (
        "histograms: {loss: {low: 0, high: 1, bins: 0}}",
        "bad.yaml:1:38: histograms.loss.bins: got 0: Input should be greater than or equal to 1",
    ),
    "bins that fall": (
        "histograms: {loss: {low: 1, high: 0, bins: 3}}",
        "bad.yaml:1:14: histograms.loss: got {low: 1, high: 0, bins: 3}, expected edges that "
        "increase, as float32",
    ),
    "bins without bound": (
        "histograms: {loss: {low: 0, high: .inf, bins: 3}}",
        "bad.yaml:1:14: histograms.loss: got {low: 0, high: inf, bins: 3}, expected edges that "
        "increase, as float32",
    ),
    "an unknown key of bins": (
        "histograms: {loss: {low: 0, high: 1, bin: 3}}",
        "bad.yaml:1:14: histograms.loss.bins: is missing; it has no default, and has to be "
        "given\nbad.yaml:1:38: histograms.loss.bin: unknown key; did you mean bins? (the keys "
        "are: low, high, bins)",
    ),
    "a number for edges": (
        "histograms: {loss: 3}",
        "bad.yaml:1:14: histograms.loss: got 3: Input should be a list of edges, or a mapping "
        "with low, high and bins",
    ),
    "edges of no metric": (
        "histograms: [0, 1]",
        "bad.yaml:1:1: histograms: got [0, 1]: Input should be a mapping",
    ),
    "a word for histograms": (
        "histograms: loss",
        "bad.yaml:1:1: histograms: got 'loss': Input should be a mapping",
    ),
    "no edges": (
        "histograms: {loss: }",
        "bad.yaml:1:14: histograms.loss: got null: Input should be a list of edges, or a "
        "mapping with low, high and bins",
    ),
    # Sinks
    "an unknown sink": (
        "sinks:\n  - kind: josnl",
        f"bad.yaml:2:5: sinks.0.kind: got 'josnl', takes one of {KINDS}; did you mean jsonl?",
    ),
    "a sink in capitals": (
        "sinks: [{kind: TensorBoard}]",
        f"bad.yaml:1:10: sinks.0.kind: got 'TensorBoard', takes one of {KINDS}; did you mean "
        "tensorboard?",
    ),
    "a sink that is nothing like any": (
        "sinks: [{kind: fax}]",
        f"bad.yaml:1:10: sinks.0.kind: got 'fax', takes one of {KINDS}",
    ),
    "a sink without a kind": (
        "sinks:\n  - refresh_per_second: 3",
        f"bad.yaml:2:5: sinks.0.kind: got no kind, takes one of {KINDS}",
    ),
    "a kind that is null": (
        "sinks: [{kind: null}]",
        f"bad.yaml:1:10: sinks.0.kind: got no kind, takes one of {KINDS}",
    ),
    "a kind that is a number": (
        "sinks: [{kind: 3}]",
        f"bad.yaml:1:10: sinks.0.kind: got 3, takes one of {KINDS}",
    ),
    "a kind that is a list": (
        "sinks: [{kind: [jsonl]}]",
        f"bad.yaml:1:10: sinks.0.kind: got ['jsonl'], takes one of {KINDS}; did you mean jsonl?",
    ),
    "a kind for a key": (
        "sinks:\n  - wandb:\n      mode: offline",
        f"bad.yaml:2:5: sinks.0.kind: got no kind, takes one of {KINDS}; did you mean kind: wandb?",
    ),
    "a kind under another name": (
        "sinks:\n  - type: wandb\n    mode: offline",
        f"bad.yaml:2:5: sinks.0.kind: got no kind, takes one of {KINDS}; did you mean kind: wandb?",
    ),
    "a sink that is text": (
        "sinks: [jsonl]",
        "bad.yaml:1:9: sinks.0: got 'jsonl': Input should be a mapping with the key kind; did "
        "you mean {kind: 'jsonl'}?",
    ),
    "a sink that is null": (
        "sinks: [null]",
        "bad.yaml:1:9: sinks.0: got null: Input should be a mapping with the key kind",
    ),
    "text for sinks": (
        "sinks: jsonl",
        "bad.yaml:1:1: sinks: got 'jsonl': Input should be a list; did you mean [{kind: 'jsonl'}]?",
    ),
    "one sink": (
        "sinks: {kind: jsonl}",
        "bad.yaml:1:1: sinks: got {kind: 'jsonl'}: Input should be a list; did you mean "
        "[{kind: 'jsonl'}]?",
    ),
    "sinks by kind": (
        "sinks:\n  jsonl: {}\n  console: {}",
        "bad.yaml:1:1: sinks: got {jsonl: {}, console: {}}: Input should be a list",
    ),
    "a number for sinks": (
        "sinks: 3",
        "bad.yaml:1:1: sinks: got 3: Input should be a list",
    ),
    "null for sinks": (
        "sinks: null",
        "bad.yaml:1:1: sinks: got null: Input should be a list; leave the key out for its "
        "default, []",
    ),
    "a wrong value of a sink": (
        "sinks:\n  - kind: jsonl\n  - kind: console\n    refresh_per_second: 0",
        "bad.yaml:4:5: sinks.1.refresh_per_second: got 0: Input should be greater than 0",
    ),
    "a word for a sink's number": (
        "sinks: [{kind: console, refresh_per_second: fast}]",
        "bad.yaml:1:25: sinks.0.refresh_per_second: got 'fast': Input should be a valid number",
    ),
    "a word for a sink's switch": (
        "sinks: [{kind: console, live: no}]",
        "bad.yaml:1:25: sinks.0.live: got 'no': Input should be a valid boolean; did you mean "
        "false?",
    ),
    "an unknown key of a sink": (
        "sinks:\n  - kind: console\n    refresh_per_secnd: 1",
        "bad.yaml:3:5: sinks.0.refresh_per_secnd: unknown key; did you mean "
        "refresh_per_second? (the keys are: kind, refresh_per_second, live)",
    ),
    "a key of a sink that has none": (
        "sinks: [{kind: jsonl, path: here}]",
        "bad.yaml:1:23: sinks.0.path: unknown key (the keys are: kind, keep_episodes, keep_images)",
    ),
    "a key that stands outside of sinks": (
        "sinks:\n  - kind: jsonl\n    log_frequency: 3",
        "bad.yaml:3:5: sinks.0.log_frequency: unknown key; it is not a key of a sink, and "
        "belongs at the top level (the keys are: kind, keep_episodes, keep_images)",
    ),
    "a sink twice": (
        "sinks:\n  - kind: jsonl\n  - kind: jsonl",
        "bad.yaml:3:5: sinks.1: jsonl is listed twice",
    ),
    "a misspelt mode": (
        "sinks: [{kind: wandb, mode: ofline}]",
        "bad.yaml:1:23: sinks.0.mode: got 'ofline': Input should be 'online', 'offline' or "
        "'disabled'; did you mean offline?",
    ),
    "a mode in capitals": (
        "sinks: [{kind: wandb, mode: OFFLINE}]",
        "bad.yaml:1:23: sinks.0.mode: got 'OFFLINE': Input should be 'online', 'offline' or "
        "'disabled'; did you mean offline?",
    ),
    "a mode that is off": (
        "sinks: [{kind: wandb, mode: off}]",
        "bad.yaml:1:23: sinks.0.mode: got 'off': Input should be 'online', 'offline' or "
        "'disabled'; did you mean offline?",
    ),
    "false for a choice": (
        "sinks: [{kind: wandb, episodes: false}]",
        "bad.yaml:1:23: sinks.0.episodes: got false: Input should be 'table', 'pictures', "
        "'both' or 'off'; did you mean 'off'?",
    ),
    "a misspelt choice of lanes": (
        "sinks: [{kind: tensorboard, lanes: collumns}]",
        "bad.yaml:1:29: sinks.0.lanes: got 'collumns': Input should be 'runs', 'columns' or "
        "'aggregate'; did you mean columns?",
    ),
    "a number for a project": (
        "sinks: [{kind: wandb, project: 2024}]",
        "bad.yaml:1:23: sinks.0.project: got 2024: Input should be a valid string; did you "
        "mean '2024'?",
    ),
    "one tag": (
        "sinks: [{kind: wandb, tags: demo}]",
        "bad.yaml:1:23: sinks.0.tags: got 'demo': Input should be a list; did you mean ['demo']?",
    ),
    "a key for W&B": (
        "sinks: [{kind: wandb, api_key: secret}]",
        "bad.yaml:1:23: sinks.0.api_key: unknown key (the keys are: kind, films, "
        "film_array, film_renderer, film_speed, project, entity, "
        "group, job_type, tags, notes, mode, lanes, x_axis, episodes, renderer, lean)",
    ),
    "a misspelt renderer": (
        "sinks: [{kind: svg, renderer: gird}]",
        f"bad.yaml:1:21: sinks.0.renderer: got 'gird', takes one of {RENDERERS}; did you mean "
        "grid?",
    ),
    "a renderer that is not there": (
        "sinks: [{kind: svg, renderer: 'no.such:function'}]",
        "bad.yaml:1:21: sinks.0.renderer: got 'no.such:function', which cannot be imported "
        f"(ModuleNotFoundError: No module named 'no'), takes one of {RENDERERS}",
    ),
    "a renderer that draws nothing": (
        "sinks: [{kind: svg, renderer: 'os:name'}]",
        f"bad.yaml:1:21: sinks.0.renderer: got 'os:name', which is a str, takes one of {RENDERERS}",
    ),
    "a colour by name": (
        "sinks:\n  - kind: svg\n    palette: ['#000000', red]",
        "bad.yaml:3:26: sinks.0.palette.1: got 'red': String should match pattern "
        "'^#[0-9a-fA-F]{6}$'",
    ),
    "too small a picture": (
        "sinks: [{kind: svg, size: 5}]",
        "bad.yaml:1:21: sinks.0.size: got 5: Input should be greater than or equal to 32",
    ),
    # Keys
    "a misspelt key": (
        "log_frequency: 1\nlog_freqency: 2",
        "bad.yaml:2:1: log_freqency: unknown key; did you mean log_frequency? (the keys are: "
        f"{KEYS})",
    ),
    "a key in capitals": (
        "LOG_FREQUENCY: 1",
        "bad.yaml:1:1: LOG_FREQUENCY: unknown key; did you mean log_frequency? (the keys are: "
        f"{KEYS})",
    ),
    "a key without its underscores": (
        "logfrequency: 1",
        "bad.yaml:1:1: logfrequency: unknown key; did you mean log_frequency? (the keys are: "
        f"{KEYS})",
    ),
    "a key that is nothing like any": (
        "colour: red",
        f"bad.yaml:1:1: colour: unknown key (the keys are: {KEYS})",
    ),
    "a key of a sink outside of it": (
        "mode: offline",
        f"bad.yaml:1:1: mode: unknown key; it is a key of sinks: wandb (the keys are: {KEYS})",
    ),
    "a sink outside of sinks": (
        "wandb: {project: maze}",
        "bad.yaml:1:1: wandb: unknown key; it is a kind of sink, and belongs in sinks: [{kind: "
        f"wandb}}] (the keys are: {KEYS})",
    ),
    "settings under a name": (
        "logging:\n  log_frequency: 3\n  colour: red",
        "bad.yaml:1:1: logging: unknown key; log_frequency in it is a key of the settings, and "
        f"belongs at the top level (the keys are: {KEYS})",
    ),
    "extends, misspelt": (
        "extend: base.yaml",
        f"bad.yaml:1:1: extend: unknown key; did you mean extends? (the keys are: {KEYS})",
    ),
    "a merge key": (
        "<<: {strict: true}",
        "bad.yaml:1:1: <<: unknown key; to begin with another file's settings, write `extends: "
        f"other.yaml` (the keys are: {KEYS})",
    ),
    "on as a key": (
        "on: true",
        f"bad.yaml:1:1: on: unknown key (the keys are: {KEYS})",
    ),
    "a key that is a number": (
        "1: 2",
        f"bad.yaml:1:1: 1: unknown key (the keys are: {KEYS})",
    ),
    "a key with a line break": (
        '"a\\nb": 1',
        f"bad.yaml:1:1: 'a\\nb': unknown key (the keys are: {KEYS})",
    ),
    "a key that is not ASCII": (
        "ключ: 1",
        f"bad.yaml:1:1: ключ: unknown key (the keys are: {KEYS})",
    ),
    "a key twice": (
        "log_frequency: 1\nlog_frequency: 2",
        "bad.yaml:2:1: log_frequency: is also on line 1",
    ),
    "a key of a sink twice": (
        "sinks:\n  - kind: jsonl\n    kind: wandb",
        "bad.yaml:3:5: kind: is also on line 2",
    ),
    "a list for a key": (
        "? [a]\n: 1",
        "bad.yaml:1:3: a key has to be text",
    ),
    "several at once": (
        "log_frequency: 0\nsinks:\n  - kind: josnl\nstrict: maybe",
        "bad.yaml:1:1: log_frequency: got 0: Input should be greater than or equal to "
        f"1\nbad.yaml:3:5: sinks.0.kind: got 'josnl', takes one of {KINDS}; did you "
        "mean jsonl?\nbad.yaml:4:1: strict: got 'maybe': Input should be a valid boolean",
    ),
    # What is no mapping, or no YAML
    "a list": (
        "- log_frequency: 1",
        "bad.yaml:1:1: got [{log_frequency: 1}], expected a mapping of settings, like "
        "`log_frequency: 10`",
    ),
    "no space after the colon": (
        "log_frequency:10",
        "bad.yaml:1:1: got 'log_frequency:10', expected a mapping of settings, like "
        "`log_frequency: 10`; a colon has a space after it",
    ),
    "no colon": (
        "log_frequency 10",
        "bad.yaml:1:1: got 'log_frequency 10', expected a mapping of settings, like "
        "`log_frequency: 10`",
    ),
    "a number": (
        "3",
        "bad.yaml:1:1: got 3, expected a mapping of settings, like `log_frequency: 10`",
    ),
    "no YAML": (
        "sinks: [",
        "bad.yaml:1:9: is not YAML: expected the node content, but found '<stream end>'",
    ),
    "a tab": (
        "sinks:\n\t- kind: jsonl",
        "bad.yaml:2:1: is not YAML: found character '\\t' that cannot start any token; "
        "indent with spaces",
    ),
    "two colons": (
        "log_frequency: 1 : 2",
        "bad.yaml:1:18: is not YAML: mapping values are not allowed here; check the "
        "indentation, and put a text with a colon in quotes",
    ),
    "a key of a sink that is not indented as the others": (
        "sinks:\n  - kind: wandb\n  project: maze",
        "bad.yaml:3:3: is not YAML: expected <block end>, but found '?'; check the "
        "indentation, and put a text with a colon in quotes",
    ),
    "a key that is indented": (
        "log_frequency: 3\n  strict: true",
        "bad.yaml:2:9: is not YAML: mapping values are not allowed here; check the "
        "indentation, and put a text with a colon in quotes",
    ),
    "an open quote": (
        "include: ['a]",
        "bad.yaml:1:14: is not YAML: found unexpected end of stream",
    ),
    "an odd character": (
        "log_frequency: @ten",
        "bad.yaml:1:16: is not YAML: found character '@' that cannot start any token; put "
        "the text in quotes",
    ),
    "an alias of nothing": (
        "log_frequency: *ten",
        "bad.yaml:1:16: is not YAML: found undefined alias 'ten'",
    ),
    "two documents": (
        "log_frequency: 1\n---\nlog_frequency: 2",
        "bad.yaml:2:1: is not YAML: but found another document",
    ),
    "another YAML": (
        "%YAML 3.0\n---\nlog_frequency: 1",
        "bad.yaml:1:1: is not YAML: found incompatible YAML document (version 1.* is required)",
    ),
    "a number that is none": (
        "log_frequency: !!int abc",
        "bad.yaml:1:16: is not YAML: 'abc' is no int",
    ),
    "a switch that is none": (
        "strict: !!bool maybe",
        "bad.yaml:1:9: is not YAML: 'maybe' is no bool",
    ),
    "a number of too many digits": (
        "log_frequency: " + "9" * 5000,
        "bad.yaml:1:16: is not YAML: '999999999999999999999999999999999999999999999999999999999"
        "999999999999999999999999999999999999999999… is no int",
    ),
    "a tag of one's own": (
        "log_frequency: !ten 10",
        "bad.yaml:1:16: is not YAML: could not determine a constructor for the tag '!ten'",
    ),
    "a strange tag": (
        "log_frequency: !!python/name:os.system",
        "bad.yaml:1:16: is not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system'",
    ),
    "a list in itself": (
        "include: &a [*a]",
        "bad.yaml:1:10: is nested too deeply, or contains itself",
    ),
    "too deep": (
        "include: " + "[" * 3000,
        "bad.yaml: is nested too deeply, or contains itself",
    ),
    "a bomb": (
        f"x: &a [{'1, ' * 99}1]\ny: &b [{'*a, ' * 99}*a]\nz: [{'*b, ' * 99}*b]",
        "bad.yaml:1:302: is too large: it has more than 100,000 values",
    ),
    "a control character": (
        "log_frequency: 1\ninclude: [\x01]",
        "bad.yaml:2:11: is not YAML: special characters are not allowed",
    ),
    # extends
    "it is not there": (
        "extends: base.yaml",
        "bad.yaml:1:1: extends: base.yaml: there is no such file",
    ),
    "it is misspelt": (
        "strict: true\nextends: bda.yaml",
        "bad.yaml:2:1: extends: bda.yaml: there is no such file",
    ),
    "itself": (
        "extends: bad.yaml",
        "bad.yaml:1:1: extends: is a circle: bad.yaml -> bad.yaml",
    ),
    "itself among others": (
        "extends:\n  - ./bad.yaml",
        "bad.yaml:2:5: extends: is a circle: bad.yaml -> bad.yaml",
    ),
    "a directory": (
        "extends: .",
        "bad.yaml:1:1: extends: .: is a directory; give the path of a YAML file in it",
    ),
    "nothing to extend": (
        "extends:",
        "bad.yaml:1:1: extends: got null, expected the path of a file, or a list of paths",
    ),
    "an empty path": (
        "extends: ''",
        "bad.yaml:1:1: extends: got '', expected the path of a file, or a list of paths",
    ),
    "a number to extend": (
        "extends: 3",
        "bad.yaml:1:1: extends: got 3, expected the path of a file, or a list of paths",
    ),
    "a number among several": (
        "extends: [3]",
        "bad.yaml:1:11: extends: got 3, expected the path of a file, or a list of paths",
    ),
    "a mapping to extend": (
        "extends: {file: base.yaml}",
        "bad.yaml:1:1: extends: got {file: 'base.yaml'}, expected the path of a file, or a "
        "list of paths",
    ),
}
