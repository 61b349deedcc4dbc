"""Structured logs: JSON when piped, key-values on a terminal. Secrets are removed from every line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

HIDDEN = "[hidden]"
_secrets: set[str] = set()
_PATTERNS = (
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    re.compile(r"(?i)(?<=authorization: )(?!\[hidden\])\S+ \S+|(?<=bearer )[A-Za-z0-9._~+/-]{8,}=*"),
    re.compile(r"(?<=://)(?:[^/\s:@]*:[^/\s@]+|[^/\s:@]{8,})(?=@)"),  # shorter than 8: a name, such as `git`
    # YAML and JSON: what is quoted, or has a digit. Otherwise it is a sentence, such as "password: may not be empty".
    # The lengths are bounded, because a process can log a line of any length.
    re.compile(r"""(?i)((?:password|passwd|secret)\\?["']? {0,4}[:=] {0,4}\\?(["']))(?:\\.|(?!\2|\\).){1,400}"""),
    re.compile(r"(?i)((?:password|passwd): {0,4})(?!\[hidden\])(?=[^\s,;]{0,64}\d)[^\s,;]{6,256}"),
    re.compile(r"(?i)(?<=password=)[^\s&;]+|(?<=token=)[^\s&;]+"),
    # Signed addresses of S3, Google Cloud Storage and Azure Blob Storage.
    re.compile(r"(?i)([?&](?:x-(?:amz|goog)-(?:signature|security-token|credential)|sig|signature)=)[^\s&\"'<>]+"),
    # Images of MySQL and MariaDB log these when they generate a password.
    re.compile(r"(?i)(?<=generated root password: )\S+|(?<=temporary password is generated for root@localhost: )\S+"),
)


def hide(value: str) -> None:
    """Remove this value from all logs and output from now on. Ignore very short values, which would spoil all text."""
    if len(value) >= 6:
        _secrets.add(value)


def scrub(text: str) -> str:
    """Return the text without known secrets and without anything that looks like one."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: (found[1] if found.re.groups else "") + HIDDEN, text)
    return text


def scrubbed(value: Any) -> Any:
    """Return a value of a log line, scrubbed at every depth."""
    match value:
        case str():
            return scrub(value)
        case dict():
            return {scrubbed(k): scrubbed(v) for k, v in value.items()}
        case list() | tuple():
            return [scrubbed(v) for v in value]
        case None | bool() | int() | float():
            return value
        case _:
            return scrub(str(value))


def _scrub_line(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: scrubbed(value) for key, value in line.items()}


class _Ours(logging.Handler):
    """A handler that writes log records of libraries as lines of ours, without secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def configure() -> None:
    """Set up logging for this process, on stderr."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Ours) for handler in root.handlers):
        root.addHandler(_Ours(logging.WARNING))
    terminal = sys.stderr.isatty()
    shown: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _scrub_line,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
