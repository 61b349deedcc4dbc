"""Configuration: one folder of YAML in, frozen core values and settings out; every mistake at once, each with its fix.

pydantic and YAML stay in this package. Secrets are read here too, in one function, and only when they are asked for.
"""

from greenroom.config.load import Configuration, digest, load, report, warned
from greenroom.config.schema import json_schema
from greenroom.config.settings import NO_CHART, Secret, SecretSource, Settings

__all__ = [
    "NO_CHART",
    "Configuration",
    "Secret",
    "SecretSource",
    "Settings",
    "digest",
    "json_schema",
    "load",
    "report",
    "warned",
]
