"""Text for people. All text by strangers enters a comment or a page through this module.

Any person who can open a pull request can write titles, branches, label texts and log lines.
"""

from __future__ import annotations

import html
import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~])")
_ADDRESS = re.compile(r"(https?://[\w.:/?=&%+~-]*[\w/])")


def counted(count: int, one: str, many: str = "") -> str:
    """Format a count with its noun: `1 service`, `2 services`. `many` is the plural if adding an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def plain(text: str, limit: int = 200) -> str:
    """Return text on one line, without control and bidirectional characters, at most `limit` characters."""
    clean = "".join(" " if c.isspace() else c for c in text)
    clean = "".join(c for c in clean if unicodedata.category(c) not in {"Cc", "Cf", "Co", "Cs", "Cn"})
    clean = re.sub(r" {2,}", " ", clean).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def inline(text: str, limit: int = 200) -> str:
    """Escape text for a Markdown line, so that it cannot mention people, link issues, add markup or open a comment."""
    clean = _MARKDOWN.sub(r"\\\1", plain(text, limit))
    clean = clean.replace("@", "@\u200b").replace("#", "#\u200b").replace("://", ":\u200b//")
    return re.sub(r"(?i)\bGH-(?=\d)", "GH\u200b-", clean)


def fence(lines: tuple[str, ...], limit: int = 3000) -> str:
    """Format lines as a Markdown code block with a fence longer than any run of backticks inside. Cut the oldest lines
    to fit `limit` characters.
    """
    kept: list[str] = []
    room = limit
    for line in reversed([_indented(line) for line in lines]):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line.replace("<!--", "<\u200b!--"))
    body = "\n".join(reversed(kept))
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{body}\n{ticks}"


def _indented(line: str) -> str:
    """Clean a log line but keep its indentation, because tracebacks need it."""
    clean = plain(line, 400)
    return " " * min(len(line) - len(line.lstrip(" ")), 40) + clean if clean else ""


def code(text: str, limit: int = 100) -> str:
    """Clean text for use between backticks."""
    return plain(text, limit).replace("`", "'")


def origin(url: str) -> str:
    """Reduce an address to its host and port, because login, path, query and fragment may be secrets."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)?(?:.*@)?([^/?#@]*)", plain(url))
    return f"{match[1] or ''}{match[2]}" if match else ""


def markup(sentence: str, below: str = "") -> str:
    """Return one of our sentences as HTML, with text by strangers escaped and text in backticks as code.

    Addresses below this one become links. Others stay text: a stranger may have written them.
    """
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(sentence))
    if not below.startswith(("https://", "http://")):
        return shown
    address = rf"({re.escape(html.escape(below.rstrip('/')))}/[\w./-]*\w)"
    return re.sub(address, r'<a href="\1" rel="noreferrer">\1</a>', shown)


def markdown(sentence: str) -> str:
    """Format one of our sentences as Markdown. It may contain strangers' words, so only text in backticks is markup.

    It cannot mention people, link issues, load images or open a comment. Addresses stay addresses.
    https://github.github.com/gfm/#code-spans
    """
    parts = re.split(r"(`[^`\n]+`)", sentence)
    safe = "".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))
    return re.sub(r"^(?=[#+=-])", "\u200b", safe).replace("<!--", "<\u200b!--")


def _escaped(text: str) -> str:
    parts = _ADDRESS.split(text)
    safe = "".join(part if i % 2 else _MARKDOWN.sub(r"\\\1", part) for i, part in enumerate(parts))
    safe = re.sub(r"(?<![\w`/])@(?=\w)", "@\u200b", safe)
    return re.sub(r"(?i)\bGH-(?=\d)", "GH\u200b-", re.sub(r"#(?=\d)", "#\u200b", safe))
