"""Finds secrets in the values that users give to a run, and makes copies without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "(redacted)"

_WORDS = {
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "credential", "auth",
    "authorization", "apikey", "bearer", "cookie", "jwt",
}  # fmt: skip
_KEYS = {
    "api", "access", "private", "secret", "auth", "wandb", "ssh", "signing", "encryption", "master",
    "license", "subscription", "consumer", "client", "session", "account", "service",
}  # fmt: skip
"""The words after which a `key` is a secret."""
_ACCOUNTS = {
    "db", "database", "user", "smtp", "mysql", "postgres", "pg", "redis", "mongo", "ftp", "ldap",
    "admin", "root",
}  # fmt: skip
"""The words after which a `pass` is a password."""
_JOINED = re.compile(
    "password|passwd|passphrase|credential|(api|access|auth|private|secret|signing|encryption)keys?$"
    "|(api|access|auth|refresh|bearer|session|id|hf|wandb|github|gitlab|bot)tokens?$|.secrets?$"
)
"""Words that are written as one: `dbpassword`, `accesstoken`."""
_OF_LANGUAGE = {
    "eos", "bos", "pad", "unk", "unknown", "mask", "masked", "sep", "cls", "special", "image",
    "audio", "video", "text", "start", "end", "stop", "begin", "first", "last", "next", "prev",
    "previous", "new", "num", "n", "max", "min", "maximum", "minimum", "mean", "avg", "total",
    "count", "counts", "number", "id", "ids", "per", "length", "len", "size", "type", "types",
    "vocab", "vocabulary", "embedding", "embeddings", "embed", "dim", "dims", "batch", "budget",
    "limit", "window", "rate", "loss", "prob", "probs", "logprob", "logprobs", "dropout", "prompt",
    "input", "output", "target", "completion", "context", "seq", "sequence", "generated", "used",
    "position", "index", "accuracy", "entropy", "weight", "weights", "level", "second", "seconds",
    "sec", "step", "steps", "train", "eval", "merge", "merging", "mixing", "mixer", "pruning",
    "frequency", "fraction", "ratio", "chunk", "block", "patch", "vision", "language", "model",
    "kind", "k", "action", "state", "reward", "obs", "observation", "drop", "keep",
}  # fmt: skip
"""The words beside which a `token` is that of a language model."""

_IN_ADDRESS = re.compile(r"(\w://[^:/@\s]*:)[^/\s]+@")
_ALONE_IN_ADDRESS = re.compile(r"(\bhttps?://)[^:/@\s]+@")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\s\"'][^\n\"']*")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{6,}")
_ASSIGNED = re.compile(
    r"(?<![\w.-])(-{0,2}[A-Za-z_][\w.-]*)([\"']?\s*(?:=|:(?!//))\s*)"
    r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'&,;)}\]]+)"
)
_OPTION = re.compile(r"(?<![\w.-])(--?[A-Za-z][\w-]*)(\s+)(\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'-]\S*)")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}"
    r"|sk-[A-Za-z0-9_-]{32,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
"""Keys known by their form: GitHub, GitLab, Hugging Face, OpenAI, Slack, AWS, Google, PEM."""

_HINT = re.compile(
    r"(?i)pass|pwd|secret|token|key|cred|auth|bearer|cookie|jwt|://"
    r"|gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox|akia|aiza|eyj"
)
"""What is in each text that has a secret of a kind that is found."""


def without_secrets(name: str, values: Any) -> tuple[Any, list[str]]:
    """Copies values without the secrets under names like `db_password`, and in texts.

    Under the name of a secret, texts and numbers are replaced, also within lists and dicts. In
    other texts, passwords in addresses, headers, and values that are assigned to the name of a
    secret are replaced.

    Args:
      name: the name by which the user knows the values.
      values: plain values.

    Returns:
      The copy, and the path of each secret: `config['wandb']['api_key']`.
    """
    places: list[str] = []
    return _without(values, name, places, secret=False), places


def redacted(text: str) -> str:
    """The text without secrets in addresses, headers, command lines and known keys."""
    if _HINT.search(text) is None:
        return text
    text = _KNOWN.sub(REDACTED, text)
    text = _IN_ADDRESS.sub(rf"\1{REDACTED}@", text)
    text = _ALONE_IN_ADDRESS.sub(_if_long, text)
    text = _HEADER.sub(rf"\1{REDACTED}", text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    return _without_named(_OPTION, _without_named(_ASSIGNED, text))


def redacted_lines(text: str) -> str:
    """The same for a long text, line by line.

    Other threads can run in between. A name at the end of a line and its value on the next one are
    not seen together.
    """
    if "PRIVATE KEY-----" in text:  # of many lines
        text = _KNOWN.sub(REDACTED, text)
    return "".join(map(redacted, text.splitlines(keepends=True)))


def names_a_secret(name: str) -> bool:
    """True if a name is that of a secret: `db_password_prod`, `x-api-key`, `MY_TOKEN_2`.

    >>> [names_a_secret(name) for name in ("secretKey", "eos_token", "tokenizer", "author")]
    [True, False, False, False]
    """
    words = _words_of(name)
    singular = [_singular(word) for word in words]
    for number, word in enumerate(singular):
        before = singular[number - 1] if number else ""
        if word == "token":
            if not _OF_LANGUAGE.intersection(words):
                return True
        elif (
            word in _WORDS
            or _JOINED.search(words[number])
            or (word == "key" and before in _KEYS)
            or (word == "pass" and before in _ACCOUNTS)
        ):
            return True
    return False


def _words_of(name: str) -> list[str]:
    """The words of a name in lower case: `api` and `key` of `apiKey`, `API_KEY` and `api key2`."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _singular(word: str) -> str:
    return word if len(word) < 4 or word.endswith("ss") else word.removesuffix("s")


def _counts(name: str) -> bool:
    """True if a name is that of a number of tokens, such as `max_tokens`."""
    words = _words_of(name)
    return "tokens" in words and not any(names_a_secret(word) for word in words if word != "tokens")


def _without(value: Any, place: str, places: list[str], *, secret: bool) -> Any:
    if isinstance(value, Mapping):
        found = {}
        for key, part in value.items():
            names = names_a_secret(key)
            if names and isinstance(part, int | float) and _counts(key):
                names = False
            found[key] = _without(part, f"{place}[{key!r}]", places, secret=secret or names)
        return found
    if isinstance(value, list | tuple):
        parts = []
        for number, part in enumerate(value):
            option = value[number - 1] if number else None  # in a command line, split into words
            names = _is_option(option) and isinstance(part, str) and not part.startswith("-")
            inner = f"{place}[{number}]"
            parts.append(_without(part, inner, places, secret=secret or names))
        return parts
    if value is None or isinstance(value, bool) or value == "":
        return value
    copy = REDACTED if secret else redacted(value) if isinstance(value, str) else value
    if isinstance(copy, str) and copy != value:
        places.append(place)
    return copy


def _is_option(value: Any) -> bool:
    """True if a word of a command line is an option whose value, the next word, is a secret."""
    return (
        isinstance(value, str)
        and re.fullmatch(r"--?[A-Za-z][\w-]*", value) is not None
        and names_a_secret(value)
    )


def _without_named(pattern: re.Pattern[str], text: str) -> str:
    """The text without the values that follow the name of a secret.

    Args:
      pattern: finds a name, a separator and a value.
      text: to search.
    """
    parts, start = [], 0
    while found := pattern.search(text, start):
        name, _, value = found.groups()
        counts = re.fullmatch(r"[\d.]+", value) and _counts(name)
        if value.startswith(REDACTED[:-1]) or counts or not names_a_secret(name):
            end = found.end(2)  # the value may itself be a name
            parts.append(text[start:end])
        else:
            end = found.end()
            quote = value[0] if value[0] in "\"'" else ""
            parts += [text[start : found.start(3)], quote, REDACTED, quote]
        start = end
    return "".join([*parts, text[start:]])


def _if_long(found: re.Match[str]) -> str:
    """Replaces a long name in an address; a short one, such as `git`, is that of a user."""
    user = found.group()[len(found.group(1)) : -1]
    return found.group() if len(user) < 16 or user == REDACTED else f"{found.group(1)}{REDACTED}@"
