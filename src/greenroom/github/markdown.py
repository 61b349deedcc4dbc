"""The lines of a comment or description that people see as plain text.

`markdown-it-py` parses the text by the rules of GitHub Flavored Markdown. This module only walks its tokens. A line in
doubt counts as hidden, so that no text acts as a command unless people can read it as one. This module knows nothing
about commands. Its running time is proportional to the length of the text, which strangers write.

https://github.github.com/gfm/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_inline import StateInline, escape, newline
from markdown_it.token import Token
from mdit_py_plugins.footnote.index import footnote_def

_NEWLINE = re.compile("\r\n?")
_ODD_END = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
_COMMENT = re.compile(r"<!--.*?(?:-->|$)")
_BLOCK_COMMENT = re.compile("<!--(?:-?>|.*?--!?>|(.*))", re.DOTALL)  # as browsers end it; the group is one without end
_DELIMITERS = frozenset("|:- \t\v\f")
_WORD_END = re.compile(r"[\s<]")
_TEXT = ("paragraph_open", "heading_open")
_BREAKS = ("softbreak", "hardbreak")
CODE = 4  # columns
DEPTH = 100  # of HTML elements
# Elements that GitHub shows and that need an end tag. Text such as `List<String>` is an HTML tag too. GitHub shows the
# text after an unknown tag as if there were no tag.
# https://github.com/gjtorikian/html-pipeline/blob/v3.2.1/lib/html_pipeline/sanitization_filter.rb
_ELEMENTS = (  # noqa: SIM905 -- a list would take sixty lines
    "a abbr b bdo blockquote caption cite code dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 i"
    " ins kbd li mark ol p picture pre q rp rt ruby s samp small span strike strong sub summary sup table tbody td"
    " tfoot th thead time tr tt ul var video"
).split()
_NEED_NO_END = frozenset(("dd", "dt", "li", "p", "rp", "rt", "tbody", "td", "tfoot", "th", "thead", "tr"))
# Elements that GitHub shows as text or removes with everything in them.
# https://github.github.com/gfm/#disallowed-raw-html-extension-
_DISALLOWED = (  # noqa: SIM905
    "iframe math noembed noframes noscript plaintext script style svg template textarea title xmp"
).split()


def _located(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    """Return a rule that also notes where its line break is. Inline tokens have no position of their own."""

    def located(state: StateInline, silent: bool) -> bool:
        at = state.pos
        matched = rule(state, silent)
        if matched and not silent and state.tokens and state.tokens[-1].type in _BREAKS:
            state.tokens[-1].meta.setdefault("at", state.src.index("\n", at))
        return matched

    return located


def _github() -> MarkdownIt:
    """Return a parser of the Markdown that GitHub shows in comments."""
    parser = MarkdownIt("commonmark", {"strikethrough_single_tilde": True}).enable(["table", "strikethrough"])
    ends: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list", "table"]}
    parser.block.ruler.before("reference", "footnote_def", footnote_def, ends)
    parser.inline.ruler.at("newline", _located(newline))
    parser.inline.ruler.at("escape", _located(escape))
    # A link is a link here, whatever its address: GitHub drops dangerous addresses after parsing.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser.disable(["entity", "text_join"])


READ = 2_000
LINKS = 200
"""Limits on text by strangers: the parser takes seconds for a long text with many opening brackets."""
_GITHUB = _github()
_TAGS = MarkdownIt("zero", {"html": True}).enable("html_inline")


@lru_cache(maxsize=5000)  # a pass reads the same comments again
def plain_lines(text: str, limit: int = READ) -> tuple[str, ...]:
    """Return the lines of paragraphs and headings that are not in a quote, a table, a footnote, code or HTML.

    A space replaces each HTML comment inside a line. A line that is indented by four columns is left out, because it is
    code unless a list is around it. Lines end as in CommonMark. Other characters that Python treats as line ends become
    U+FFFD: they are invisible, so they must not count as a space between two words of a command. Only the first `limit`
    characters are read, and nothing of a text with more than `LINKS` opening brackets there.
    """
    source = _NEWLINE.sub("\n", text)
    if len(source) > limit:
        source = source[:limit].rpartition("\n")[0]  # a line that is cut would be another command
    if source.count("[") > LINKS:
        return ()
    lines = source.split("\n")
    visible = (lines[n] for n in _visible(source) if not lines[n].expandtabs(CODE).startswith(" " * CODE))
    return tuple(_ODD_END.sub("\N{REPLACEMENT CHARACTER}", _COMMENT.sub(" ", line)) for line in visible)


def _visible(source: str) -> Iterator[int]:
    """Yield the indexes of the visible lines."""
    html = _Html()
    quoted = -1  # the line below the last quote, which belongs to that quote unless it is empty
    lists = 0
    env: dict[str, Any] = {}
    tokens = _GITHUB.parse(source, env)
    references = (*env.get("references", {}).values(), *env.get("duplicate_refs", ()))
    below = {reference["map"][1] for reference in references}
    for before, token in pairwise(tokens):
        if before.type == "blockquote_open" and before.map:
            quoted = max(quoted, before.map[1])
        elif before.type == "list_item_open" and before.map and before.map[0] == quoted:
            quoted -= 1  # a list begins below the quote instead
        elif before.type == "code_block" and before.map and before.map[0] == quoted:
            quoted = before.map[1]  # GitHub reads an indented line below a quote as text of the quote
        elif before.type == "html_block":
            html.block(before.content)
        # GitHub ends a footnote later, and a reference may go on below where we see its end.
        if before.type == "footnote_reference_open" or (before.map and before.map[0] in below):
            html.lost = True
        lists += before.nesting if before.tag in ("ul", "ol") else 0
        if token.type == "inline" and token.map:
            html.lost = html.lost or _ambiguous(token, lists > 0 or token.map[0] <= quoted)
            lines = tuple(_paragraph(token, html))
            # A line of control characters alone is trimmed from the content, and then the lines cannot be counted.
            counted = token.content.count("\n") + 1 == token.map[1] - token.map[0]
            if before.type in _TEXT and token.map[0] > quoted and counted:
                yield from (token.map[0] + n for n in lines)


def _paragraph(inline: Token, html: _Html) -> Iterator[int]:
    """Yield the visible lines, counted from the first line of the paragraph.

    A line break within code, a tag, an image or a link's address makes no token, so the line after it is hidden.
    """
    # GitHub may see a reference here: its address may hold a single parenthesis there.
    hidden = int(inline.content.startswith("[") and "]:" in inline.content)
    line, last = 0, 0
    if not (hidden or html.hides):
        yield line
    for token in inline.children or ():
        hidden += token.nesting if token.tag in ("a", "s") else 0
        html.inline(token, "<!--")
        if token.type in _BREAKS:
            line, last = line + inline.content.count("\n", last, token.meta["at"] + 1), token.meta["at"] + 1
            if not (hidden or html.hides):
                yield line


def _ambiguous(inline: Token, contained: bool) -> bool:
    """Return whether GitHub may read this paragraph, and so the rest of the text, in another way than we do.

    There, a table with one column needs no pipe, and a tag on a line of its own below a list or quote begins a block of
    HTML.
    """
    lines, tokens = inline.content.split("\n"), inline.children or []
    table = any("-" in line and {*line} - {"-", " "} and _DELIMITERS.issuperset(line) for line in lines)
    block = contained and any(a.type in _BREAKS and b.type == "html_inline" for a, b in pairwise(tokens))
    return table or block or _has_markup_in_address(tokens)


def _has_markup_in_address(tokens: Iterable[Token]) -> bool:
    """Return whether a backtick or backslash is in a bare address.

    GitHub gives it no meaning there. That changes the meaning of the next one.
    """
    address = False
    for token in tokens:
        if address and token.type in ("code_inline", "text_special"):
            return True
        if token.type == "text":
            *others, last = _WORD_END.split(token.content)
            address = (address and not others) or "://" in last or "www." in last
        elif token.type == "html_inline" or token.type in _BREAKS:
            address = False
    return False


class _Html:
    """HTML elements that are open at a place in a text.

    `lost` means that GitHub may read the rest in another way than we do, so nothing of it is visible.
    """

    def __init__(self) -> None:
        self.lost = False
        self._open: list[str] = []

    @property
    def hides(self) -> bool:
        """Return whether text here is in an element, or may be."""
        return self.lost or bool(self._open)

    def block(self, content: str) -> None:
        """Note the tags in a block of HTML."""
        tags = _BLOCK_COMMENT.sub(lambda match: "" if match[1] is None else "<", content)
        for token in _TAGS.parseInline(tags)[0].children or ():
            self.inline(token, "<")

    def inline(self, token: Token, unfinished: str) -> None:
        """Note the tag in a token. Text with `unfinished` in it begins HTML that nothing ends."""
        if token.type == "text":
            self.lost = self.lost or unfinished in token.content
        elif token.type == "html_inline" and token.content[1] in "!?":  # browsers end all but comments at the first `>`
            self.lost = self.lost or not token.content.startswith("<!--") or "--!>" in token.content
        elif token.type == "html_inline" and not self.lost:
            self._tag(token.content)

    def _tag(self, tag: str) -> None:
        name = tag.strip("</>").split()[0].lower()
        if name in _DISALLOWED or len(self._open) > DEPTH:
            self.lost = True
        elif name in _ELEMENTS and not tag.startswith("</"):
            self._open.append(name)
        elif name in _ELEMENTS:
            self._end(name)

    def _end(self, name: str) -> None:
        """Close an element. An end tag that does not fit closes nothing, as in a browser."""
        at = len(self._open) - 1
        while at > 0 and self._open[at] != name and self._open[at] in _NEED_NO_END:
            at -= 1
        if self._open[at:] and self._open[at] == name:
            del self._open[at:]
