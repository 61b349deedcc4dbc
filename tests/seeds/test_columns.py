"""The columns file: every text column is classified, or the check fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.core.model.seeds import COLUMNS
from greenroom.errors import FixConfiguration
from greenroom.seeds import columns
from greenroom.seeds.check import Checked, Wants, check, tables

DUMP = """
CREATE TYPE public.state AS ENUM ('a', 'b');
CREATE DOMAIN public.cents AS integer;
CREATE DOMAIN public.label AS text;
CREATE TABLE public.people (
    id bigint DEFAULT nextval('x'::regclass) NOT NULL,
    name character varying(80) DEFAULT 'a, (b'::character varying,
    "e mail" text COLLATE "C",
    extra jsonb, born date, at timestamp(3) with time zone, price numeric(10,2), key uuid, ok boolean, state public.state,
    paid public.cents, nick public.label, address inet, photo bytea, tags text[], scores integer[], place public.geometry(Point,4326),
    CONSTRAINT people_name CHECK (((name)::text <> ''::text))
);
CREATE TABLE public.log (at date, line text) PARTITION BY RANGE (at);
CREATE TABLE public.log_1 (at date, line text);
ALTER TABLE ONLY public.log ATTACH PARTITION public.log_1 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.log_1 VALUES ('2026-01-02', 'call anna@gmail.com');
INSERT INTO public.log_1 VALUES ('2026-01-02', 'nothing');
"""
LISTED = ["name", "e mail", "extra", "nick", "address", "photo", "tags", "place"]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.sql"
    path.write_text(DUMP)
    return path


def _checked(dump: Path, text: str) -> Checked:
    file = columns.beside(dump)
    file.write_text(text)
    return check(dump, Wants(columns=file))


def _refused(checked: Checked) -> list[str]:
    return [str(finding) for finding in checked.findings if finding.severity == "refused"]


def test_types_that_can_hold_text_must_be_classified(dump: Path) -> None:
    found = {table.name: names for table, names in columns.listed(tables(dump))}
    assert found == {"public.people": LISTED, "public.log": ["line"]}


def test_draft_lists_every_column_and_fails_until_it_is_classified(dump: Path) -> None:
    drafted = columns.draft(tables(dump), {})
    assert drafted.count(": unclassified") == len(LISTED) + 1
    refused = _refused(_checked(dump, drafted))
    assert any(line.startswith("public.people: 8 columns are not classified: name, e mail,") for line in refused)
    assert any(line.startswith("public.log: 1 column is not classified: line.") for line in refused)
    allowed = drafted.replace("line: unclassified", "line: {is: public, allow: [email]}")
    assert _refused(_checked(dump, allowed.replace("unclassified", "synthetic"))) == []


def test_draft_keeps_what_is_classified(dump: Path) -> None:
    known = columns.read(
        _written(dump, "public.people:\n  name: masked\n  extra: {is: public, allow: [email, card]}\n")
    )
    drafted = columns.draft(tables(dump), known)
    assert "  name: masked\n" in drafted
    assert "  extra: {is: public, allow: [card, email]}\n" in drafted
    assert columns.read(_written(dump, drafted))["public.people"]["extra"].allow == {"card", "email"}


@pytest.mark.parametrize(
    ("table", "unlisted"),
    [
        ("public.schema_migrations (version text)", ""),
        ("public.schema_migrations (version text, author text)", "author"),
        ("public._prisma_migrations (id text, checksum text, migration_name text, logs text)", "logs"),
        ("public.flyway_schema_history (version text, script text, installed_by text)", "installed_by"),
        ("public.versions (version text)", "version"),
    ],
)
def test_only_names_and_versions_of_a_migration_tool_need_no_entry(tmp_path: Path, table: str, unlisted: str) -> None:
    path = tmp_path / "dump.sql"
    path.write_text(f"CREATE TABLE {table};\n")
    found = [name for _, names in columns.listed(tables(path)) for name in names]
    assert found == ([unlisted] if unlisted else [])


def _written(dump: Path, text: str) -> Path:
    path = columns.beside(dump)
    path.write_text(text)
    return path


def test_partition_needs_no_entry_of_its_own(dump: Path) -> None:
    text = columns.draft(tables(dump), {}).replace("unclassified", "public")
    assert _refused(_checked(dump, text)) == [
        "public.log_1.line: 1 of 2 sampled values look like email addresses outside example domains. Mask them, or"
        " accept them with `allow: [email]` in seed.columns.yaml."
    ]


def test_no_value_is_ever_in_a_finding(dump: Path) -> None:
    text = columns.draft(tables(dump), {}).replace("unclassified", "public")
    assert not any("anna" in str(finding) for finding in _checked(dump, text).findings)


def test_entry_that_the_dump_does_not_have_is_a_note(dump: Path) -> None:
    text = columns.draft(tables(dump), {}).replace("unclassified", "{is: public, allow: [email]}")
    checked = _checked(dump, text + "public.gone:\n  name: public\n")
    assert checked.ok
    assert any("lists columns that the dump does not contain: name" in str(finding) for finding in checked.findings)


def test_without_a_columns_file_the_check_fails_unless_that_is_accepted(dump: Path) -> None:
    assert any("There is no seed.columns.yaml" in line for line in _refused(check(dump, Wants())))
    accepted = check(dump, Wants(no_columns=True))
    assert not any("seed.columns.yaml beside" in line for line in _refused(accepted))
    assert any("--no-columns" in str(finding) for finding in accepted.findings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [b]", "a: The entry is not a mapping of columns. Write `column: public`."),
        ("[]", "The file is not a mapping of tables."),
        ("t: {a: secret}", "t.a: 'secret' is not a classification. Use public, synthetic, masked."),
        (
            "t: {a: {is: masked, allow: [emails]}}",
            "t.a: 'emails' is not a shape. Use email, phone, iban, card, token, hash.",
        ),
        ("t: {a: {allow: [email]}}", "t.a: This is not a classification."),
        ("t: {a: public, a: masked}", "is not valid YAML"),
        ("t: {a", "is not valid YAML"),
        ("\xff", None),
    ],
)
def test_mistakes_in_the_file_have_a_place_and_a_fix(tmp_path: Path, text: str, expected: str | None) -> None:
    path = tmp_path / COLUMNS
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FixConfiguration) as raised:
        columns.read(path)
    assert (expected or "not valid YAML") in " ".join([str(raised.value), *map(str, raised.value.mistakes)])
