"""The scanner finds the ends of statements where psql and mysql find them, however the dump is cut into blocks."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.seeds import dialects
from greenroom.seeds.dialects import MYSQL, POSTGRESQL, Dialect
from greenroom.seeds.events import Comment, End, Event, MetaCommand, Rows, Statement
from greenroom.seeds.row_scan import LONGEST_LINE, LONGEST_ROW
from greenroom.seeds.scan import LOOKAHEAD, scan


def events(text: bytes, dialect: Dialect = POSTGRESQL, size: int = 1 << 20, ahead: int = LOOKAHEAD) -> list[Event]:
    """Scan a text in blocks of one size. Rows that follow each other are one event."""
    found: list[Event] = []
    for event in scan((text[i : i + size] for i in range(0, len(text), size)), dialect, ahead):
        last = found[-1] if found else None
        if (
            isinstance(event, Rows)
            and isinstance(last, Rows)
            and (last.head, last.copied) == (event.head, event.copied)
        ):
            found[-1] = Rows(last.head, last.count + event.count, last.samples + event.samples, last.copied)
        else:
            found.append(event)
    return found


def codes(text: bytes, dialect: Dialect = POSTGRESQL) -> list[bytes]:
    return [event.code for event in events(text, dialect) if isinstance(event, Statement)]


FRAGMENTS = (
    *(
        b"'a''b'",
        b"E'x\\'y'",
        b"e'\\\\'",
        b"'\\'",
        b"U&'x'",
        b'"a""b"',
        b"`a``b`",
        b"$$;'$$",
        b"$t$ $$ $t$",
        b"a$b$c",
        b"$1",
    ),
    *(b"-- c;'\n", b"--", b"/* ; /* ' */ */", b"/*!50003 a */", b"/*", b"*/", b"#x'\n", b"/*/", b"*", b"/"),
    *(
        b";",
        b";\n",
        b";;",
        b"(",
        b")",
        b" ",
        b"\n",
        b"\r\n",
        b"DELIMITER ;;\n",
        b"DELIMITER ;\n",
        b"\\connect x\n",
        b"\\",
    ),
    *(b"COPY t (a) FROM stdin;\n", b"COPY t FROM stdin;", b"1\tx\n", b"\\.\n", b"\\.\r\n", b"\\.", b"\\.x\n"),
    *(
        b"INSERT INTO t VALUES (1, 'a''b');\n",
        b"INSERT INTO t VALUES (1, 'a\\'b'),\n(-2, NULL);\n",
        b"INSERT INTO t (a) VALUES (",
    ),
    *(
        b"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 END; ",
        b"END",
        b"begin",
        b"\0",
        b"\xff",
        b"'",
        b'"',
        b"$",
    ),
    *(
        b"x" * 700,
        b"'" + b"y" * 4100 + b"'",
        b"SELECT 1",
        b"$" + b"t" * 99,
        b"INSERT INTO t VALUES (1, '" + b"z" * 3000 + b"');\n" * 2,
    ),
)
fragments = st.sampled_from(FRAGMENTS)
content = st.lists(
    st.sampled_from((b"'", b"''", b"\\", b"\\'", b"*", b"/", b"$", b"$t$", b"\n", b"\n\\.", b"ab" * 30, b";", b"(")),
    max_size=9,
).map(b"".join)
wrapped = st.tuples(
    st.sampled_from(
        (
            (b"/* ", b"*/"),
            (b"$t$", b"$t$"),
            (b"'", b"'"),
            (b"E'", b"'"),
            (b"COPY t (a) FROM stdin;\n", b"\n\\.\n"),
            (b"-- ", b"\n"),
        )
    ),
    content,
).map(lambda parts: parts[0][0] + parts[1] + parts[0][1])
texts = st.lists(fragments | wrapped, max_size=40).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(text=texts, size=st.sampled_from([1, 2, 3, 5, 7, 40, 300]), mysql=st.booleans())
def test_result_does_not_depend_on_blocks(text: bytes, size: int, mysql: bool) -> None:
    dialect = MYSQL if mysql else POSTGRESQL
    assert events(text, dialect, size, 40) == events(text, dialect, len(text) + 1, 40)


@settings(deadline=None)
@given(text=texts, mysql=st.booleans())
def test_every_byte_is_consumed_and_the_end_is_reported(text: bytes, mysql: bool) -> None:
    last = events(text, MYSQL if mysql else POSTGRESQL)[-1]
    assert isinstance(last, End)
    assert last.position == len(text)
    assert last.line == text.count(b"\n") + 1


values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(str.encode)


@settings(deadline=None)
@given(rows=st.lists(st.lists(values, min_size=1, max_size=3), min_size=1, max_size=20), size=st.integers(1, 500))
def test_inserts_are_counted_whatever_their_strings_contain(rows: list[list[bytes]], size: int) -> None:
    for dialect in (POSTGRESQL, MYSQL):
        quoted = [b", ".join(_quoted(value, dialect) for value in row) for row in rows]
        single = b"".join(b"INSERT INTO t VALUES (%s);\n" % row for row in quoted)
        multiple = b"INSERT INTO t VALUES\n" + b",\n".join(b"(%s)" % row for row in quoted) + b";\n"
        for text in (single, multiple):
            found = [event for event in events(text, dialect, size) if not isinstance(event, End)]
            assert [type(event) for event in found] == [Rows]
            assert sum(event.count for event in found if isinstance(event, Rows)) == len(rows)


def _quoted(value: bytes, dialect: Dialect) -> bytes:
    if dialect is MYSQL:
        value = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"'" + value.replace(b"'", b"''" if dialect is POSTGRESQL else b"'") + b"'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT 'a;b'; SELECT 2;", [b"SELECT ''", b"SELECT 2"]),
        (b"SELECT E'\\';'; SELECT 2;", [b"SELECT E''", b"SELECT 2"]),
        (b"SELECT '\\'; SELECT 2;", [b"SELECT ''", b"SELECT 2"]),
        (b"SELECT fooE'\\'; SELECT 2;", [b"SELECT fooE''", b"SELECT 2"]),
        (b"SELECT $a$;$$;$a$; SELECT 2;", [b"SELECT $$", b"SELECT 2"]),
        (b"SELECT a$b$; SELECT $b$;$b$;", [b"SELECT a$b$", b"SELECT $$"]),
        (b"SELECT /* ; /* */ ; */ 1; -- ;\nSELECT 2;", [b"SELECT   1", b"SELECT 2"]),
        (b"CREATE RULE r AS ON INSERT TO v DO (SELECT 1; SELECT 2); SELECT 3;", None),
        (b"CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END; SELECT 3;", None),
    ],
)
def test_statements_end_where_psql_ends_them(text: bytes, expected: list[bytes] | None) -> None:
    found = codes(text)
    assert found == expected if expected else (len(found) == 2 and found[1] == b"SELECT 3")


def test_an_escape_string_in_a_row_is_read_by_its_own_rules() -> None:
    hidden = b"INSERT INTO t VALUES (1, E'\\');\nDROP TABLE t; --');\n"
    assert [code.split()[0] for code in codes(hidden)] == [b"INSERT"]


def test_an_escape_string_that_continues_on_the_next_line_is_odd() -> None:
    hidden = b"SELECT E'a'\n'b\\'; DROP TABLE t; --';\n"
    assert any(isinstance(event, Statement) and event.odd for event in events(hidden))


@pytest.mark.parametrize(
    "hidden",
    [
        b"/*!99999 ' */; DROP TABLE t; /* ' */;",
        b'/*!99999 " */; DROP TABLE t; /* " */;',
        b"/*!50003 SELECT 1; DROP TABLE t */;",
        b"/*!99999 '" + b"x" * (LOOKAHEAD + 900) + b"*/; DROP TABLE t; /* ' */;",
    ],
)
def test_code_cannot_hide_behind_an_executable_comment(hidden: bytes) -> None:
    assert any(isinstance(event, Statement) and event.odd for event in events(hidden, MYSQL))


def test_mysql_delimiters_keep_a_trigger_together() -> None:
    text = b"DELIMITER ;;\n/*!50003 CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END */;;\nDELIMITER ;\nSET @b=1;\n"
    assert [code.split()[0] for code in codes(text, MYSQL)] == [b"CREATE", b"SET"]


def test_commands_of_the_client_are_reported_wherever_they_are() -> None:
    found = [event for event in events(b"SELECT 1 \\gexec\nSELECT 2;\n\\! id\n") if isinstance(event, MetaCommand)]
    assert [(event.text, event.inside) for event in found] == [(b"\\gexec", True), (b"\\! id", False)]


def test_a_string_that_is_not_closed_is_named_at_the_end() -> None:
    for text, inside in (
        (b"SELECT 'a", "a string"),
        (b"COPY t (a) FROM stdin;\n1\n", "the rows of a COPY"),
        (b"/* a", "a comment"),
    ):
        last = events(text)[-1]
        assert isinstance(last, End)
        assert last.inside == inside


def test_long_lines_and_long_tuples_are_counted_without_being_held() -> None:
    line = b"1\t" + b"x" * (3 * LONGEST_LINE)
    copied = b"COPY t (a, b) FROM stdin;\n" + (line + b"\n") * 3 + b"\\.\n"
    for size in (4096, 100_003, len(copied)):
        rows = next(event for event in events(copied, size=size) if isinstance(event, Rows))
        assert (rows.count, {len(sample) for sample in rows.samples}) == (3, {LONGEST_LINE})
    inserted = b"INSERT INTO t VALUES (1, 'a'), (2, '" + b"x" * LONGEST_ROW + b"'), (3, 'b');\n"
    counts = {size: _count(inserted, size) for size in (1 << 20, len(inserted))}
    assert set(counts.values()) == {3}


def _count(text: bytes, size: int) -> int:
    found = events(text, size=size)
    rows = sum(event.count for event in found if isinstance(event, Rows))
    return rows + sum(event.tuples for event in found if isinstance(event, Statement))


def test_the_memory_does_not_depend_on_the_length_of_a_line() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"COPY t (a) FROM stdin;\n"
        for _ in range(64):
            yield b"x" * (1 << 20)
        yield b"\n\\.\n"
        yield b"SELECT '"
        for _ in range(64):
            yield b"y" * (1 << 20)
        yield b"';\n"

    tracemalloc.start()
    found = list(scan(blocks(), POSTGRESQL))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(event) for event in found] == [Statement, Rows, Statement, End]
    assert peak < 16 << 20


def test_comments_are_kept_to_their_beginning() -> None:
    found = [
        event
        for event in events(b"-- Dumped from database version 16.4\n--" + b"x" * 9000)
        if isinstance(event, Comment)
    ]
    assert found[0].text == b"-- Dumped from database version 16.4"
    assert len(found[1].text) <= LOOKAHEAD


@given(text=st.binary(max_size=300))
def test_masked_code_has_the_same_length_and_no_escaped_quote(text: bytes) -> None:
    masked = dialects.masked(text)
    assert len(masked) == len(text)
    assert not re.search(rb"(?<!\\)(?:\\\\)*\\'", masked)
