"""R43: how many lots each candidate gives."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from model.exact import Exact, largest_remainders
from model.ranking import Candidate


def quotas(allocation: str, need: int, candidates: Sequence[Candidate]) -> dict[str, int]:
    """Lots by account id, for candidates in rank order."""
    if allocation == "queue":
        return {candidate.account: candidate.lots for candidate in candidates}
    if allocation == "whole":
        return whole(need, candidates)
    given: dict[str, int] = {}
    for adl_tier in sorted({candidate.adl_tier for candidate in candidates}):
        tier = [candidate for candidate in candidates if candidate.adl_tier == adl_tier]
        shared = share_tier(allocation, need, tier)
        need -= sum(shared.values())
        given |= shared
    return given


def whole(need: int, candidates: Sequence[Candidate]) -> dict[str, int]:
    given = {}
    for candidate in candidates:
        given[candidate.account] = candidate.lots if candidate.lots <= need else 0
        need -= given[candidate.account]
    return given


def share_tier(allocation: str, need: int, tier: Sequence[Candidate]) -> dict[str, int]:
    """The last three rows of the table, within one tier."""
    if need >= sum(candidate.lots for candidate in tier):
        return {candidate.account: candidate.lots for candidate in tier}
    if need == 0:
        return {candidate.account: 0 for candidate in tier}
    if allocation == "pro_rata_size":
        return by_size(need, tier)
    if allocation == "pro_rata_profit":
        return by_profit(need, tier)
    return by_leverage(need, tier)


def by_size(need: int, tier: Sequence[Candidate]) -> dict[str, int]:
    total = sum(candidate.lots for candidate in tier)
    return largest_remainders(need, {c.account: Fraction(need * c.lots, total) for c in tier})


def by_profit(need: int, tier: Sequence[Candidate]) -> dict[str, int]:
    winners = [candidate for candidate in tier if candidate.profit > 0]
    others = [candidate for candidate in tier if candidate.profit <= 0]
    winning_lots = sum(candidate.lots for candidate in winners)
    if need > winning_lots:
        closed = {candidate.account: candidate.lots for candidate in winners}
        return closed | by_size(need - winning_lots, others)
    caps = {candidate.account: candidate.lots for candidate in winners}
    weights = {candidate.account: candidate.profit for candidate in winners}
    return {c.account: 0 for c in others} | largest_remainders(need, capped_shares(need, caps, weights))


def capped_shares(total: int, caps: Mapping[str, int], weights: Mapping[str, int]) -> dict[str, Exact]:
    """min(cap, tau * weight) with sum `total`, which the caps allow; every weight is positive."""
    full: set[str] = set()
    while len(full) < len(caps):
        left = total - sum(caps[key] for key in full)
        tau = Fraction(left, sum(weights[key] for key in caps if key not in full))
        filled = {key for key in caps if key not in full and tau * weights[key] >= caps[key]}
        if not filled:
            return {key: caps[key] if key in full else tau * weights[key] for key in caps}
        full |= filled
    return dict(caps)


def by_leverage(need: int, tier: Sequence[Candidate]) -> dict[str, int]:
    level = leverage_level(need, tier)
    return largest_remainders(need, {c.account: excess_lots(c, level) for c in tier})


def excess_lots(candidate: Candidate, level: Fraction) -> Fraction:
    """What the candidate must close to come down to the level: clip((gross - L * equity) / |u|, 0, cap)."""
    lots = (candidate.gross - level * max(candidate.equity, 1)) / candidate.unit_notional
    return min(max(lots, Fraction(0)), Fraction(candidate.lots))


def leverage_level(need: int, tier: Sequence[Candidate]) -> Fraction:
    """The level at which the tier gives `need`; between two neighbouring kinks all is a straight line."""

    def given(level: Fraction) -> Fraction:
        return sum((excess_lots(candidate, level) for candidate in tier), Fraction(0))

    kinks = set()
    for c in tier:
        kinks.add(Fraction(c.gross, max(c.equity, 1)))
        kinks.add((c.gross - c.lots * c.unit_notional) / max(c.equity, 1))
    low = max(kink for kink in kinks if given(kink) >= need)
    high = min(kink for kink in kinks if given(kink) < need)
    return low + (high - low) * (given(low) - need) / (given(low) - given(high))
