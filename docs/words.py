"""Check the words of the code and the docs: plain English, standard terms, American spelling. `make check` runs it.

python docs/words.py          # print each finding with its place and what to write instead; exit 1 if there is one
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACES = (
    "src/**/*.py",
    "bench/*.py",
    "docs/**/*.md",
    "docs/*.py",
    "charts/**/*.md",
    "charts/*/values*",
    "charts/*/crds/*",
    "charts/*/templates/*",
    "*.md",
)
"""Files whose words are checked. Tests are not among them: of those, only the names are checked."""

DEFINITIONS = ("src/**/*.py", "tests/**/*.py", "bench/*.py", "docs/*.py")
"""Files whose names of functions, tests and classes are checked."""

NAMES = {
    "Row|RowSet|rowsets?": "PreviewSpec, PreviewSet",
    'Observed|(?<!medium: )(?<!medium": ")Memory|Block|Told|Seeker|Done|Tell|Wish|Heard|Neighbours|Frame|Lacks|Swept|Sightings': "see docs/glossary.md",
    "open_to|incarnations?|nonce": "callers, data generation, retry",
    "catalogues?|labell(ed|ing|ers?)|unlabell(ed|ing)|behaviours?|colours?|honours?": "American spelling",
}
"""Names of code, by a regular expression for whole words."""

DEFINED = {
    "somebody|whoever": "someone, a person, or name who",
    "anew": "again",
    "mend(s|ed)?": "fix",
    "tells|told|said": "report, show or answer",
    "goes": "is deleted, continues or is applied",
    "by_itself": "automatically",
    "asked_again": "is read again, is repeated",
    "spoil(s|ed)?": "damage",
    "rolls?(?!_out)|rolled(?!_out)": "redeploy",
    "swept": "orphans",
    "foreign": "of another installation",
    "nonce": "retry",
    "(?<!in_a_)(?<!table_)(?<!seed_)rows?|rowsets?": "spec, preview set",
}
"""Words in the names of functions, tests and classes, by a regular expression for whole words between underscores."""

SETTINGS = {"local.checkouts"}
"""Settings of greenroom.yaml that look like modules."""

NOT_YET = {"engine_foreign", "told", "all_told"}
"""Names that core/planning defines or calls. They go with the next change there."""

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
    text = re.sub(
        r"`test_\w+`|(story|end-to-end tests?|scenarios?) (\*[^*]+\*[,; ]*)+", lambda name: " " * len(name[0]), text
    )
    names = [(rf"\b({name})\b", how, re.NOFLAG) for name, how in NAMES.items()]
    phrases = [(phrase, how, re.IGNORECASE) for phrase, how in PHRASES.items()]
    for pattern, instead, flags in names + phrases:
        for found in re.finditer(pattern, text, flags):
            yield text.count("\n", 0, found.start()) + 1, found[0], instead


def misnamed(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and replacement of each function, test or class in a text whose name has one of the words."""
    for found in re.finditer(r"^ *(?:async )?(?:def|class) (\w+)", text, re.MULTILINE):
        for word, instead in (DEFINED | NAMES).items():
            if found[1] not in NOT_YET and re.search(rf"(?<![A-Za-z])({word})(?![A-Za-z])", found[1]):
                yield text.count("\n", 0, found.start(1)) + 1, found[1], instead


def absent(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and remedy of each module in the docstrings of a file that does not exist.

    A module is named in backquotes, as `core.messages` or, with something in it, as `errors.Doubt`.
    """
    source = ROOT / "src" / "greenroom"
    found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
    for node in found:
        if not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str):
            continue
        for match in re.finditer(r"`((?:\w+\.)+\w+)(?:\(\))?`", node.value.value):
            place, parts = source, match[1].removeprefix("greenroom.").split(".")
            ours = match[1].startswith("greenroom.") or (place / parts[0]).is_dir() or _module(place / parts[0])
            if not ours or match[1] in SETTINGS or parts[-1] in ("py", "yaml", "json"):
                continue
            while parts and (place / parts[0]).is_dir():
                place /= parts.pop(0)
            if parts and (file := _module(place / parts[0])):
                place, parts = file, parts[1:]
            inside = place if place.is_file() else place / "__init__.py"
            if parts and not re.search(rf"\b{parts[0]}\b", inside.read_text()):
                line = node.lineno + node.value.value.count("\n", 0, match.start())
                yield line, match[1], "the name of a module that exists"


def _module(path: Path) -> Path | None:
    file = path.with_suffix(".py")
    return file if file.is_file() else None


def main() -> None:
    """Check all places."""
    wrong = 0
    for places, check in ((PLACES, findings), (DEFINITIONS, misnamed), (("src/**/*.py",), absent)):
        for path in sorted({path for place in places for path in ROOT.glob(place) if path != Path(__file__)}):
            for line, words, instead in check(path.read_text()):
                print(f"{path.relative_to(ROOT)}:{line}: {words!r}: {instead}")
                wrong += 1
    if wrong:
        sys.exit(f"{wrong} words to replace")


if __name__ == "__main__":
    main()
