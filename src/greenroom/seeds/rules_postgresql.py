"""Statements of PostgreSQL's dumps. pg_dump writes those that are allowed. The others need a superuser, reach other
systems, or run code that a check cannot see.
"""

from __future__ import annotations

import re

from greenroom.seeds.rules import LITERALS, allowed, rule

_NAME = rb'(?:"(?:[^"]|"")*"|[\w$\x80-\xff]+)'
_TABLE = rb"(?:" + _NAME + rb"\.)?" + _NAME

NO_PRIVILEGES = "Use `pg_dump --no-owner --no-privileges`."
ROLES = (
    re.compile(rb"ALTER .* OWNER TO (" + _NAME + rb")\Z", re.IGNORECASE | re.DOTALL),
    re.compile(rb"(?:ALTER DEFAULT PRIVILEGES .*)?(?:GRANT|REVOKE) .* (?:TO|FROM) (" + _NAME + rb")", re.I | re.DOTALL),
    re.compile(rb"SET (?:SESSION AUTHORIZATION|ROLE) (" + _NAME + rb")", re.IGNORECASE),
    re.compile(rb"CREATE SCHEMA .*AUTHORIZATION (" + _NAME + rb")", re.IGNORECASE),
)
"""Statements that name a role. The roles of a dump do not exist in a preview."""

EXTENSION = re.compile(rb"CREATE EXTENSION (?:IF NOT EXISTS )?(" + _NAME + rb")", re.IGNORECASE)
LANGUAGE = re.compile(rb"\bLANGUAGE ('[^']*'|" + _NAME + rb")", re.IGNORECASE)
ROUTINE = re.compile(rb"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (" + _TABLE + rb")", re.IGNORECASE)
COPY = re.compile(rb"COPY (" + _TABLE + rb") ?(?:\(([^()]*|(?:\"[^\"]*\"|[^()\"])*)\) )?FROM stdin\Z", re.IGNORECASE)
INSERT = re.compile(
    rb"INSERT INTO (" + _TABLE + rb") ?(?:\(((?:\"[^\"]*\"|[^()\"])*)\) ?)?(?:OVERRIDING SYSTEM VALUE )?", re.IGNORECASE
)
SETTING = re.compile(rb"SET (?:SESSION |LOCAL )?(\w+) ?(?:=|TO) ?(.*)\Z", re.IGNORECASE | re.DOTALL)

TRUSTED = {"sql", "plpgsql", "plperl", "pltcl", "plv8"}
"""Languages in which a function cannot reach files or the network."""

PRELOADED = {"pg_cron", "timescaledb", "citus", "pg_stat_kcache", "pgaudit", "pglogical", "pg_partman_bgw"}
"""Extensions that work only with `shared_preload_libraries`."""

SETTINGS = {
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"),
    *("client_encoding", "standard_conforming_strings", "check_function_bodies", "xmloption", "client_min_messages"),
    *("row_security", "default_tablespace", "default_table_access_method", "default_with_oids", "search_path"),
    *("escape_string_warning", "datestyle", "intervalstyle", "extra_float_digits", "synchronize_seqscans"),
    *("default_toast_compression", "timezone", "bytea_output"),
}

REFUSALS = (
    rule(
        rb"COPY .*\b(FROM|TO) PROGRAM\b",
        "COPY … PROGRAM runs a command on the server. Remove the statement; pg_dump never writes it.",
    ),
    rule(
        rb"COPY (?!" + _TABLE + rb" ?(\((?:\"[^\"]*\"|[^()\"])*\) ?)?FROM stdin\Z)",
        "This COPY is not `COPY table (columns) FROM stdin`, the only form that pg_dump writes. Remove it.",
    ),
    rule(rb"DO\b", "A DO block runs code that this check cannot see. Remove it; pg_dump never writes one."),
    rule(
        rb"(CALL|EXECUTE|PREPARE)\b",
        "The statement prepares or runs code in the database. Remove it; pg_dump never writes such a statement.",
    ),
    rule(
        rb"(CREATE|ALTER|DROP) (ROLE|GROUP|USER(?! MAPPING))\b",
        "The dump creates, changes or drops roles, as pg_dumpall does. Dump one database with pg_dump. If a statement"
        " contains a password, change that password: it is in git.",
    ),
    rule(
        rb"(CREATE|ALTER|DROP) (DATABASE|TABLESPACE)\b",
        "The dump creates, changes or drops a database or a tablespace. Dump one database with pg_dump, without"
        " --create.",
    ),
    rule(
        rb"(CREATE|ALTER|DROP|COMMENT ON) SUBSCRIPTION\b",
        "A subscription would connect every preview to another server. Use `pg_dump --no-subscriptions`.",
    ),
    rule(
        rb"(CREATE|ALTER|DROP|COMMENT ON) PUBLICATION\b",
        "A publication needs privileges that a preview does not have. Use `pg_dump --no-publications`.",
    ),
    rule(
        rb"(CREATE|ALTER|COMMENT ON) (SERVER|USER MAPPING|FOREIGN (DATA WRAPPER|TABLE))\b|IMPORT FOREIGN SCHEMA\b",
        "A foreign server would connect every preview to another database. Drop it and its tables from the database"
        " before the dump.",
    ),
    rule(
        rb"(CREATE|ALTER|COMMENT ON) EVENT TRIGGER\b",
        "An event trigger needs a superuser. Drop it from the database before the dump.",
    ),
    rule(
        rb"(CREATE|ALTER) ((OR REPLACE )?(TRUSTED )?(PROCEDURAL )?LANGUAGE|ACCESS METHOD|OPERATOR (CLASS|FAMILY)"
        rb"|TEXT SEARCH (PARSER|TEMPLATE))\b",
        "The statement needs a superuser. Install the object as part of an extension, and add the extension to"
        " the seed's `extensions:`.",
    ),
    rule(
        rb"COMMENT ON EXTENSION\b",
        "Only the owner of an extension, a superuser, can set its comment. Use `pg_dump --no-comments`.",
    ),
    rule(rb"SECURITY LABEL\b", "A security label needs a superuser. Use `pg_dump --no-security-labels`."),
    rule(
        rb"SELECT .*\bpg_restore_\w+_stats\b",
        "Optimizer statistics contain values of rows. Use `pg_dump --no-statistics`.",
    ),
    rule(
        rb"SELECT .*cron\.|INSERT INTO cron\.|COPY cron\.|UPDATE cron\.",
        "The dump uses pg_cron's schema `cron`. Use `pg_dump --exclude-schema=cron`.",
    ),
    rule(
        rb"CREATE (UNLOGGED )?TABLE (IF NOT EXISTS )?" + _TABLE + rb" AS\b",
        "CREATE TABLE … AS computes rows that this check cannot see. Create the table and insert literal values.",
    ),
    rule(
        rb"INSERT INTO .*(?<!\w)(SELECT|TABLE|DEFAULT VALUES)\b|INSERT INTO (?!.*VALUES)",
        "This INSERT computes its rows. Insert literal values, or dump the database with pg_dump.",
    ),
    rule(
        rb"INSERT INTO (?!"
        + _TABLE
        + rb" ?(\((?:\"[^\"]*\"|[^()\"])*\) ?)?(OVERRIDING SYSTEM VALUE )?"
        + LITERALS
        + rb")",
        "This INSERT is not a plain INSERT INTO … VALUES with literal values. Insert literal values, or dump the"
        " database with pg_dump.",
    ),
    rule(rb"DROP (?!.*\bIF EXISTS\b)", "The dump drops objects that may not exist. Use pg_dump without --clean."),
    rule(
        rb".*\b(dblink\w*|pg_read_(binary_)?file|pg_ls_dir|pg_stat_file|lo_(import|export)|pg_execute_server_program"
        rb"|pg_terminate_backend|cron\.schedule) ?\(|.*\bCOPY\b[^;]*\bPROGRAM\b",
        "The statement can affect files, programs, jobs, other sessions or other servers. Remove it from the dump.",
        anywhere=True,
    ),
)

ALLOWED = allowed(
    (
        rb"BEGIN\Z|COMMIT\Z|START TRANSACTION\Z",
        rb"SET (SESSION |LOCAL )?\w+ ?(=|TO)",
        rb"SELECT pg_catalog\.set_config\('', '', (true|false)\)\Z",
        rb"SELECT (pg_catalog\.)?setval\(''(::regclass)?, \d+(, (true|false))?\)\Z",
        rb"SELECT pg_catalog\.(lo_create|lo_unlink)\(''\)\Z|SELECT pg_catalog\.lo_open\('', \d+\)\Z",
        rb"SELECT pg_catalog\.lowrite\(0, ''\)\Z|SELECT pg_catalog\.lo_close\(0\)\Z",
        rb"SELECT pg_catalog\.lo_unlink\(oid\) FROM pg_catalog\.pg_largeobject_metadata WHERE oid = ''\Z",
        rb"CREATE EXTENSION ",
        rb"CREATE SCHEMA ",
        rb"CREATE ((GLOBAL|LOCAL) )?(UNLOGGED )?TABLE ",
        rb"CREATE (UNLOGGED )?SEQUENCE ",
        rb"CREATE (OR REPLACE )?(RECURSIVE )?(MATERIALIZED )?VIEW ",
        rb"CREATE (UNIQUE )?INDEX ",
        rb"CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER ",
        rb"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE|AGGREGATE|RULE) ",
        rb"CREATE (TYPE|DOMAIN|POLICY|STATISTICS|COLLATION|CAST|OPERATOR|CONVERSION) ",
        rb"CREATE TEXT SEARCH (CONFIGURATION|DICTIONARY) ",
        rb"ALTER (TABLE|SEQUENCE|INDEX|TYPE|DOMAIN|VIEW|MATERIALIZED VIEW|STATISTICS|POLICY|TEXT SEARCH|FUNCTION) ",
        rb"COMMENT ON ",
        rb"REFRESH MATERIALIZED VIEW ",
        rb"DROP .*\bIF EXISTS\b",
        rb"COPY ",
        rb"INSERT INTO ",
    )
)


def untrusted(code: bytes) -> str:
    """Return the language of a function if it is not trusted, else an empty text."""
    found = LANGUAGE.search(code)
    language = found[1].decode(errors="replace").strip('"').lower() if found else "sql"
    return "" if language in TRUSTED else language
