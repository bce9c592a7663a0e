"""What is said of a place in a queue, in lines short enough for a phone."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from fastadl.report.queue import Place, Reach
from fastadl.report.stress_words import many
from fastadl.report.terminal import NOTHING

__all__ = [
    "amount",
    "choice_line",
    "far",
    "headline",
    "in_line",
    "liquidated",
    "lit",
    "named",
    "ordinal",
    "position",
    "quantity",
    "reach_line",
    "reached",
    "share",
    "takes",
]


def share(lots: float, of: float) -> str:
    """Part of the lots in per cent; neither none nor all of them unless it is.

    Examples
    --------
    >>> share(0, 10), share(1, 1000), share(41, 100), share(999, 1000), share(7, 7)
    ('0%', '<1%', '41%', '>99%', '100%')
    """
    part = lots / of if of else 0.0
    if 0 < part < 0.01:
        return "<1%"
    return ">99%" if 0.99 < part < 1 else f"{part:.0%}"


def far(size: float | None) -> str:
    """A distance in per cent.

    Examples
    --------
    >>> far(0.1), far(0.075), far(0.23456), far(float("inf")), far(None)
    ('10%', '7.5%', '23.5%', '–', '–')
    """
    if size is None or not isfinite(size):
        return NOTHING
    return f"{100 * size:.1f}".removesuffix(".0") + "%"


def lit(light: int) -> str:
    """Five lights.

    Examples
    --------
    >>> lit(3), lit(0)
    ('●●●○○', '○○○○○')
    """
    return "●" * light + "○" * (5 - light)


def ordinal(rank: int) -> str:
    """A place in words.

    Examples
    --------
    >>> [ordinal(rank) for rank in (1, 2, 3, 4, 11, 112, 1_023)]
    ['1st', '2nd', '3rd', '4th', '11th', '112th', '1,023rd']
    """
    last = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{'th' if rank % 100 in (11, 12, 13) else last}"


def position(place: Place) -> str:
    """What is held."""
    held, told = place.held, place.told
    entry = "" if held["entry_price"] is None else f"entered at {held['entry_price']:,.6g}, "
    profit = held["unrealized_pnl"]
    won = f"{'profit' if profit >= 0 else 'loss'} {amount(f'{abs(profit)} {place.currency}')}"
    prices = f"{entry}now {held['mark_price']:,.6g}"
    what = f"{told.account} is {told.side} {quantity(place)} of {told.symbol}"
    return f"{what}, {prices}: {won}, leverage {held['leverage']:,.1f}×"


def quantity(place: Place) -> str:
    """How many contracts."""
    return f"{place.held['contracts']:,.6g} contracts"


def headline(place: Place) -> str:
    """Why, and how close, in one sentence."""
    told = place.told
    if told.rank is None:
        return f"{told.account} cannot be deleveraged in {told.symbol} now: {told.why_not}"
    return f"{told.account} is {in_line(place)} in line: {reached(place)}"


def in_line(place: Place) -> str:
    """Which of how many."""
    told = place.told
    return "cannot be deleveraged" if told.rank is None else f"{ordinal(told.rank)} of {told.of:,}"


def reached(place: Place) -> str:
    """How close deleveraging is, in words that go on."""
    told = place.told
    move = "rise" if place.sign > 0 else "fall"
    if told.adl is None or not isfinite(told.adl):
        return f"no {move} of all prices by up to {far(told.largest_shock)} reaches it"
    return f"a {move} of all prices by {far(told.adl)} reaches it"


def liquidated(place: Place) -> str:
    """How close liquidation is."""
    told = place.told
    move = "falls" if place.sign > 0 else "rises"
    if told.liquidation == 0.0:
        return "The account is below its maintenance margin now."
    if told.liquidation_price is None:
        return f"However far {told.symbol} alone {move}, the account is not liquidated."
    to = f"{far(told.liquidation)}, to {told.liquidation_price:,.6g}"
    return f"The account is liquidated when {told.symbol} alone {move} by {to}."


def reach_line(place: Place, reach: Reach) -> str:
    """What a shock reaches."""
    size = f"All prices {'+' if place.sign > 0 else '−'}{far(reach.shock)}"
    if not reach.positions:
        return f"{size}: nobody is deleveraged"
    ends = "" if not place.standing else ", you too" if reach.you else ", not you"
    lots = share(reach.lots, place.told.lots_of)
    return f"{size}: {many(reach.positions, 'position')}, {lots} of the lots{ends}"


def choice_line(place: Place, choice: Mapping[str, Any]) -> str:
    """Where a choice would put it."""
    close = far(choice["adl"])
    ends = "out of reach" if close == NOTHING else f"reached at {close}"
    return f"{named(choice)}: {share(choice['lots_ahead'], place.told.lots_of)} of the lots ahead, {ends}"


def named(choice: Mapping[str, Any]) -> str:
    """A choice as the beginning of a line.

    Examples
    --------
    >>> named({"choice": "close 25 %"}), named({"choice": "leverage / 2"})
    ('Close 25%', 'Leverage / 2')
    """
    text = str(choice["choice"]).replace(" %", "%")
    return f"{text[0].upper()}{text[1:]}"


def takes(place: Place, choice: Mapping[str, Any]) -> str:
    """What a choice takes: lots that are closed, or money that is paid in."""
    closed = place.told.lots - choice["lots"]
    if closed:
        return f"close {many(closed, 'lot')}"
    return (
        f"pay in {amount(choice['cash'])}" if choice["choice"] != "as it is" else many(choice["lots"], "lot")
    )


def amount(text: str) -> str:
    """Money as explanations tell it, to two places, or to four digits where it is less than 1.

    Examples
    --------
    >>> amount("12345.678000 USD"), amount("-3.000000 USD"), amount("0.00123456 BTC"), amount("0.00 USD")
    ('12,345.68 USD', '-3.00 USD', '0.001235 BTC', '0.00 USD')
    """
    number, _, currency = text.partition(" ")
    value = float(number)
    return f"{value:.4g} {currency}" if 0 < abs(value) < 1 else f"{value:,.2f} {currency}"
