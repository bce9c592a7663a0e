"""Checks a published deleveraging from its frames alone: ``python verify.py FOLDER``.

Needs Python 3.10 or later and nothing else, and is one file, to be read from top to bottom. Works out anew,
by the numbered rules of ``fastadl docs``, who was bankrupt, what the fund took, how everyone was ranked, who
gave how many lots, and at which price; then compares that with what was published. Exit code 0: all of it is
right. 1: it is not, and the first difference is told. 2: the folder holds no event that can be checked.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise, zip_longest
from math import ceil, floor, trunc
from pathlib import Path
from struct import pack, unpack
from typing import Any

FORMAT = 1
TABLES = (
    "instruments", "tiers", "accounts", "positions", "bankrupt", "funds", "takeovers", "payments", "fills",
    "refused",
)  # fmt: skip
#: By what lines are told apart.
KEYS = {
    "instruments": ("symbol",), "accounts": ("account",), "positions": ("account", "symbol", "side"),
    "bankrupt": ("account",), "funds": ("currency",),
}  # fmt: skip
#: What a policy is unless it says so (rules R66, R80).
USUAL = {
    "then": [], "tiers": "given", "severity": "full", "seed": 0, "delta_limit": "0.05", "max_share": "0.5",
    "exponent": 1, "min_leverage": "0", "betas": {}, "fraction": "1",
}  # fmt: skip


class DifferenceError(Exception):
    """What was published does not follow from the rules, or is not what was published."""


class UnreadableError(Exception):
    """No event that this script can check."""


#: What comes of frames that are none.
NONSENSE = (
    OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError, csv.Error,
)  # fmt: skip


# ------------------------------------------------------------ what was published


@dataclass(slots=True)
class Tier:
    """Money in atoms; ml is that of R82."""

    rate: Fraction
    deduction: Fraction
    least: float
    float_rate: float
    float_deduction: float
    ml: float


@dataclass(slots=True)
class Instrument:
    """c, and unit values (R2) at mark, before it and at the oracle price; lots open on each side."""

    symbol: str
    inverse: bool
    currency: str
    scale: Fraction
    unit: Fraction
    float_unit: float
    previous: Fraction
    oracle: Fraction
    open_lots: dict[bool, int]
    tiers: list[Tier] = field(default_factory=list)

    def margin(self, notional: Fraction) -> Fraction:
        """R4."""
        return max(Fraction(0), *(tier.rate * notional - tier.deduction for tier in self.tiers))


@dataclass(slots=True)
class Row:
    """A position; the lots are unsigned."""

    instrument: Instrument
    long: bool
    lots: int
    entry: int

    @property
    def signed(self) -> int:
        """Lots, below 0 of a short."""
        return self.lots if self.long else -self.lots

    @property
    def value(self) -> Fraction:
        """At mark (R3)."""
        return self.signed * self.instrument.unit

    def release(self, lots: int) -> int:
        """Close some lots; the entry value that goes with them (R10)."""
        gone = trunc(Fraction(self.entry * lots, self.lots))
        self.entry -= gone
        self.lots -= lots
        return gone


@dataclass(slots=True)
class Account:
    """Its rows by (symbol, long), in the order (symbol, long first)."""

    name: str
    currency: str
    cash: int
    cross: bool
    adl_tier: int
    spared: str
    place: int
    given: int
    rows: dict[tuple[str, bool], Row] = field(default_factory=dict)

    def held(self) -> list[Row]:
        """Open rows."""
        return [row for row in self.rows.values() if row.lots]

    def equity(self) -> Fraction:
        """R3."""
        return self.cash + sum((row.value - row.entry for row in self.held()), Fraction(0))

    def gross(self) -> Fraction:
        """R3."""
        return sum((abs(row.value) for row in self.held()), Fraction(0))

    def margin(self) -> Fraction:
        """R4."""
        return sum((row.instrument.margin(abs(row.value)) for row in self.held()), Fraction(0))

    def close(self, row: Row, lots: int, value: int) -> int:
        """Close lots for what the account receives; what it realises (R10)."""
        realized = value - row.release(lots)
        self.cash += realized
        return realized


@dataclass(slots=True)
class Fund:
    """One currency's fund; its floor (R27, R88) is stated."""

    cash: int
    floor: Fraction
    resting: bool
    plain: bool
    rows: list[Row] = field(default_factory=list)

    def equity(self) -> Fraction:
        """R3."""
        return self.cash + sum((row.value - row.entry for row in self.rows), Fraction(0))


class Event:
    """An event as it was published: the state before the fund took over, and what came of it.

    Parameters
    ----------
    manifest : mapping
    tables : mapping of name to rows, each a mapping of column to text
    """

    def __init__(
        self, manifest: Mapping[str, Any], tables: Mapping[str, Iterable[Mapping[str, str]]]
    ) -> None:
        self.manifest = manifest
        self.policy: dict[str, Any] = {**USUAL, **manifest["policy"]}
        self.by_hand: Mapping[str, Any] | None = manifest["by_hand"]
        self.decimals: dict[str, int] = manifest["currencies"]
        _check_covered(self.policy)
        _check_lines(tables)
        self.instruments = _instruments(tables, self.decimals)
        self.funds = {
            line["currency"]: Fund(
                int(line["cash"]), Fraction(line["floor"]), line["resting"] == "true", line["rule"] == "R27"
            )
            for line in tables["funds"]
        }
        self.accounts = {line["account"]: _account(line) for line in tables["accounts"]}
        rows = [(line, self.instruments[line["symbol"]]) for line in tables["positions"]]
        for line, item in sorted(rows, key=lambda each: (each[1].symbol, each[0]["side"] != "long")):
            row = Row(item, line["side"] == "long", int(line["lots"]), int(line["entry_value"]))
            if line["account"] == "fund":
                self.funds[item.currency].rows.append(row)
            else:
                self.accounts[line["account"]].rows[item.symbol, row.long] = row
        self.bankrupt = [self.accounts[line["account"]] for line in tables["bankrupt"]]
        self.stated = {name: list(tables[name]) for name in ("takeovers", "payments", "fills", "refused")}


def _check_lines(tables: Mapping[str, Any]) -> None:
    """Nothing is said twice, so that what one reads is what counts; and no lots make up for others."""
    for name, keys in KEYS.items():
        seen = set()
        for line in tables[name]:
            key = tuple(line[column] for column in keys)
            if key in seen:
                raise DifferenceError(f"{name}: {', '.join(key)} is there twice")
            seen.add(key)
    for line in tables["positions"]:
        if int(line["lots"]) < 0:
            raise DifferenceError(f"positions: {line['account']} has {line['lots']} lots; they are unsigned")


def _instruments(tables: Mapping[str, Any], decimals: Mapping[str, int]) -> dict[str, Instrument]:
    found = {}
    for line in tables["instruments"]:
        atoms, inverse = 10 ** decimals[line["currency"]], line["kind"] == "inverse"
        c = Fraction(line["contract_size"]) * Fraction(line["lot"]) * atoms
        unit, previous, oracle = (
            -c / Fraction(line[name]) if inverse else c * Fraction(line[name])
            for name in ("mark", "previous_mark", "oracle")
        )
        lots = {True: int(line["open_long_lots"]), False: int(line["open_short_lots"])}
        found[line["symbol"]] = Instrument(
            line["symbol"], inverse, line["currency"], c, unit, float(unit), previous, oracle, lots
        )
    for line in tables["tiers"]:
        item = found[line["symbol"]]
        atoms = 10 ** decimals[item.currency]
        rate, deduction = Fraction(line["maintenance_rate"]), Fraction(line["deduction"]) * atoms
        ml = 1.0 / (2.0 * float(rate)) if rate else 1.0
        ml = float(Fraction(line["max_leverage"])) if line["max_leverage"] else ml
        least = float(Fraction(line["min_notional"]) * atoms)
        item.tiers.append(Tier(rate, deduction, least, float(rate), float(deduction), ml))
    return found


def _account(line: Mapping[str, str]) -> Account:
    return Account(
        line["account"], line["currency"], int(line["cash"]), line["margin_mode"] == "cross",
        int(line["adl_tier"]), line["spared"], int(line["place"]), int(line["given"]),
    )  # fmt: skip


def _check_covered(policy: Mapping[str, Any]) -> None:
    if policy["space"] != "contract" or policy["trigger"] not in ("bankrupt", "unfilled", "drawdown"):
        raise UnreadableError(f"space {policy['space']} with trigger {policy['trigger']} is not covered")
    for what, known in (("score", SCORES), ("allocation", ALLOCATIONS)):
        if policy[what] not in known:
            raise UnreadableError(f"{what} {policy[what]} is not covered")
    for score in policy["then"]:
        if score not in SCORES:
            raise UnreadableError(f"score {score} is not covered")


# ------------------------------------------------------------ scores, in float64 (R6, R46, R82, R83)


@dataclass(slots=True)
class Figures:
    """What scores are made of: a row, and its account; money in atoms."""

    lots: float
    short: bool
    inverse: bool
    value: float
    cost: float
    profit: float
    symbol_profit: float
    row_margin: float
    cash: float
    equity: float
    margin: float
    gross: float
    net: float
    size: float
    one: float
    max_leverage: float
    place: int
    given: int

    @property
    def roi(self) -> float:
        """Return on entry."""
        return self.profit / max(self.cost, 1.0)

    @property
    def leverage(self) -> float:
        """L."""
        return self.gross / max(self.equity, 1.0)


def figures(event: Event, account: Account, row: Row) -> Figures:
    """In the order that R6 prescribes."""
    cash = float(account.cash)
    equity, margin, gross, net, size, symbol_profit = cash, 0.0, 0.0, 0.0, abs(cash), 0.0
    for held in account.held():
        value = float(held.signed) * held.instrument.float_unit
        profit = value - float(held.entry)
        equity += profit
        margin += _float_margin(held.instrument, abs(value))
        gross += abs(value)
        net += abs(value) if held.long else -abs(value)
        size += 2.0 * abs(value) + abs(float(held.entry))
        if held.instrument is row.instrument:
            symbol_profit += profit
    value, entry, item = float(row.signed) * row.instrument.float_unit, float(row.entry), row.instrument
    one = float(10 ** event.decimals[item.currency])
    return Figures(
        float(row.lots), not row.long, item.inverse, abs(value), abs(entry), value - entry, symbol_profit,
        _float_margin(item, abs(value)), cash, equity, margin, gross, net, size, one,
        _max_leverage(item, abs(value)), account.place, account.given,
    )  # fmt: skip


def _float_margin(item: Instrument, notional: float) -> float:
    most = 0.0
    for tier in item.tiers:
        most = max(most, tier.float_rate * notional - tier.float_deduction)
    return most


def _max_leverage(item: Instrument, notional: float) -> float:
    reached = [tier for tier in item.tiers if tier.least <= notional]
    return (reached[-1] if reached else item.tiers[0]).ml


def _times(ratio: float, weight: float) -> float:
    """A winner's return times the weight, a loser's divided by it."""
    return ratio * weight if ratio > 0.0 else ratio / weight


def _hyperliquid(c: Figures) -> float:
    ratio = c.cost / c.value if c.short != c.inverse else c.value / max(c.cost, 1.0)
    return ratio * c.value / max(c.equity, 1.0)


def _recovered(c: Figures) -> float:
    return max(c.value / max(c.equity, 1.0), 1e-8) * max(max(c.profit, 0.0) / max(c.cost, 1.0), 1e-8)


def _binance(c: Figures) -> float:
    ratio = c.margin / c.equity if c.equity > 0.0 else 0.0
    return max(0.0, c.symbol_profit) / max(c.cash, c.one) * ratio


def _okx(c: Figures) -> float:
    return _times(c.roi, max(c.margin, 1.0) / max(c.equity, 1.0))


def _extended(c: Figures) -> float:
    return _times(c.roi, max(c.row_margin, 1.0) / max(c.equity, c.one))


def _bitget_c(c: Figures) -> float:
    return 0.0 if c.profit <= 0.0 or c.equity < c.margin else c.roi * c.leverage


SCORES: dict[str, Callable[[Figures], float]] = {
    "bitmex": lambda c: _times(c.roi, c.leverage),
    "binance": _binance,
    "hyperliquid": _hyperliquid,
    "hyperliquid_recovered": _recovered,
    "okx": _okx,
    "htx": _okx,
    "extended": _extended,
    "profit_ratio": lambda c: c.roi,
    "size": lambda c: c.lots,
    "bitget_a": _okx,
    "bitget_c": _bitget_c,
    "gate_2022": lambda c: c.profit * c.max_leverage,
    "kucoin_v1": lambda c: c.max_leverage * (c.profit / max(c.cost / c.max_leverage, 1.0)),
    "leverage": lambda c: c.leverage,
    "profit": lambda c: c.profit,
    "low_cash": lambda c: -c.cash,
    "newest": lambda c: float(c.place),
    "given": lambda c: -float(c.given),
    "random": lambda _: 0.0,  # of the tick and the seed: see `score_of`
}


def score_of(event: Event, name: str, c: Figures) -> float:
    """R46, R82."""
    if name != "random":
        return SCORES[name](c) + 0.0
    seed = event.policy["seed"] + (event.manifest["tick"] + 1) * 0x9E3779B97F4A7C15
    return (_mix(_mix(seed % 2**64) + c.place & 2**64 - 1) >> 11) * 2.0**-53


def _mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def tier_of(event: Event, account: Account, c: Figures) -> int:
    """R83."""
    if event.policy["tiers"] == "given":
        return account.adl_tier
    limit = float(Fraction(event.policy["delta_limit"]))
    neutral = account.cross and c.gross > 0.0 and abs(c.net) <= limit * c.gross
    if event.policy["tiers"] == "delta_neutral":
        return 2 * account.adl_tier + neutral
    return account.adl_tier if neutral else 0


# ------------------------------------------------------------ the ranking (R40, R41)


@dataclass(slots=True)
class Candidate:
    """A position that may be deleveraged, as it stood when the ranking was made."""

    account: Account
    row: Row
    figures: Figures
    tier: int
    scores: list[float]
    lots: int
    rank: int = 0
    quota: int = 0
    taken: int = 0


def ranking(event: Event, symbol: str, long: bool) -> list[Candidate]:
    """Everyone on one side of a symbol who may be asked, first the one who is first in line."""
    bankrupt = {account.name for account in event.bankrupt}
    found = []
    for account in event.accounts.values():
        row = account.rows.get((symbol, long))
        if row is None or not row.lots or account.spared or account.name in bankrupt:
            continue
        c = figures(event, account, row)
        if c.equity <= 1e-9 * c.size and account.equity() < 0:  # in float64 only where there is no doubt
            continue
        scores = [score_of(event, name, c) for name in (event.policy["score"], *event.policy["then"])]
        found.append(Candidate(account, row, c, tier_of(event, account, c), scores, row.lots))
    if event.by_hand and event.by_hand["counterparties"] is not None:
        order = {name: place for place, name in enumerate(event.by_hand["counterparties"], start=1)}
        found = [each for each in found if each.account.name in order]
        for each in found:
            each.rank = order[each.account.name]
        return sorted(found, key=lambda each: each.rank)
    found.sort(key=lambda each: (each.tier, [-score for score in each.scores], each.account.place))
    for rank, each in enumerate(found, start=1):
        each.rank = rank
    return found


# ------------------------------------------------------------ how many lots each gives (R16, R43, R84)


def allocate(event: Event, ranked: Sequence[Candidate], need: int) -> None:
    """Set the quota of every candidate."""
    allocation = event.policy["allocation"]
    if allocation in ("queue", "whole") or (event.by_hand and event.by_hand["counterparties"] is not None):
        for each in ranked:
            fits = allocation != "whole" or each.lots <= need
            each.quota = each.lots if fits else 0
            need -= each.quota if allocation == "whole" else 0
        return
    tiers = defaultdict(list)
    for each in ranked:
        tiers[each.tier].append(each)
    for number in sorted(tiers):
        tier = sorted(tiers[number], key=lambda each: each.account.place)
        held = [each.lots for each in tier]
        if allocation != "capped_pro_rata" and need >= sum(held):
            given = held
        else:
            given = ALLOCATIONS[allocation](event, tier, held, need) if need else [0] * len(held)
        for each, lots in zip(tier, given, strict=True):
            each.quota = lots
        need -= sum(given)


def largest_remainders(shares: Sequence[Fraction]) -> list[int]:
    """R16, of shares in the order of the ids."""
    whole = [floor(share) for share in shares]
    missing = int(sum(shares, Fraction(0))) - sum(whole)
    for i in sorted(range(len(shares)), key=lambda i: (whole[i] - shares[i], i))[:missing]:
        whole[i] += 1
    return whole


def capped_shares(cap: Sequence[int], weight: Sequence[int], need: int) -> list[Fraction]:
    """min(cap, τ · weight) that add up to the need; what has no weight gets nothing."""
    shares, left, total = [Fraction(lots) for lots in cap], need, sum(weight)
    order = sorted((i for i in range(len(cap)) if weight[i]), key=lambda i: Fraction(cap[i], weight[i]))
    for place, i in enumerate(order):
        if cap[i] * total > left * weight[i]:
            for j in order[place:]:
                shares[j] = Fraction(left * weight[j], total)
            break
        left, total = left - cap[i], total - weight[i]
    return [share if weight[i] else Fraction(0) for i, share in enumerate(shares)]


def _by_size(lots: Sequence[int], need: int) -> list[int]:
    total = sum(lots)
    return largest_remainders([Fraction(need * each, total) for each in lots]) if need else [0] * len(lots)


def _weighed(
    lots: Sequence[int], weight: Sequence[int], need: int, share: Callable[..., list[int]]
) -> list[int]:
    """Among those with a weight; when these are used up the others by size."""
    weighed = [each if weight[i] > 0 else 0 for i, each in enumerate(lots)]
    if need <= sum(weighed):
        return share(weighed, weight, need)
    others = [0 if weight[i] > 0 else each for i, each in enumerate(lots)]
    more = _by_size(others, need - sum(weighed))
    return [one + other for one, other in zip(weighed, more, strict=True)]


def _threshold(cap: Sequence[int], weight: Sequence[int], need: int) -> list[int]:
    return largest_remainders(capped_shares(cap, weight, need))


def _least_share(cap: Sequence[int], weight: Sequence[int], need: int) -> list[int]:
    """Lots one by one, each to the least float64 (k + 1)/w: up to one quotient, which is searched."""

    def up_to(quotient: float) -> list[int]:
        found = []
        for most, w in zip(cap, weight, strict=True):
            low, high = 0, most
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if float(middle + 1) / float(w) <= quotient else (low, middle)
            found.append(low)
        return found

    low, high = 0, unpack("q", pack("d", float("inf")))[0]
    while low < high:  # non-negative float64 are in the order of their bits
        middle = (low + high) // 2
        enough = sum(up_to(unpack("d", pack("q", middle))[0])) >= need
        low, high = (low, middle) if enough else (middle + 1, high)
    given = up_to(unpack("d", pack("q", low - 1))[0]) if low else [0] * len(cap)
    left = need - sum(given)
    for i, most in enumerate(up_to(unpack("d", pack("q", low))[0])):
        more = min(left, most - given[i])
        given[i] += more
        left -= more
    return given


def _level(tier: Sequence[Candidate], exposure: Sequence[int], width: Fraction, need: int) -> list[int]:
    """Down to one level of exposure over equity, between two corners of which all is a straight line."""
    equity = [max(floor(each.account.equity()), 1) for each in tier]

    def given(level: Fraction) -> list[Fraction]:
        return [
            min(max((b - level * e) / width, Fraction(0)), Fraction(each.lots))
            for each, b, e in zip(tier, exposure, equity, strict=True)
        ]

    corners = {Fraction(b, e) for b, e in zip(exposure, equity, strict=True)}
    corners |= {(b - c.lots * width) / e for c, b, e in zip(tier, exposure, equity, strict=True)}
    points = sorted(corners)
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sum(given(points[middle])) >= need else (low, middle)
    most, least = sum(given(points[low])), sum(given(points[high]))
    share = (most - need) / Fraction(most - least) if most != least else Fraction(0)
    return largest_remainders(given(points[low] + share * (points[high] - points[low])))


def _whole_weights(figure: Sequence[float]) -> list[int]:
    """R84: 40 bits of each in relation to the largest."""
    largest = max(figure)
    return [floor(each / largest * 2.0**40) if largest > 0.0 else 0 for each in figure]


def _by_profit(_: Event, tier: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    weight = [max(0, floor(each.row.value - each.row.entry)) for each in tier]
    return _weighed(held, weight, need, _threshold)


def _by_equity(_: Event, tier: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    return _weighed(held, [max(0, floor(each.account.equity())) for each in tier], need, _threshold)


def _by_risk(event: Event, tier: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    figure = []
    for each in tier:
        beyond, power = each.figures.leverage - float(Fraction(event.policy["min_leverage"])), 1.0
        for _ in range(event.policy["exponent"]):
            power *= beyond
        figure.append(float(each.lots) * (power if beyond > 0.0 else 0.0))
    return _weighed(held, _whole_weights(figure), need, _threshold)


def _by_projection(_: Event, tier: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    figure = [float(each.lots) * max(each.figures.profit, 0.0) for each in tier]
    return _weighed(held, _whole_weights(figure), need, _threshold)


def _capped(event: Event, _: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    share = Fraction(event.policy["max_share"])
    cap = [floor(share * lots) for lots in held]
    return cap if need >= sum(cap) else _threshold(cap, held, need)


def _by_leverage(_: Event, tier: Sequence[Candidate], __: Sequence[int], need: int) -> list[int]:
    gross = [floor(each.account.gross()) for each in tier]
    return _level(tier, gross, abs(tier[0].row.instrument.unit), need)


def _by_factor(event: Event, tier: Sequence[Candidate], _: Sequence[int], need: int) -> list[int]:
    betas = {symbol: Fraction(beta) for symbol, beta in event.policy["betas"].items()}
    mine = tier[0].row
    exposure = []
    for each in tier:
        net = sum(
            betas.get(row.instrument.symbol, Fraction(1))
            * abs(row.value)
            * (1 if row.long == mine.long else -1)
            for row in each.account.held()
        )
        exposure.append(max(0, floor(net)))
    width = betas.get(mine.instrument.symbol, Fraction(1)) * abs(mine.instrument.unit)
    return _level(tier, exposure, width, need)


def _min_max(_: Event, tier: Sequence[Candidate], held: Sequence[int], need: int) -> list[int]:
    equity = [max(0, floor(each.account.equity())) for each in tier]

    def share(lots: Sequence[int], weight: Sequence[int], need: int) -> list[int]:
        return _least_share(lots, [max(w, 1) for w in weight], need)

    return _weighed(held, equity, need, share)


ALLOCATIONS: dict[str, Callable[..., list[int]]] = {
    "queue": lambda *_: [],
    "whole": lambda *_: [],
    "pro_rata_size": lambda _event, _tier, held, need: _by_size(held, need),
    "pro_rata_profit": _by_profit,
    "pro_rata_equity": _by_equity,
    "risk_aware": _by_risk,
    "quadratic_projection": _by_projection,
    "capped_pro_rata": _capped,
    "leverage_fill": _by_leverage,
    "factor_fill": _by_factor,
    "min_max": _min_max,
}


# ------------------------------------------------------------ what has to be closed (R23 to R27)


@dataclass(slots=True)
class Closing:
    """One row of a bankrupt account, and what it is closed for.

    Attributes
    ----------
    shortfall, weight, weights, worth : Fraction
        S, w, Σw and V of R25.
    value : int
        T of R25 for all lots, R26 included.
    taken, paid : int
        Lots the fund took, and what it paid for them.
    left, left_value : int
        What is left of the lots and of T.
    need : int
        Lots that ADL is to close.
    """

    account: Account
    row: Row
    lots: int
    shortfall: Fraction
    weight: Fraction
    weights: Fraction
    worth: Fraction
    value: int
    cut: bool
    left: int
    left_value: int
    taken: int = 0
    paid: int = 0
    need: int = 0


def closings_of(event: Event, account: Account) -> list[Closing]:
    """Hedges closed (R24), and the shortfall split over what is left (R25, R26)."""
    if not event.by_hand:
        for symbol in {symbol for symbol, _ in account.rows}:
            pair = [account.rows.get((symbol, long)) for long in (True, False)]
            lots = min(row.lots if row else 0 for row in pair)
            account.cash -= sum(row.release(lots) for row in pair if row and lots)
    rows = account.held()
    total = sum(row.entry for row in rows) - account.cash
    worth = [row.value for row in rows]
    shortfall = total - sum(worth, Fraction(0))
    weight = [abs(value) for value in worth]
    if event.policy["split"] == "maintenance_margin":
        margins = [row.instrument.margin(abs(row.value)) for row in rows]
        weight = margins if any(margins) else weight
    weights = sum(weight, Fraction(0))
    exact = [v + shortfall * w / weights for v, w in zip(worth, weight, strict=True)]
    found = []
    for row, v, w, whole in zip(rows, worth, weight, largest_remainders(exact), strict=True):
        cut = v < 0 < whole
        value = 0 if cut else whole
        found.append(Closing(account, row, row.lots, shortfall, w, weights, v, value, cut, row.lots, value))
    return found


def take_over(event: Event, closings: Sequence[Closing]) -> tuple[list[Any], list[Any]]:
    """What the fund takes and pays while it has room (R14, R27); where R88 and R89 say more, as stated."""
    takeovers, payments = [], []
    stated, lent, of = defaultdict(list), defaultdict[str, int](int), defaultdict[str, list[Closing]](list)
    for line in event.stated["takeovers"]:
        stated[line["account"], line["symbol"], line["side"]].append((int(line["lots"]), int(line["value"])))
    for line in event.stated["payments"]:
        lent[line["account"]] += int(line["amount"])
    for closing in closings:
        of[closing.account.name].append(closing)
    for currency, fund in event.funds.items():
        room = Fraction(0) if fund.resting else fund.equity() - fund.floor
        for account in event.bankrupt:
            if account.currency != currency:
                continue
            for each in of[account.name]:
                if fund.plain:
                    fits = _fitting(room, each)
                    pays = each.left_value * fits // each.left if fits else 0
                else:
                    key = account.name, each.row.instrument.symbol, side(each.row.long)
                    fits, pays = next(iter(stated[key]), (0, 0))
                    fits = min(fits, each.left)
                if fits:
                    room += each.worth * Fraction(fits, each.lots) - pays
                    account.close(each.row, fits, pays)
                    each.taken, each.paid = fits, pays
                    each.left, each.left_value = each.left - fits, each.left_value - pays
                    takeovers.append((each, fits, pays))
            debt = min(-account.cash, floor(room))
            if not fund.plain:
                debt = min(-account.cash, lent[account.name])
            if debt > 0 and not any(each.left for each in of[account.name]):
                account.cash += debt
                room -= debt
                payments.append((account, debt))
    return takeovers, payments


def _fitting(room: Fraction, closing: Closing) -> int:
    if room <= 0 or closing.left_value <= closing.worth:
        return closing.left if room > 0 else 0
    return min(closing.left, floor(room * closing.left / (closing.left_value - closing.worth)))


def side(long: bool) -> str:
    """By its name."""
    return "long" if long else "short"


# ------------------------------------------------------------ lots change hands (R13, R42 to R45, R85, R86)


@dataclass(slots=True)
class Fill:
    """Lots of a candidate closed against a bankrupt row; `before` were closed of that row already."""

    closing: Closing
    candidate: Candidate
    lots: int
    value: int
    bankrupt_realized_pnl: int
    realized_pnl: int
    before: int
    ranked: list[Candidate]


@dataclass(slots=True)
class Rerun:
    """What the rules say should have happened."""

    closings: list[Closing] = field(default_factory=list)
    takeovers: list[Any] = field(default_factory=list)
    payments: list[Any] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    rankings: list[list[Candidate]] = field(default_factory=list)


def rerun(event: Event) -> Rerun:
    """Do it all again; the event's accounts are afterwards as they were then."""
    found = Rerun()
    for account in event.bankrupt:
        found.closings += closings_of(event, account)
    if not event.by_hand:
        found.takeovers, found.payments = take_over(event, found.closings)
    for each in found.closings:
        each.need = _need(event, each)
    legs = defaultdict(list)
    for each in found.closings:
        if each.need:
            legs[each.row.instrument.symbol, not each.row.long].append(each)
    parts = [legs[leg] for leg in sorted(legs)]
    if event.policy["rerank"] == "each":
        for each in (each for part in parts for each in part):
            _walk(event, found, [each], _ranked(event, found, [each]))
    else:
        for part, ranked in [(part, _ranked(event, found, part)) for part in parts]:
            _walk(event, found, part, ranked)
    return found


def _need(event: Event, closing: Closing) -> int:
    if event.by_hand:
        row = closing.row
        named = (row.instrument.symbol, side(row.long)) == (event.by_hand["symbol"], event.by_hand["side"])
        return int(event.by_hand["lots"]) if named else 0
    share = Fraction(event.policy["fraction"]) if event.policy["severity"] == "fraction" else Fraction(1)
    return floor(share * closing.left)


def _ranked(event: Event, found: Rerun, closings: Sequence[Closing]) -> list[Candidate]:
    row = closings[0].row
    ranked = ranking(event, row.instrument.symbol, not row.long)
    allocate(event, ranked, sum(each.need for each in closings))
    found.rankings.append(ranked)
    return ranked


def transfer_value(event: Event, closing: Closing) -> Fraction:
    """X of R44 and R85, for all lots that were left."""
    item, signed = closing.row.instrument, closing.left if closing.row.long else -closing.left
    units = {"mark": item.unit, "previous_mark": item.previous, "oracle": item.oracle}
    price, whole = event.policy["price"], Fraction(closing.left_value)
    if price == "mark_capped":
        return min(signed * item.unit, whole)
    return signed * units[price] if price in units else whole


def _walk(event: Event, found: Rerun, closings: Sequence[Closing], ranked: list[Candidate]) -> None:
    start = 0
    for closing in closings:
        total, lots_of_all, done = transfer_value(event, closing), closing.left, 0
        while start < len(ranked) and not ranked[start].quota:
            start += 1
        for candidate in map(ranked.__getitem__, range(start, len(ranked))):
            asked = min(closing.need - done, candidate.quota)
            if done == closing.need:
                break
            lots, reason = _allowed(event, closing, candidate, total / lots_of_all, asked)
            if lots < asked:
                found.refused.append((closing, candidate, asked - lots, reason))
            if not lots:
                continue
            value = ceil(total * (done + lots) / lots_of_all) - ceil(total * done / lots_of_all)
            if event.policy["price"] == "entry":
                value = -trunc(Fraction(candidate.row.entry * lots, candidate.row.lots))
            lost = closing.account.close(closing.row, lots, value)
            won = candidate.account.close(candidate.row, lots, -value)
            found.fills.append(Fill(closing, candidate, lots, value, lost, won, done, ranked))
            candidate.quota -= lots
            candidate.taken += lots
            done += lots


def _allowed(
    event: Event, closing: Closing, candidate: Candidate, a_lot: Fraction, asked: int
) -> tuple[int, str]:
    """Lots the guard lets through, and why no more (R45, R86)."""
    row, account, guard = candidate.row, candidate.account, event.policy["guard"]
    loss = a_lot - (1 if closing.row.long else -1) * row.instrument.unit
    if guard == "none" or not asked or loss <= 0:
        return asked, ""
    equity = account.equity()
    solvent = min(asked, floor((equity - 1) / loss)) if equity >= 1 else 0
    if guard == "solvent" or not solvent:
        return solvent, "below_zero"
    margin, now = account.margin(), row.instrument.margin(abs(row.value))

    def holds(k: int) -> bool:
        left = (
            row.instrument.margin((row.lots - k) * abs(row.instrument.unit)) if k < row.lots else Fraction(0)
        )
        return (equity - k * loss - 1) * margin >= equity * (margin - now + left)

    most = solvent
    if not holds(most):
        lines = [(tier.rate, tier.deduction) for tier in row.instrument.tiers]
        for rate, deduction in [*lines, (Fraction(0), Fraction(0))]:
            per_lot = rate * abs(row.instrument.unit)
            falling = margin * loss - equity * per_lot
            if falling > 0:
                most = min(most, floor((equity * (now - per_lot * row.lots + deduction) - margin) / falling))
        most = most if most > 0 and holds(most) else 0
    return most, "health" if most < solvent else "below_zero"


# ------------------------------------------------------------ is it what was published


def check(event: Event) -> Rerun:
    """Compare what was published with what follows from the rules.

    Raises
    ------
    DifferenceError
        At the first thing that does not.
    """
    _check_bankrupt(event)
    _check_places(event)
    shown = _lots_shown(event)
    found = rerun(event)
    _check_everyone(event, found, shown)
    lines = {
        "takeovers": [_takeover(*each) for each in found.takeovers],
        "payments": [{"account": account.name, "amount": amount} for account, amount in found.payments],
        "fills": [_fill(each) for each in found.fills],
        "refused": [_refused(*each) for each in found.refused],
    }
    for name, expected in lines.items():
        _compare(name, _ordered(name, event.stated[name]), _ordered(name, expected))
    return found


def _ordered(name: str, lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the fund does, currency by currency, is in no order that matters."""
    keys = {"takeovers": ("account", "symbol", "side"), "payments": ("account",)}.get(name, ())
    return sorted(lines, key=lambda line: [line[key] for key in keys])


def _check_bankrupt(event: Event) -> None:
    """R21, R23, R87."""
    if event.by_hand:
        return
    health = []
    for account in event.bankrupt:
        equity, margin = account.equity(), account.margin()
        unfilled = event.policy["trigger"] == "unfilled" and equity < margin
        if account.spared == "in_liquidation" or not (equity < 0 or unfilled):
            raise DifferenceError(
                f"bankrupt {account.name}: by the rules it is not: its equity is {equity} atoms"
            )
        rows = account.held()
        c = figures(event, account, rows[0]) if rows else None
        ratio = c.equity / c.margin if c and c.margin > 0.0 else float("-inf")
        health.append((ratio, account.place, account.name))
    if event.manifest["as_detected"]:
        for place, (one, other) in enumerate(zip(health, sorted(health), strict=True), start=1):
            if one != other:
                raise DifferenceError(f"bankrupt {place}: published {one[2]}, by the rules {other[2]}")


def _check_places(event: Event) -> None:
    """Ties go by the order of the ids, where these are shown."""
    if event.manifest["ids"] == "plain":
        for one, other in pairwise(sorted(event.accounts)):
            if event.accounts[one].place >= event.accounts[other].place:
                raise DifferenceError(f"accounts: {one} is before {other}, but its place is not")


def _lots_shown(event: Event) -> dict[tuple[str, bool], int]:
    lots: dict[tuple[str, bool], int] = defaultdict(int)
    for account in event.accounts.values():
        for leg, row in account.rows.items():
            lots[leg] += row.lots
    return lots


def _check_everyone(event: Event, found: Rerun, shown: Mapping[tuple[str, bool], int]) -> None:
    """Nobody is missing on a side that was ranked."""
    for closing in found.closings:
        symbol, long = closing.row.instrument.symbol, not closing.row.long
        stated, lots = event.instruments[symbol].open_lots[long], shown.get((symbol, long), 0)
        if closing.need and lots != stated:
            raise DifferenceError(f"{symbol} {side(long)}: {stated} lots are open, of which {lots} are shown")


def _takeover(closing: Closing, lots: int, value: int) -> dict[str, Any]:
    row = closing.row
    where = {"account": closing.account.name, "symbol": row.instrument.symbol, "side": side(row.long)}
    return {**where, "lots": lots, "value": value}


def _fill(each: Fill) -> dict[str, Any]:
    row = each.closing.row
    return {
        "bankrupt": each.closing.account.name, "counterparty": each.candidate.account.name,
        "symbol": row.instrument.symbol, "side": side(row.long), "lots": each.lots, "value": each.value,
        "bankrupt_realized_pnl": each.bankrupt_realized_pnl, "realized_pnl": each.realized_pnl,
        "rank": each.candidate.rank, "score": each.candidate.scores[0],
    }  # fmt: skip


def _refused(closing: Closing, candidate: Candidate, lots: int, reason: str) -> dict[str, Any]:
    row = closing.row
    return {
        "account": candidate.account.name, "bankrupt": closing.account.name,
        "symbol": row.instrument.symbol, "side": side(row.long), "lots": lots, "reason": reason,
    }  # fmt: skip


def _compare(name: str, stated: Sequence[Mapping[str, str]], expected: Sequence[Mapping[str, Any]]) -> None:
    for place, (one, other) in enumerate(zip_longest(stated, expected), start=1):
        if one is None or other is None:
            told = "is not there" if one is None else "should not be"
            raise DifferenceError(f"{name} {place} {told}: {_shown(other if one is None else one)}")
        for column, value in other.items():
            if type(value)(one[column]) != value:
                where = f"{name} {place} ({_shown(one)})"
                raise DifferenceError(f"{where}: {column} is {one[column]}, by the rules {value}")


def _shown(line: Mapping[str, Any]) -> str:
    names = ("account", "bankrupt", "counterparty", "symbol", "side", "lots", "amount")
    return ", ".join(f"{name} {line[name]}" for name in names if name in line)


# ------------------------------------------------------------ the folder


def read(folder: Path) -> Event:
    """The event in a folder, every file compared with its hash in the manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        if manifest["format"] != FORMAT:
            raise UnreadableError(f"format {manifest['format']}; this script reads {FORMAT}")
        tables = {}
        for name in TABLES:
            path = folder / f"{name}.csv"
            if not path.exists() or sha256(path.read_bytes()).hexdigest() != manifest["files"][path.name]:
                raise DifferenceError(f"{path.name} is not what was published, by its hash")
            with path.open(encoding="utf-8", newline="") as lines:
                tables[name] = _lines(name, csv.reader(lines))
        return Event(manifest, tables)
    except NONSENSE as error:
        raise UnreadableError(f"no event: {type(error).__name__}: {error}") from error


def _lines(name: str, rows: Iterator[list[str]]) -> list[dict[str, str]]:
    columns = next(rows, [])
    if len(set(columns)) < len(columns):
        raise DifferenceError(f"{name}: a column is there twice")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a folder; see the head of this file for what is returned."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    folder = Path(given[0]) if given else Path(__file__).parent
    try:
        event = read(folder)
        told = _told(folder, event, check(event))
    except DifferenceError as error:
        sys.stdout.write(f"WRONG: {error}\n")
        return 1
    except (UnreadableError, *NONSENSE) as error:
        sys.stderr.write(f"{folder}: {type(error).__name__}: {error}\n")
        return 2
    sys.stdout.write("\n".join(told) + "\n")
    return 0


def _told(folder: Path, event: Event, found: Rerun) -> list[str]:
    """What is said of an event that is right."""
    journal, ranked = event.manifest["journal"], sum(map(len, found.rankings))
    return [
        f"RIGHT: {len(found.fills)} fills of tick {event.manifest['tick']}, from {ranked} ranked positions.",
        f"Journal entry {journal['sequence']}, hash {journal['hash']}",
        f"manifest.json, SHA-256 {sha256((folder / 'manifest.json').read_bytes()).hexdigest()}",
        *(f"Taken as stated: {what}." for what in _stated(event)),
    ]


def _stated(event: Event) -> list[str]:
    """What the frames cannot show."""
    policy, by_hand = event.policy, event.by_hand
    found = ["the state before, and the fund's floor"]
    found.append(
        f"the policy, {policy['score']}, {policy['allocation']}, {policy['price']} among its choices"
    )
    spared = sum(bool(account.spared) for account in event.accounts.values())
    if spared:
        found.append(f"that {spared} accounts were spared, exempt or in liquidation")
    if by_hand:
        named = "" if by_hand["counterparties"] is None else ", and against whom"
        found.append(f"that {by_hand['account']} was closed by hand, bankrupt or not{named}")
    if event.manifest["ids"] != "plain":
        found.append("the order of the ids, which are hidden: equal scores go by it")
    if not event.manifest["as_detected"]:
        found.append("the order of the bankrupt, since something happened after they were found")
    if not all(fund.plain for fund in event.funds.values()):
        found.append("what the fund took, which its limits of days or symbols decide")
    return found


if __name__ == "__main__":
    sys.exit(main())
