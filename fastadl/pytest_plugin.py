"""The options ``pytest --scenarios DIR`` and ``--cases FILE``: conformance files for the package's own tests.

A plugin, named by ``addopts``, and not a conftest: pytest takes the folder of an option it does not know yet
for one to collect, and would then never come to the conftest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("fastadl")
    group.addoption(
        "--scenarios",
        action="append",
        default=[],
        metavar="DIR",
        help='folder of conformance files {"scenario": ..., "expected": ...}; may be given again',
    )
    group.addoption(
        "--cases",
        action="append",
        default=[],
        metavar="FILE",
        help='conformance cases {"cases": [...]} to run in place of the shipped ones; may be given again',
    )
