"""Visible lines of Markdown, with GitHub's own parser as the judge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser

import pytest
from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options
from hypothesis import example, given
from hypothesis import strategies as st

from greenroom.github.markdown import LINKS, READ, plain_lines

OPTIONS = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
COMMAND = re.compile(r"/preview use payments#(\d+)")
BLOCKS = frozenset(("p", "h1", "h2", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"))
SPANS = frozenset(("br", "hr", "img", "input", "em", "strong", "del", "t"))  # GitHub shows what follows `<T>`


class Judge(HTMLParser):
    """Reader of GitHub's HTML. `text` is the text outside of quotes, code, links, footnotes and raw HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.hidden: list[str] = []
        self.text = ""
        self.feed(re.sub("<!---?>|<!--.*?--!?>", "", html, flags=re.DOTALL))  # as browsers end a comment
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.text += "\n" if tag in BLOCKS else "\0"
        if tag not in BLOCKS | SPANS:
            self.hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.text += "\0"
        if tag in self.hidden:
            while self.hidden.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += "\0" if self.hidden else data

    def parse_html_declaration(self, i: int) -> int:
        """Read `<![` as a comment, as browsers do. The standard library raises an error."""
        return self.parse_bogus_comment(i) if self.rawdata.startswith("<![", i) else super().parse_html_declaration(i)


def commands(text: str) -> set[str]:
    """The numbers of the commands that are whole lines."""
    return {match[1] for line in re.split("\r\n?|\n", text) if (match := COMMAND.fullmatch(line.strip(" \t\0")))}


def kept(text: str) -> set[str]:
    return commands("\n".join(plain_lines(text)))


def on_github(text: str) -> set[str]:
    return commands(Judge(github_flavored_markdown_to_html(text, OPTIONS)).text) & commands(text)


MARKDOWN = (  # noqa: SIM905
    "` `` ``` ~~~ ~~ ~ > - * + 1. 2) # === --- *** | |-| a|b -|- :-: [ ] [a] (u) ](u) [a]: [^1] [^1]: ![ \\ _ ** a b"
    " http://a http://a` www.a.b &lt; ! \" ' ( ) [x] @ 1 . a@b.com [!NOTE] $$ ](javascript:x"
).split()
HTML = (  # noqa: SIM905
    '< <!-- --> <b> </b> <div> </div> <details> </details> <pre> </pre> <a\thref=" "> <? ?> <!A <![CDATA[ ]]>'
    " <http://a> <http://a`> <T> <br> <br/> <p> </p> <script> </script> <span /> <blockquote> </blockquote> <code>"
    " </code> <!--> <!---> --"
).split()
ODD = ["\v", "\f", "\x1c", "\x85", "\u2028", "\r"]


def documents(pieces: Sequence[str], starts: Sequence[str]) -> st.SearchStrategy[str]:
    """Documents of lines of pieces. Many lines are commands, each with a number of its own."""
    words = st.lists(st.sampled_from([*pieces, " ", ' "', "    ", "\t"]), max_size=6).map("".join)
    command = st.builds(
        "{}/preview use payments#N{}".format, st.sampled_from(starts), st.sampled_from(["", "", "  ", "\\"])
    )
    return st.builds(_numbered, st.lists(command | words, max_size=9), st.sampled_from(["\n", "\r\n"]))


def _numbered(lines: list[str], end: str) -> str:
    return end.join(line.replace("#N", f"#{n}") for n, line in enumerate(lines))


@given(documents([*MARKDOWN, *HTML, *ODD], ["", "  ", "> ", "- ", "    ", "\t"]))
@example("http://a/` b `c\n/preview use payments#1\n`")
@example("http://a\\<code>\n/preview use payments#1\n</code>")
@example("> [a]: /page\n/preview use payments#1")
@example("<script> <blockquote></script>\n/preview use payments#1")
@example("- [a]: /page\n\n\n\t/preview use payments#1")
@example("Look\n:-:\n\t/preview use payments#1")
@example("- Look\n<br>\n/preview use payments#1")
@example(">>]]>\n\t<![CDATA[<br>\v\n/preview use payments#1\n</div>]]>")
@example("> Look\n<T>\n- Look\n/preview use payments#1")
@example('[a]: /pa(ge "\n/preview use payments#1\n"')
@example('[a]: /page\n"Look\n/preview use payments#1\n2) "')
@example("[a]: /page\n    <code>\n<\n/preview use payments#1")
@example('[a](javascript:x "\n/preview use payments#1\n")')
def test_no_line_is_kept_that_github_does_not_show_as_plain_text(text: str) -> None:
    assert kept(text) <= on_github(text)


STRICTER = re.compile(r"]:|(http|www)\S*[`\\]")  # what looks like a reference, and markup in an address


@given(
    documents(
        [piece for piece in MARKDOWN if ">" not in piece and "|" not in piece and ":-" not in piece],
        ["", "  ", "- ", "    "],
    )
)
def test_every_line_is_kept_that_github_shows_as_plain_text(text: str) -> None:
    html = github_flavored_markdown_to_html(text, OPTIONS)
    if not STRICTER.search(text) and "<del" not in html and "<a " not in html:
        indented = "\n".join(line for line in text.splitlines() if line.expandtabs(4).startswith("    "))
        assert kept(text) == on_github(text) - commands(indented)


HIDDEN: Mapping[str, str] = {
    "in code over lines": "Write `make\nCOMMAND\nmake` here",
    "in a quote without its own mark": "> She wrote:\nCOMMAND",
    "in an alert": "> [!NOTE]\n> Look\nCOMMAND",
    "in a title of a link": 'See [this](/page "title\nCOMMAND\nend").',
    "in a title of a reference": '[this]: /page "title\nCOMMAND\nend"',
    "in a text of an image": "![\nCOMMAND\n](/image.png)",
    "in an attribute": 'See <span title="\nCOMMAND\n">this</span>.',
    "in a comment within a paragraph": "See <!-- this\nCOMMAND\n--> page.",
    "in a block of HTML": "<div>\nCOMMAND\n</div>",
    "in an element over paragraphs": "<details>\n\nCOMMAND\n\n</details>",
    "in a quote of HTML": "<blockquote>\n\nCOMMAND\n\n</blockquote>",
    "in code of HTML": "See <code>this\n\nCOMMAND\n\n</code>",
    "after a tag that nothing ends": "<div\n\nCOMMAND\n\n>",
    "in a footnote": "[^1]: Look\nCOMMAND",
    "in a table": "| a |\n| - |\nCOMMAND",
    "struck through": "~~Please\nCOMMAND\nnow~~",
    "in the text of a link": "[Please\nCOMMAND\nnow](/page)",
}
SHOWN: Mapping[str, str] = {
    "after an element": "<details>\n\nLook\n\n</details>\n\nCOMMAND",
    "after a list in HTML": "<ul><li>One<li>Two</ul>\n\nCOMMAND",
    "after the name of a type": "This is a Map<String>.\n\nCOMMAND",
    "in a list": "- Please:\n\n   COMMAND",
    "in bold text": "**Please\nCOMMAND\nnow**",
    "after an address in code": "See `http://localhost:8000` and http://localhost:8000.\n\nCOMMAND",
    "after a title in brackets": "[Draft]: not yet\n\nCOMMAND",
    "after a comment of many dashes": "<!------ Template -- please ------>\n\nCOMMAND",
    "after a signature": "Look\n\n--\nAda\n\nCOMMAND",
    "after a table": "| a |\n| - |\n| b |\n\nCOMMAND",
    "above a line": "COMMAND\n---\nThanks",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_hidden_line_is_not_kept(text: str) -> None:
    assert kept(text.replace("COMMAND", "/preview use payments#1")) == set()


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_visible_line_is_kept(text: str) -> None:
    assert kept(text.replace("COMMAND", "/preview use payments#1")) == {"1"}


def test_only_the_first_characters_are_read_and_no_line_is_cut() -> None:
    """A line that is cut names another pull request: `catalog#12` would become `catalog#1`."""
    command = "/preview use catalog#12"
    beginning = "x" * 97 + "\n\n"
    text = beginning * (READ // len(beginning))
    room = READ - len(text)
    assert command in plain_lines(f"{text[:-50]}\n\n{command}\n")
    assert not any(line.startswith("/preview") for line in plain_lines(text + "y" * (room - 12) + "\n\n" + command))


def test_text_with_very_many_brackets_is_not_read() -> None:
    """The parser takes a second for ten thousand of them, and strangers write as many comments as they like."""
    assert plain_lines("[*" * LINKS + "\n\n/preview use catalog#1")
    assert plain_lines("[*" * (LINKS + 1) + "\n\n/preview use catalog#1") == ()
