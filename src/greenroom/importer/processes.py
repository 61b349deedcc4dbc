"""Processes of a draft, made from the Compose services that run the same code, and the job that they wait for."""

from __future__ import annotations

import re
import shlex
from typing import Any

from greenroom.importer import commands, names, secrets
from greenroom.importer.draft import Draft, replicas, text, was
from greenroom.importer.interpolation import Interpolated, interpolated
from greenroom.importer.links import File
from greenroom.importer.services import Found

_PROBE = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?(/[^\s'\"|&;]*)")


def processes(draft: Draft, members: list[Found], file: File) -> dict[str, dict[str, Any]]:
    """Return the services that run the same code as processes of a draft, by name."""
    made: dict[str, dict[str, Any]] = {}
    for member in members:
        role = "web" if member.ports else "worker"
        called = names.distinct(names.slug(member.name), made) if len(members) > 1 else role
        if len(members) > 1 and (called != names.slug(member.name) or len(member.name) > names.LONGEST):
            draft.note(f"The process {member.name} was renamed to {called}.")
        made[called] = _process(member, draft, file)
    replaced = [m.name for m in members if m.spec.get("command") and "entrypoint" not in m.spec]
    if replaced and not _built(members[0], file):
        draft.note(
            f"`command` of {', '.join(replaced)} replaces the image's ENTRYPOINT in a preview, but its"
            f" CMD in Compose. If {members[0].shown} has an entrypoint, write it before the command."
        )
    return made


def _process(member: Found, draft: Draft, file: File) -> dict[str, Any]:
    process: dict[str, Any] = {"port": member.ports[0]} if member.ports else {"kind": "worker"}
    if words := _command(member, draft, f"The command of {member.name}", file):
        process["command"] = words
    _notes_on_ports(draft, member)
    test = (member.spec.get("healthcheck") or {}).get("test")
    asked = " ".join(test) if isinstance(test, list) else test or ""
    if member.ports and (path := _PROBE.search(interpolated(asked).text)):
        if secrets.value(path[1]):
            draft.note(
                f"The path in `healthcheck` of {member.name} seems to contain a secret and was left out. Set `probe:`"
                " to a path without a secret."
            )
        else:
            process["probe"] = path[1]
    count = (member.spec.get("deploy") or {}).get("replicas", member.spec.get("scale", 1))
    process |= replicas(interpolated(text(count)).text, member.name, draft)
    if not member.ports and text(member.spec.get("restart") or "") in ("no", "false"):
        draft.note(
            f"Compose does not restart {member.name}, but Greenroom always restarts workers. Remove the process, or"
            " set `kind: cron` and `schedule:`."
        )
    return process


def _command(member: Found, draft: Draft, what: str, file: File) -> list[str]:
    """Return entrypoint and command as one list, like Kubernetes' `command`."""
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
        draft.note(f"{what} uses {', '.join(missing)}, which the file does not define. Write the value.")
    if kept and (hosts := file.hosts.in_command(words)):
        draft.note(
            f"{what} contains the host {', '.join(hosts)}, which does not exist in a preview."
            " Use the variable of the need or the link instead. Greenroom waits for needs before it starts the command."
        )
    if kept and "entrypoint" not in member.spec:
        _notes_on_arguments(draft, what, kept, built=_built(member, file))
    return kept


def _built(member: Found, file: File) -> bool:
    return any(m.built for m in file.services.values() if m.code == member.code)


def _notes_on_arguments(draft: Draft, what: str, words: list[str], *, built: bool) -> None:
    """Report a command that may be arguments of the image's ENTRYPOINT, which Compose keeps and a preview does not."""
    said = f"{what} is `{shlex.join(words)}`"
    if words[0].startswith("-"):
        draft.note(f"{said}, which starts with an option. Write the program of the image's ENTRYPOINT before it.")
    elif built and len(words) == 1 and "/" not in words[0]:
        draft.note(
            f"{said}, which runs as a program. If it is an argument of the image's ENTRYPOINT,"
            " write the ENTRYPOINT before it."
        )


def migrate(draft: Draft, jobs: list[Found], file: File) -> None:
    """Use the first job as the migration. Jobs run the same code, and other services wait until they have ended."""
    for number, job in enumerate(jobs):
        if number:
            first = jobs[0].name
            draft.note(
                f"{job.name} was left out, because `migrate:` already runs {first}."
                " If both are needed, run both in one script."
            )
        elif words := _command(job, draft, f"The command of {job.name}", file):
            draft.data["migrate"] = words
            draft.note(
                f"`migrate:` is the command of {job.name}, because other services wait for it. It runs before every"
                " start, so it must be safe to run more than once."
            )
        else:
            draft.note(f"{job.name} was left out, but other services wait for it. Write its command under `migrate:`.")


def _notes_on_ports(draft: Draft, member: Found) -> None:
    if no := member.no_ports:
        draft.note(
            f"`ports` of {member.name}: {', '.join(no)} {was(no)} left out,"
            " because a web process cannot use such a port."
        )
    if more := [*map(str, member.ports[1:])]:
        draft.note(
            f"`ports` of {member.name}: {', '.join(more)} {was(more)} left out, because a process has only one port."
        )
