"""Shapes of values: what is reported, and what looks similar and is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.seeds.shapes import possible, shapes_in


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("email", "write to Anna.Schmidt+x@firma-gmbh.de today"),
        ("email", '{"mail": "a@b.co"}'),
        ("phone", "+49 (0)170 1234567"),
        ("phone", "+14155552671"),
        ("phone", "(415) 555-2671"),
        ("iban", "DE89370400440532013000"),
        ("iban", "GB29 NWBK 6016 1331 9268 19"),
        ("card", "4929 1234 5678 9015"),
        ("card", "5425-2334-3010-9903"),
        (
            "token",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ),
        ("token", "AKIAIOSFODNN7EXAMPLE"),
        ("token", "-----BEGIN RSA PRIVATE KEY-----"),
        ("hash", "$2b$12$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234"),
        ("hash", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$hash"),
        ("hash", "pbkdf2_sha256$600000$salt$hash"),
        ("hash", "SCRAM-SHA-256$4096:salt$stored:server"),
    ],
)
def test_shape_is_found(shape: str, value: str) -> None:
    assert shape in set(shapes_in(value.encode()))
    assert shape in {each.key for each in possible(value.encode())}


@pytest.mark.parametrize(
    "value",
    [
        *(
            "anna@example.com",
            "a@mail.example.org",
            "x@shop.test",
            "root@localhost",
            "logo@2x.png",
            "@anna",
            "a @ b.de",
        ),
        *("2026-01-01 12:00:00.123456+00", "192.168.100.200", "550e8400-e29b-41d4-a716-446655440000", "1234567890"),
        *(
            "+1 415 555 0123",
            "DE89370400440532013001",
            "XX00 1234 5678 9012",
            "4242 4242 4242 4242",
            "4929123456789016",
        ),
        *(
            "9999999999999999",
            "3.14159265358979",
            "$5 and $6",
            "{SMALL}",
            "a$1$b",
            "skip",
            "SG.1",
            "0.4929123456789015",
        ),
        "",
    ],
)
def test_similar_value_is_not_reported(value: str) -> None:
    assert set(shapes_in(value.encode())) == set()


@given(value=st.binary(max_size=300))
def test_any_value_can_be_read(value: bytes) -> None:
    assert len(list(shapes_in(value))) <= 6


@given(number=st.integers(4 * 10**14, 5 * 10**14 - 1))
def test_one_in_ten_numbers_has_the_digit_of_a_card(number: int) -> None:
    """Exactly one last digit makes a number a card number."""
    found = [digit for digit in range(10) if "card" in set(shapes_in(f"{number}{digit}".encode()))]
    assert len(found) <= 1


def test_long_text_without_a_shape_is_read_in_linear_time() -> None:
    for text in (b"a" * 200_000 + b"@", b"1 " * 100_000, b"a@" * 100_000, b"AB12" * 50_000, b"+1(" * 60_000):
        assert set(shapes_in(text)) <= {"email"}
