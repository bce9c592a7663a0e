"""Metrics and alerts as Prometheus reads them: text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isinf, isnan
from typing import NamedTuple

__all__ = ["Family", "Sample", "exposition"]


class Sample(NamedTuple):
    """One value and its labels."""

    value: float
    labels: Mapping[str, str]


class Family(NamedTuple):
    """Samples of one name."""

    name: str
    help: str
    kind: str  # gauge or counter
    samples: Iterable[Sample]


def exposition(families: Iterable[Family]) -> str:
    """The text, a line a sample; one that has no value is left out."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for value, labels in family.samples:
        if isnan(value):
            continue
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        shown = ("+Inf" if value > 0 else "-Inf") if isinf(value) else repr(float(value))
        yield f"{family.name}{{{inner}}} {shown}" if inner else f"{family.name} {shown}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
