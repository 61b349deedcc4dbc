"""Configuration of Greenroom, read from one folder of YAML into frozen core values and settings.

All mistakes are reported at once, each with its fix. pydantic and YAML stay in this package. Secrets are read here too,
in one function, and only on request.
"""

from greenroom.config.helm_values import helm_values
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
    "helm_values",
    "json_schema",
    "load",
    "report",
    "warned",
]
