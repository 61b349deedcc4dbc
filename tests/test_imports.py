"""Modules that a program imports first: a circular import fails in one order of imports only."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["bootstrap", "argocd.engine", "local.engine", "core.planning.chart_values", "cli"])
def test_module_can_be_imported_first(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import greenroom.{module}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
