"""The run itself: what is expected is checked, and what nobody knows fails."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from adapters.compare import PROSE, Near, Record, compare
from adapters.registry import Case, read


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (7, Fraction(7)),
        (600, 600.0000000000001),
        (Decimal("9.41"), Fraction(94145, 10_000)),
        (Decimal("0.3"), Fraction(3, 10)),
        (Decimal("0.5833333333333334"), Fraction(7, 12)),
        ("7/12 (0.5833)", Fraction(7, 12)),
        ("-12", -12),
        ({"a": 1}, Record(a=1, b=2)),
        ([[1], {}, None, True], [[1], {}, None, True]),
        (Decimal("1.36"), Near(Fraction(15, 11), Fraction(1, 100))),
        ("because", PROSE),
    ],
)
def test_what_is_found_is_accepted(expected: Any, found: Any) -> None:
    compare(expected, found)


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (7, Fraction(71, 10), "expected 7, found 71/10"),
        (Decimal("9.41"), Fraction(94151, 10_000), "expected 9.41"),
        (Decimal("0.3"), Fraction(31, 100), "expected 0.3"),
        (Decimal("0.0"), Fraction(1, 1000), "expected 0.0"),
        (True, 1, "expected True"),
        (None, 0, "expected None"),
        ("12", 13, "expected 12"),
        ("twelve", 12, "expected twelve"),
        (12, "12", "expected 12"),
        ({"a": 1, "b": 2}, Record(a=1), "nothing to check b by"),
        ({"a": {"x": 1}}, Record(a={"x": 1, "y": 2}), "expected.a: found y too"),
        ([1, 2], [1], "found \\[1\\]"),
        ([1], 1, "no list"),
        ({"a": 1}, 1, "no object"),
        (5, PROSE, "no text"),
    ],
)
def test_anything_else_is_not(expected: Any, found: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        compare(expected, found)


def test_an_unknown_model_or_kind_has_no_adapter() -> None:
    assert Case({"model": "no such", "kind": "trigger"}, 0).adapter() is None
    assert Case({"kind": "no such"}, 0).about == "kind 'no such'"
    assert Case({"kind": "trigger"}, 0).adapter() is not Case({"model": "trigger"}, 0).adapter()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": 3}', '{"cases": [3]}'])
def test_a_file_without_cases_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"cases\.json: "):
        list(read(file))


def test_every_shipped_case_tells_its_source() -> None:
    files = sorted((Path(__file__).parent / "cases").glob("*.json"))
    for file in files:
        told = json.loads(file.read_text("utf-8"))
        assert told["count"] == len(told["cases"])
        assert all(case["source"] for case in told["cases"])
        assert all("why_not" in case for case in told["cases"] if case.get("target") is False)
