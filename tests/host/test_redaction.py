"""Secrets are left out of all that a run keeps; what only looks like one stays."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from jaxlog._host.redaction import (
    REDACTED,
    names_a_secret,
    redacted,
    redacted_lines,
    without_secrets,
)
from tests.conftest import MakeLogger

SECRETS = """
    db_password_prod secretKey MY_TOKEN_2 x-api-key wandbApiKey API_KEY AUTH-TOKEN token auth
    pwd
    authTokens credentials HF_TOKEN hf_token HUGGING_FACE_HUB_TOKEN access_token dbpassword tokens
    clientsecret client_secret private_key aws_secret_access_key DB_PASS apikey openai_api_keys
    userPassword1 Authorization secrets aws_session_token GITHUB_TOKEN_PROD token2 cookie apiToken
    passwords refreshToken PASSPHRASE sshKey"""
OTHERS = """
    eos_token tokenizer max_tokens num_tokens token_count pad_token_id author secretary
    authors
    rng_key sort_key key num_passes pass_rate tokenize max_new_tokens tokens_per_second bos_token_id
    max_token token_embedding_dim keys monkey keyword authority compass image_token_index pass
    detokenizer tokens_per_batch learning_rate authenticity tokenwise"""


@pytest.mark.parametrize(
    "name",
    SECRETS.split(),
)
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize(
    "name",
    OTHERS.split(),
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not names_a_secret(name)


TEXTS = [
    ("postgres://me:abc@host/db", "postgres://me:(redacted)@host/db"),
    ("https://me:p@ss@h/x", "https://me:(redacted)@h/x"),
    ("git clone https://x0123456789abcdef@h/x", "git clone https://(redacted)@h/x"),
    ("https://0123456789abcdef@h/x", "https://(redacted)@h/x"),
    ("Authorization: Bearer abc.def", "Authorization: (redacted)"),
    ("-H 'Authorization: Basic abc=' http://x", "-H 'Authorization: (redacted)' http://x"),
    ("sent Bearer abcdef.ghi to x", "sent Bearer (redacted) to x"),
    ("python t.py --token abc --lr 0.1", "python t.py --token (redacted) --lr 0.1"),
    ("API_KEY=abc python x.py", "API_KEY=(redacted) python x.py"),
    ("--api-key=abc -v", "--api-key=(redacted) -v"),
    ("https://x/y?token=abc&lr=2", "https://x/y?token=(redacted)&lr=2"),
    ("{'password': 'abc', 'lr': 1}", "{'password': '(redacted)', 'lr': 1}"),
    ('{"api_key":"abc"}', '{"api_key":"(redacted)"}'),
    ("login: token = 'a b c'", "login: token = '(redacted)'"),
    ("uses ghp_" + "a1" * 18 + " now", "uses (redacted) now"),
    ("key AKIA" + "A" * 16, "key (redacted)"),
]
UNCHANGED = [
    "--max-tokens 5", "max_tokens=5 eos_token=</s>", "tokenizer: gpt2", "http://host:8080/u/@me",
    "https://0123456789abcde@h/x", "ssh://git@github.com/x", "Bearer of bad news", "author: Jane",
    "KeyError: 'token'",
    "unexpected token at 5", "tokens=512", "0.5", "", "a secret", "s3://bucket/tokens",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TEXTS + [(text, text) for text in UNCHANGED])
def test_secrets_in_texts(text: str, expected: str) -> None:
    assert redacted(text) == expected
    assert redacted(expected) == expected


def test_values_of_any_type_are_left_out() -> None:
    config = {
        "db_password_prod": 1234,
        "secretKey": [1, "a", {"b": 2.5}],
        "api_keys": {"me": "abc", "you": None},
        "use_auth": True,
        "tokens": 5,
        "hf_token": 5,
        "tokens_text": "a",
        "argv": ["train.py", "--token", "abc", "--lr", "0.1", "--eos-token", "x", "--api-key=abc"],
        "none": None,
    }
    found, places = without_secrets("config", config)
    assert found == {
        "db_password_prod": REDACTED,
        "secretKey": [REDACTED, REDACTED, {"b": REDACTED}],
        "api_keys": {"me": REDACTED, "you": None},
        "use_auth": True,
        "tokens": 5,
        "hf_token": REDACTED,
        "tokens_text": "a",
        "argv": [
            "train.py", "--token", REDACTED, "--lr", "0.1", "--eos-token", "x",
            f"--api-key={REDACTED}",
        ],
        "none": None,
    }  # fmt: skip
    assert places == [
        "config['db_password_prod']",
        "config['secretKey'][0]",
        "config['secretKey'][1]",
        "config['secretKey'][2]['b']",
        "config['api_keys']['me']",
        "config['hf_token']",
        "config['argv'][2]",
        "config['argv'][7]",
    ]


def test_they_reach_neither_run_json_nor_a_sink_and_that_is_said_once(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(sinks=[{"kind": "memory"}, {"kind": "jsonl"}, {"kind": "tensorboard"}])

    def failing() -> Any:
        with (
            caplog.at_level(logging.WARNING, "jaxlog"),
            logger.open(
                tmp_path / "run",
                config={"db_password_prod": "hunter2", "cmd": "x --token hunter2", "lr": 0.1},
                lanes=[{"apiKey": "hunter2", "seed": 0}],
                tags=("url=https://me:hunter2@host",),
            ) as run,
        ):
            run.log({"loss": [1.0]}, step=0)
            raise ValueError("cannot log in to https://me:hunter2@host with token=hunter2")

    with pytest.raises(ValueError, match="hunter2"):  # the program's own error is as it was
        failing()
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["error"] == (
        "ValueError: cannot log in to https://me:(redacted)@host with token=(redacted)"
    )
    assert facts["config"] == {
        "db_password_prod": REDACTED,
        "cmd": "x --token (redacted)",
        "lr": 0.1,
    }
    (record,) = caplog.records
    assert record.getMessage() == (
        "jaxlog: run run: left out as secrets, of run.json and of what sinks write: "
        "config['db_password_prod'], config['cmd'], tags[0], lanes[0]['apiKey']. If one is not a "
        "secret, rename it. Said once."
    )


def test_a_long_text_is_searched_line_by_line_and_a_key_of_many_lines_is_found() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----"
    lines = ["+lr = 0.1", "+api_key = 'abcdefgh'", f"+{key}", "+https://me:sesame@host/x", "-x = 1"]
    assert redacted_lines("\n".join(lines) + "\n").splitlines() == [
        "+lr = 0.1",
        f"+api_key = '{REDACTED}'",
        f"+{REDACTED}",
        f"+https://me:{REDACTED}@host/x",
        "-x = 1",
    ]
    assert redacted_lines("a\r\nb") == "a\r\nb"
