"""The findings of one pass over a dump: tables, roles, extensions, refused statements and shapes of values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from greenroom.core.comment.sanitize import counted, plain
from greenroom.core.model.seeds import COLUMNS
from greenroom.seeds import columns, fields, rules_mysql, rules_postgresql, shapes, versions
from greenroom.seeds.archive import Contents
from greenroom.seeds.events import Comment, End, Event, MetaCommand, Rows, Statement
from greenroom.seeds.rdb import NEWEST
from greenroom.seeds.rules import NOTE, REFUSED, Finding, squeezed
from greenroom.seeds.streams import NotADump, cut
from greenroom.seeds.tables import Tables
from greenroom.seeds.versions import version_findings

MOST = 100
"""Number of refused statements after which the rest of a dump is not read."""

_SERVER = re.compile(rb"-- (?:Dumped from database version|Server version)\s+(.*)")
_TOOL = re.compile(rb"-- (Dumped by pg_dump version|(?:MySQL|MariaDB) dump \S+\s+Distrib) ([^,]+)")
_COMPLETE = re.compile(rb"-- (PostgreSQL database dump complete|Dump completed)")
_PG_DUMPALL = re.compile(rb"-- PostgreSQL database cluster dump")
_SET_CONFIG = re.compile(rb"SELECT pg_catalog\.set_config\('search_path', '[^']*', false\)")


class Enough(NotADump):
    """The dump has so many mistakes that the rest need not be read."""


class Content:
    """The state of one check. `size` counts decompressed bytes."""

    def __init__(self, kind: str, wanted: str, extensions: tuple[str, ...]) -> None:
        self.kind, self.wanted, self.expected = kind, wanted, extensions
        self.engine = self.server = self.tool = ""
        self.size = 0
        self.extensions: set[str] = set()
        self.tables = Tables("public" if kind == "postgresql" else "")
        self._refused: dict[str, list[int]] = {}
        self._notes: list[Finding] = []
        self._roles: Counter[str] = Counter()
        self._first_role = 0
        self._shapes: Counter[tuple[str, str, str]] = Counter()
        self._sampled: Counter[tuple[str, str]] = Counter()
        self._text: dict[tuple[str, tuple[str, ...]], tuple[tuple[int, str], ...]] = {}
        self._archive = self._complete = self._all = False
        self._key = b""
        self._nameless: set[str] = set()

    def event(self, event: Event) -> None:
        """Read one event of the scanner. Raise `NotADump` if the dump is truncated."""
        match event:
            case Statement():
                self._statement(event)
            case Rows():
                self._sample(event)
            case Comment():
                self._comment(event)
            case MetaCommand():
                self._meta(event)
            case End():
                self._end(event)

    def _refuse(self, line: int, sentence: str) -> None:
        self._refused.setdefault(sentence, []).append(line)
        if self._refused_count() >= MOST:
            raise Enough(f"{MOST} statements are refused, so the rest of the dump was not read. Fix these first.")

    def _refused_count(self) -> int:
        return sum(map(len, self._refused.values()))

    # Statements.

    def _statement(self, statement: Statement) -> None:
        code = squeezed(statement.code)
        if statement.odd:
            self._refuse(statement.line, f"The statement cannot be checked. {statement.odd} Dump the database again.")
        elif self.kind == "mysql":
            self._judge(statement, code, rules_mysql)
        elif not self._is_special(statement, code):
            self._judge(statement, code, rules_postgresql)
        self.tables.statement(statement)

    def _judge(self, statement: Statement, code: bytes, dialect: object) -> None:
        comment = code[:8].upper() == b"COMMENT "
        for rule in dialect.REFUSALS:  # type: ignore[attr-defined]
            text = squeezed(statement.text) if rule.anywhere and not comment else code
            if rule.pattern.match(text):
                self._refuse(statement.line, rule.sentence)
                return
        if not dialect.ALLOWED.match(code):  # type: ignore[attr-defined]
            words = plain(b" ".join(code.split()[:2]).decode(errors="replace"), 40)
            self._refuse(
                statement.line,
                f"The statement {words} is not allowed in a seed. Remove the statement.",
            )

    def _is_special(self, statement: Statement, code: bytes) -> bool:
        """Judge the statements of PostgreSQL that depend on more than a pattern. Return whether it is one of them."""
        if role := next((found for pattern in rules_postgresql.ROLES if (found := pattern.match(code))), None):
            self._first_role = self._first_role or statement.line
            self._roles[plain(role[1].decode(errors="replace").strip('"'), 60)] += 1
            return True
        if found := rules_postgresql.EXTENSION.match(code):
            self._extension(statement.line, found[1].decode(errors="replace").strip('"'))
            return True
        if found := rules_postgresql.SETTING.match(code):
            return self._setting(statement, found[1].decode().lower(), found[2].strip().lower())
        if found := rules_postgresql.ROUTINE.match(code):
            return self._routine(statement, code, found[1].decode(errors="replace"))
        if code.startswith(b"SELECT pg_catalog.set_config") and not _SET_CONFIG.match(squeezed(statement.text)):
            self._refuse(statement.line, "set_config may set only search_path in a seed. Remove the statement.")
            return True
        return False

    def _extension(self, line: int, name: str) -> None:
        self.extensions.add(name)
        shown = plain(name, 60)
        if name in rules_postgresql.PRELOADED:
            self._refuse(
                line,
                f"The extension {shown} works only with shared_preload_libraries, which a seed image does not set. Use"
                f" `pg_dump --exclude-extension={shown}`, or drop the extension before the dump.",
            )
        elif name not in ("plpgsql", *self.expected):
            self._refuse(
                line,
                f"The dump needs the extension {shown}. Add the extension to the seed's `extensions:`. The database"
                " image must contain it.",
            )

    def _setting(self, statement: Statement, name: str, value: bytes) -> bool:
        if name not in rules_postgresql.SETTINGS:
            self._refuse(statement.line, f"SET {plain(name, 40)} is not allowed in a seed. Remove the statement.")
        elif name == "standard_conforming_strings" and value not in (b"on", b"true", b"''", b"1"):
            self._refuse(
                statement.line, "The dump does not set standard_conforming_strings to on. Use a current pg_dump."
            )
        elif name == "default_tablespace" and value not in (b"''", b"default"):
            self._refuse(statement.line, "The dump uses a tablespace. Use `pg_dump --no-tablespaces`.")
        elif name == "transaction_timeout" and versions.is_newer("postgresql", "17", self.wanted):
            self._refuse(statement.line, f"SET transaction_timeout needs PostgreSQL 17. Use pg_dump {self.wanted}.")
        return True

    def _routine(self, statement: Statement, code: bytes, name: str) -> bool:
        if language := rules_postgresql.untrusted(code):
            self._refuse(
                statement.line,
                f"The routine {plain(name, 80)} is written in {plain(language, 30)}, which needs a superuser and can"
                " reach files and the network. Drop the routine, or write it in one of these languages:"
                f" {', '.join(sorted(rules_postgresql.TRUSTED))}.",
            )
        return bool(language)

    # Rows.

    def _sample(self, rows: Rows) -> None:
        table, names = self.tables.count(rows)
        if not names:
            self._nameless.add(table)
        text = self._text_columns(table, names)
        if not text:
            return
        for sample in rows.samples:
            values = fields.copied(sample) if rows.copied else fields.inserted(sample, backslashes=self.kind == "mysql")
            looked_for = shapes.possible(sample)
            for index, column in text:
                for key in shapes.shapes_in(values[index], looked_for) if index < len(values) else ():
                    self._shapes[table, column, key] += 1
        for _, column in text:
            self._sampled[table, column] += len(rows.samples)

    def _text_columns(self, table: str, names: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
        key = (table, names)
        if key not in self._text:
            types = self.tables.found[table].columns
            self._text[key] = tuple((i, n) for i, n in enumerate(names) if self.tables.holds_text(types.get(n, "")))
        return self._text[key]

    def redis(self, number: int) -> None:
        """Read the version of a Redis dump. Its values count as one column."""
        self.tables.found.clear()
        table = self.tables.of_redis()
        table.columns["values"] = "bytes"
        newest = next((n for release, n in NEWEST.items() if versions.numbers(self.wanted)[:2] == release), 0)
        if versions.is_newer("redis", self.server, self.wanted) or 0 < newest < number:
            made = f"Redis {self.server}" if self.server else f"a server that writes RDB format {number}"
            self._refuse(
                0,
                f"The dump was made by {made}, but the service uses version {self.wanted}."
                " Raise the need's `version:`.",
            )

    def redis_values(self, block: bytes) -> None:
        """Look at the values of a Redis dump."""
        self._sampled["redis", "values"] += 1
        for shape in shapes.SHAPES:
            self._shapes["redis", "values", shape.key] += sum(map(shape.accepts, shape.pattern.finditer(block)))

    # Comments, commands to the client, the end.

    def _comment(self, comment: Comment) -> None:
        text = comment.text
        if found := _SERVER.match(text):
            self.server = self.server or plain(found[1].decode(errors="replace"), 60)
        elif found := _TOOL.match(text):
            self.tool = self.tool or plain(found[2].decode(errors="replace"), 60)
            self.engine = "mariadb" if b"MariaDB" in text else self.engine
        elif _COMPLETE.match(text):
            self._complete = True
        elif _PG_DUMPALL.match(text):
            self._all = True

    def _meta(self, meta: MetaCommand) -> None:
        words = meta.text.split()
        name = plain(words[0].decode(errors="replace") if words else "\\", 30)
        if self.kind == "postgresql" and not meta.inside and name == "\\restrict" and len(words) == 2 and not self._key:
            self._key = words[1]
            if not versions.knows_restrict(self.wanted):
                self._refuse(
                    meta.line,
                    f"psql {self.wanted} does not support \\restrict. Raise the need's `version:` to the newest minor"
                    " release.",
                )
        elif not (name == "\\unrestrict" and not meta.inside and words[1:] == [self._key] and self._key):
            hint = " Dump one database with pg_dump, without --create." if name in ("\\connect", "\\c") else ""
            self._refuse(
                meta.line, f"The dump contains {name}, a command that runs on the client.{hint or ' Remove it.'}"
            )

    def archive(self, found: Contents) -> None:
        """Read the header of an archive."""
        self._archive = True
        self.server, self.tool = plain(found.server, 60), plain(found.pg_dump, 60)
        if any(entry.description in ("ACL", "DEFAULT ACL") for entry in found.entries):
            self._notes.append(Finding(NOTE, "", "The owners and privileges in the archive are not restored."))

    def _end(self, end: End) -> None:
        if end.inside:
            raise cut(end.position)
        if self.tool and not self._archive and not self._complete:
            raise cut(end.position)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings about versions, roles and statements."""
        yield from version_findings(self.kind, self.engine, self.server, self.tool, self.wanted)
        if self._all:
            yield Finding(REFUSED, "", "The dump was made by pg_dumpall. Dump one database with pg_dump.")
        if self._roles:
            names = ", ".join(name for name, _ in self._roles.most_common(5))
            count = counted(self._roles.total(), "statement")
            yield Finding(
                REFUSED,
                f"line {self._first_role}",
                f"{count} {'name' if self._roles.total() > 1 else 'names'} roles that do not exist in a preview"
                f" ({names}). {rules_postgresql.NO_PRIVILEGES}",
            )
        for sentence, lines in self._refused.items():
            more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
            yield Finding(REFUSED, "" if self._archive or not lines[0] else f"line {lines[0]}{more}", sentence)
        for table in sorted(self._nameless):
            yield Finding(
                REFUSED,
                table,
                "The dump contains rows of this table but does not create it. Dump the schema too.",
            )
        yield from self._notes
        if not self.tool and self.kind != "redis" and not self._archive:
            yield Finding(
                NOTE,
                "",
                "The file lacks the header that dump programs write, so the check cannot verify that the dump is"
                " complete.",
            )

    def shape_findings(self, known: columns.Columns) -> Iterator[Finding]:
        """Yield a finding for each column and shape, unless the columns file allows it there."""
        for (table, column, key), count in sorted(self._shapes.items()):
            entry = columns.entry(known, self.tables, table, column)
            if count == 0 or (entry and key in entry.allow):
                continue
            of = f" of {self._sampled[table, column]:,} sampled values" if table != "redis" else ""
            yield Finding(
                REFUSED,
                f"{table}.{column}",
                f"{count:,}{of} look like {shapes.PLURALS[key]}. Mask them, or accept them with `allow: [{key}]` in"
                f" {COLUMNS}.",
            )
