"""The migration report without a database: what it reads, what it never shows, and how it is escaped."""

from __future__ import annotations

import time
from dataclasses import replace
from html.parser import HTMLParser

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core import messages
from greenroom.core.messages.migrations import finding_sentence
from greenroom.core.migration_report import report as reports
from greenroom.core.migration_report.columns import columns
from greenroom.core.migration_report.ddl import effect
from greenroom.core.migration_report.report import MigrationRun, declared, report
from greenroom.core.migration_report.server_log import server_log
from greenroom.core.migration_report.snapshot import recorded, snapshot
from greenroom.core.migration_report.sql_text import is_ddl, shown, statements
from greenroom.core.model.migration_report import (
    Cause,
    Failure,
    Finding,
    FindingKind,
    Lint,
    Lock,
    MigrationReport,
    RanStatement,
)
from greenroom.core.model.schema_snapshot import Column, Snapshot, Table

EMPTY = Snapshot(began=100.0, at=100.0, server=160004)
LINE = "1970-01-01 00:01:4{second} UTC [7] 6a.7|{transaction}|0|{state}| {severity}:  {text}"


def entry(second: str, text: str, severity: str = "LOG", state: str = "00000", transaction: str = "3/5") -> str:
    return LINE.format(second=second, text=text, severity=severity, state=state, transaction=transaction)


def table(name: str = "orders", **more: object) -> Table:
    found = Table(7, "public", name, "r", 70, 8192, 100, True, 100, 0, 0, 100)
    return replace(found, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE a ADD COLUMN b varchar(10) DEFAULT 'x''y'", "ALTER TABLE a ADD COLUMN b varchar(10) DEFAULT '…'"),
        ("ALTER TABLE a ADD b numeric(12, 2) DEFAULT 4711", "ALTER TABLE a ADD b numeric(12, 2) DEFAULT '…'"),
        (r"ALTER TABLE a ALTER b SET DEFAULT E'it\'s secret'", "ALTER TABLE a ALTER b SET DEFAULT '…'"),
        ("COMMENT ON TABLE a IS $x$ it's $$ secret $x$", "COMMENT ON TABLE a IS '…'"),
        ("ALTER TABLE a /* secret /* nested */ secret */ DROP b -- secret", "ALTER TABLE a DROP b"),
        ('ALTER TABLE "a""b".c DROP "d e"', 'ALTER TABLE "a""b".c DROP "d e"'),
        ("CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC DELETE FROM secret; END", "CREATE FUNCTION f …"),
        ("CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM secret", "CREATE RULE r AS ON INSERT TO a DO …"),
        ("CREATE TABLE a AS SELECT secret FROM b", "CREATE TABLE a AS …"),
        (r"COMMENT ON TABLE a IS 'it\'s secret'", "COMMENT …"),
        ("ALTER TABLE a ADD b int DEFAULT -5::int", "ALTER TABLE a ADD b int DEFAULT - '…'::int"),
    ],
)
def test_statement_is_shown_without_literals(sql: str, expected: str) -> None:
    assert shown(statements(sql)[0]) == expected


@given(st.text(alphabet="secrt'\"$\\;-/*()\n0 ", max_size=60))
def test_literals_of_any_text_are_not_shown(text: str) -> None:
    quoted = "'" + text.replace("\\", "").replace("'", "''") + "'"
    assert shown(statements(f"COMMENT ON TABLE a IS {quoted}")[0]) == "COMMENT ON TABLE a IS '…'"


def test_statements_with_data_are_left_out_of_a_batch() -> None:
    sql = "ALTER TABLE a ADD b int; INSERT INTO a VALUES ('secret;'); UPDATE a SET b = 1; CREATE INDEX ON a (b)"
    assert [shown(s) for s in statements(sql) if is_ddl(s)] == ["ALTER TABLE a ADD b int", "CREATE INDEX ON a (b)"]


@pytest.mark.parametrize(
    ("sql", "tables", "lock"),
    [
        ("ALTER TABLE IF EXISTS ONLY s.a ADD b int", (("s", "a"),), Lock.ACCESS_EXCLUSIVE),
        ('ALTER TABLE "A" VALIDATE CONSTRAINT c', (("A",),), Lock.SHARE_UPDATE_EXCLUSIVE),
        (
            "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (id)",
            (("a",), ("c",)),
            Lock.SHARE_ROW_EXCLUSIVE,
        ),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY a (b)", (("a",),), Lock.SHARE_UPDATE_EXCLUSIVE),
        ("CREATE INDEX ON a (b)", (("a",),), Lock.SHARE),
        ("DROP TABLE a, s.b CASCADE", (("a",), ("s", "b")), Lock.ACCESS_EXCLUSIVE),
        ("CREATE TRIGGER t BEFORE UPDATE ON a EXECUTE FUNCTION f()", (("a",),), Lock.SHARE_ROW_EXCLUSIVE),
        ("CREATE TABLE a (id int)", (), Lock.NONE),
        ("ALTER", (), Lock.NONE),
    ],
)
def test_effect_of_a_statement(sql: str, tables: tuple[tuple[str, ...], ...], lock: Lock) -> None:
    found = effect(statements(sql)[0])
    assert (found.tables, found.lock) == (tables, lock)


def test_log_is_read_without_details() -> None:
    lines = [
        entry("0.500", "statement: ALTER TABLE a"),
        "\tADD b int",
        entry("1.700", "duration: 1200.000 ms", transaction="3/0"),
        "a line of another program",
        entry("2.000", 'could not create unique index "i"', "ERROR", "23505"),
        entry("2.000", "Key (b)=(secret) is duplicated.", "DETAIL", "23505"),
        entry("2.000", "CREATE UNIQUE INDEX i ON a (b)", "STATEMENT", "23505"),
        entry("3.000", "process 7 still waiting for AccessExclusiveLock on relation 7 of database 5 after 1200.5 ms"),
        entry("9.000", "statement: DROP TABLE late"),
    ]
    found = server_log(lines, 100.0, 105.0)
    assert [(s.sql, s.seconds) for s in found.statements] == [("ALTER TABLE a\nADD b int", 1.2)]
    assert [(e.sqlstate, e.sql) for e in found.errors] == [("23505", "CREATE UNIQUE INDEX i ON a (b)")]
    assert [(w.relation, w.seconds) for w in found.waits] == [(7, 1.2005)]
    assert "secret" not in repr(found)


def test_lock_lasts_until_the_last_entry_of_its_transaction() -> None:
    before = replace(EMPTY, tables=(table(),))
    after = replace(before, began=109.0, at=109.0)
    log = [
        entry("1.000", "statement: ALTER TABLE orders ADD note text"),
        entry("3.500", "duration: 2400.0 ms  statement: UPDATE orders SET note = 'secret'"),
        entry("8.000", "duration: 3000.0 ms  statement: SELECT 1", transaction="3/6"),
    ]
    [finding] = report(MigrationRun(before, after, log)).alarms
    assert (finding.kind, finding.table, finding.seconds) == (FindingKind.LOCKED, "orders", 2.5)
    committed = replace(after, tables=(table(changed=105.0),))
    [finding] = report(MigrationRun(before, committed, log)).alarms
    assert finding.seconds == 4.0


@pytest.mark.parametrize(
    ("state", "text", "sql", "cause", "columns", "count"),
    [
        ("23502", 'column "note" of relation "orders" contains null values', "ALTER TABLE orders ALTER note SET NOT NULL", Cause.NULLS, ("note",), 60),
        ("23502", 'column "x" of relation "orders" contains null values', "ALTER TABLE orders ADD COLUMN x int NOT NULL", Cause.NULLS, ("x",), 100),
        ("23505", 'could not create unique index "u"', "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (a, b)", Cause.DUPLICATES, ("a", "b"), None),
        ("42703", 'column "status" does not exist', "UPDATE orders SET a = status", Cause.MISSING, (), None),
        ("22P02", 'invalid input syntax for type integer: "secret"', "ALTER TABLE orders ALTER note TYPE int USING note::int", Cause.CONVERSION, ("note",), None),
        ("P0001", "secret", "ALTER TABLE orders ADD b int", Cause.OTHER, (), None),
    ],
)  # fmt: skip
def test_failure_names_table_and_cause(
    state: str, text: str, sql: str, cause: Cause, columns: tuple[str, ...], count: int | None
) -> None:
    before = replace(EMPTY, tables=(table(columns=(Column(1, "note", "text", filled=40),)),))
    log = [entry("1.000", text, "ERROR", state), entry("1.000", sql, "STATEMENT", state)]
    found = report(MigrationRun(before, None, log, exit_code=1))
    [alarm] = found.alarms
    assert found.failure
    assert (alarm.table, found.failure.cause, found.failure.columns, alarm.count) == ("orders", cause, columns, count)
    assert "secret" not in messages.migration_details(found)
    assert not found.complete


def test_name_in_an_error_is_shown_only_if_the_statement_has_it() -> None:
    for sql, name in (("SELECT * FROM secret", "secret"), ("SELECT run('x')", "")):
        log = [entry("1.000", 'relation "secret" does not exist', "ERROR", "42P01"), entry("1.000", sql, "STATEMENT")]
        found = report(MigrationRun(EMPTY, None, log, exit_code=1))
        assert found.failure
        assert found.failure.name == name


def test_failure_without_a_log_is_still_an_alarm() -> None:
    found = report(MigrationRun(EMPTY, None, [], exit_code=1))
    assert [f.kind for f in found.alarms] == [FindingKind.FAILED]
    assert "See its log" in messages.migration_details(found)


@pytest.mark.parametrize(
    ("was", "now", "alarm"),
    [
        ("numeric(12,4)", "numeric(12,2)", True),
        ("numeric(12,2)", "numeric(14,2)", False),
        ("numeric", "integer", True),
        ("numeric(8,0)", "integer", False),
        ("bigint", "integer", False),  # it fails instead
        ("double precision", "real", True),
        ("timestamp with time zone", "date", True),
        ("timestamp(3) without time zone", "timestamp(0) without time zone", True),
        ("timestamp(0) without time zone", "timestamp(3) without time zone", False),
        ("character varying(10)", "character varying(20)", False),
        ("integer", "bigint", False),
    ],
)
def test_narrower_type_is_an_alarm(was: str, now: str, alarm: bool) -> None:
    before = table(columns=(Column(1, "a", was, filled=100, width=8),))
    after = table(columns=(Column(1, "a", now, filled=100, width=8),))
    assert [f.kind for f in columns(before, after)] == ([FindingKind.COLUMN_NARROWED] if alarm else [])


def test_text_that_became_shorter_is_an_alarm() -> None:
    before = table(columns=(Column(1, "a", "text", filled=100, width=40),))
    after = table(columns=(Column(1, "a", "character varying(10)", filled=100, width=11),))
    assert [f.kind for f in columns(before, after)] == [FindingKind.COLUMN_NARROWED]
    same = table(columns=(Column(1, "a", "character varying(10)", filled=100, width=40),))
    assert list(columns(before, same)) == []


@pytest.mark.parametrize(
    ("rows", "deleted", "size", "alarm"),
    [(100, 9, 8192, False), (100, 10, 8192, False), (100, 11, 8192, True), (1_000_000, 10_000, 8192, True), (50, 0, 0, True)],
)  # fmt: skip
def test_deleted_share_decides_whether_it_is_an_alarm(rows: int, deleted: int, size: int, alarm: bool) -> None:
    left = rows - deleted if size else 0
    before = replace(EMPTY, tables=(table(rows=rows),))
    after = replace(EMPTY, tables=(table(rows=left, deleted=deleted, size=size),))
    found = report(MigrationRun(before, after, []))
    assert [f.kind for f in found.findings] == [FindingKind.ROWS_DELETED]
    assert bool(found.alarms) is alarm


def test_deletion_in_an_aborted_transaction_is_left_out() -> None:
    before = replace(EMPTY, tables=(table(),))
    after = replace(EMPTY, tables=(table(deleted=100),))
    log = [entry("0.000", "division by zero", "ERROR", "22012")]
    assert report(MigrationRun(before, after, log)).findings == ()


def test_declared_deletions_add_up() -> None:
    notes = ("deletes 20 rows of public.orders", "deletes 1 row of orders", "deletes 7 rows of s.a", "snapshot")
    assert declared(notes) == {"orders": 21, "s.a": 7}


def test_notes_of_a_migration_are_read_from_the_log() -> None:
    lines = [
        "2026-03-02 09:00:00.000 UTC [7] 1.2|3/4||00000| LOG:  greenroom: deletes 3 rows of orders",
        "2026-03-02 09:00:00.000 UTC [7] 1.2|3/4||42601| ERROR:  greenroom: deletes 4 rows of orders",
        "2026-03-02 09:00:00.000 UTC [7] 1.2|3/4||00000| LOG:  statement: DROP TABLE x -- greenroom: deletes 5 rows of x",
    ]
    assert server_log(lines, 0, None).notes == ("deletes 3 rows of orders",)


LEDGER = '{"greenroom": "ledger", "version": 1, "moment": "before", "found": {"tool": "%s", "applied": %s}}'


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["{}", LEDGER % ("django", '[["shop.0001_a", ""], ["shop.0002_b", ""]]')], ("shop.0001_a", "shop.0002_b")),
        ([LEDGER % ("flyway", '[["baseline 3", ""], ["V4__a.sql", "7"]]')], ("V4__a.sql",)),
        ([LEDGER % ("alembic", '[["ae10", ""]]')], ()),
        (['{"greenroom": "ledger", "version": 1, "moment": "before", "found": {"tool": ""}}'], ()),
        ([LEDGER % ("rails", "[1]")], None),
        ([LEDGER % ("several", "null")], None),
        ([], None),
    ],
)
def test_recorded_migrations_are_read_from_the_line_of_a_ledger(
    lines: list[str], names: tuple[str, ...] | None
) -> None:
    assert recorded(lines) == names


@pytest.mark.parametrize(
    ("known", "applied", "alarms"),
    [
        (("shop.0001_a", "shop.0003_c"), ("shop.0002_b",), ["shop.0002_b"]),
        (("shop.0001_a", "blog.0009_z"), ("shop.0002_b", "shop.0003_c"), []),
        (("V2__b.sql",), ("V10__c.sql",), []),
        (("db/migrate/20260102_b.rb",), ("db/migrate/20260101_a.rb",), []),
        (("ae10",), ("0d11",), []),
        (("shop.0001_a", "shop.0002_b", "shop.0003_c"), ("shop.0001_squashed_0002_b",), []),
    ],
)
def test_migration_after_a_later_one_is_an_alarm(
    known: tuple[str, ...], applied: tuple[str, ...], alarms: list[str]
) -> None:
    found = report(MigrationRun(EMPTY, EMPTY, [], known=known, recorded=(*known, *applied)))
    assert ("20260101" in applied[0]) == bool(len(found.findings) > len(found.alarms))
    assert [f.name for f in found.alarms if f.kind is FindingKind.WRONG_ORDER] == alarms


@pytest.mark.parametrize(
    "line", ["", "[]", "{", "{}", '{"greenroom": "snapshot", "version": 1, "failed": true}', '{"greenroom": "snapshot", "version": 2}',
             '{"greenroom": "snapshot", "version": 1, "began": 1, "at": 2, "server": 1, "tables": [[1]]}', "[" * 100_000],
)  # fmt: skip
def test_damaged_line_is_not_a_snapshot(line: str) -> None:
    assert snapshot(line) is None
    assert recorded([line]) is None


@pytest.mark.parametrize(("known", "recorded"), [(None, ("a",)), (("a",), None)])
def test_no_migration_is_named_if_one_ledger_was_not_read(
    known: tuple[str, ...] | None, recorded: tuple[str, ...] | None
) -> None:
    assert MigrationRun(EMPTY, EMPTY, [], known=known, recorded=recorded).applied == ()


def test_summary_is_one_line() -> None:
    findings = (
        Finding(FindingKind.REWRITTEN, "orders", 2_100_000, True, seconds=0.9, lock=Lock.ACCESS_EXCLUSIVE),
        Finding(FindingKind.COLUMN_DROPPED, "users", 3412, True, "fax", exact=False),
        Finding(FindingKind.ROWS_UPDATED, "users", 5),
    )
    found = MigrationReport(("a", "b", "c"), 1.4, (), findings)
    assert messages.migration_summary(found) == (
        "3 migrations, 1.4 s; `orders` rewritten (2.1 M rows, 0.9 s under ACCESS EXCLUSIVE);"
        " `users.fax` dropped with about 3,412 values"
    )
    assert messages.migration_summary(MigrationReport(("a",), 0.2, (), ())) == "1 migration, 0.2 s"


HOSTILE = [
    "x` ![](http://evil)",
    "</summary><img src=x>",
    "</details>",
    "a\n\n# b",
    "@admin",
    "<!-- x",
    "```",
    "[x](http://evil)",
    "$$x$$",
    "",
]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


@pytest.mark.parametrize("kind", FindingKind)
@pytest.mark.parametrize("name", HOSTILE)
def test_identifiers_cannot_add_markup(kind: FindingKind, name: str) -> None:
    finding = Finding(kind, name, 5, True, name, was=name, now=name, seconds=1.0, of=9)
    ran = RanStatement(f'ALTER TABLE "{name}" DROP b', 0.5)
    found = MigrationReport(
        (name,), 1.0, (ran,), (finding,), (f"+{name}: table",), Failure(Cause.NULLS, "23502", name=name),
        lints=(Lint(name, 0),),
    )  # fmt: skip
    text = messages.migration_details(found)
    tags = Tags()
    tags.feed(cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE))
    assert set(tags.found) <= {"details", "summary", "ul", "li", "p", "code", "pre", "strong"}
    assert tags.found.count("details") == tags.found.count("summary") == 1
    assert "\n" not in messages.migration_summary(found)


def test_every_kind_of_finding_has_a_sentence() -> None:
    for kind in FindingKind:
        assert finding_sentence(Finding(kind, "orders", 5, seconds=1.0, was="rows")).endswith((".", "log."))


def test_many_statements_and_findings_are_cut() -> None:
    many = tuple(Finding(FindingKind.ROWS_INSERTED, f"t{i}", i) for i in range(5000))
    lines = tuple(f"+t{i}: table" for i in range(reports.STATEMENTS))
    ran = tuple(RanStatement("ALTER TABLE a " + "b " * 100, None) for _ in range(reports.STATEMENTS))
    found = MigrationReport((), 1.0, ran, many, lines)
    assert len(messages.migration_details(found)) < 30_000


def test_statement_of_many_empty_lines_is_read_in_linear_time() -> None:
    """A migration writes the log, so it must not be able to keep Greenroom busy. Quadratic, this takes minutes."""
    lines = [entry("1.000", "statement: CREATE TABLE a ("), *["\t"] * 500_000]
    began = time.monotonic()
    assert len(server_log(lines, 100.0, 105.0).statements) == 1
    assert time.monotonic() - began < 10
