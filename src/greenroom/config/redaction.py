"""Detection of secrets, which are never shown: `greenroom check` runs in CI, where everyone can read the log."""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = "[hidden]"
SOURCES = {  # the keys that say where a secret is, with the variable that usually holds it
    "tokenFrom": "GREENROOM_GITHUB_TOKEN",
    "webhookSecretsFrom": "GREENROOM_WEBHOOK_SECRET",
    "signingKeyFrom": "GREENROOM_SIGNING_KEY",
    "olderSigningKeysFrom": "GREENROOM_OLDER_SIGNING_KEY",
    "pluginTokenFrom": "GREENROOM_PLUGIN_TOKEN",
    "databaseFrom": "GREENROOM_DATABASE",
    "passwordFrom": "REGISTRY_PASSWORD",
}
LISTS = {"webhookSecretsFrom", "olderSigningKeysFrom"}
_CLOSED = {*SOURCES, "credentials", "database"}
_TOKENS = re.compile(
    r"\b(?:gh[opsur]_\w+|github_pat_\w+|glpat-[\w-]+|[rs]k_(?:live|test)_\w+|whsec_\w+|xox[a-z]-[\w-]+|npm_\w{20,}"
    r"|dckr_pat_[\w-]+|hv[sb]\.\w+|sk-[\w-]{20,}|SG\.[\w-]{10,}\.[\w-]+|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    r"|(?<=[?&]password=)[^\s&]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    re.DOTALL,
)
_DENSE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=(?:.*\d){3})[A-Za-z0-9+=_-]{24,}")
_NAMES = re.compile(
    r"(SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS?|(SECRET|PRIVATE|API|ACCESS|SIGNING|ENCRYPTION)_?KEY(_BASE)?)$", re.I
)


def closed(location: Sequence[object]) -> bool:
    """Return whether values at a location are never shown, whatever they look like."""
    return bool(_CLOSED & {str(part) for part in location}) or [*location] in (["github"], ["registry"])


def looks_secret(text: str) -> bool:
    """Return whether a text looks like a known vendor's token, a URL with a password, a private key or random text."""
    return bool(_TOKENS.search(text) or _DENSE.fullmatch(text))


def names_secret(variable: str) -> bool:
    """Return whether the name of a variable says that its value is a secret."""
    return bool(_NAMES.search(variable))


def scrub(text: str) -> str:
    """Return a text with known tokens, passwords in URLs and private keys hidden."""
    return _TOKENS.sub(HIDDEN, text)


def place(key: str) -> str:
    """Return the YAML that names the source of a secret, instead of the secret."""
    source = f"{{ env: {SOURCES[key]} }}"
    return f"`{key}: [{source}]`" if key in LISTS else f"`{key}: {source}`"


def no_place(key: str) -> tuple[str, str]:
    """Return the message and the fix for a secret that was written in place of its source."""
    fix = f"Write {place(key)}. Keep the secret itself out of this file. If the secret was written here, rotate it."
    return "must be a source, not a value.", fix
