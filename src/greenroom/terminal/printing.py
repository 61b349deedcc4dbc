"""Answers of the admin port as text for 80 columns. In a pipe, `width` is None and only past events are cut."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import Any

from greenroom.core import messages

WIDTH = 80
PAST = 120
"""Maximum width of a past event when the width of the terminal is unknown, as in `kubectl exec`."""
NO_PREVIEW = "no preview"


def previews(answer: dict[str, Any], width: int | None, *, everything: bool = True) -> str:
    """Return the repositories that cannot be read, and then a line for every preview, in the order of the answer.

    Open pull requests that nobody labeled are only counted, unless `everything` is set.
    """
    found = [p for p in answer["previews"] if everything or p["stage"] != NO_PREVIEW]
    troubles = [f"{t['title']}: {t['text']}" for t in answer.get("troubles", ())]
    unread = [r["name"] for r in answer.get("repositories", ()) if not (r["read_at"] or r["trouble"])]
    troubles += [f"Greenroom has not read these repositories yet: {', '.join(unread)}."] if unread else []
    without = len(answer["previews"]) - len(found)
    rest = (
        [f"{without} open pull request{'s' * (without > 1)} without a preview: greenroom list --all"] if without else []
    )
    if not found and not troubles:
        return "\n".join(["No preview exists, and none is requested.", *_read(answer), *rest])
    wide = [max((len(p[part]) for p in found), default=0) for part in ("name", "stage")]
    lines = [f"{p['name']:<{wide[0]}}  {p['stage']:<{wide[1]}}  {_what(p)}" for p in found]
    return "\n".join([*troubles, *(_cut(line, width) for line in lines), *rest])


def _read(answer: dict[str, Any]) -> list[str]:
    """Return when GitHub was last read, and when a label that was added since then has an effect."""
    times = [r["read_at"] for r in answer.get("repositories", ())]
    if not times or not all(times) or "resync" not in answer:
        return []
    at = f"{min(times)[:10]} {min(times)[11:19]} UTC"
    when = f"GitHub was last read at {at}." if len(times) == 1 else f"Every repository was last read at {at} or later."
    span = messages.span(timedelta(seconds=answer["resync"]))
    return _wrapped(f"{when} A label that was added since then appears with the next webhook, or within {span}.")


def _what(preview: dict[str, Any]) -> str:
    """Return the addresses of a ready preview, and the reason of any other or of one that a person should look at."""
    advice = preview["stage"] == "ready" and preview["reason"]["fix"]
    return " ".join(filter(None, [_urls(preview), "" if _urls(preview) and not advice else _why(preview)]))


def _why(preview: dict[str, Any]) -> str:
    """Return the reason of a preview. The log line that names the cause comes first."""
    place = messages.place(preview["position"], overdue=preview["overdue"])
    cause = f"{preview['cause'].rstrip('.')}." if preview["cause"] else ""
    return " ".join(part for part in (place, cause, preview["reason"]["text"]) if part)


def explained(answer: dict[str, Any], width: int | None) -> str:
    """Explain a preview: its state, the reason, since when, what would change it, and the last events."""
    status = answer["status"]
    lines = [f"{status['name']}: {status['stage']}", *_wrapped(_why(status))]
    if answer["trouble"]:
        lines += _wrapped(f"Changes in {status['repository']} are paused: {answer['trouble']}")
    if status["since"]:
        lines.append(f"  Since {_time(status['since'])}.")
    if status["reason"]["fix"]:
        lines += _wrapped(status["reason"]["fix"])
    for service in status["services"]:
        lines.append(f"  {_runs(service)}")
        lines += _wrapped(f"  {service['note']}.") if service["note"] else []
    for link in status["links"]:
        why = "" if link["why"] in ("", link["name"], "same preview") else f": {link['why']}"
        lines += _wrapped(f"{link['service']} uses {link['target']} from {link['name']}{why}.")
    lines += [
        f"  Used by {u['name']}{' (link set by hand)' if u['by_hand'] else ''}."
        for u in status["used_by"]
        if not u["misses"]
    ]
    for seed in status["seeds"]:
        lines += _wrapped(f"{seed}.")
    for login in status["logins"]:
        lines += _wrapped(f"{login}.")
    if status["answer"]:
        lines += _wrapped(status["answer"])
    if status["by_hand"] and status["reason"]["code"] != "by-hand":
        lines += _wrapped(f"These parameters were changed by hand in Argo CD: {', '.join(status['by_hand'])}.")
    if status["warning"]:
        lines += _wrapped(status["warning"])
    elif answer["expiry"]:
        lines += _wrapped(answer["expiry"])
    for line in status.get("migrations", ()):
        lines += _wrapped(line)
    if status["log"]:
        lines += ["", "  Log:", *(f"    {line}" for line in status["log"])]
    if answer.get("history"):
        lines += ["", *_wrapped(answer["history"])]
    if answer["events"]:
        lines += ["", "  Events:"]
        # The reason of today is whole, above. The texts of the past are whole in `--json`.
        short = width or PAST
        lines += [_cut(f"    {_time(e['at'])}  {e['kind']:<10} {e['text']}", short) for e in answer["events"]]
    return "\n".join(lines)


def planned(answer: dict[str, Any]) -> str:
    """Return the actions of the next pass, each with its reason."""
    actions = answer["actions"]
    if not actions:
        return "Nothing to do. To see previews that have failed or are waiting, run `greenroom list`."
    return "\n".join(f"{a['preview']}: {a['action']}. {a['reason']}" for a in actions)


def held(answer: dict[str, Any]) -> str:
    """Return the previews that wait for a person, and the command that releases them."""
    if not answer["held"]:
        return "Nothing is held."
    lines = [f"{p['name']}: {p['reason']['text']}" for p in answer["held"]]
    names = " ".join(p["name"] for p in answer["held"])
    return "\n".join([*lines, "", f"Release them with: greenroom release {names}"])


def released(answer: dict[str, Any]) -> str:
    """Return one line for each hold that was released."""
    return "\n".join(f"{r['preview']}: released ({r['code']})" for r in answer["released"])


def redeployed(answer: dict[str, Any]) -> str:
    """Return one line for each preview that redeploys."""
    charts = (f"chart {r['chart']}, " if r["chart"] else "" for r in answer["redeployed"])  # local previews have none
    return "\n".join(
        f"{r['preview']}: redeploys with {chart}the current settings and images"
        for r, chart in zip(answer["redeployed"], charts, strict=True)
    )


def used(answer: dict[str, Any]) -> str:
    """Return the sentence that says what is noted, or that it is not noted yet."""
    return str(answer["text"])


def graph(answer: dict[str, Any]) -> str:
    """Return a line for each link, and then the previews without links.

    A line has the preview, the service that it uses, the source of that service with its commit, and the reason.
    """
    links = [{**k, "name": f"{k['name']} {k['version'][:7]}".rstrip()} for k in answer["links"]]
    wide = [max((len(k[part]) for k in links), default=0) for part in ("preview", "service", "name")]
    lines = []
    for link in links:
        ends = f"{link['preview']:<{wide[0]}}  {link['service']:<{wide[1]}} -> {link['name']:<{wide[2]}}"
        fits = len(ends) + 2 + len(link["why"]) <= WIDTH
        lines += [f"{ends}  {link['why']}".rstrip()] if fits else [ends.rstrip(), *_wrapped(link["why"])]
    if answer["apart"]:
        text = f"Not linked to any other preview: {', '.join(answer['apart'])}."
        lines += textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) or "No previews are running."


def orphans(answer: dict[str, Any]) -> str:
    """Return the objects that belong to nothing, and mark those that were deleted."""
    lines = [f"{o}{': deleted' if o in answer['deleted'] else ''}" for o in answer["orphans"]]
    return "\n".join([*lines, answer["text"]] if answer["text"] else lines)


def _urls(preview: dict[str, Any]) -> str:
    """Return the addresses of a ready preview; empty for any other, whose reason is shown instead."""
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
