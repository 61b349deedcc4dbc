"""The independent model of a chaos run: what must be true of every preview, judged from outside. Pure.

It knows GitHub's journal (what happened), what every answer of GitHub's said (what could be known), and what was seen
of the machine. It shares no code with Greenroom.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]
Key = tuple[int, int]
BOT = "greenroom[bot]"
LABEL, SLEEP, KEEP = "preview", "preview-sleep", "preview-keep"
INACTIVE, WARNING = timedelta(days=3), timedelta(days=1)
SLACK = timedelta(minutes=2)
WORK = ("synchronize", "issue_comment created", "pull_request_review", "reopened", "ready_for_review", " labeled")
OVER = ("removed", "no preview")
ROW = re.compile(r"^\|\s*(?P<service>[^|\s]+)\s*\|\s*(?P<url>http\S+)\s*\|\s*`?(?P<sha>[0-9a-f]{7})", re.MULTILINE)
HOST = re.compile(r"https?://([a-z]+-pr-[0-9]+\.[a-z]+\.localhost)")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, the pull request (None for all), and what was seen."""

    rule: int
    key: Key | None
    text: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one pull request's preview from outside; `answers` maps a host to status and JSON body."""

    uid: str = ""
    processes: int = 0
    databases: int = 0
    worktrees: int = 0
    objects: tuple[str, ...] = ()
    answers: Mapping[str, tuple[int, Json]] = field(default_factory=dict)

    def left(self) -> str:
        """What is still there, in words; empty when nothing is."""
        parts = [f"{n} {what}" for n, what in self._counts() if n]
        parts += [f"{host} answers {status}" for host, (status, _) in self.answers.items() if status != 404]
        return ", ".join([*parts, *self.objects])

    def _counts(self) -> tuple[tuple[int, str], ...]:
        known = (bool(self.uid), "preview known")
        return known, (self.processes, "processes"), (self.databases, "databases"), (self.worktrees, "worktrees")


@dataclass(slots=True)
class Intent:
    """What the people of one pull request want in the end, as the driver ordered it.

    `bad` are commits that cannot start, `use` is the last choice for each service, `tokens` what was written into the
    database of which preview, `hosts` every address that a comment ever named. `may` is False for a stranger's fork.
    """

    life: str
    repo: int
    number: int
    service: str
    bad: set[str] = field(default_factory=set)
    use: dict[str, str] = field(default_factory=dict)
    tokens: list[tuple[str, str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    may: bool = True

    @property
    def key(self) -> Key:
        """Repository id and number."""
        return self.repo, self.number


def asks(entry: Mapping[str, Any]) -> bool:
    """Whether an answer, or a moment of the journal, says that a preview is wanted."""
    return bool(entry["open"]) and LABEL in [name.lower() for name in entry["labels"]]


def when(text: str) -> datetime:
    """A time as GitHub or Python writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# --- rule 1: nothing live is removed by mistake ------------------------------------------------------------------


@dataclass(slots=True)
class Sighting:
    """What was seen from one moment of the monotonic clock until another, without a change."""

    begun: float
    until: float
    previews: dict[Key, frozenset[str]]


@dataclass(slots=True)
class Observations:
    """Which previews were seen when. A preview is the same as long as its uid is."""

    seen: list[Sighting] = field(default_factory=list)

    def add(self, at: float, previews: dict[Key, frozenset[str]]) -> None:
        """Add what was seen at a moment."""
        if self.seen and self.seen[-1].previews == previews:
            self.seen[-1].until = at
        else:
            self.seen.append(Sighting(at, at, previews))

    def vanished(self) -> list[tuple[Key, str, float, float]]:
        """Each preview that went: which, its uid, when it was last known not to be there, when it was found gone."""
        begun: dict[tuple[Key, str], float] = {}
        found, before = [], Sighting(0.0, 0.0, {})
        for now in self.seen:
            for key in before.previews.keys() | now.previews.keys():
                old, new = before.previews.get(key, frozenset()), now.previews.get(key, frozenset())
                begun |= {(key, uid): before.until for uid in new - old}
                found += [(key, uid, begun[key, uid], now.begun) for uid in old - new]
            before = now
        return found


def removals(
    sightings: Observations, answers: Iterable[Json], journal: Iterable[Json], released: Iterable[tuple[float, Key]]
) -> list[Violation]:
    """The previews that went although nothing that GitHub said was a reason."""
    said: dict[Key, list[Json]] = defaultdict(list)
    for answer in answers:
        said[answer["repo"], answer["number"]].append(answer)
    happened: dict[Key, list[Json]] = defaultdict(list)
    for entry in journal:
        if "number" in entry:
            happened[entry["repo"], entry["number"]].append(entry)
    freed = list(released)
    found = []
    for key, uid, since, at in sightings.vanished():
        if any(k == key and since < t <= at for t, k in freed):
            continue
        if why := _unjustified(said[key], happened[key], since, at):
            found.append(Violation(1, key, f"the preview {uid} was removed: {why}"))
    return found


def _unjustified(said: list[Json], happened: list[Json], since: float, at: float) -> str:
    """Why a removal has no reason; empty when it has one.

    A reason is an answer that said closed or unlabeled, and at that time was the newest that had been given. One that
    was not whole may be a reason, because Greenroom may have understood it; but it proves nothing against another.
    """
    reasons = [a for a in said if not asks(a) and a["until"] > since and a["t"] <= at]
    if not reasons:
        return "no answer of GitHub's said that it is closed or unlabeled"
    why = ""
    for reason in reasons:
        moments = [m for m in (reason["t"], min(reason["until"], at)) if since < m]
        newest = [
            max((b["updated"] for b in said if asks(b) and b["whole"] and b["t"] < m), default="") for m in moments
        ]
        if not any(n <= reason["updated"] for n in newest):
            why = why or f"the answer that said so ({reason['updated']}) was older than one before ({newest[0]})"
        elif not reason["open"] or not (why_not := _label_left_rightly(happened, at)):
            return ""
        else:
            why = why or why_not
    return why


def tied(journal: Iterable[Json]) -> set[Key]:
    """Return the pull requests that asked for a preview and stopped in one second. GitHub does not say which was last.

    Greenroom keeps the preview for an hour then.
    """
    moments: dict[tuple[Key, str], set[bool]] = defaultdict(set)
    for entry in journal:
        if "number" in entry:
            moments[(entry["repo"], entry["number"]), entry["at"]].add(asks(entry))
    return {key for (key, _), asked in moments.items() if len(asked) > 1}


def _label_left_rightly(happened: list[Json], at: float) -> str:
    """Why no label was taken off by somebody who may; empty when one was."""
    before, why = False, "nobody took the label off"
    for place, entry in enumerate(happened):
        if entry["t"] > at:
            break
        off = before and LABEL not in entry["labels"]
        before = LABEL in entry["labels"]
        if off and any(e["event"] == "delete_label" and abs(e["t"] - entry["t"]) < 0.5 for e in happened):
            why = "the label was deleted in the repository"
        elif off and entry["event"].endswith("unlabeled"):
            if entry["who"] != BOT:
                return ""
            why = expired_wrongly(happened[:place], entry)
            if not why:
                return ""
        elif off:
            why = f"the label went by {entry['event']}"
    return why


def expired_wrongly(before: list[Json], entry: Json) -> str:
    """Why the bot must not have taken the label off; empty when the preview had expired after a warning."""
    now = when(entry["at"])
    worked = [e for e in before if e["who"] != BOT and any(w in e["event"] for w in WORK)]
    last = max((when(e["at"]) for e in worked), default=now - INACTIVE * 2)
    if KEEP in entry["labels"]:
        return "it expired although it is to be kept"
    if now - last < INACTIVE - SLACK:
        return f"it expired {now - last} after {worked[-1]['event']} by {worked[-1]['who']}"
    told = [e for e in before if "body" in e and now - when(e["at"]) >= WARNING - SLACK and when(e["at"]) > last]
    if not any(re.search(r"(?i)expir|goes at|will be removed|unless", e["body"]) for e in told):
        return "it expired without a warning a day before"
    return ""


# --- rules 2, 3, 4, 7: what is true once the world is quiet ------------------------------------------------------


def complaints(
    truth: Json, looks: Mapping[Key, Look], intents: Iterable[Intent], room: int = 1000, ended: Sequence[float] = ()
) -> list[Violation]:
    """Return the violations in a quiet world with room for so many previews.

    `ended` are the times at which Greenroom's process was ended.
    """
    intents = list(intents)
    full = sum(bool(look.uid) for look in looks.values()) >= room
    pulls = {(p["repo"], p["number"]): p for p in truth["pulls"]}
    wanted = {i.key for i in intents if _wanted(pulls[i.key], i)}
    # A link leads to what exists: a target that waits in a queue keeps the link as it is.
    there = {key for key in wanted if looks.get(key, Look()).uid}
    names = {(i.service, str(i.number)): i.key for i in intents}
    found = []
    for intent in intents:
        pull, look = pulls[intent.key], looks.get(intent.key, Look())
        ours = _ours([c for c in pull["comments"] if c["author"] == BOT], ended)
        text = people_see(ours[0]["body"]) if ours else ""
        if len(ours) > 1:
            found.append(Violation(3, intent.key, f"{len(ours)} comments of the bot"))
        if intent.key in wanted and full and not look.uid and "queued" in heading(text):
            continue
        if intent.key in wanted:
            found += _alive(
                intent, pull, look, text, names.keys() & {(s, n) for s, n in intent.use.items()}, there, names
            )
        else:
            found += _gone(intent, look, "" if asks(pull) else text)
    return found


def _ours(comments: list[Json], ended: Sequence[float]) -> list[Json]:
    """The bot's comments without those that are a person's now: all of their text was replaced, so nothing shows whose
    they were, and Greenroom was ended after it had made them, before GitHub's answers showed them.
    """

    def lost(one: Json) -> bool:
        replaced = one["editor"] not in ("", BOT) and "greenroom:" not in one["body"]
        return replaced and any(one["made"] < end < other["made"] for other in comments for end in ended)

    return [c for c in comments if not lost(c)]


def _wanted(pull: Json, intent: Intent) -> bool:
    return asks(pull) and intent.may


def _gone(intent: Intent, look: Look, text: str) -> list[Violation]:
    found = []
    if left := look.left():
        found.append(Violation(2, intent.key, f"nothing should be there, and there is: {left}"))
    # A comment that a person emptied after it reported the removal contains nothing false.
    if heading(text) and not any(word in heading(text) for word in OVER):
        found.append(Violation(3, intent.key, f"it is over, and the comment says {heading(text)!r}"))
    return found


def _alive(
    intent: Intent,
    pull: Json,
    look: Look,
    text: str,
    chosen: Iterable[tuple[str, str]],
    there: set[Key],
    names: Mapping[tuple[str, str], Key],
) -> list[Violation]:
    key, sha, state = intent.key, pull["sha"], heading(text)
    if not text:
        return [Violation(3, key, "a preview is wanted, and there is no comment")]
    if not look.uid:
        return [Violation(2, key, f"a preview is wanted, and there is none; the comment says {state!r}")]
    if SLEEP in pull["labels"]:
        awake = sha in intent.bad and "failed" in state  # others use it, and it cannot start
        return [] if awake else _asleep(key, look, state)
    if sha in intent.bad:
        return [] if "failed" in state else [Violation(3, key, f"the commit cannot start; the comment says {state!r}")]
    if "ready" not in state and "expiring" not in state:
        return [
            Violation(2, key, f"{sha[:7]} should be ready; the comment says {state!r}: {' '.join(text.split())[:300]}")
        ]
    found = []
    rows = ROW.findall(text)
    if not rows:
        return [Violation(4, key, "the comment says ready, and names no version")]
    for _, url, short in rows:
        host = url.partition("://")[2].partition(":")[0].partition("/")[0]
        status, body = look.answers.get(host, (0, {}))
        if not sha.startswith(short):
            found.append(Violation(4, key, f"the comment says {short} is ready; the head is {sha[:7]}"))
        elif status != 200 or body.get("commit") != sha:
            was = str(body.get("commit", ""))[:7]
            found.append(Violation(4, key, f"the comment says {short} is ready; {host} answers {status} with {was!r}"))
        for service, number in chosen:
            leads = str(body.get("links", {}).get(service, ""))
            right = re.search(rf"\b{service}(-pr-{number}\.|\.[a-z-]+-{number}:)", leads)
            if names[service, number] in there and not right and status == 200:
                found.append(Violation(7, key, f"a person chose {service}#{number}; the link leads to {leads!r}"))
    return found + _old_hosts(key, look, text)


def _old_hosts(key: Key, look: Look, text: str) -> list[Violation]:
    """Addresses that an earlier comment named and the present one does not lead nowhere."""
    now = set(HOST.findall(text))
    stale = {h: s for h, (s, _) in look.answers.items() if h not in now and s != 404}
    return [Violation(2, key, f"the old address {h} answers {s} instead of 404") for h, s in stale.items()]


def _asleep(key: Key, look: Look, state: str) -> list[Violation]:
    if "ready" in state or ("asleep" in state and not look.processes):
        return []  # one that others use stays awake, and its comment says so
    return [Violation(7, key, f"it should sleep; {look.processes} processes run, the comment says {state!r}")]


def people_see(body: str) -> str:
    """A comment without what is hidden from people."""
    return re.sub(r"<!--.*?(-->|$)", "", body, flags=re.DOTALL).strip()


def heading(text: str) -> str:
    """The first heading of a comment, in lower case."""
    found = re.search(r"^#+ *(.+)$", text, re.MULTILINE)
    return found[1].lower() if found else ""


# --- rule 5: nothing private, nothing secret ---------------------------------------------------------------------


def leaks(truth: Json, journal: Iterable[Json], secrets: Iterable[str], files: Mapping[str, str]) -> list[Violation]:
    """Secrets in any comment that ever was or in any file, and private names in what public comments say now."""
    hidden = [s for s in secrets if s]
    found = [
        Violation(5, (e["repo"], e["number"]), "a secret stood in a comment")
        for e in journal
        if "body" in e and any(s in e["body"] for s in hidden)
    ]
    found += [
        Violation(5, None, f"a secret stands in {name}")
        for name, text in files.items()
        if any(s in text for s in hidden)
    ]
    private = {p["slug"] for p in truth["pulls"] if p["private"]}
    words = private | {p["title"] for p in truth["pulls"] if p["private"]}
    for pull in truth["pulls"]:
        for comment in pull["comments"]:
            if comment["author"] == BOT and not pull["private"]:
                said = [w for w in words if w in comment["body"]]
                found += [Violation(5, (pull["repo"], pull["number"]), f"a public comment names {w!r}") for w in said]
    return found
