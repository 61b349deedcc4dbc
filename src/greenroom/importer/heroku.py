"""Drafts from Heroku's app.json and Procfile. https://devcenter.heroku.com/articles/app-json-schema"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from greenroom.core.model.kinds import KINDS
from greenroom.importer import commands, names
from greenroom.importer.draft import Draft, Options, begun, need, replicas, settable, settings, text
from greenroom.importer.interpolation import Interpolated

ADDONS = {addon: (kind, variable) for kind, found in KINDS.items() for addon, variable in found.addons.items()}
PORT = 8080
_OWN_ADDRESS = re.compile(r"https?://(?:\$?HEROKU_APP_NAME|\$\{HEROKU_APP_NAME\})\.herokuapp\.com/?")


def procfile(content: str) -> dict[str, str]:
    """Return each process type with its command. https://devcenter.heroku.com/articles/procfile"""
    found = {}
    for line in content.splitlines():
        if match := re.fullmatch(r"\s*([A-Za-z0-9_-]+)\s*:\s*(.+?)\s*", line):
            found[match[1]] = match[2]
    return found


def draft(app: dict[str, Any], processes: dict[str, str], options: Options) -> Draft:
    """Return the service that an app.json and a Procfile describe. Each of them may be empty."""
    review = (app.get("environments") or {}).get("review") or {}
    app = {**app, **review, "env": {**(app.get("env") or {}), **(review.get("env") or {})}}
    found = begun(names.slug(options.name or str(app.get("name") or ""), "web"), options)
    _processes(found, app, processes)
    needs = _needs(found, app.get("addons") or ())
    if needs:
        found.data["needs"] = needs
    _env(found, app["env"], {need["as"] for need in needs})
    for key, why in (
        ("buildpacks", "Greenroom runs container images. Build one in CI, for example with `pack build`."),
        ("stack", "The image defines the stack."),
    ):
        if app.get(key):
            found.note(f"`{key}` was left out. {why}")
    return found


def _processes(found: Draft, app: dict[str, Any], processes: dict[str, str]) -> None:
    scripts = dict(app.get("scripts") or {})
    commanded = {name: command for name, command in processes.items() if name != "release"} or {"web": ""}
    release = processes.get("release") or scripts.pop("postdeploy", "")
    for name in scripts:
        found.note(f"The script {name} was left out. If it prepares data, call it in `migrate:`.")
    formation = app.get("formation") or {}
    made: dict[str, Any] = {}
    for name, command in sorted(commanded.items(), key=lambda pair: pair[0] != "web"):  # first, to keep its name
        called = names.distinct(names.slug(name, "process"), made)
        if called != names.slug(name) or len(name) > names.LONGEST:
            found.note(f"The process {name} was renamed to {called}.")
        made[called] = {**_process(name, command, found), **_replicas(name, formation.get(name), found)}
    if others := [name for name in formation if name not in commanded]:
        found.note(f"`formation` names {', '.join(others)}, but no Procfile has a command for it.")
    if "web" in commanded:
        found.note(f"Heroku chooses the port and sets $PORT. In a preview, PORT is always {PORT}.")
    else:
        found.data["public"] = False
    found.data["processes"] = made
    if release and (words := commands.kept(commands.split(release), "`migrate`", found)):
        found.data["migrate"] = words
        found.note("`migrate` runs before every start of the web process, so it must be safe to run again.")
    if shells := [n for n, p in made.items() if p.get("command", [])[:2] == ["sh", "-c"]]:
        found.note(f"In the draft, the commands of these processes run with `sh -c`: {', '.join(shells)}.")


def _process(name: str, command: str, found: Draft) -> dict[str, Any]:
    process: dict[str, Any] = {"port": PORT} if name == "web" else {"kind": "worker"}
    words = commands.kept(commands.split(command), f"The command of {name}", found) if command else []
    return {**process, "command": words} if words else process


def _replicas(name: str, formation: Any, found: Draft) -> dict[str, int]:
    return replicas(formation.get("quantity", 1) if isinstance(formation, dict) else 1, name, found)


def _needs(found: Draft, addons: Iterable[Any]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for addon in addons:
        one = _need(addon, found)
        if one and any(other["as"] == one["as"] for other in made):
            found.note(
                f"An add-on was left out, because an earlier add-on also sets {one['as']}. To include the add-on that"
                " was left out, add a need with a different `as:`."
            )
        elif one:
            if any(other["kind"] == one["kind"] for other in made):
                called = {other.get("name", other["kind"]) for other in made}
                one["name"] = names.distinct(names.slug(one["as"].removesuffix("_URL"), one["kind"]), called)
            made.append(one)
    return made


def _need(addon: Any, found: Draft) -> dict[str, Any] | None:
    given = addon if isinstance(addon, dict) else {"plan": addon}
    name = str(given["plan"]).partition(":")[0]
    if name not in ADDONS:
        found.note(
            f"The add-on {name} has no matching kind of need. Write a manifest for the add-on (docs/needs.md),"
            " or use a shared service."
        )
        return None
    kind, variable = ADDONS[name]
    if given.get("as"):
        variable = f"{names.variable(str(given['as']))}_URL"
        if variable != f"{str(given['as']).upper()}_URL":
            given_name = given["as"]
            found.note(
                f"The variable for the add-on {name} was named {variable}, because `as: {given_name}` is not valid in a"
                " variable name."
            )
    if not KINDS[kind].chart.password:
        found.note(
            f"{KINDS[kind].title} has no user or password in a preview, but the add-on {name} sets variables for them."
        )
    return {**need(kind, str((given.get("options") or {}).get("version", "")), found), "as": variable}


def _env(found: Draft, env: dict[str, Any], given_by_needs: Collection[str]) -> None:
    plain: dict[str, Interpolated] = {}
    for name, given in env.items():
        setting = given if isinstance(given, dict) else {"value": given}
        if name in given_by_needs:
            found.note(f"{name} was left out of `env`, because a need sets it.")
        elif name == "PORT":
            found.note(f"PORT was left out of `env`, because Greenroom sets PORT to {PORT} in web processes.")
        elif setting.get("generator"):
            found.note(
                f"Heroku generates the value of {name}. Put a value in a Secret, and list the Secret under `envFrom:`."
            )
        elif setting.get("value") is None:
            found.note(
                f"{name} has no value in app.json. Put the value in a Secret, and list the Secret under `envFrom:`."
            )
        elif "HEROKU_APP_NAME" in text(setting["value"]):
            _own_address(found, name, text(setting["value"]))
        else:
            plain[name] = Interpolated(text(setting["value"]))
    settings(found, plain)


def _own_address(found: Draft, name: str, value: str) -> None:
    """Give the variable the preview's own address if its value is only the review app's address, or add a note."""
    if _OWN_ADDRESS.fullmatch(value) and settable(name) and "address" not in found.data:
        found.data["address"] = {"public": name}
        return
    found.note(
        f"{name} was left out, because it contains the review app's name on Heroku, which a preview does not have. For"
        " the preview's own address, use `address: { public: VARIABLE }`, and add the rest in the code."
    )
