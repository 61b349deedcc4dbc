"""Text for people; and the one way by which strangers' text enters a comment or a page.

Titles, branches, label texts and log lines are written by anybody who can open a pull request.
"""

from __future__ import annotations

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~])")
_ADDRESS = re.compile(r"(https?://[\w.:/?=&%+~-]*[\w/])")


def counted(count: int, one: str, many: str = "") -> str:
    """`1 service`, `2 services`; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def plain(text: str, limit: int = 200) -> str:
    """Text without control and bidirectional characters, on one line, at most `limit` characters."""
    clean = "".join(" " if c.isspace() else c for c in text)
    clean = "".join(c for c in clean if unicodedata.category(c) not in {"Cc", "Cf", "Co", "Cs", "Cn"})
    clean = re.sub(r" {2,}", " ", clean).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def inline(text: str, limit: int = 200) -> str:
    """Text for a Markdown line: nobody is mentioned, no issue is linked, no markup works, no comment opens."""
    clean = _MARKDOWN.sub(r"\\\1", plain(text, limit))
    clean = clean.replace("@", "@\u200b").replace("#", "#\u200b").replace("://", ":\u200b//")
    return re.sub(r"(?i)\bGH-(?=\d)", "GH\u200b-", clean)


def fence(lines: tuple[str, ...], limit: int = 3000) -> str:
    """Lines as a Markdown code block whose fence is longer than any run of backticks inside; the oldest are cut."""
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
    """A line of a log with what it is indented by: a traceback is read by that."""
    clean = plain(line, 400)
    return " " * min(len(line) - len(line.lstrip(" ")), 40) + clean if clean else ""


def code(text: str, limit: int = 100) -> str:
    """Text that stands between backticks."""
    return plain(text, limit).replace("`", "'")


def origin(url: str) -> str:
    """An address down to its host and port: login, path, query and fragment may be secrets."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)?(?:.*@)?([^/?#@]*)", plain(url))
    return f"{match[1] or ''}{match[2]}" if match else ""


def markdown(sentence: str) -> str:
    """A sentence of ours, with strangers' words in it, as Markdown: only what stands in backticks is markup.

    Nobody is mentioned, no issue is linked, no image is loaded, no comment opens; addresses stay addresses.
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
