"""Heroku's app.json and Procfile. https://devcenter.heroku.com/articles/app-json-schema"""

from __future__ import annotations

import re
from typing import Any

from greenroom.importer import commands
from greenroom.importer.draft import Draft, Options, begun, need, settings, text

ADDONS = {
    "heroku-postgresql": ("postgresql", "DATABASE_URL"),
    "heroku-redis": ("redis", "REDIS_URL"),
    "heroku-key-value-store": ("redis", "REDIS_URL"),
    "upstash-redis": ("redis", "REDIS_URL"),
    "rediscloud": ("redis", "REDISCLOUD_URL"),
    "redistogo": ("redis", "REDISTOGO_URL"),
    "cloudamqp": ("rabbitmq", "CLOUDAMQP_URL"),
    "jawsdb": ("mysql", "JAWSDB_URL"),
    "jawsdb-maria": ("mariadb", "JAWSDB_MARIA_URL"),
    "cleardb": ("mysql", "CLEARDB_DATABASE_URL"),
}
PORT = 8080


def procfile(content: str) -> dict[str, str]:
    """Process types with their commands. https://devcenter.heroku.com/articles/procfile"""
    found = {}
    for line in content.splitlines():
        if match := re.fullmatch(r"\s*([A-Za-z0-9_-]+)\s*:\s*(.+?)\s*", line):
            found[match[1]] = match[2]
    return found


def draft(app: dict[str, Any], processes: dict[str, str], options: Options) -> Draft:
    """The service that an app.json (may be empty) and a Procfile (may be empty) describe."""
    review = (app.get("environments") or {}).get("review") or {}
    app = {**app, **review, "env": {**(app.get("env") or {}), **(review.get("env") or {})}}
    name = options.name or _slug(str(app.get("name") or "")) or "web"
    found = begun(name, options)
    _processes(found, app, processes)
    needs: dict[str, dict[str, Any]] = {}
    for addon in app.get("addons") or ():
        if one := _need(addon, found):
            name = _slug(one["as"].removesuffix("_URL"))
            again = any(n["kind"] == one["kind"] for n in needs.values())
            needs.setdefault(name, {**one, **({"name": name} if again else {})})
    if needs:
        found.data["needs"] = [*needs.values()]
    _env(found, app["env"])
    for key, why in (
        ("buildpacks", "Greenroom runs images: let CI build one, for example with `pack build`."),
        ("stack", "The stack is that of the image."),
    ):
        if app.get(key):
            found.note(f"`{key}` was left out. {why}")
    return found


def _processes(found: Draft, app: dict[str, Any], processes: dict[str, str]) -> None:
    scripts = dict(app.get("scripts") or {})
    release = processes.pop("release", "") or scripts.pop("postdeploy", "")
    for name in scripts:
        found.note(f"The script {name} was left out. What prepares data belongs into `migrate:`.")
    formation = app.get("formation") or {}
    made: dict[str, Any] = {}
    for name, command in (processes or {"web": ""}).items():
        made[_slug(name)] = {**_process(name, command, found), **_replicas(formation.get(name), found)}
    if "web" in made:
        found.note(f"Heroku names the port in $PORT; here it is {PORT}, and PORT holds it.")
    found.data["processes"] = made
    if release and (words := commands.kept(commands.split(release), "`migrate`", found)):
        found.data["migrate"] = words
        found.note("`migrate` runs before every start of the web process: it must be safe to run again.")
    if shells := [n for n, p in made.items() if p.get("command", [""])[0] == "sh"]:
        found.note(f"The command of {', '.join(shells)} needs a shell; the draft calls `sh -c`.")


def _process(name: str, command: str, found: Draft) -> dict[str, Any]:
    process: dict[str, Any] = {"port": PORT} if name == "web" else {"kind": "worker"}
    words = commands.kept(commands.split(command), f"The command of {name}", found) if command else []
    return {**process, "command": words} if words else process


def _replicas(formation: Any, found: Draft) -> dict[str, int]:
    count = formation.get("quantity", 1) if isinstance(formation, dict) else 1
    if count == 0:
        found.note("A process of no dynos is in the draft with one replica; remove it if it is not wanted.")
    return {"replicas": min(int(count), 10)} if isinstance(count, int) and count > 1 else {}


def _need(addon: Any, found: Draft) -> dict[str, Any] | None:
    plan = str(addon.get("plan", "")) if isinstance(addon, dict) else str(addon)
    name = plan.partition(":")[0]
    if name not in ADDONS:
        found.note(
            f"The add-on {name} has no need of its kind. Write it as a manifest (docs/needs.md), or use a shared one."
        )
        return None
    kind, variable = ADDONS[name]
    options = addon.get("options") or {} if isinstance(addon, dict) else {}
    if isinstance(addon, dict) and addon.get("as"):
        variable = f"{str(addon['as']).upper()}_URL"
    return {**need(kind, str(options.get("version", "")), found), "as": variable}


def _env(found: Draft, env: dict[str, Any]) -> None:
    plain: dict[str, str] = {}
    for name, given in env.items():
        value = given.get("value", "") if isinstance(given, dict) else given
        generated = isinstance(given, dict) and given.get("generator")
        if generated or (isinstance(given, dict) and given.get("value") is None):
            what = "made by Heroku" if generated else "asked for at each deploy"
            found.note(f"{name} is {what}: put it into a Secret and name that under `envFrom:`.")
        else:
            plain[name] = text(value)
    settings(found, plain)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")
