"""The parameters of a synthetic book's laws, their bounds and meaning."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from fastadl.errors import InputError

__all__ = ["ASSUMED", "SIZE_LAWS", "Shape", "nearest"]

#: The source of what nobody published.
ASSUMED: Final = "assumption"
SIZE_LAWS: Final = ("pareto", "lognormal", "uniform")

_OI = "open interest by leverage, Hyperliquid, 2025-12-15: 36.3 % below 3, 48.5 % to 7, 15.2 % above"
_HILL = "Hill estimates 0.70 to 0.93 of sizes, cash and profit, Hyperliquid, 2025-10-10 and 2025-10-27"
_MARKETS = "Hyperliquid, 2025-10-10: 29.5, 21.8 and 13.1 %, rank-size slope -1.68 over 50 markets"


def _law(default: Any, least: float, most: float, told: str, source: str = ASSUMED) -> Any:
    """A parameter: its default, bounds, meaning in plain words, and where the default is from."""
    return field(default=default, metadata={"least": least, "most": most, "told": told, "source": source})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The laws a synthetic book is drawn from; money in currency units. Every parameter has a default.

    ``named("pareto", size_tail=0.9)`` or ``dataclasses.replace(SHAPES["pareto"], size_tail=0.9)`` is a shape
    of one's own; ``fastadl synth pareto --describe`` shows all parameters with sources.

    Parameters
    ----------
    size_law : str
        ``pareto``: an account's size is ``size_scale · exp(size_sigma · Z) · U ** (-1 / size_tail)``;
        ``lognormal``: the same without the last factor; ``uniform``: each position between the bounds.
    size_scale : float
        Where the Pareto law begins, or the median of the lognormal one.
    size_sigma : float
        Standard deviation of the logarithm of an account's size, before the Pareto factor.
    size_tail : float
        Exponent of the Pareto law. Below 1 its mean is infinite, hence the truncation at `largest`.
    size_spread : float
        Standard deviation of the logarithm of the sizes of one account's positions.
    smallest, largest : float
        Bounds of an account's size, and of positions under ``uniform``.
    largest_share : float
        No position but a whale's is drawn larger than this share of what its market is expected to hold.
    top_shares : tuple of float
        Shares of open interest of the first markets.
    rank_slope : float
        The other markets share the rest by ``rank ** -rank_slope``.
    crowding : float
        A market is held by numbers of accounts as ``share ** crowding``; its positions are the larger for it.
    even : bool
        True gives every account the same number of positions, to within one. False draws one position for
        each account and geometric numbers of more.
    busy_share, busy_factor : float
        This share of accounts holds that many times the further positions of the mean account.
    maker_share, maker_factor, maker_size : float
        The same for market makers, who are long and short to equal value over many markets, each position
        `maker_size` times as large.
    hedged_share : float
        Share of accounts with two positions or more that are long and short in one instrument.
    isolated_share : float
        Share of accounts of one position that are isolated.
    short_share : float
        Share of positions that are short. Both sides of a market hold the same lots, so the fewer are larger.
    one_way : float
        Chance of a position to be on its account's side, rather than on one drawn for itself.
    whales : int
        Accounts that hold, between them, `whale_share` of each side of a market they stand on.
    whale_share : float
    long_leverage, long_sigma, short_leverage, short_sigma : float
        Lognormal laws of leverage (gross notional by equity) of accounts that are net long and net short:
        median, and standard deviation of the logarithm. Cut at what the tiers allow.
    leverage_slope : float
        Leverage grows by this power of an account's gross notional over `size_scale`.
    past_volatility : float
        Standard deviation of the logarithm of price over the past that positions were entered in.

    Raises
    ------
    InputError
        Naming the parameter, what was given, and its bounds.
    """

    size_law: str = field(
        default="pareto",
        metadata={"told": "law of an account's size: " + ", ".join(SIZE_LAWS), "source": _HILL},
    )
    size_scale: float = _law(100.0, 1e-3, 1e12, "where sizes begin (pareto), or their median (lognormal)")
    size_sigma: float = _law(0.0, 0, 10, "spread of the logarithm of size, before the Pareto factor")
    size_tail: float = _law(0.8, 0.1, 10, "exponent of the Pareto tail of sizes", _HILL)
    size_spread: float = _law(1.0, 0, 5, "spread of the logarithm of the sizes of one account's positions")
    smallest: float = _law(1.0, 1e-6, 1e12, "least size")
    largest: float = _law(
        200e6, 1e-3, 1e15, "most: the tail is cut here", "largest user deleveraged on 2025-10-10: 330 M"
    )
    largest_share: float = _law(0.05, 1e-9, 1, "largest position, as a share of its market")
    top_shares: tuple[float, ...] = field(
        default=(0.295, 0.218, 0.131),
        metadata={"told": "shares of open interest of the first markets", "source": _MARKETS},
    )
    rank_slope: float = _law(1.68, 0, 10, "the other markets follow rank ** -slope", _MARKETS)
    crowding: float = _law(1.0, 0, 1, "holders of a market go by its share to this power")
    even: bool = field(
        default=False,
        metadata={"told": "every account holds the same number of positions", "source": ASSUMED},
    )
    busy_share: float = _law(0.04, 0, 0.9, "share of accounts that are busy")
    busy_factor: float = _law(6.0, 0, 1e4, "times the mean account's further positions that those hold")
    maker_share: float = _law(0.0, 0, 0.9, "share of accounts that are market makers, near delta-neutral")
    maker_factor: float = _law(20.0, 0, 1e4, "times the mean account's further positions that those hold")
    maker_size: float = _law(3.0, 1e-3, 1e6, "times the size of other accounts' positions that theirs have")
    hedged_share: float = _law(
        0.05, 0, 1, "share of accounts of two or more that are long and short in one market"
    )
    isolated_share: float = _law(0.0, 0, 1, "share of accounts of one position that are isolated")
    short_share: float = _law(
        0.5, 1e-6, 1 - 1e-6, "share of positions that are short", "811 long, 922 short positions, 2025-10-27"
    )
    one_way: float = _law(0.5, 0, 1, "chance of a position to be on its account's side")
    whales: int = _law(0, 0, 1 << 20, "accounts that are whales")
    whale_share: float = _law(0.5, 0, 0.99, "share of each side of a market that whales on it hold")
    long_leverage: float = _law(4.3, 0.01, 1e3, "median leverage of accounts that are net long", _OI)
    long_sigma: float = _law(0.6, 0, 5, "spread of its logarithm", _OI)
    short_leverage: float = _law(3.2, 0.01, 1e3, "median leverage of accounts that are net short", _OI)
    short_sigma: float = _law(0.6, 0, 5, "spread of its logarithm", _OI)
    leverage_slope: float = _law(0.0, -1, 1, "leverage grows by this power of an account's size")
    past_volatility: float = _law(0.14, 0, 2, "volatility of the past prices positions were entered at")

    def __post_init__(self) -> None:
        for law in fields(self):
            _check(law.name, getattr(self, law.name), law.metadata)
        if self.smallest > self.largest:
            raise InputError(("shape", "smallest"), self.smallest, f"give at most largest ({self.largest:g})")
        more = self.busy_share * self.busy_factor + self.maker_share * self.maker_factor
        if not self.even and more > 1:
            raise InputError(
                ("shape", "busy_factor"),
                self.busy_factor,
                "give less: busy accounts and market makers hold more than all further positions",
            )

    @classmethod
    def parameters(cls) -> dict[str, Mapping[str, Any]]:
        """What every parameter means: ``told`` in plain words, and the ``source`` of its default."""
        return {law.name: law.metadata for law in fields(cls)}


def _check(name: str, value: Any, law: Mapping[str, Any]) -> None:
    path = ("shape", name)
    if name == "size_law":
        if value not in SIZE_LAWS:
            raise InputError(path, value, f"give one of {', '.join(SIZE_LAWS)}{nearest(value, SIZE_LAWS)}")
    elif name == "top_shares":
        sound = isinstance(value, tuple) and all(_is_number(share) and 0 < share <= 1 for share in value)
        if not sound or sum(value) > 1 + 1e-9:
            raise InputError(path, value, "give a tuple of shares above 0 that sum to at most 1")
    elif name == "even":
        if not isinstance(value, bool):
            raise InputError(path, value, "give true or false")
    elif name == "whales" and (isinstance(value, bool) or not isinstance(value, int)):
        raise InputError(path, value, "give a whole number")
    elif not _is_number(value) or not law["least"] <= value <= law["most"]:
        raise InputError(path, value, f"give a number from {law['least']:g} to {law['most']:g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def nearest(name: object, names: Iterable[str]) -> str:
    """The end of a remedy: the known name that is nearest."""
    near = difflib.get_close_matches(str(name), list(names), n=1, cutoff=0.0)
    return f"; the nearest is {near[0]}" if near else ""
