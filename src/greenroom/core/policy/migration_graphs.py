"""Migrations that are ordered by what their files say: Django and Alembic.

The files are parsed, never run: they are a stranger's code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from greenroom.core.model.migrations import Migration

LARGEST = 250_000
"""Largest file to parse, in bytes. Parsing takes up to 500 times as much memory. The controller has 512 MiB."""


class Unreadable(ValueError):
    """A migration whose place in the graph is not known."""


def parsed(content: bytes) -> ast.Module:
    """Parse a Python file. Raise `Unreadable` if it is not one."""
    if len(content) > LARGEST:
        raise Unreadable(f"it is larger than {LARGEST:,} bytes")
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unreadable("it is not valid Python") from None


def django_migration(name: str, hash: str, path: str, content: bytes) -> Migration | None:
    """Return one of Django's migrations; None if the file has no class `Migration`, so it is none.

    https://docs.djangoproject.com/en/stable/howto/writing-migrations/
    """
    body = next((n.body for n in parsed(content).body if isinstance(n, ast.ClassDef) and n.name == "Migration"), None)
    if body is None:
        return None
    values = dict(_assigned(body))
    return Migration(
        name,
        hash,
        path,
        parents=tuple(_dotted(values.get("dependencies"), strict=False)),
        before=tuple(_dotted(values.get("run_before"), strict=True)),
        replaces=tuple(_dotted(values.get("replaces"), strict=True)),
    )


def app_label(content: bytes) -> str:
    """Return the label that an `apps.py` gives to its app; empty if it leaves the default.

    https://docs.djangoproject.com/en/stable/ref/applications/#django.apps.AppConfig.label
    """
    for node in parsed(content).body:
        if isinstance(node, ast.ClassDef):
            label = dict(_assigned(node.body)).get("label")
            if isinstance(label, ast.Constant) and isinstance(label.value, str):
                return label.value
    return ""


def alembic_migration(hash: str, path: str, content: bytes) -> Migration | None:
    """Return one of Alembic's migrations, named by its revision; None if the file has no revision, so it is none.

    https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script
    """
    values = dict(_assigned(parsed(content).body))
    if "revision" not in values:
        return None
    named = _strings(values["revision"])
    if len(named) != 1:
        raise Unreadable("its `revision` is not a literal")
    parents = [p for key in ("down_revision", "depends_on") if key in values for p in _strings(values[key])]
    return Migration(named[0], hash, path, parents=tuple(parents))


def ordered(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """Order migrations so that each follows its parents; otherwise by name. Those in a circle come last."""
    waiting = sorted(migrations, key=lambda m: m.name)
    placed: dict[str, Migration] = {}
    names = {m.name for m in waiting}
    while ready := [m for m in waiting if all(p in placed or p not in names for p in m.parents)]:
        placed |= {m.name: m for m in ready}
        waiting = [m for m in waiting if m.name not in placed]
    return (*placed.values(), *waiting)


def ancestors(migrations: Sequence[Migration], heads: Iterable[str]) -> tuple[Migration, ...]:
    """Return the migrations that these heads consist of, themselves included, in order. An unknown one has no hash."""
    known = {m.name: m for m in migrations}
    found: dict[str, Migration] = {}
    waiting = list(heads)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = known.get(name, Migration(name))
            waiting += found[name].parents
    return ordered(found.values())


def _assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _dotted(value: ast.expr | None, *, strict: bool) -> Iterator[str]:
    """Yield `app.name` for each pair of strings. Unless `strict`, leave out what is not one: a dependency on the model
    of a setting is a call, and it orders only what has the same content anyway.
    """
    items = value.elts if isinstance(value, ast.List | ast.Tuple) else []
    if strict and value is not None and not isinstance(value, ast.List | ast.Tuple):
        raise Unreadable("its `replaces` or `run_before` is not a literal list")
    for item in items:
        match item:
            case ast.Tuple(elts=[ast.Constant(value=str(app)), ast.Constant(value=str(name))]):
                yield f"{app}.{name}"
            case _ if strict:
                raise Unreadable("its `replaces` or `run_before` is not a literal list")


def _strings(value: ast.expr) -> list[str]:
    """Return a string, or a tuple or list of strings, as a list; None is empty."""
    match value:
        case ast.Constant(value=None):
            return []
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            return [text for item in items for text in _strings(item)]
    raise Unreadable("its `revision`, `down_revision` or `depends_on` is not a literal")
