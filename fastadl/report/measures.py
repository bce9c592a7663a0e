"""What stress tests measure: names, what they mean, how numbers are shown, and which end is better."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

from fastadl.report.stress_words import ATOMS, money, percent, signed
from fastadl.report.terminal import NOTHING
from fastadl.stress import EXPLAINED

__all__ = ["GROUPS", "MEASURES", "TOTALS", "Measure"]


class Measure(NamedTuple):
    """A column of `StressResult.policies`.

    Attributes
    ----------
    column : str
    words : str
        Its name.
    kind : str
        ``count``, ``money``, ``balance`` (money that may be owed), ``share``, ``times`` (a share that may be
        far above 1), ``index``, ``change``, or ``level`` (1 is where it began).
    better : str
        ``less``, ``more`` or nothing.
    own : str
        What it means, where the words of `EXPLAINED` lean on other columns, or on numbers of frames.
    """

    column: str
    words: str
    kind: str
    better: str = ""
    own: str = ""

    @property
    def told(self) -> str:
        """What it means, as a sentence."""
        said = self.own or EXPLAINED[self.column]
        return f"{said[0].upper()}{said[1:]}."

    @property
    def shown(self) -> Callable[[float], str]:
        """A number of it as text."""
        return _SHOWN[self.kind]

    def said(self, value: float | None) -> str:
        """A number of it as text, or a dash where it says nothing."""
        return NOTHING if value is None else self.shown(value)

    @property
    def unit(self) -> int:
        """What a number of it is divided by to be shown: atoms of a unit of money."""
        return ATOMS if self.kind in ("money", "balance") else 1

    @property
    def signed(self) -> bool:
        """Whether it may be negative."""
        return self.kind in ("balance", "change", "level")

    @property
    def axis(self) -> str:
        """How an axis shows it: ``amount``, or a format of d3."""
        if self.kind in ("money", "balance", "count"):
            return "amount"
        return ".3~f" if self.kind == "index" else ".3~%"


def _times(value: float) -> str:
    return f"{value:.0%}" if value <= 10 else f"{value:,.0f} times" if isfinite(value) else "no bound"


_SHOWN: dict[str, Callable[[float], str]] = {
    "count": lambda value: f"{value:,.0f}",
    "money": money,
    "balance": money,
    "share": percent,
    "times": _times,
    "index": lambda value: f"{value:.3f}",
    "change": signed,
    "level": lambda value: signed(value - 1),
}

#: By heading.
GROUPS: dict[str, tuple[Measure, ...]] = {
    "Who fell": (
        Measure("liquidated", "Accounts below the margin", "count", "less"),
        Measure("bankrupt", "Bankrupt", "count", "less"),
        Measure("shortfall", "Shortfall, USD", "money", "less"),
    ),
    "Who bore the loss": (
        Measure(
            "fund_paid",
            "The fund paid, USD",
            "money",
            own="what the insurance fund paid of the shortfall, in cash and by taking positions over; what "
            "it lost later on those shows in its lowest",
        ),
        Measure("deficit", "Deficit, USD", "money", own="what the fund left of the shortfall, step by step"),
        Measure("seized", "Taken from traders, USD", "money", "less"),
        Measure("overshoot", "Overshoot, USD", "money", "less"),
        Measure(
            "gained", "Won by traders, USD", "money", own="what the deleveraged won by fills better than mark"
        ),
        Measure("socialized", "Charged in cash, USD", "money", own="what accounts were charged in cash"),
        Measure(
            "coverage", "Coverage", "share", "more", "share of the deficit that was raised; 100% is all of it"
        ),
        Measure("uncovered", "Still owed, USD", "money", "less"),
    ),
    "Whom it met": (
        Measure("deleveraged", "Traders deleveraged", "count", "less"),
        Measure(
            "closed",
            "Positions closed on them, USD",
            "money",
            "less",
            "positions of the deleveraged that were closed, at mark",
        ),
        Measure("adl_value", "What changed hands, USD", "money"),
        Measure(
            "steps_with_adl",
            "Steps with deleveraging",
            "count",
            own="how often, along the path, anybody was deleveraged or charged",
        ),
        Measure("paid_own", "Paid more than their profit", "count", "less"),
        Measure("broken_hedges", "Broken hedges", "count", "less"),
    ),
    "How it was shared": (
        Measure(
            "burden_profit",
            "Heaviest burden on a profit",
            "times",
            "less",
            "largest share of their profit that anybody paid; above 100% with money of their own",
        ),
        Measure("burden_equity", "Heaviest burden on an equity", "times", "less"),
        Measure("top_share", "Share of the ten largest payers", "share", "less"),
        Measure(
            "gini",
            "Gini index",
            "index",
            "less",
            "how unevenly accounts that might have been asked paid: 0 all the same, near 1 a few paid for "
            "everybody",
        ),
        Measure("hhi", "Concentration", "index", "less"),
        Measure(
            "rank_inversions",
            "Order of the rich reversed",
            "share",
            "less",
            "how often the richer of two accounts that might have been asked was left with less: 0% keeps "
            "their order",
        ),
    ),
    "The fund and the market": (
        Measure(
            "fund_lowest",
            "Fund at its lowest, USD",
            "balance",
            "more",
            "the least the insurance fund held, with the positions it took over at mark",
        ),
        Measure(
            "fund_needed",
            "Fund that was needed, USD",
            "money",
            own="cash with which the fund would have left nothing to others, whatever the policy: it would "
            "have had to take over, and hold, every position that order books could not close",
        ),
        Measure(
            "furthest",
            "Market at its furthest",
            "level",
            own="how far all markets, by open interest, went from where they began",
        ),
        Measure(
            "furthest_path",
            "The scenario alone",
            "level",
            own="how far the scenario alone took all markets, without what orders added",
        ),
        Measure(
            "added_by_liquidations",
            "Added by liquidations",
            "change",
            own="what liquidation orders had added when the market was at its furthest",
        ),
        Measure(
            "added_by_adl",
            "Added by the deleveraged",
            "change",
            own="what orders of the deleveraged, who put their exposure on again, had added when the market "
            "was at its furthest",
        ),
    ),
}
#: By column.
MEASURES = {measure.column: measure for group in GROUPS.values() for measure in group}

_COVERED = Measure(
    "covered",
    "Covered",
    "share",
    "more",
    "part of the deficit that nobody is owed at the end, over all seeds",
)
#: By heading, those of `fastadl.report.columns.Column`: it counts what is still owed, steps do not.
TOTALS = {
    title: tuple(_COVERED if measure.column == "coverage" else measure for measure in group)
    for title, group in GROUPS.items()
}
