"""No secret comes through a log line, whatever surrounds it and however deep it stands."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import logs

SECRET = "s3cr3t-of-the-team"


@given(st.text(), st.text())
def test_a_known_secret_never_comes_through(before: str, after: str) -> None:
    logs.hide(SECRET)
    line = {"event": before + SECRET + after, "deep": [{SECRET: (SECRET, 1)}], "error": ValueError(SECRET)}
    assert SECRET not in str(logs.scrubbed(line))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token ghp_0123456789abcdefghijABCDEFGHIJ0123", "token [hidden]"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", "[hidden]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [hidden]"),
        ("got Bearer abcdefgh.ijkl", "got Bearer [hidden]"),
        ("postgresql://ada:pa%20ss@127.0.0.1:5432/shop", "postgresql://[hidden]@127.0.0.1:5432/shop"),
        ("fetch https://hunter2hunter2@git.corp/charts.git", "fetch https://[hidden]@git.corp/charts.git"),
        ("clone ssh://git@github.com/shop/web.git", "clone ssh://git@github.com/shop/web.git"),
        ("?password=hunter22&x=1", "?password=[hidden]&x=1"),
        ("[Entrypoint]: GENERATED ROOT PASSWORD: Xz9=+/a;b", "[Entrypoint]: GENERATED ROOT PASSWORD: [hidden]"),
        (
            "A temporary password is generated for root@localhost: k3;aB>q",
            "A temporary password is generated for root@localhost: [hidden]",
        ),
        ("Access denied for user 'app' (using password: YES)", "Access denied for user 'app' (using password: YES)"),
        ("Authorization: Basic dXNlcjpwYXNz was refused", "Authorization: [hidden] was refused"),
        ("https://shop-pr-4.preview.example.com/a:b@c", "https://shop-pr-4.preview.example.com/a:b@c"),
        ("nothing secret: 12:30", "nothing secret: 12:30"),
        ("password: hunter22", "password: [hidden]"),
        ('{"db_password": "correct horse", "n": 1}', '{"db_password": "[hidden]", "n": 1}'),
        ("password: may not be empty", "password: may not be empty"),
        ("passwd: 'a' is too short", "passwd: '[hidden]' is too short"),
        ('{"password": "it\'s-s3cret-99"}', '{"password": "[hidden]"}'),
        ('{"password": "abc\\"def123", "n": 1}', '{"password": "[hidden]", "n": 1}'),
        ('"Password" : "hunter22"', '"Password" : "[hidden]"'),
        ("password: p@ss[1]word99", "password: [hidden]"),
        ("password: pa'ss1word2", "password: [hidden]"),
        ("password='correct horse'", "password=[hidden]"),
        (
            "GET https://b.s3.amazonaws.com/dump.sql?X-Amz-Date=20261129&X-Amz-Signature=abc123&X-Amz-Expires=60 403",
            "GET https://b.s3.amazonaws.com/dump.sql?X-Amz-Date=20261129&X-Amz-Signature=[hidden]&X-Amz-Expires=60 403",
        ),
        (
            "https://x.blob.core.windows.net/c/d?sv=2026&sig=aB%2Fc",
            "https://x.blob.core.windows.net/c/d?sv=2026&sig=[hidden]",
        ),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert logs.scrub(text) == shown
    assert logs.scrub(shown) == shown, "scrubbed again it stays"


@pytest.mark.usefixtures("logging_restored")
def test_what_a_library_logs_is_a_line_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.hide(SECRET)
    logs.configure()
    logger = logging.getLogger("uvicorn.error")
    try:
        raise ValueError(f"with {SECRET}")
    except ValueError:
        logger.exception("it failed with %s", SECRET)
    logger.info("not this")
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["logger"], told["level"]) == ("it failed with [hidden]", "uvicorn.error", "error")
    assert "ValueError: with [hidden]" in told["exception"]


def test_json_within_json_loses_its_password() -> None:
    assert "hunter22" not in logs.scrub(r"{\"password\": \"hunter22\"}")


@pytest.mark.parametrize("word", ["passwd:", "password: ", "secret='", 'password"', "?sig=", "authorization: "])
def test_a_line_of_any_length_is_scrubbed(word: str) -> None:
    """It took a pattern that was quadratic in the length half a minute."""
    assert "hunter22" not in logs.scrub(f"{word * (64_000 // len(word))} password: hunter22")


def test_a_very_short_secret_does_not_hide_all_text() -> None:
    logs.hide("a")
    assert logs.scrub("a cat") == "a cat"
