"""Answers of the admin port as text that fits 80 columns; in a pipe, where `width` is None, lines are whole."""

from __future__ import annotations

import textwrap
from typing import Any

from greenroom.core import reasons

WIDTH = 80
NO_PREVIEW = "no preview"


def previews(answer: dict[str, Any], width: int | None, *, everything: bool = True) -> str:
    """A line for every preview, in the order of the answer; before them the repositories that cannot be read.

    Open pull requests that nobody labeled are counted only, unless `everything` is wanted.
    """
    found = [p for p in answer["previews"] if everything or p["stage"] != NO_PREVIEW]
    troubles = [f"{t['title']}: {t['text']}" for t in answer.get("troubles", ())]
    without = len(answer["previews"]) - len(found)
    rest = (
        [f"{without} open pull request{'s' * (without > 1)} without a preview: greenroom list --all"] if without else []
    )
    if not found and not troubles:
        return "\n".join(["No pull request has asked for a preview yet.", *rest])
    wide = [max((len(p[part]) for p in found), default=0) for part in ("name", "stage")]
    lines = [
        f"{p['name']:<{wide[0]}}  {p['stage']:<{wide[1]}}  {_urls(p) or _placed(p) + p['reason']['text']}"
        for p in found
    ]
    return "\n".join([*troubles, *(_cut(line, width) for line in lines), *rest])


def _placed(preview: dict[str, Any]) -> str:
    return f"{reasons.place(preview['position'], overdue=preview['overdue'])} ".lstrip()


def explained(answer: dict[str, Any], width: int | None) -> str:
    """A colleague's answer: state, why, since when, what would change it, the last events."""
    status = answer["status"]
    lines = [f"{status['name']}: {status['stage']}", *_wrapped(_placed(status) + status["reason"]["text"])]
    if answer["trouble"]:
        lines += _wrapped(f"{status['repository']} cannot be read now: {answer['trouble']}")
    if status["since"]:
        lines.append(f"  Since {_time(status['since'])}.")
    if status["reason"]["fix"]:
        lines += _wrapped(status["reason"]["fix"])
    lines += [f"  {_runs(s)}" for s in status["services"]]
    for link in status["links"]:
        why = "" if link["why"] in ("", link["name"], "same preview") else f": {link['why']}"
        lines += _wrapped(f"{link['service']} uses {link['target']} from {link['name']}{why}.")
    lines += [f"  Used by {u['name']}." for u in status["used_by"] if not u["misses"]]
    if status["answer"]:
        lines += _wrapped(status["answer"])
    if status["by_hand"] and status["reason"]["code"] != "by-hand":
        lines += _wrapped(f"Changed in Argo CD by hand: {', '.join(status['by_hand'])}.")
    if status["warning"]:
        lines += _wrapped(status["warning"])
    elif answer["expiry"]:
        lines += _wrapped(answer["expiry"])
    if status["log"]:
        lines += ["", "  Log:", *(f"    {line}" for line in status["log"])]
    if answer.get("history"):
        lines += ["", *_wrapped(answer["history"])]
    if answer["events"]:
        lines += ["", "  What happened:"]
        lines += [_cut(f"    {_time(e['at'])}  {e['kind']:<10} {e['text']}", width) for e in answer["events"]]
    return "\n".join(lines)


def planned(answer: dict[str, Any]) -> str:
    """The actions of the next pass, each with its reason."""
    actions = answer["actions"]
    if not actions:
        return "Nothing to do: everything is as it should be."
    return "\n".join(f"{a['preview']}: {a['action']}. {a['reason']}" for a in actions)


def held(answer: dict[str, Any]) -> str:
    """What waits for a person, and the command for each."""
    if not answer["held"]:
        return "Nothing is held."
    lines = [f"{p['name']}: {p['reason']['text']}" for p in answer["held"]]
    names = " ".join(p["name"] for p in answer["held"])
    return "\n".join([*lines, "", f"Release them with: greenroom release {names}"])


def released(answer: dict[str, Any]) -> str:
    """Exactly what was released."""
    return "\n".join(f"{r['preview']}: released ({r['code']})" for r in answer["released"])


def rolled(answer: dict[str, Any]) -> str:
    """Return one line for each preview that redeploys."""
    charts = (f"chart {r['chart']}, " if r["chart"] else "" for r in answer["rolled"])  # local previews have none
    return "\n".join(
        f"{r['preview']}: redeploys with {chart}the current settings and images"
        for r, chart in zip(answer["rolled"], charts, strict=True)
    )


def used(answer: dict[str, Any]) -> str:
    """What is noted, or that it is not noted yet."""
    return str(answer["text"])


def graph(answer: dict[str, Any]) -> str:
    """A line for each link: who, what, from where and which commit of it, why; then the previews that stand alone."""
    links = [{**k, "name": f"{k['name']} {k['version'][:7]}".rstrip()} for k in answer["links"]]
    wide = [max((len(k[part]) for k in links), default=0) for part in ("preview", "service", "name")]
    lines = []
    for link in links:
        ends = f"{link['preview']:<{wide[0]}}  {link['service']:<{wide[1]}} -> {link['name']:<{wide[2]}}"
        fits = len(ends) + 2 + len(link["why"]) <= WIDTH
        lines += [f"{ends}  {link['why']}".rstrip()] if fits else [ends.rstrip(), *_wrapped(link["why"])]
    if answer["apart"]:
        text = f"Neither use another nor are used: {', '.join(answer['apart'])}."
        lines += textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) or "No preview runs."


def swept(answer: dict[str, Any]) -> str:
    """What belongs to nothing, and what was deleted."""
    if not answer["orphans"]:
        return "Nothing is left of any preview."
    return "\n".join(f"{o}{': deleted' if o in answer['deleted'] else ''}" for o in answer["orphans"])


def _urls(preview: dict[str, Any]) -> str:
    """Where a ready preview is; of any other people want to know why it is not."""
    return " ".join(s["url"] for s in preview["services"] if s["url"]) if preview["stage"] == "ready" else ""


def _runs(service: dict[str, Any]) -> str:
    version = f" ({service['sha'][:7]})" if service["sha"] else ""
    ready = "" if service["ready"] else ", not ready"
    return f"{service['service']}: {service['url'] or 'no address'}{version}{ready}"


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
