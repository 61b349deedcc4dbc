"""Structured logs: JSON when piped, key-values on a terminal; secrets are taken out of every line."""

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
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=password=)[^\s&;]+|(?<=token=)[^\s&;]+"),
    # What images of MySQL and MariaDB log when they make one up.
    re.compile(r"(?i)(?<=generated root password: )\S+|(?<=temporary password is generated for root@localhost: )\S+"),
)


def hide(value: str) -> None:
    """Take this value out of everything that is logged or shown from now on; very short ones would spoil all text."""
    if len(value) >= 6:
        _secrets.add(value)


def scrub(text: str) -> str:
    """Text without known secrets and without what looks like one."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return text


def scrubbed(value: Any) -> Any:
    """A value of a log line, scrubbed at every depth."""
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
    """What libraries log by the standard library, as a line of ours, without secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def configure() -> None:
    """Set logging up for this process, on stderr."""
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
