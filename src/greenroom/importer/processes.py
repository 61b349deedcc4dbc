"""Processes of a draft from the services of a Compose file that run one code, and the job that they wait for."""

from __future__ import annotations

import re
from typing import Any

from greenroom.importer import commands, names, secrets
from greenroom.importer.draft import Draft, replicas, text, was
from greenroom.importer.interpolation import Interpolated, interpolated
from greenroom.importer.links import File
from greenroom.importer.services import Found

_PROBE = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?(/[^\s'\"|&;]*)")


def processes(draft: Draft, members: list[Found], file: File) -> dict[str, dict[str, Any]]:
    """The services of one code, as processes of a draft by name."""
    made: dict[str, dict[str, Any]] = {}
    for member in members:
        role = "web" if member.ports else "worker"
        called = names.distinct(names.slug(member.name), made) if len(members) > 1 else role
        if len(members) > 1 and (called != names.slug(member.name) or len(member.name) > names.LONGEST):
            draft.note(f"The process {member.name} is called {called} here.")
        made[called] = _process(member, draft, file)
    replaced = [m.name for m in members if m.spec.get("command") and "entrypoint" not in m.spec]
    if replaced and not any(m.built for m in file.services.values() if m.code == members[0].code):
        draft.note(
            f"`command` of {', '.join(replaced)} takes the place of the image's ENTRYPOINT here, in Compose that "
            f"of its CMD: where {members[0].shown} has an entrypoint, put it in front."
        )
    return made


def _process(member: Found, draft: Draft, file: File) -> dict[str, Any]:
    process: dict[str, Any] = {"port": member.ports[0]} if member.ports else {"kind": "worker"}
    if words := _command(member, draft, f"The command of {member.name}", file):
        process["command"] = words
    _said_of_ports(draft, member)
    test = (member.spec.get("healthcheck") or {}).get("test")
    asked = " ".join(test) if isinstance(test, list) else test or ""
    if member.ports and (path := _PROBE.search(interpolated(asked).text)):
        if secrets.value(path[1]):
            draft.note(f"The path that `healthcheck` of {member.name} asks holds what looks secret: write `probe:`.")
        else:
            process["probe"] = path[1]
    count = (member.spec.get("deploy") or {}).get("replicas", member.spec.get("scale", 1))
    process |= replicas(interpolated(text(count)).text, member.name, draft)
    if not member.ports and text(member.spec.get("restart") or "") in ("no", "false"):
        draft.note(f"{member.name} may end there; a worker is started again. Remove it, or make it a `kind: cron`.")
    return process


def _command(member: Found, draft: Draft, what: str, file: File) -> list[str]:
    """Entrypoint and command in one, as Kubernetes' `command` is."""
    words: list[str] = []
    parts: list[Interpolated] = []
    for given in (member.spec.get("entrypoint"), member.spec.get("command")):
        found = [interpolated(text(part)) for part in (given if isinstance(given, list) else [given] if given else [])]
        plain = [part.text for part in found]
        words += commands.split(plain[0]) if isinstance(given, str) and given else plain
        parts += found
    filled = [name for part in parts for name in part.names if name not in part.missing]
    kept = commands.kept(words, what, draft, filled)
    if kept and (missing := dict.fromkeys(name for part in parts for name in part.missing)):
        draft.note(f"{what} takes {', '.join(missing)} from outside the file, where the draft has nothing: write it.")
    if kept and (hosts := file.hosts.in_command(words)):
        draft.note(
            f"{what} names the host {', '.join(hosts)}, which no preview has. Needs are waited for without it; "
            "an address is in the variable of the need or the link."
        )
    return kept


def migrate(draft: Draft, jobs: list[Found], file: File) -> None:
    """What others wait for until it has ended, and runs the same code, is the migration."""
    for number, job in enumerate(jobs):
        if number:
            draft.note(f"{job.name} was left out: others wait until it has ended, but `migrate` is {jobs[0].name}.")
        elif words := _command(job, draft, f"`migrate`, in the file {job.name},", file):
            draft.data["migrate"] = words
            draft.note(f"`migrate` is {job.name}. It runs before every start: it must be safe to run again.")
        else:
            draft.note(f"{job.name} was left out: others wait until it has ended. Write its command under `migrate:`.")


def _said_of_ports(draft: Draft, member: Found) -> None:
    if no := member.no_ports:
        draft.note(f"`ports` of {member.name}: {', '.join(no)} {was(no)} left out, no port of a web process.")
    if more := [*map(str, member.ports[1:])]:
        draft.note(f"`ports` of {member.name}: {', '.join(more)} {was(more)} left out, a process has one.")
