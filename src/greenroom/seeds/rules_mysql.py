"""Statements of the dumps of MySQL and MariaDB, of which mysqldump and mariadb-dump write those that are allowed."""

from __future__ import annotations

import re

from greenroom.seeds.rules import LITERALS, allowed, rule

_NAME = rb"(?:`(?:[^`]|``)*`|[\w$\x80-\xff]+)"
_TABLE = rb"(?:" + _NAME + rb"\.)?" + _NAME
_COLUMNS = rb" ?(\((?:`(?:[^`]|``)*`|[^()`])*\) ?)?"

INSERT = re.compile(
    rb"(?:INSERT (?:IGNORE )?|REPLACE )INTO (" + _TABLE + rb") ?(?:\(((?:`(?:[^`]|``)*`|[^()`])*)\) ?)?", re.IGNORECASE
)

REFUSALS = (
    rule(
        rb"(CREATE|ALTER|DROP|RENAME) (OR REPLACE )?(USER|ROLE)\b|(GRANT|REVOKE)\b|SET PASSWORD\b"
        rb"|SET (DEFAULT )?ROLE\b",
        "The dump contains statements about accounts, roles or privileges. Dump one database with `mysqldump NAME`. If"
        " a statement contains a password, change that password: it is in git.",
    ),
    rule(
        rb"(CREATE|ALTER|DROP) (DATABASE|SCHEMA)\b|USE\b",
        "The dump selects, creates, changes or drops a database. Dump one database with `mysqldump NAME`, without"
        " --databases.",
    ),
    rule(
        rb"SET .*(GTID_PURGED|SQL_LOG_BIN|GTID_SLAVE_POS)",
        "The dump sets replication state. Use `mysqldump --set-gtid-purged=OFF` (MySQL), or omit --gtid (MariaDB).",
    ),
    rule(
        rb"CHANGE (MASTER|REPLICATION)\b|(START|STOP) (SLAVE|REPLICA)\b",
        "The dump configures replication. Use mysqldump without --source-data, --master-data, --dump-replica and"
        " --dump-slave.",
    ),
    rule(rb"SET (@@)?(GLOBAL|PERSIST|PERSIST_ONLY)\b", "The dump changes server-wide settings. Remove the statement."),
    rule(
        rb"(SET|/).*\bsql_mode\b.*(NO_BACKSLASH_ESCAPES|ANSI_QUOTES|\bANSI\b)",
        "The dump changes how strings are read (NO_BACKSLASH_ESCAPES or ANSI_QUOTES). Dump with the default sql_mode.",
        anywhere=True,
    ),
    rule(
        rb"(CREATE|ALTER)\b.*\bDEFINER ?=",
        "The definer of the object is an account that does not exist in a preview. Remove DEFINER=… from the dump:"
        " `sed -E 's/DEFINER=`[^`]+`@`[^`]+`//'`.",
    ),
    rule(
        rb"LOAD DATA\b|LOAD XML\b|.*\bINTO (OUTFILE|DUMPFILE)\b|.*\bLOAD_FILE ?\(",
        "The statement can read or write files on the server. Remove it from the dump.",
        anywhere=True,
    ),
    rule(
        rb"CREATE .*\bSONAME\b|(UN)?INSTALL\b|CREATE (OR REPLACE )?SERVER\b|(CREATE|ALTER) EVENT\b",
        "The statement loads or unloads code, schedules jobs or connects to another server. Remove it from the dump.",
    ),
    rule(
        rb"(PREPARE|EXECUTE|CALL)\b|BEGIN NOT ATOMIC\b",
        "The statement prepares or runs code that this check cannot see. Remove it from the dump.",
    ),
    rule(
        rb"(CREATE|ALTER) .*\b(ENGINE ?= ?`?(FEDERATED|CONNECT|SPIDER|S3)|(DATA|INDEX) DIRECTORY ?=)",
        "The table is stored outside the database. Exclude it with --ignore-table.",
    ),
    rule(
        rb"CREATE (OR REPLACE )?(TEMPORARY )?TABLE\b.*(?<![`\w])(SELECT\b(?!`)|VALUES ?\(|VALUES ROW\b)",
        "CREATE TABLE … SELECT computes rows that this check cannot see. Insert literal values.",
    ),
    rule(
        rb"(INSERT (IGNORE )?|REPLACE )INTO (?!"
        + _TABLE
        + _COLUMNS
        + LITERALS
        + rb")|(INSERT|REPLACE) (?!(IGNORE )?INTO)",
        "This statement is not a plain INSERT INTO … VALUES with literal values. Insert literal values, or dump the"
        " database with mysqldump.",
    ),
    rule(rb"(SYSTEM|SOURCE|TEE|PAGER|\\)\b", "The line is a command for the mysql client. Remove it from the dump."),
)

ALLOWED = allowed(
    (
        rb"SET (NAMES ''|NAMES \w+|AUTOCOMMIT ?= ?\d|CHARACTER SET \w+)",
        rb"SET @?@?(SESSION\.)?\w+ ?:?= ?",
        rb"(BEGIN|COMMIT|START TRANSACTION)\Z",
        rb"DROP (TABLE|VIEW|TRIGGER|PROCEDURE|FUNCTION|SEQUENCE) IF EXISTS ",
        rb"CREATE TABLE ",
        rb"CREATE (OR REPLACE )?(ALGORITHM ?= ?\w+ )?(SQL SECURITY \w+ )?VIEW ",
        rb"CREATE (OR REPLACE )?(TRIGGER|PROCEDURE|FUNCTION|SEQUENCE) ",
        rb"CREATE (UNIQUE |FULLTEXT |SPATIAL )?INDEX ",
        rb"ALTER TABLE ",
        rb"(LOCK TABLES |UNLOCK TABLES\Z)",
        rb"(DO|SELECT) SETVAL\(" + _NAME + rb", \d+, \d+\)\Z",
        rb"(INSERT (IGNORE )?|REPLACE )INTO ",
    )
)
