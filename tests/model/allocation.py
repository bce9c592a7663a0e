"""R43, R84: how many lots each candidate gives."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from model.exact import Exact, floor, largest_remainders
from model.policy import Policy
from model.ranking import Candidate

Quotas = dict[str, int]


def quotas(policy: Policy, need: int, candidates: Sequence[Candidate]) -> Quotas:
    """Lots by account id, for candidates in rank order."""
    allocation = policy["allocation"]
    if allocation == "queue":
        return {candidate.account: candidate.lots for candidate in candidates}
    if allocation == "whole":
        return whole(need, candidates)
    given: Quotas = {}
    for number in sorted({candidate.tier for candidate in candidates}):
        tier = [candidate for candidate in candidates if candidate.tier == number]
        if allocation == "capped_pro_rata":
            shared = capped_by_size(need, tier, policy["max_share"])
        else:
            shared = share_tier(policy, need, tier)
        need -= sum(shared.values())
        given |= shared
    return given


def whole(need: int, candidates: Sequence[Candidate]) -> Quotas:
    given = {}
    for candidate in candidates:
        given[candidate.account] = candidate.lots if candidate.lots <= need else 0
        need -= given[candidate.account]
    return given


def share_tier(policy: Policy, need: int, tier: Sequence[Candidate]) -> Quotas:
    """Within one tier."""
    if need >= sum(candidate.lots for candidate in tier):
        return {candidate.account: candidate.lots for candidate in tier}
    if need == 0:
        return {candidate.account: 0 for candidate in tier}
    shares: dict[str, Callable[[], Quotas]] = {
        "pro_rata_size": lambda: by_size(need, tier),
        "pro_rata_profit": lambda: by_weight(need, tier, {c.account: max(0, c.profit) for c in tier}),
        "pro_rata_equity": lambda: by_weight(need, tier, {c.account: max(0, c.equity) for c in tier}),
        "risk_aware": lambda: by_weight(need, tier, whole_weights(tier, lambda c: risk(policy, c))),
        "quadratic_projection": lambda: by_weight(need, tier, whole_weights(tier, gain)),
        "leverage_fill": lambda: by_level(need, tier),
        "factor_fill": lambda: by_level(need, [by_factor(candidate) for candidate in tier]),
        "min_max": lambda: by_largest_share(need, tier),
    }
    return shares[policy["allocation"]]()


def by_size(need: int, tier: Sequence[Candidate]) -> Quotas:
    total = sum(candidate.lots for candidate in tier)
    return largest_remainders(need, {c.account: Fraction(need * c.lots, total) for c in tier})


def capped_by_size(need: int, tier: Sequence[Candidate], max_share: Fraction) -> Quotas:
    """R84: nobody gives more than a share of what he holds."""
    most = {candidate.account: floor(max_share * candidate.lots) for candidate in tier}
    caps = {key: cap for key, cap in most.items() if cap > 0}
    weights = {candidate.account: candidate.lots for candidate in tier if candidate.account in caps}
    total = min(need, sum(caps.values()))
    return dict.fromkeys(most, 0) | largest_remainders(total, capped_shares(total, caps, weights))


def by_weight(need: int, tier: Sequence[Candidate], weights: Mapping[str, int]) -> Quotas:
    """min(cap, tau * weight); those without weight come last, by size."""
    first = [candidate for candidate in tier if weights[candidate.account] > 0]
    others = [candidate for candidate in tier if weights[candidate.account] == 0]
    first_lots = sum(candidate.lots for candidate in first)
    if need > first_lots:
        closed = {candidate.account: candidate.lots for candidate in first}
        return closed | by_size(need - first_lots, others)
    caps = {candidate.account: candidate.lots for candidate in first}
    shares = capped_shares(need, caps, {key: weights[key] for key in caps})
    return {c.account: 0 for c in others} | largest_remainders(need, shares)


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


def whole_weights(tier: Sequence[Candidate], figure: Callable[[Candidate], float]) -> dict[str, int]:
    """R84, weights from f: 40 bits of each figure in relation to the largest."""
    figures = {candidate.account: figure(candidate) for candidate in tier}
    largest = max(figures.values())
    if largest <= 0:
        return dict.fromkeys(figures, 0)
    return {key: floor(value / largest * 2.0**40) for key, value in figures.items()}


def risk(policy: Policy, candidate: Candidate) -> float:
    excess = candidate.leverage - float(policy["min_leverage"])
    if excess <= 0:
        return 0.0
    product = 1.0
    for _ in range(policy["exponent"]):
        product = product * excess
    return float(candidate.lots) * product


def gain(candidate: Candidate) -> float:
    return float(candidate.lots) * max(candidate.row_profit, 0.0)


def by_factor(candidate: Candidate) -> Candidate:
    """R84: net exposure to the factor in place of gross."""
    return replace(
        candidate, gross=candidate.exposure, unit_notional=candidate.beta * candidate.unit_notional
    )


def by_level(need: int, tier: Sequence[Candidate]) -> Quotas:
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


def by_largest_share(need: int, tier: Sequence[Candidate]) -> Quotas:
    """R84, `min_max`; lots by the billion cannot be handed out one by one, so the last share is searched."""
    rich = sorted((c for c in tier if c.equity > 0), key=lambda candidate: candidate.account)
    others = [candidate for candidate in tier if candidate.equity <= 0]
    rich_lots = sum(candidate.lots for candidate in rich)
    if need > rich_lots:
        return {c.account: c.lots for c in rich} | by_size(need - rich_lots, others)
    last = least(lambda bits: sum(lots_up_to(c, double(bits)) for c in rich) >= need, 2**63 - 2**52)
    below = double(last - 1)
    given = {candidate.account: lots_up_to(candidate, below) for candidate in rich}
    left = need - sum(given.values())
    for candidate in rich:
        more = min(left, lots_up_to(candidate, double(last)) - given[candidate.account])
        given[candidate.account] += more
        left -= more
    return {c.account: 0 for c in others} | given


def lots_up_to(candidate: Candidate, share: float) -> int:
    """How many lots leave (k + 1) / w, in float64, at or below a share of equity."""
    equity = float(candidate.equity)
    return least(lambda k: k == candidate.lots or float(k + 1) / equity > share, candidate.lots)


def least(holds: Callable[[int], bool], high: int) -> int:
    """The least whole number from 0 for which something holds that holds for `high` and all above."""
    low = 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def double(bits: int) -> float:
    """Non-negative doubles are ordered as their bits are; below the first there is minus infinity."""
    return struct.unpack("d", struct.pack("q", bits))[0] if bits >= 0 else float("-inf")
