from __future__ import annotations

import enum
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from omegaconf import MISSING, DictConfig, OmegaConf

import jaxlog


class Delivery(enum.Enum):
    live = 1
    post = 2


@dataclass
class Structured:
    log_frequency: int = 5
    delivery: Delivery = Delivery.live
    statistics: dict[str, list[str]] = field(default_factory=lambda: {"default": ["mean"]})
    sinks: list[Any] = field(
        default_factory=lambda: [{"kind": "wandb", "mode": "${oc.env:M,offline}"}]
    )
    batched_logging_enabled: bool = True


@dataclass
class Unfinished:
    log_frequency: int = MISSING


def test_a_node_is_loaded_with_its_interpolations_resolved() -> None:
    root = OmegaConf.create(
        """
        every: 7
        logging:
          batched_logging_enabled: true
          log_frequency: ${every}
          histograms: {loss: [0, 1e-3]}
          sinks: [{kind: jsonl}, {kind: console, live: "${..1.kind}"}]
        """
    )
    root.logging.sinks[1].live = False
    config = jaxlog.load_config(root.logging)
    assert config == jaxlog.load_config(
        {
            "batched_logging_enabled": True,
            "log_frequency": 7,
            "histograms": {"loss": [0, 1e-3]},
            "sinks": [{"kind": "jsonl"}, {"kind": "console", "live": False}],
        }
    )
    assert jaxlog.load_config(root.logging, "sinks.jsonl.kind=memory").sinks[0].kind == "memory"
    assert jaxlog.Logger(root.logging).settings == config
    # and within what is plain
    assert jaxlog.load_config({"sinks": root.logging.sinks}).sinks == config.sinks
    assert jaxlog.load_config({}, sinks=root.logging.sinks).sinks == config.sinks
    assert jaxlog.load_config({}, sinks=[root.logging.sinks[1]]).sinks == config.sinks[1:]


def test_structured_configs_and_enums_are_taken() -> None:
    config = jaxlog.load_config(OmegaConf.structured(Structured))
    assert (config.log_frequency, config.delivery) == (5, "live")
    assert config.sinks[0].model_dump()["mode"] == "offline"


def test_a_node_may_extend_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("log_frequency: 3\nnum_samples: 0")
    with pytest.raises(jaxlog.ConfigError, match=r"^base.yaml:2:1: num_samples: got 0"):
        jaxlog.load_config(OmegaConf.create({"extends": "base.yaml", "log_frequency": 4}))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (
            OmegaConf.structured(Structured(delivery=Delivery.post)),
            "delivery: got 'post': Input should be 'live' or 'return'",
        ),
        (
            OmegaConf.create({"log_frequency": "5"}),
            "log_frequency: got '5': Input should be a valid integer; did you mean 5?",
        ),
        (
            OmegaConf.structured(Unfinished),
            "log_frequency: OmegaConf cannot resolve it: Missing mandatory value: log_frequency",
        ),
        (
            OmegaConf.create({"sinks": "???"}),
            "sinks: OmegaConf cannot resolve it: Missing mandatory value: sinks",
        ),
        (
            OmegaConf.create({"log_frequency": "${nope}"}),
            "log_frequency: OmegaConf cannot resolve it: Interpolation key 'nope' not found",
        ),
        (
            OmegaConf.create({"strict": "${nope:1}"}),
            "strict: OmegaConf cannot resolve it: Unsupported interpolation type nope",
        ),
        (
            OmegaConf.create({True: 1}),
            "got the key True, expected text; YAML 1.1 reads on, off, yes and no as true and "
            "false: quote the key, or give load_config the file's path",
        ),
        (DictConfig(None), "got null, expected a mapping of settings"),
    ],
)
def test_a_node_that_cannot_be_used_says_why(node: Any, text: str) -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config(node)
    assert str(caught.value) == f"settings: {text}"


def test_a_list_is_no_settings() -> None:
    with pytest.raises(TypeError, match="give the node that has the keys, this one is a list"):
        jaxlog.load_config(OmegaConf.create([{"kind": "jsonl"}]))  # pyright: ignore


def test_it_is_no_dependency() -> None:
    code = "import sys, jaxlog; jaxlog.load_config({}); assert 'omegaconf' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
