"""A pytest plugin: ``pytest -p tinygraph.compat.theano.plugin`` lets tests written for Theano find tinygraph.

With ``THEANO_COMPAT_FORCE=1`` in the environment it also takes the place of a real Theano.
"""

from __future__ import annotations

import os
from typing import Any

from tinygraph.compat.theano import install, uninstall


def pytest_load_initial_conftests(early_config: Any, parser: Any, args: Any) -> None:
    """Installed before any conftest or test is imported."""
    install(force=os.environ.get("THEANO_COMPAT_FORCE", "") not in ("", "0"))


def pytest_report_header(config: Any) -> str:
    """A line in the header of the run."""
    return "theano: names provided by tinygraph"


def pytest_unconfigure(config: Any) -> None:
    """Taken back at the end."""
    uninstall()
