"""Shapes of values that look like data of people or like secrets. Values are counted, and never stored or shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_EXAMPLES = re.compile(
    rb"(?:.+\.)?(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|test|invalid|localhost)|example|test|localhost)\Z",
    re.I,
)
"""Domains reserved for examples and tests by RFC 2606 and RFC 6761."""

_FILES = re.compile(rb"\.(?:png|jpe?g|gif|svg|webp|css|js)\Z", re.IGNORECASE)
"""Extensions of file names such as icon@2x.png, which look like email addresses."""

_TEST_CARDS = {
    *(b"4242424242424242", b"4111111111111111", b"4000056655665556", b"5555555555554444", b"5105105105105100"),
    *(b"378282246310005", b"371449635398431", b"6011111111111117", b"4012888888881881", b"30569309025904"),
}
"""Test card numbers from the public documentation of payment providers."""

_CARD = re.compile(
    rb"(?:4\d{12}(?:\d{3})?(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}|35\d{14}|3[068]\d{12})\Z"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of value. `key` is its name in seed.columns.yaml, `plural` the words of the report.

    A value has the shape only if it contains one of the hints, if there are any, and so many digits.
    """

    key: str
    plural: str
    pattern: re.Pattern[bytes]
    accepts: Callable[[re.Match[bytes]], bool] = lambda _: True
    hints: tuple[bytes, ...] = ()
    digits: int = 0


def _outside_examples(found: re.Match[bytes]) -> bool:
    return not _EXAMPLES.match(found[1]) and not _FILES.search(found[1])


def _digits(text: bytes) -> bytes:
    return re.sub(rb"\D", b"", text)


def _is_phone(found: re.Match[bytes]) -> bool:
    digits = _digits(found[0])
    return 8 <= len(digits) <= 15 and b"55501" not in digits


def iban(found: re.Match[bytes]) -> bool:
    """Return whether the remainder by 97 is 1, as ISO 13616 demands."""
    text = found[0].replace(b" ", b"").decode()
    number = "".join(str(int(letter, 36)) for letter in text[4:] + text[:4])
    return 15 <= len(text) <= 34 and int(number) % 97 == 1


def card(found: re.Match[bytes]) -> bool:
    """Return whether the number belongs to a card brand and its last digit is right (Luhn)."""
    digits = _digits(found[0])
    if not _CARD.match(digits) or digits in _TEST_CARDS:
        return False
    doubled = [int(chr(d)) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


SHAPES = (
    Shape(
        "email",
        "email addresses outside example domains",
        re.compile(rb"[\w.%+-]{1,64}+@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})"),
        _outside_examples,
        hints=(b"@",),
    ),
    Shape(
        "phone",
        "phone numbers",
        re.compile(rb"(?<![\w.+-])(?:\+\d{1,3}(?:[ ().-]{0,2}\d){6,12}|\(?\d{3}\)?[ .-]\d{3}[.-]\d{4})(?![\w-])"),
        _is_phone,
        digits=8,
    ),
    Shape("iban", "IBANs", re.compile(rb"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), iban, digits=8),
    Shape("card", "card numbers", re.compile(rb"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w.-])"), card, digits=13),
    Shape(
        "token",
        "tokens, API keys or private keys",
        re.compile(
            rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{50,}"
            rb"|\b[sr]k_live_\w{16,}|\bsk-(?:\w+-)?[A-Za-z0-9_]{20,}|\bxox[abprs]-[\w-]{10,}|\bA(?:KIA|SIA)[0-9A-Z]{16}\b"
            rb"|\bAIza[\w-]{35}|\bglpat-[\w-]{20}|\bnpm_[A-Za-z0-9]{36}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bwhsec_[\w+/=]{24,}"
            rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
        ),
        hints=(
            *(b"eyJ", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"k_live_", b"sk-", b"xox", b"AKIA"),
            *(b"ASIA", b"AIza", b"glpat-", b"npm_", b"SG.", b"whsec_", b"-----BEGIN"),
        ),
    ),
    Shape(
        "hash",
        "password hashes",
        re.compile(
            rb"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$v=|\bpbkdf2_sha\d+\$\d+\$|\$[156y]\$[./\w=,$]{1,40}\$?[./\w]{20,}"
            rb"|\bscrypt:\d+:|\bSCRAM-SHA-256\$\d+:|\{S?SHA\d*\}[\w+/=]{20,}|\bbcrypt_sha256\$"
        ),
        hints=(b"$", b"{S", b"scrypt:"),
    ),
)
KEYS = tuple(shape.key for shape in SHAPES)
PLURALS = {shape.key: shape.plural for shape in SHAPES}

_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))


def possible(text: bytes) -> tuple[Shape, ...]:
    """Return the shapes that a row may contain, which is quicker to know than where."""
    return tuple(shape for shape in SHAPES if not shape.hints or any(map(text.__contains__, shape.hints)))


def shapes_in(value: bytes, shapes: tuple[Shape, ...] = SHAPES) -> Iterator[str]:
    """Yield the keys of those of the shapes that a value contains."""
    digits = len(value.translate(None, _NOT_DIGITS))
    for shape in shapes:
        if digits >= shape.digits and any(shape.accepts(found) for found in shape.pattern.finditer(value)):
            yield shape.key
