"""Check the words of the code and the docs: plain English, standard terms, American spelling. `make check` runs it.

python docs/words.py          # print each finding with its place and what to write instead; exit 1 if there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACES = ("src/**/*.py", "bench/*.py", "docs/**/*.md", "docs/*.py", "charts/**/*.md", "charts/**/NOTES.txt", "*.md")
"""Files whose words are checked. Tests are not among them: their names are sentences of their own."""

NAMES = {
    "Row|RowSet|rowsets?": "PreviewSpec, PreviewSet",
    "Observed|Memory|Block|Told|Seeker|Done|Tell|Wish|Heard|Neighbours|Frame|Lacks|Swept|Sightings": "see docs/glossary.md",
    "open_to|incarnations?|nonce": "callers, data generation, retry",
    "catalogues?|labell(ed|ing)|unlabell(ed|ing)|behaviours?|colours?|honours?": "American spelling",
}
"""Names of code, by a regular expression for whole words."""

PHRASES = {
    r"(?<!here )\bis no (?!longer\b|more\b|different\b|need\b|other\b|place\b|way\b|room\b)[a-z]+": "is not a ...",
    r"\banew\b": "again",
    r"\bmend(s|ed)?\b": "fix",
    r"\bby itself\b": "automatically",
    r"\bwhoever\b": "anyone who",
    r"\bsomebody\b": "someone, or name who",
    r"\bis told\b|\bare told\b|\btells? (people|nobody|somebody)\b": "report, or say where it is shown",
    r"\bgoes (away|when it)\b": "is deleted",
    r"\bit is asked again\b": "the request is repeated",
    r"\bcounts for nothing\b": "is ignored",
    r"\bEverything answers\b": "All services are up",
}
"""Phrases of prose."""


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, words and replacement of each finding in a text. The names of tests, in backquotes, are left out."""
    text = re.sub(r"`test_\w+`|(story|stories|scenarios?) (\*[^*]+\*[,; ]*)+", lambda name: " " * len(name[0]), text)
    names = [(rf"\b({name})\b", how, re.NOFLAG) for name, how in NAMES.items()]
    phrases = [(phrase, how, re.IGNORECASE) for phrase, how in PHRASES.items()]
    for pattern, instead, flags in names + phrases:
        for found in re.finditer(pattern, text, flags):
            yield text.count("\n", 0, found.start()) + 1, found[0], instead


def main() -> None:
    """Check all places."""
    paths = sorted({path for place in PLACES for path in ROOT.glob(place) if path != Path(__file__)})
    wrong = 0
    for path in paths:
        for line, words, instead in findings(path.read_text()):
            print(f"{path.relative_to(ROOT)}:{line}: {words!r}: {instead}")
            wrong += 1
    if wrong:
        sys.exit(f"{wrong} words to replace")


if __name__ == "__main__":
    main()
