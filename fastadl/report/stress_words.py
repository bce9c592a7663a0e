"""What stress tests found, in words and short numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from fastadl.policy import AdlPolicy
from fastadl.report.terminal import NOTHING

if TYPE_CHECKING:
    from fastadl.stress import StressResult

__all__ = [
    "ATOMS",
    "CENT",
    "MOVERS",
    "amount",
    "class_of",
    "closing",
    "duration",
    "many",
    "money",
    "neutral",
    "percent",
    "short",
    "signed",
    "spared",
    "with_seeds",
]

Totals: TypeAlias = Mapping[str, Any]

#: Atoms of a unit of the currency that books are drawn in.
ATOMS = 10**6
#: Less is not worth a word.
CENT = ATOMS // 100
_SIZES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))

#: Kind of feedback → whose orders move later prices.
MOVERS = {
    "off": "nobody's orders",
    "liquidations": "liquidation orders",
    "all": "liquidation orders and those of the deleveraged",
}

#: Column → what is said of the policy with the least and with the most, if that is another.
_EXTREMES = {
    "deleveraged": ("it asked the fewest traders", "it asked the most traders"),
    "seized": ("took the least from them", "took the most from them"),
    "broken_hedges": ("broke the fewest hedges", "broke the most hedges"),
    "top_share": ("leaned least on its ten largest payers", "leaned most on its ten largest payers"),
    "uncovered": ("left the least unpaid", "left the most unpaid"),
}
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
#: Policies closer than this count as equal there.
_APART = 0.01


def short(number: float) -> str:
    """A number in two to four digits.

    Examples
    --------
    >>> short(12_345_678), short(999), short(0.4), short(0)
    ('12.3M', '999', '0.4', '0')
    """
    for size, letter in _SIZES:
        if abs(number) >= size:
            scaled = number / size
            return f"{scaled:,.{1 if abs(scaled) < 99.95 else 0}f}{letter}"
    return f"{number:.{1 if abs(number) < 9.95 else 0}f}" if number else "0"


def amount(atoms: float) -> str:
    """Money in two to four digits; a dash for none.

    Examples
    --------
    >>> amount(12_345_678_000_000), amount(0)
    ('12.3M', '–')
    """
    return short(atoms / ATOMS) if atoms else NOTHING


def money(atoms: float) -> str:
    """Money in two to four digits, 0 for none to speak of.

    Examples
    --------
    >>> money(12_345_678_000_000), money(CENT - 1)
    ('12.3M', '0')
    """
    return short(atoms / ATOMS) if abs(atoms) >= CENT else "0"


def many(number: float, thing: str) -> str:
    """So many of a thing.

    Examples
    --------
    >>> many(1, "trader"), many(1_200, "trader"), many(2, "policy"), many(3, "crash")
    ('1 trader', '1,200 traders', '2 policies', '3 crashes')
    """
    count = f"{number:,.0f}"
    return f"{count} {thing if count == '1' else _plural(thing)}"


def neutral(accounts: int) -> str:
    """How many accounts are hedged."""
    return f"{many(accounts, 'account')} {'is' if accounts == 1 else 'are'} delta-neutral"


def _plural(thing: str) -> str:
    return f"{thing[:-1]}ies" if thing.endswith("cy") else f"{thing}{'es' if thing.endswith('sh') else 's'}"


def with_seeds(number: int) -> str:
    """In how many of the draws of a book and a path."""
    if number == 1:
        return "with this one seed"
    return f"in 95% of {number} seeds" if number >= 20 else f"with each of {number} seeds"


def spared(result: StressResult) -> pl.DataFrame:
    """``fund_needed`` to spare everybody in so many ``seeds`` as `with_seeds` says, by ``feedback``."""
    needed = result.fund_needed.filter(probability=0.05)
    most = (
        max(cash for (_, kind), cash in result.needed.items() if kind == each) for each in needed["feedback"]
    )
    in_each = pl.Series(most, dtype=pl.Int64)  # so few seeds that no quantile is known
    return needed.with_columns(pl.col("fund_needed").fill_null(in_each))


def percent(share: float) -> str:
    """A share as per cent, none of it lost to rounding.

    Examples
    --------
    >>> percent(0.314), percent(0.0314), percent(0.0001), percent(0), percent(1), percent(0.9999)
    ('31%', '3.1%', '<0.1%', '0%', '100%', '>99%')
    """
    if not share:
        return "0%"
    if 0.995 <= share < 1:
        return ">99%"
    return "<0.1%" if share < 5e-4 else f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def signed(share: float) -> str:
    """A change as per cent.

    Examples
    --------
    >>> signed(-0.4936), signed(0.02), signed(-0.0004), signed(-1e-16)
    ('-49.4%', '+2.0%', '-0.04%', '0%')
    """
    if abs(share) < 5e-5:
        return "0%"
    return f"{share:+.1%}" if abs(share) >= 9.5e-4 else f"{share:+.2%}"


def duration(seconds: float) -> str:
    """A span of time in its unit.

    Examples
    --------
    >>> duration(90 * 60), duration(47 * 3600), duration(30 * 86400)
    ('90 minutes', '47 hours', '30 days')
    """
    for unit, name, most in ((60, "minute", 180), (3600, "hour", 96)):
        if seconds < unit * most:
            return many(seconds / unit, name)
    return many(seconds / 86400, "day")


def class_of(by: str, low: float, high: float | None) -> str:
    """A class of payers.

    Examples
    --------
    >>> class_of("leverage", 2.0, 5.0), class_of("size", 1e3, 1e4), class_of("profit", 1e7, None)
    ('leverage 2x to 5x', 'positions 1.0k to 10.0k', 'profit 10.0M and more')
    """
    least, most = (f"{x or 0:g}x" if by == "leverage" else short(x or 0) for x in (low, high))
    name = "positions" if by == "size" else by
    if high is None:
        return f"{name} {least} and more"
    return f"{name} {least} to {most}" if low else f"{name} below {most}"


def closing(policy: AdlPolicy, of: Totals, beside: Sequence[Totals]) -> str:
    """What a policy did, how it differs from those beside it, and what its orders did to the market.

    Parameters
    ----------
    policy : AdlPolicy
    of : mapping
        Its line of `StressResult.policies`.
    beside : sequence of mapping
        Those of all policies under the same kind of feedback, its own among them; none if an interrupt
        ended one before the others.
    """
    if not of["liquidated"]:
        return "nobody fell below the maintenance margin."
    told = [f"{_how(policy)} {_taken(policy, of)}", _differs(of, beside), _cascade(of)]
    return " ".join(each for each in told if each)


def _how(policy: AdlPolicy) -> str:
    if policy.trigger == "none":
        return "no deleveraging."
    if policy.space == "wealth":
        return f"losses are charged in cash, by {_said(policy.socialization)}."
    price = f"closed at {_said(policy.price)} price"
    return f"ranked by {_said(policy.score)}, shared by {_said(policy.allocation)}, {price}."


def _said(choice: object) -> str:
    return str(getattr(choice, "name", choice)).replace("_", " ")


def _taken(policy: AdlPolicy, of: Totals) -> str:
    who, were = many(of["deleveraged"], "trader"), "was" if round(of["deleveraged"]) == 1 else "were"
    if not of["deleveraged"]:
        taken = "Nobody had to be deleveraged"
    elif policy.space == "wealth":
        taken = f"{who} {were} charged {amount(of['seized'])} USD"
    else:
        taken = f"{who} gave up {amount(of['closed'])} USD of positions"
        taken += f", which cost them {amount(of['seized'])}" if of["seized"] >= CENT else " at no cost"
        if of["gained"] >= max(0.01 * of["seized"], CENT):
            taken += f" and won others {amount(of['gained'])}"
    owed = f"{amount(of['uncovered'])} stayed unpaid" if of["uncovered"] >= CENT else "every loss was covered"
    return f"{taken}; {owed}."


def _differs(of: Totals, beside: Sequence[Totals]) -> str:
    """Where it has the least or the most of all."""
    said = []
    for column, (least, most) in _EXTREMES.items():
        values = sorted(total[column] or 0.0 for total in beside)
        mine = of[column] or 0.0
        if len(values) < 2 or values[-1] - values[0] <= _APART * values[-1]:
            continue
        if mine == values[0] and values[1] - mine > _APART * values[-1]:
            said.append(least)
        elif mine == values[-1] and mine - values[-2] > _APART * values[-1]:
            said.append(most)
    many = _NUMBERS.get(len(beside), f"{len(beside)} policies")
    return f"Of the {many}, {_listed(said)}." if said else ""


def _listed(said: Sequence[str]) -> str:
    text = said[0] if said[0].startswith("it") else f"it {said[0]}"
    return text + "".join(f", {each}" for each in said[1:-1]) + (f" and {said[-1]}" if said[1:] else "")


def _cascade(of: Totals) -> str:
    if of["feedback"] == "off":
        return "Its orders moved no prices."
    parts = [f"liquidation orders made {_made(of['added_by_liquidations'])}"]
    if of["feedback"] == "all":
        parts.append(f"the deleveraged {_made(of['added_by_adl'])}")
    return (
        f"At its furthest the market stood at {signed(of['furthest'] - 1)}, of which {' and '.join(parts)}."
    )


def _made(share: float) -> str:
    return signed(share) if abs(share) >= 5e-5 else "nothing"
