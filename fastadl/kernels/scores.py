"""Ranking scores, one function each (rules R46, R82). Higher is deleveraged first."""

from __future__ import annotations

import dis
from collections.abc import Callable, Set
from itertools import pairwise
from typing import Any, NamedTuple

from fastadl.kernels._jit import dividing, kernel

__all__ = ["COSTLY", "LINES", "NEEDS", "SCORES", "Candidate", "columns", "mix", "needed", "read_figures"]


class Candidate(NamedTuple):
    """One row on the other side of a bankrupt one, and its account; money in atoms.

    All figures are float64 but `short` and `inverse` (bool) and `seed` (int64).
    """

    lots: Any  # held, unsigned
    short: Any  # bool
    inverse: Any  # bool
    value: Any  # |value at mark| of the row
    cost: Any  # |entry value| of the row
    profit: Any  # of the row
    symbol_profit: Any  # of all the account's rows in this symbol
    row_margin: Any  # maintenance margin of the row
    cash: Any  # of the account, as are the rest
    equity: Any
    margin: Any
    gross: Any
    one: Any  # atoms of one unit of currency
    max_leverage: Any  # ml of rule R82, of the row's tier
    place: Any  # of the account's id among all ids, from 0
    given: Any  # place of the account in the book as it was given, from 0
    seed: Any  # seed + (t + 1)·G of rule R82, modulo 2^64, its bits read as signed


@kernel
def bitmex(c):
    """Return times effective leverage for winners, divided by it for losers. Source: BitMEX."""
    roi = c.profit / max(c.cost, 1.0)
    leverage = c.gross / max(c.equity, 1.0)
    return roi * leverage if roi > 0.0 else roi / leverage


@kernel
def binance(c):
    """Profit over wallet times maintenance ratio, losers zero. Source: Binance."""
    ratio = c.margin / c.equity if c.equity > 0.0 else 0.0
    return max(0.0, c.symbol_profit) / max(c.cash, c.one) * ratio


@kernel
def hyperliquid(c):
    """Mark over entry times leverage, a short's price ratio inverted. Source: Hyperliquid documentation."""
    if c.short != c.inverse:
        ratio = c.cost / c.value
    else:
        ratio = c.value / max(c.cost, 1.0)
    return ratio * c.value / max(c.equity, 1.0)


@kernel
def hyperliquid_recovered(c):
    """Leverage times return, both at least 1e-8. Source: recovered from the fills of 2025-10-10."""
    leverage = max(c.value / max(c.equity, 1.0), 1e-8)
    return leverage * max(max(c.profit, 0.0) / max(c.cost, 1.0), 1e-8)


@kernel
def okx(c):
    """Return over safety ratio for winners, times it for losers. Source: OKX, HTX."""
    roi = c.profit / max(c.cost, 1.0)
    risk = max(c.margin, 1.0) / max(c.equity, 1.0)
    return roi * risk if roi > 0.0 else roi / risk


@kernel
def extended(c):
    """As `okx`, with the row's own margin over the account's equity. Source: Extended."""
    roi = c.profit / max(c.cost, 1.0)
    risk = max(c.row_margin, 1.0) / max(c.equity, c.one)
    return roi * risk if roi > 0.0 else roi / risk


@kernel
def profit_ratio(c):
    """Return on the row's entry value."""
    return c.profit / max(c.cost, 1.0)


@kernel
def size(c):
    """Lots held."""
    return c.lots


@kernel
def bitget_c(c):
    """Return times leverage; losers and accounts in liquidation zero. Source: Bitget 12560603800805."""
    if c.profit <= 0.0 or c.equity < c.margin:
        return 0.0
    return c.profit / max(c.cost, 1.0) * (c.gross / max(c.equity, 1.0))


@kernel
def gate_2022(c):
    """Profit times the most leverage the row may have. Source: Gate announcement 28762 (22 November 2022)."""
    return c.profit * c.max_leverage


@kernel
def kucoin_v1(c):
    """Opening leverage times return on initial margin. Source: KuCoin support 26686471898009 (old)."""
    return c.max_leverage * (c.profit / max(c.cost / c.max_leverage, 1.0))


@kernel
def leverage(c):
    """Gross notional over equity. Source: Ethereal documentation, its first key."""
    return c.gross / max(c.equity, 1.0)


@kernel
def profit(c):
    """Unrealised profit. Source: Gate help 22082 (until November 2022); Ethereal, its second key."""
    return c.profit


@kernel
def low_cash(c):
    """The lower the balance, the sooner. Source: Ethereal documentation, its third key."""
    return -c.cash


@kernel
def newest(c):
    """The larger id, the sooner. Source: Ethereal documentation, its last key."""
    return c.place


@kernel
def given(c):
    """In the order of the book. Source: dYdX v4, the store order of an older build."""
    return -c.given


@kernel
def mix(z):
    """The finalizer of SplitMix64 on the low 64 bits of `z`.

    Masks stand where bits go right, so that it does not matter what is above them: int64 wraps round, a
    Python int grows. The factors are those of rule R82 with their bits read as signed.
    """
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -0x40A7B892E31B1A47
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -0x6B2FB644ECCEEE15
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


@kernel
def random(c):
    """Uniform in [0, 1), drawn anew in every tick from seed and id. Source: dYdX v4 (its order is random)."""
    drawn = mix(mix(int(c.seed)) + int(c.place))
    return ((drawn >> 11) & 0x1FFFFFFFFFFFFF) * 2.0**-53


_FUNCTIONS = {
    "bitmex": bitmex,
    "binance": binance,
    "hyperliquid": hyperliquid,
    "hyperliquid_recovered": hyperliquid_recovered,
    "okx": okx,
    "htx": okx,
    "extended": extended,
    "profit_ratio": profit_ratio,
    "size": size,
    "bitget_a": okx,
    "bitget_c": bitget_c,
    "gate_2022": gate_2022,
    "kucoin_v1": kucoin_v1,
    "leverage": leverage,
    "profit": profit,
    "low_cash": low_cash,
    "newest": newest,
    "given": given,
    "random": random,
}
#: Score names, in the order of their numbers.
SCORES = tuple(_FUNCTIONS)
#: Lines of the table that `columns` reads, by figure.
LINES = {name: line for line, name in enumerate(Candidate._fields) if name != "seed"}


@kernel
def _candidate(figures, i, seed):
    return Candidate(
        figures[0, i], figures[1, i] != 0.0, figures[2, i] != 0.0, figures[3, i], figures[4, i],
        figures[5, i], figures[6, i], figures[7, i], figures[8, i], figures[9, i], figures[10, i],
        figures[11, i], figures[12, i], figures[13, i], figures[14, i], figures[15, i], seed,
    )  # fmt: skip


@dividing
def columns(number, own, figures, seed, out):
    """Scores of many candidates, one loop a score so that each runs in packed instructions.

    Parameters
    ----------
    number : int
        Place of the score in `SCORES`; −1 where `own` takes its place.
    own : fastadl.kernels._jit.ByAddress or fastadl.kernels._jit.Uncalled
        A function from outside, or what stands for none.
    figures : float64 (lines, at least n)
        By `LINES`; what the score does not read (`COSTLY`) need not be there.
    seed : int64
        Of the random score, see `Candidate`.
    out : float64 (n)
        Written; −0.0 and 0.0 are one score.
    """
    n = out.shape[0]
    if number < 0:
        for i in range(n):
            out[i] = own(_candidate(figures, i, seed)) + 0.0
    elif number == 0:
        for i in range(n):
            out[i] = bitmex(_candidate(figures, i, seed)) + 0.0
    elif number == 1:
        for i in range(n):
            out[i] = binance(_candidate(figures, i, seed)) + 0.0
    elif number == 2:
        for i in range(n):
            out[i] = hyperliquid(_candidate(figures, i, seed)) + 0.0
    elif number == 3:
        for i in range(n):
            out[i] = hyperliquid_recovered(_candidate(figures, i, seed)) + 0.0
    elif number == 4 or number == 5 or number == 9:
        for i in range(n):
            out[i] = okx(_candidate(figures, i, seed)) + 0.0
    elif number == 6:
        for i in range(n):
            out[i] = extended(_candidate(figures, i, seed)) + 0.0
    elif number == 7:
        for i in range(n):
            out[i] = profit_ratio(_candidate(figures, i, seed)) + 0.0
    elif number == 8:
        for i in range(n):
            out[i] = size(_candidate(figures, i, seed)) + 0.0
    elif number == 10:
        for i in range(n):
            out[i] = bitget_c(_candidate(figures, i, seed)) + 0.0
    elif number == 11:
        for i in range(n):
            out[i] = gate_2022(_candidate(figures, i, seed)) + 0.0
    elif number == 12:
        for i in range(n):
            out[i] = kucoin_v1(_candidate(figures, i, seed)) + 0.0
    elif number == 13:
        for i in range(n):
            out[i] = leverage(_candidate(figures, i, seed)) + 0.0
    elif number == 14:
        for i in range(n):
            out[i] = profit(_candidate(figures, i, seed)) + 0.0
    elif number == 15:
        for i in range(n):
            out[i] = low_cash(_candidate(figures, i, seed)) + 0.0
    elif number == 16:
        for i in range(n):
            out[i] = newest(_candidate(figures, i, seed)) + 0.0
    elif number == 17:
        for i in range(n):
            out[i] = given(_candidate(figures, i, seed)) + 0.0
    else:
        for i in range(n):
            out[i] = random(_candidate(figures, i, seed)) + 0.0


# ---------------------------------------------------------------------- what a score reads

#: Figures that are worked out only for scores that read them, as bits of a number.
COSTLY = {
    "margin": 1, "row_margin": 2, "symbol_profit": 4, "max_leverage": 8, "place": 16, "given": 16,
    "one": 32, "inverse": 32, "lots": 64, "short": 64,
}  # fmt: skip


#: Names of the instruction that loads an argument, by Python version.
_LOADS = ("LOAD_FAST", "LOAD_FAST_BORROW")


def read_figures(function: Callable[..., Any]) -> Set[str] | None:
    """Names a score reads from its candidate; None if it does anything else with it."""
    code = function.__code__
    argument = code.co_varnames[0]
    found = set()
    for step, following in pairwise(dis.get_instructions(code)):
        if argument in (step.argval if isinstance(step.argval, tuple) else (step.argval,)):
            if not (step.opname in _LOADS and following.opname == "LOAD_ATTR"):
                return None
            found.add(following.argval)
    return found


def needed(read: Set[str] | None) -> int:
    """The bits of `COSTLY` that a score needs, from the names it reads."""
    bits = 0
    for name in COSTLY if read is None else read:
        bits |= COSTLY.get(name, 0)
    return bits


#: Costly figures of each score, in the order of `SCORES`.
NEEDS = tuple(needed(read_figures(getattr(f, "py_func", f))) for f in _FUNCTIONS.values())
