"""Where a sweep goes: lists of values in every combination, or points drawn from ranges."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import exp, log, prod
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from fastadl.decimals import exact, plain
from fastadl.errors import InputError
from fastadl.policy.funding import number, refuse_unknown
from fastadl.schema import Float64Array

__all__ = [
    "Point",
    "Range",
    "Vary",
    "changed_at",
    "column",
    "points_of",
    "said",
    "shown",
    "vary_of",
    "whole_number",
]

#: Values by parameter.
Point: TypeAlias = dict[str, Any]
#: By parameter: the values of a list, or a range.
Vary: TypeAlias = "dict[str, tuple[Any, ...] | Range]"

#: Tables of an experiment in which a parameter can stand.
_TABLES = ("book", "scenario", "liquidity", "fund", "policies")
_SEED, _MOST_POINTS = 1, 100_000


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, evenly, or evenly in their logarithm; or whole ones."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], path: tuple[str, ...]) -> Range:
        """From a table as in a file."""
        refuse_unknown(given, ("low", "high", "log", "whole"), *path)
        for name in ("low", "high"):
            if name not in given:
                raise InputError((*path, name), "missing", "give the ends of the range as low and high")
        for name in ("log", "whole"):
            if not isinstance(given.get(name, False), bool):
                raise InputError((*path, name), given[name], "give true or false")
        low, high = (float(number(given[name], (*path, name))) for name in ("low", "high"))
        logarithmic = given.get("log", False)
        if not low < high:
            raise InputError((*path, "high"), given["high"], "give more than low")
        if logarithmic and low <= 0:
            raise InputError((*path, "low"), given["low"], "give more than 0, or log = false")
        return cls(low, high, logarithmic, given.get("whole", False))

    def at(self, share: float) -> float | int:
        """The number this far along; six digits, so that any field for money takes it."""
        if self.log:
            found = exp(log(self.low) + share * (log(self.high) - log(self.low)))
        else:
            found = self.low + share * (self.high - self.low)
        return round(found) if self.whole else float(f"{found:.6g}")

    def to_dict(self) -> dict[str, Any]:
        """The table that `of` reads."""
        ends = (self.low, self.high)
        low, high = (int(end) if end.is_integer() and abs(end) < 1e15 else end for end in ends)
        said = {name: True for name in ("log", "whole") if getattr(self, name)}
        return {"low": low, "high": high, **said}


def vary_of(given: Mapping[str, Any] | None) -> Vary:
    """Parameters with their values or ranges; lists first, as a file has them.

    Raises
    ------
    InputError
        At ``vary`` and the parameter's name.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(("vary",), given, "give a table: a list of values, or a range, for each parameter")
    found: Vary = {}
    for name, values in _flat(given, ""):
        path = ("vary", name)
        _refuse_name(name, values)
        if isinstance(values, (Range, Mapping)):
            found[name] = values if isinstance(values, Range) else Range.of(values, path)
        elif isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, str) and len(values):
            plain_ones = tuple(_plain(value, path) for value in values)
            if len({*map(_exact, plain_ones)}) < len(plain_ones):
                raise InputError(path, list(plain_ones), "name every value once")
            found[name] = plain_ones
        else:
            raise InputError(path, values, "give a list of values, or a range: low and high")
    return dict(sorted(found.items(), key=lambda item: isinstance(item[1], Range)))


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """A value as a file can say it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (Decimal, Fraction)):
        return plain(exact(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, path) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, path) for inner in value]
    if not isinstance(value, (str, int, float)):
        raise InputError(path, value, "give numbers, texts, true or false, or tables of them")
    return value


def _flat(given: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    """Dotted names: TOML reads ``fund.share = …`` as a table in a table."""
    for key, values in given.items():
        name = f"{before}{key}"
        if isinstance(values, Mapping) and values and not {"low", "high"} & values.keys():
            yield from _flat(values, f"{name}.")
        else:
            yield name, values


def _refuse_name(name: str, values: Any) -> None:
    table, _, rest = name.partition(".")
    if table in ("seeds", "feedback") or name == "liquidity.feedback":
        raise InputError(("vary", name), values, f"give several {table}: they are run at every point")
    if table not in _TABLES or (table == "policies" and "." not in rest) or name.endswith("."):
        remedy = f"name a field such as fund.share or policies.NAME.CHOICE, of {', '.join(_TABLES)}"
        raise InputError(("vary", name), values, remedy)


def points_of(vary: Vary, drawn: int | None) -> tuple[Point, ...]:
    """Every combination of the lists, the last one changing fastest; or so many points that are drawn.

    Drawn are a Latin hypercube: each parameter takes a value from each of as many equally likely parts of
    its range as there are points.
    """
    ranges = [name for name, values in vary.items() if isinstance(values, Range)]
    if not ranges:
        if drawn is not None:
            raise InputError(("points",), drawn, "leave it out: without a range all combinations are run")
        count = prod(map(len, vary.values()))  # type: ignore[arg-type]
        if count > _MOST_POINTS:
            remedy = (
                f"give fewer values: at most {_MOST_POINTS:,} points; or ranges, from which they are drawn"
            )
            raise InputError(("vary",), f"{count:,} combinations", remedy)
        return tuple(dict(zip(vary, values, strict=True)) for values in product(*vary.values()))  # type: ignore[arg-type]
    if drawn is None or whole_number(drawn, "points") > _MOST_POINTS:
        remedy = f"say how many points are drawn from the range of {ranges[0]}, 1 to {_MOST_POINTS}"
        raise InputError(("points",), drawn, remedy)
    shares = np.column_stack([_shares(drawn, name) for name in vary])
    return tuple(
        {
            name: values.at(share) if isinstance(values, Range) else values[int(share * len(values))]
            for (name, values), share in zip(vary.items(), row, strict=True)
        }
        for row in shares.tolist()
    )


def _shares(points: int, name: str) -> Float64Array:
    """Numbers in [0, 1), one in each of as many parts as there are points; a parameter moves no other."""
    random = np.random.default_rng([_SEED, *name.encode()])
    out: Float64Array = (np.argsort(random.random(points), kind="stable") + random.random(points)) / points
    return out


def changed_at(tables: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """The tables of an experiment with a point's values in place of their own."""
    found = dict(tables)
    for name, value in point.items():
        table, _, rest = name.partition(".")
        if not rest:
            found[table] = value
            continue
        policy, _, choice = rest.rpartition(".")
        keys = [policy, choice] if table == "policies" else rest.split(".")
        if table == "policies" and policy not in found["policies"]:
            raise InputError(("vary", name), value, f"name a policy of {', '.join(found['policies'])}")
        found[table] = _put(found[table], keys, value)
        if table == "fund":  # a share and cash are two ways to say the same: one takes the other's place
            others = found[table].keys() - {"share"} if rest == "share" else {"share"}
            for other in others & found[table].keys() - {key.partition(".")[2] for key in point}:
                del found[table][other]
    return found


def _put(table: Any, keys: Sequence[str], value: Any) -> dict[str, Any]:
    inner = dict(table) if isinstance(table, Mapping) else {}
    first, *rest = keys
    inner[first] = _put(inner.get(first), rest, value) if rest else value
    return inner


def whole_number(given: Any, name: str) -> int:
    """Refuse anything but a whole number from 1 on."""
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InputError((name,), given, "give a whole number, 1 or more")
    return given


def said(point: Point) -> str:
    """A point in words."""
    return ", ".join(f"{name} = {_text(value)}" for name, value in point.items())


def shown(value: object) -> str:
    """A value of a parameter as people read it: whole numbers whole, others in six digits, no exponents.

    Examples
    --------
    >>> shown(30_000.0), shown(123_457), shown(0.12345678), shown(1_234_567.8), shown("whale")
    ('30000', '123457', '0.123457', '1234568', 'whale')
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return _text(value)
    number = float(value)
    whole = number.is_integer() or abs(number) >= 1e6
    return f"{number:.0f}" if whole and abs(number) < 1e15 else f"{number:.6g}"


def column(values: Sequence[Any]) -> list[Any]:
    """A parameter's values for a frame: numbers if all of them are, also as text; else texts."""
    numbers = [_number(value) for value in values]
    return [_text(value) for value in values] if None in numbers else numbers


def _number(value: Any) -> float | None:
    found = _exact(value)
    try:
        return None if isinstance(found, str) else float(found)
    except OverflowError:
        return None


def _exact(value: Any) -> Fraction | str:
    """A value as the number it is, however it is written, or as text."""
    try:
        return _text(value) if isinstance(value, bool) else number(value, ())
    except InputError:
        return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
