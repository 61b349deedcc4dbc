"""What a run came to, in words; for each violation everything that is needed to see how it came about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from chaos.driver import Result
from chaos.judge import Violation


def line(result: Result) -> str:
    """One line about a world."""
    numbers = ", ".join(f"{name} {value:g}" for name, value in result.numbers.items())
    return (
        f"{result.engine} SEED={result.seed}: {result.lives} lives, {result.starts} starts, {result.seconds:.0f} s,"
        f" {len(result.violations)} violations ({numbers})"
    )


def full(result: Result, *, most: int = 20) -> str:
    """Every violation with what happened to its pull request, what GitHub's answers said, and Greenroom's log."""
    parts = []
    for violation in result.violations[:most]:
        parts.append(short(result, violation))
        if violation.key is not None:
            parts += [f"      | {text}" for text in history(result, violation)]
    if len(result.violations) > most:
        parts += [short(result, violation) for violation in result.violations[most:]]
    return "\n".join(parts)


def short(result: Result, violation: Violation) -> str:
    """The sentence about one violation."""
    who = ""
    if violation.key is not None:
        who = f" {result.names.get(violation.key, '?')} ({violation.key[0]}#{violation.key[1]})"
    life = f" LIFE={result.names[violation.key].removeprefix('life-')}" if violation.key in result.names else ""
    return f"  rule {violation.rule}{who}: {violation.text}  [SEED={result.seed}{life} ENGINE={result.engine}]"


def history(result: Result, violation: Violation) -> Iterable[str]:
    """The life of one pull request, in order."""
    repo, number = violation.key or (0, 0)
    for entry in result.journal:
        if (entry["repo"], entry.get("number")) == (repo, number) and not entry["who"].startswith("build-bot"):
            state = "open" if entry["open"] else "closed"
            said = f" -> {' '.join(entry['body'].split())[:160]!r}" if "body" in entry else ""
            yield f"{entry['t']:9.2f} {entry['event']} by {entry['who']}: {state} {entry['labels']} {entry['sha'][:7]}{said}"
    for answer in [a for a in result.answers if (a["repo"], a["number"]) == (repo, number)][-40:]:
        state = "open" if answer["open"] else "closed"
        yield f"{answer['t']:9.2f}..{answer['until']:.2f} GitHub said {state} {answer['labels']} of {answer['updated']}"
    names = [f'"{name}#{number}"' for name in result.shorts.get(repo, ())]
    for text in [t for t in result.log if any(name in t for name in names)][-25:]:
        yield f"log: {text[:400]}"


def kept(result: Result, folder: Path) -> Path:
    """Write everything of a world into a file, to be read at leisure."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.engine}-{result.seed.replace(' ', '-')}.txt"
    events = "\n".join(result.events)
    log = "\n".join(result.log)
    path.write_text(f"{line(result)}\n{full(result, most=1000)}\n\n{events}\n\n{log}\n\n{json.dumps(result.journal)}\n")
    return path
