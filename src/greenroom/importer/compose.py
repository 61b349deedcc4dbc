"""Drafts from a Compose file: builds become services, databases become needs, and addresses become links.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from greenroom.importer import links, names, processes, secrets
from greenroom.importer import services as composed
from greenroom.importer.addresses import Hosts
from greenroom.importer.draft import NAMELESS, Draft, Options, begun, settings, was
from greenroom.importer.interpolation import Interpolated
from greenroom.importer.services import Found

IGNORED = {
    "volumes": "Files in a container are lost when it stops. To keep data, use a need with `storage: persistent`.",
    "env_file": "Put the secrets in a Secret, list the Secret under `envFrom:`, and write the rest under `env:`.",
    "secrets": "Put the values in a Secret, and list the Secret under `envFrom:`.",
    "configs": "Put the files into the image.",
    "extends": "The extended service is not in this file. Import the output of `docker compose config` instead.",
    "privileged": "Previews run under the Pod Security Standard `restricted`.",
    "cap_add": "Previews run under the Pod Security Standard `restricted`.",
    "devices": "Previews run under the Pod Security Standard `restricted`.",
    "user": "Previews use the image's own user, which must not be root, or the user ID in `runAsUser:`.",
    "profiles": "The draft includes services of every profile.",
}
# Keys that are carried over, and keys that a preview handles in its own way.
_TOLD = {
    *(
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "depends_on",
        "links",
        "ports",
        "expose",
        "healthcheck",
    ),
    *("deploy", "scale", "restart", "container_name", "hostname", "networks", "logging", "labels", "init", "tty"),
    *("stdin_open", "pull_policy", "stop_signal", "stop_grace_period", "attach", "develop", *IGNORED),
}
_MIGRATED = ("postgresql", "mysql", "mariadb")
_DONE = "service_completed_successfully"


def drafts(given: Mapping[str, dict[str, Any]], options: Options) -> list[Draft]:
    """Return a draft for each code base in the file."""
    services = composed.found(given)
    groups: dict[str, list[Found]] = {}
    for service in _own(services):
        groups.setdefault(service.code, []).append(service)
    jobs = {name for service in services.values() for name, how in service.depends().items() if how == _DONE}
    running = {code: [m for m in members if m.name not in jobs] for code, members in groups.items()}
    made: dict[str, Draft] = {}
    for code, members in running.items():
        if members:
            called = options.name if options.name and len(running) == 1 else _first(members).name
            made[code] = begun(names.distinct(names.slug(called), {d.name for d in made.values()}), options)
            _notes_on_names(made[code], called, options, len(running))
    file = _file(services, running, groups, made)
    for code, draft in made.items():
        _fill(draft, running[code], [m for m in groups[code] if m.name in jobs], file)
    if made:
        _notes_on_others(next(iter(made.values())), services, file)
    return [*made.values()]


def _own(services: Mapping[str, Found]) -> list[Found]:
    """Return the services with the team's own code: those that are built or, if none are, those with dependencies."""
    built = {service.code for service in services.values() if service.built}
    if built:
        return [service for service in services.values() if service.code in built]
    return [s for s in services.values() if s.spec.get("image") and not s.kind and s.depends()]


def _first(members: list[Found]) -> Found:
    return next((m for m in members if m.ports), members[0])


def _file(
    services: Mapping[str, Found],
    running: Mapping[str, list[Found]],
    groups: Mapping[str, list[Found]],
    made: Mapping[str, Draft],
) -> links.File:
    called = {name: name for name in services}
    for service in services.values():
        for alias in service.aliases():
            called.setdefault(alias, service.name)
        for link in service.spec.get("links") or ():
            name, _, alias = str(link).partition(":")
            if name in services:
                called.setdefault(alias, name)
    drafted = {m.name: made[code].name for code, members in groups.items() if code in made for m in members}
    reached = [first.name for code in made if (first := _first(running[code])).ports]
    return links.File(services, Hosts(called), drafted, reached)


def _fill(draft: Draft, members: list[Found], jobs: list[Found], file: links.File) -> None:
    draft.data["processes"] = processes.processes(draft, members, file)
    if not any(m.ports for m in members):
        draft.data["public"] = False
        draft.note(
            "The file declares no port that a web process of this service can use, so the draft has `public: false`."
            " If a process serves HTTP, replace its `kind: worker` with a `port:`, and remove `public: false`."
        )
    processes.migrate(draft, jobs, file)
    everybody = [_first(members), *(m for m in members if m is not _first(members)), *jobs]
    variables = links.Variables(_env(draft, everybody), file.hosts)
    depends = {name for m in everybody for name in m.depends()}
    needs = links.needs(draft, depends, variables, file)
    if needs:
        draft.data["needs"] = needs
    uses = links.uses(draft, variables, file)
    if uses:
        draft.data["uses"] = uses
    links.leftovers(draft, variables, file)
    _notes_on_dependencies(draft, members, file, {str(use["service"]) for use in uses})
    _notes_on_jobs(draft, members, file)
    settings(draft, variables.left)
    _notes_on_keys(draft, [*members, *jobs])
    if not jobs and any(need.get("kind") in _MIGRATED for need in needs):
        draft.note("Add the command that migrates the database: `migrate: [...]`. The command runs before each start.")


def _env(draft: Draft, everybody: list[Found]) -> dict[str, Interpolated]:
    """Return the variables of all processes. If values differ, use those of the first process."""
    env: dict[str, Interpolated] = {}
    for each in reversed(everybody):
        env = {**each.env, **{n: v for n, v in env.items() if n not in each.env}}
    first, others = everybody[0], everybody[1:]
    differ = [n for n, v in env.items() if any(n in each.env and each.env[n] != v for each in others)]
    if differ:
        draft.note(
            f"{', '.join(differ)}: the value differs between processes. A service has one `env:`,"
            f" and the draft uses the value of {first.name}. To set another one, use a command such as"
            " `[env, NAME=value, bin/work]`, or make the process a separate service."
        )
    if more := [n for n in env if n not in first.env]:
        draft.note(f"{', '.join(more)}: not set for {first.name} in the file, but the draft sets it for every process.")
    return env


def _notes_on_names(draft: Draft, called: str, options: Options, count: int) -> None:
    if draft.name != names.slug(called) or len(called) > names.LONGEST:
        draft.note(f"{called} was renamed to {draft.name}, because the name is taken or too long.")
    if count > 1 and options.name:
        draft.note("`--name` was not used, because the file contains more than one code base.")
    if count > 1 and options.image:
        draft.note("All drafts have the image from `--image`. Set the image that CI pushes for this service.")


def _notes_on_dependencies(draft: Draft, members: list[Found], file: links.File, linked: Collection[str]) -> None:
    """Report the team's own services that the file starts first but that nothing in the draft leads to."""
    for member in members:
        for name, how in member.depends().items():
            other = file.drafted.get(name, draft.name)
            if how != _DONE and other != draft.name and other not in linked:
                draft.note(
                    f"{member.name} depends on {name} in the file, but no variable contains its address."
                    " If it calls that service, "
                    f"add `uses: [{{ service: {other}, as: VARIABLE }}]` with the variable that the code reads."
                )


def _notes_on_jobs(draft: Draft, members: list[Found], file: links.File) -> None:
    for member in members:
        for name, how in member.depends().items():
            if how == _DONE and file.drafted.get(name, draft.name) != draft.name:
                draft.note(
                    f"{member.name} waits for {name} in the file. In a preview, only {file.drafted[name]} waits."
                )


def _notes_on_keys(draft: Draft, everybody: list[Found]) -> None:
    for key, why in IGNORED.items():
        if who := [m.name for m in everybody if m.spec.get(key)]:
            draft.note(f"`{key}` of {', '.join(who)} was left out. {why}")
    keys = dict.fromkeys(str(key) for m in everybody for key in m.spec if key not in _TOLD)
    if other := [f"`{key}`" for key in keys if secrets.sayable(key) and not key.startswith("x-")]:
        draft.note(f"{', '.join(other)} {was(other)} left out, because Greenroom has no equivalent.")
    if any(m.nameless for m in everybody):
        draft.note(NAMELESS)


def _notes_on_others(draft: Draft, services: Mapping[str, Found], file: links.File) -> None:
    """Report the services of the file that are not in any draft."""
    for each in services.values():
        if each.name in file.drafted or each.name in file.shared:
            continue
        if each.unread and not each.spec.get("image"):
            draft.note(
                f"{each.name} was left out, because it extends {each.unread}, which is not in this file."
                " Import the output of `docker compose config` instead."
            )
        elif each.kind:
            draft.note(
                f"{each.name} ({each.shown}) was left out, because no other service refers to it. "
                f"If a service uses it, add `kind: {each.kind}` to its `needs:`."
            )
        elif each.built:
            draft.note(
                f"{each.name} was left out, because it is a job that other services wait for,"
                " and no service runs the same code. To run it, see `migrate:`."
            )
        else:
            draft.note(
                f"{each.name} ({each.shown}) is neither built from this file nor a known kind of need. Define it as a"
                " manifest "
                "(docs/needs.md), or as a separate service."
            )
