"""The log line that names the cause, for common runtimes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NOW, PLATFORM, REPOSITORY, decide, facts, identity, preview, pull_request, spec
from greenroom.core.comment.body import comment_text
from greenroom.core.comment.log_excerpt import LENGTH, excerpt, telling_line
from greenroom.core.model.engine import EngineState, Health, PreviewSet
from greenroom.core.model.status import Status

PYTHON = """Traceback (most recent call last):
  File "/app/worker.py", line 3, in <module>
    import stripe
ModuleNotFoundError: No module named 'stripe'"""
CHAINED = """urllib3.exceptions.NewConnectionError: Failed to establish a new connection
The above exception was the direct cause of the following exception:
requests.exceptions.ConnectionError: HTTPConnectionPool(host='payments', port=80)
shutting down"""
NODE = """node:internal/modules/cjs/loader:1148
  throw err;
  ^

Error: Cannot find module 'express'
Require stack:
- /app/server.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1145:15)
  code: 'MODULE_NOT_FOUND',
}

Node.js v20.11.0"""
RUBY = """<internal:kernel>:85:in `require': cannot load such file -- stripe (LoadError)
\tfrom config.ru:3:in `block in <main>'"""
GO = """panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1]
goroutine 1 [running]:
main.main()
\t/app/main.go:12 +0x1d"""
JAVA = """Exception in thread "main" java.lang.IllegalStateException: no datasource
\tat com.acme.App.main(App.java:9)
Caused by: java.net.UnknownHostException: db"""
RUST = """thread 'main' panicked at src/main.rs:4:5:
called `Option::unwrap()` on a `None` value
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
SQL = """BEGIN
psql:/seed/01.sql:7: ERROR:  relation "products" does not exist
ROLLBACK"""
SHELL = """starting
/entrypoint.sh: line 3: gunicorn: not found"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (PYTHON, "ModuleNotFoundError: No module named 'stripe'"),
        (CHAINED, "requests.exceptions.ConnectionError: HTTPConnectionPool(host='payments', port=80)"),
        (NODE, "Error: Cannot find module 'express'"),
        (RUBY, "<internal:kernel>:85:in `require': cannot load such file -- stripe (LoadError)"),
        (GO, "panic: runtime error: invalid memory address or nil pointer dereference"),
        (JAVA, "Caused by: java.net.UnknownHostException: db"),
        (RUST, "thread 'main' panicked at src/main.rs:4:5: called `Option::unwrap()` on a `None` value"),
        (SQL, 'psql:/seed/01.sql:7: ERROR:  relation "products" does not exist'),
        (SHELL, "/entrypoint.sh: line 3: gunicorn: not found"),
        ("listening on 8080\nready", ""),
        ("", ""),
    ],
    ids=["python", "chained", "node", "ruby", "go", "java", "rust", "sql", "shell", "quiet", "empty"],
)
def test_the_line_that_names_the_cause_is_found(log: str, line: str) -> None:
    assert telling_line(log.splitlines()) == line


def test_an_excerpt_keeps_the_line_that_names_the_cause_although_others_follow() -> None:
    error = 'error: type "bolean" does not exist'
    log = ["starting", error, *(f"  property{n}: undefined," for n in range(18)), "}"]
    kept = excerpt(log, 15)
    assert (len(kept), kept[0], kept[-1], telling_line(kept)) == (15, error, "}", error)
    assert excerpt(["one", "two", "three"], 2) == ("two", "three")
    assert excerpt(["ValueError: x", "end"], 15) == ("ValueError: x", "end")


def test_an_exception_of_any_name_ends_a_traceback() -> None:
    assert (
        telling_line(["Traceback (most recent call last):", '  File "a.py"', "Boom: x", "listening on 80"]) == "Boom: x"
    )


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        (f"ValueError: {'x' * 1000}", f"ValueError: {'x' * (LENGTH - 14)} …"),
        (f"ValueError: {'word ' * 100}", f"ValueError: {'word ' * 37}…"),
        (f"ValueError: {'x' * (LENGTH - 12)}", f"ValueError: {'x' * (LENGTH - 12)}"),
    ],
    ids=["one long word", "words", "just short enough"],
)
def test_a_long_line_is_cut_at_a_word_and_shows_it(line: str, cut: str) -> None:
    assert telling_line([line]) == cut
    assert len(cut) <= LENGTH


def crashed() -> Status:
    held = preview(1, health=Health.FAILED)
    held = replace(held, why="worker ended with exit code 1.", log=tuple(PYTHON.splitlines()))
    holds = EngineState({identity(): held}, {7: PreviewSet(7, "shop", 1, {1: spec(1)})})
    return decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity()]


def test_a_comment_begins_with_the_cause() -> None:
    lines = comment_text(crashed(), PLATFORM, private=True).splitlines()
    assert lines[2] == "`ModuleNotFoundError: No module named 'stripe'`"
    assert lines[4].startswith("worker ended with exit code 1.")


def test_comment_on_a_public_repository_shows_no_log_line() -> None:
    assert "stripe" not in comment_text(crashed(), PLATFORM, private=False)


@pytest.mark.parametrize(
    "line",
    [
        'psycopg.errors.UndefinedTable: relation "orders" does not exist',
        "sqlite3.OperationalError: no such table: orders",
        "MySQLdb.ProgrammingError: (1146, \"Table 'app.orders' doesn't exist\")",
    ],
)
def test_missing_table_without_a_migration_is_a_matter_of_the_configuration(line: str) -> None:
    held = preview(1, health=Health.FAILED)
    held = replace(held, why="shop-web ended with exit code 1.", failing="shop", log=(line,))
    holds = EngineState({identity(): held}, {7: PreviewSet(7, "shop", 1, {1: spec(1)})})
    fix = decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity()].reason.fix
    assert fix.startswith("`shop` has no `migrate` in Greenroom's configuration, so nothing creates its tables.")
