"""Detection of secrets by a name or by a value.

In doubt, a text counts as secret, because the reader of the note can write it by hand. The functions do not know where
a text comes from, and they never return it.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence

LONGEST = 2000  # maximum characters of a plain setting; a longer one holds a document
_WORD = re.compile(
    r"(?:AUTH(?!0)|BEARER|CONNSTR|COOKIE|CRED|CREDENTIAL|DSN|HMAC|JWT|KEY|MNEMONIC|PASS|PASSCODE|PASSPHRASE|PASSWD"
    r"|PASSWORD|PAT|PEPPER|PRIVATE|PW|PWD|SALT|SECRET|SK|TOKEN|WEBHOOK|\w+(?:AUTH|KEY|PASS|PWD))S?\d*"
)
_GLUED = re.compile(r"SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATEKEY|CONNECTIONSTRING|CONNSTR")
_KEYS = r"pass(?:word|wd|phrase|code)?|pwd|secret|token|\w*key|sig|signature|auth(?:orization)?|credentials?"
_VALUES = (
    re.compile(r"-----BEGIN "),
    re.compile(r"://[^/?#\s]*@|://[^/\s]*:\S*@"),  # credentials before the host; a password may contain a `/`
    re.compile(r"^(?!mailto:)[^\s:/@]+:(?!//)[^\s@]+@\S"),  # Go's `user:password@tcp(db:3306)/shop`
    re.compile(rf"(?i)(?<![A-Za-z0-9])(?:\w*[-_])?(?:{_KEYS})['\"]?\s*[=:]\s*['\"]?[^\s;&,'\"$]"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{6,}"),
    re.compile(  # prefixes of tokens from the largest issuers
        r"(?<![A-Za-z0-9])(?:gh[oprsu]_|github_pat_|gl[a-z]{2,5}-|[rs]k_(?:live|test)_|whsec_|sk-[A-Za-z0-9]|xox[a-z]-"
        r"|xapp-|A(?:KI|SI)A[0-9A-Z]{4}|AIza|ya29\.|SG\.|npm_|pypi-|dckr_pat_|do[opr]_v1_|hf_|hv[sb]\.|shp(?:at|ss|ca)_"
        r"|lin_api_|ATATT|NRAK-|AGE-SECRET-KEY|eyJ[A-Za-z0-9_-]{8})"
    ),
    re.compile(r"hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks|(?<!\d)\d{8,10}:[A-Za-z0-9_-]{30}"),
    re.compile(r"(?<![A-Za-z0-9])[0-9a-fA-F]{32,}(?![A-Za-z0-9])"),
)
_RUN = re.compile(r"[A-Za-z0-9+_-]{24,}")
_SAYABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MYSQL = re.compile(r"(?:.*/)?(?:mysql|mariadb)\w*")
_USER = re.compile(r"[^\s:]+:(?!\d+$)\S+")


def name(text: str) -> bool:
    """Return whether a variable or an option with this name holds something secret."""
    words = re.split(r"[^A-Z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).upper())
    return any(map(_WORD.fullmatch, words)) or bool(_GLUED.search("".join(words)))


def sayable(text: str) -> bool:
    """Return whether a note may show this text as a name. In a list of `NAME=value`, `A: b` may be a value."""
    return bool(_SAYABLE.fullmatch(text)) and not value(text)


def value(text: str) -> bool:
    """Return whether this text is, or contains, something secret."""
    return len(text) > LONGEST or any(p.search(text) for p in _VALUES) or any(map(_random, _RUN.findall(text)))


def command(words: Sequence[str]) -> bool:
    """Return whether a word of a command, or of the line that its shell reads, reveals something secret."""
    spread = [part for word in words for part in (_spread(word) if " " in word else [word])]
    mysql = any(map(_MYSQL.fullmatch, spread))
    for word, following in itertools.zip_longest(spread, spread[1:], fillvalue=""):
        called, _, given = word.partition("=")
        if given and name(called) and not given.startswith("$"):
            return True
        if word.startswith("-") and name(word) and following[:1] not in ("", "-", "$"):
            return True
        if (mysql and re.match(r"-p[^$]", word)) or (word in ("-u", "--user") and _USER.fullmatch(following)):
            return True
    return any(map(value, (*words, *spread)))


def _random(run: str) -> bool:
    """Return whether one long word has upper case, lower case and digits, as a generated secret does."""
    return any(map(str.islower, run)) and any(map(str.isupper, run)) and any(map(str.isdigit, run))


def _spread(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
