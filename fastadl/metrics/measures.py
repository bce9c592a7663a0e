"""Measures of a loss shared out, as plain functions of vectors; whoever has seizures of his own starts here.

Letters as in the literature: winners i with seizures x_i, endowments w_i (unrealised profit above zero) and
equities e_i; H = Σx; D what the losers lack; B ("needed") what is to be raised, θ = B/D; Δ the largest single
lack. All money is in one unit. A seizure is money in both spaces: a charge in cash, or what a fill cost its
counterparty against mark, lots · |mark − price|. Lots are never a seizure.

Sources: P1 is arXiv 2512.01112v3, P2 arXiv 2602.15182; "text" is a formula as printed there, "code" the one
behind the published numbers (pluriholonomic/autodeleveraging-analysis). Where the two differ both stand here.

A vector is one-dimensional, finite, and as long as the others of a call; no result depends on its order.
"""

from __future__ import annotations

from math import fsum, inf, nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from fastadl.errors import InputError
from fastadl.schema import BoolArray, Float64Array

__all__ = [
    "burden", "counted_once", "coverage", "excess_burden", "gini", "hhi", "largest_survivor", "least_burden",
    "max_burden", "measure", "overshoot", "pmr", "pmr_code", "ptsr", "ptsr_code", "rank_inversions", "rd_nse",
    "regret_bound", "residual", "severity", "top_share", "touched", "tracking", "undershoot", "variation",
]  # fmt: skip

Vector = npt.ArrayLike
Numbers = npt.ArrayLike


# ---------------------------------------------------------------------- how much: one number or one a round


def severity(needed: Numbers, deficit: Numbers) -> Float64Array:
    """θ = min(1, B/D), the share of the deficit that is raised; 0 where there is none (P2, Prop. 1).

    Parameters
    ----------
    needed, deficit : float or float (rounds)
    """
    b, d = _rounds(needed, deficit)
    return np.minimum(1.0, np.divide(b, d, out=np.zeros_like(b), where=d > 0))


def residual(seized: Numbers, deficit: Numbers) -> Float64Array:
    """R = (D − H)⁺, what nobody covers: it depends on how much is seized and not on whom (P1).

    Parameters
    ----------
    seized : float or float (rounds)
        H, in all.
    deficit : float or float (rounds)
        After the insurance fund.
    """
    return undershoot(seized, deficit)


def coverage(seized: Numbers, deficit: Numbers) -> Float64Array:
    """min(1, H/D), the part of the deficit that is covered; 1 where there is none.

    Parameters
    ----------
    seized, deficit : float or float (rounds)
    """
    h, d = _rounds(seized, deficit)
    return np.minimum(1.0, np.divide(h, d, out=np.ones_like(h), where=d > 0))


def tracking(seized: Numbers, target: Numbers) -> Float64Array:
    """|H − B|: overshoot and undershoot in one (P2, section 5).

    Parameters
    ----------
    seized, target : float or float (rounds)
    """
    return overshoot(seized, target) + undershoot(seized, target)


def overshoot(seized: Numbers, target: Numbers) -> Float64Array:
    """(H − target)⁺, what was taken beyond a target.

    Parameters
    ----------
    seized : float or float (rounds)
        H, in all.
    target : float or float (rounds)
        The two in use are not the same number: the deficit D (P1 v2) and the budget needed B (P1 v3, P2).
    """
    h, b = _rounds(seized, target)
    return np.maximum(h - b, 0.0)


def undershoot(seized: Numbers, target: Numbers) -> Float64Array:
    """(target − H)⁺, what was missing to a target; see `overshoot` for the two targets.

    Parameters
    ----------
    seized, target : float or float (rounds)
    """
    return overshoot(target, seized)


# ---------------------------------------------------------------------- who: burdens


def burden(seized: Vector, base: Vector) -> Float64Array:
    """x_i / base_i: 0 where nothing was seized, infinite where there was nothing to take it from.

    Parameters
    ----------
    seized : float (accounts)
    base : float (accounts)
        Endowment (the burden of the text of P2) or equity (that of its code and of all published numbers).
    """
    x, u = _vectors(seized=seized, base=base)
    out = np.where(x > 0.0, inf, 0.0)
    with np.errstate(over="ignore"):
        return np.divide(x, u, out=out, where=(x > 0.0) & (u > 0.0))


def max_burden(seized: Vector, base: Vector) -> float:
    """The largest burden, m = max x_i / base_i; 0 without accounts."""
    return float(burden(seized, base).max(initial=0.0))


def least_burden(equity: Vector, budget: float) -> float:
    """B/Σe⁺, the smallest largest burden over equity that raises B: equal shares of equity (min-max, P1).

    Parameters
    ----------
    equity : float (accounts)
        Of all who may be asked.
    budget : float
    """
    (e,) = _vectors(equity=equity)
    total = _sum(np.maximum(e, 0.0))
    return budget / total if total > 0.0 else inf if budget > 0.0 else 0.0


def excess_burden(
    needed: Numbers, burden: Numbers, reference: Numbers, *, one_sided: bool = True
) -> Float64Array:
    """B·(m − m*)⁺, the fairness part of the loss of P2, in money.

    Parameters
    ----------
    needed : float or float (rounds)
    burden, reference : float or float (rounds)
        Largest burden, and that of the allocation compared with.
    one_sided : bool
        False for B·|m − m*| as published, which charges a policy for being fairer than its reference.
    """
    b, more, less = _rounds(needed, burden, reference)
    with np.errstate(invalid="ignore", over="ignore"):  # burdens may be infinite
        excess = more - less
        return b * (np.maximum(excess, 0.0) if one_sided else np.abs(excess))


def touched(seized: Vector) -> int:
    """How many accounts anything was taken from."""
    (x,) = _vectors(seized=seized)
    return int(np.count_nonzero(x))


def gini(seized: Vector, among: int | None = None) -> float:
    """Σ(2i − n − 1)·x_(i) / (n·Σx), x_(i) ascending: 0 if all bear the same, near 1 if one bears all.

    Parameters
    ----------
    seized : float (accounts)
        Of all who might have been asked, those who bear nothing included.
    among : int, optional
        How many these are, where `seized` leaves out some who bear nothing.
    """
    (x,) = _vectors(seized=seized)
    n = max(len(x), among or 0)
    bear = np.sort(x[x > 0.0])
    total = _sum(bear)
    if total == 0.0:
        return 0.0
    return _sum(np.arange(1 - n, n, 2)[n - len(bear) :] * bear) / (n * total)


def hhi(seized: Vector) -> float:
    """Σ(x_i/H)², the Herfindahl–Hirschman index: 1/n if n accounts bear the same, 1 if one bears all."""
    (x,) = _vectors(seized=seized)
    total = _sum(x)
    return _sum((x / total) ** 2) if total > 0.0 else 0.0


def top_share(seized: Vector, k: int = 10) -> float:
    """The k largest seizures as a share of all."""
    (x,) = _vectors(seized=seized)
    total = _sum(x)
    return _sum(np.sort(x)[::-1][: max(k, 0)]) / total if total > 0.0 else 0.0


def rank_inversions(seized: Vector, endowment: Vector) -> float:
    """Share of neighbours, by endowment, of whom the richer one keeps less (axiom of monotonicity, P1).

    Parameters
    ----------
    seized, endowment : float (accounts)
        Of equal endowments the one that keeps more counts as the richer, so that ties invert nothing.
    """
    x, w = _vectors(seized=seized, endowment=endowment)
    if len(x) < 2:
        return 0.0
    kept = (w - x)[np.lexsort((x, -w))]
    return float(np.count_nonzero(np.diff(kept) > 0.0) / (len(x) - 1))


# ---------------------------------------------------------------------- what the largest winner keeps


def largest_survivor(seized: Vector, endowment: Vector) -> float:
    """max(w_i − x_i), the largest endowment left. A queue by endowment minimises it (P1).

    While one seizure fits into the largest endowment, pro rata leaves H·(1 − max w/Σw) more than the queue.
    """
    x, w = _vectors(seized=seized, endowment=endowment)
    return float((w - x).max(initial=0.0))


def ptsr(seized: Vector, endowment: Vector, needed: float) -> float:
    """PTSR, text: largest survivor / θD (P1, of which this is one round). Low is what a queue achieves.

    Parameters
    ----------
    seized, endowment : float (accounts)
    needed : float
        θD. NaN unless above 0, as in the three below: there is nothing to compare with.
    """
    return _over(largest_survivor(seized, endowment), needed)


def ptsr_code(seized: Vector, endowment: Vector, deficit: float) -> float:
    """PTSR, code: largest survivor / (D − H)."""
    return _over(largest_survivor(seized, endowment), deficit - _total(seized))


def pmr(seized: Vector, endowment: Vector, severity: float, largest: float) -> float:
    """PMR, text: largest survivor / θΔ, Δ the largest single lack (P1)."""
    return _over(largest_survivor(seized, endowment), severity * largest)


def pmr_code(seized: Vector, endowment: Vector, deficit: float, largest: float) -> float:
    """PMR, code: largest survivor / (((D − H)/D)·Δ)."""
    open_share = _over(deficit - _total(seized), deficit)
    return _over(largest_survivor(seized, endowment), open_share * largest)


def rd_nse(seized: Vector, endowment: Vector, deficit: float) -> float:
    """RD-NSE, code: largest survivor / (largest survivor + D − H); above 1 where H > D."""
    survivor = largest_survivor(seized, endowment)
    return _over(survivor, survivor + deficit - _total(seized))


# ---------------------------------------------------------------------- over rounds


def variation(severity: Vector) -> float:
    """P_T = Σ|θ_t − θ_{t−1}|, how much a path of severities moves (P2)."""
    (theta,) = _vectors(severity=severity)
    return fsum(np.abs(np.diff(theta)))


def regret_bound(deficit: Vector, severity: Vector) -> float:
    """√((1 + 2·P_T)·ΣD_t²) bounds the regret of gradient descent on the severity (P2, Prop. 1).

    Parameters
    ----------
    deficit, severity : float (rounds)
        In the order of time.
    """
    d, theta = _vectors(deficit=deficit, severity=severity)
    return sqrt((1.0 + 2.0 * variation(theta)) * fsum(d * d))


def counted_once(deficit: Vector, largest: Vector) -> Float64Array:
    """Deficits of rounds without a largest single lack that an earlier round had, equal to the last digit.

    One account that stays below zero is measured anew in every round; summing over rounds counts it so often.

    Parameters
    ----------
    deficit, largest : float (rounds)
        In the order of time.
    """
    d, lack = _vectors(deficit=deficit, largest=largest)
    _, first = np.unique(lack, return_index=True)
    again: BoolArray = np.ones(len(lack), np.bool_)
    again[first] = False
    return np.where(again, d - lack, d)


# ---------------------------------------------------------------------- all of one round


def measure(
    seized: Vector,
    endowment: Vector,
    equity: Vector,
    *,
    deficit: float,
    needed: float | None = None,
    largest: float = nan,
    reference: float | None = None,
    top: int = 10,
) -> dict[str, float]:
    """Every measure of one round, from three vectors.

    Parameters
    ----------
    seized, endowment, equity : float (accounts)
        Of all who might have been asked.
    deficit : float
        D, after the insurance fund.
    needed : float, optional
        B; the deficit if left out.
    largest : float, optional
        Δ, the largest single lack; PMR is NaN without it.
    reference : float, optional
        Largest burden over equity to compare with; `least_burden` if left out.
    top : int
        Accounts in ``top_share``.

    Returns
    -------
    dict
        By the names of the functions; ``overshoot`` and ``undershoot`` against `needed`, and against the
        deficit with ``_deficit``; ``burden_profit`` and ``burden_equity`` are the largest burdens.

    Examples
    --------
    >>> of = measure([3.5, 4, 0], [8, 4, 0.5], [10, 5, 1], deficit=15, needed=7.5, largest=12)
    >>> of["burden_profit"], of["burden_equity"], of["ptsr"], of["touched"]
    (1.0, 0.8, 0.6, 2)
    """
    raised = deficit if needed is None else needed
    total = _total(seized)
    worst = max_burden(seized, equity)
    least = least_burden(equity, raised) if reference is None else reference
    return {
        "seized": total,
        "residual": float(residual(total, deficit)),
        "coverage": float(coverage(total, deficit)),
        "overshoot": float(overshoot(total, raised)),
        "undershoot": float(undershoot(total, raised)),
        "overshoot_deficit": float(overshoot(total, deficit)),
        "undershoot_deficit": float(undershoot(total, deficit)),
        "burden_profit": max_burden(seized, endowment),
        "burden_equity": worst,
        "excess_burden": float(excess_burden(raised, worst, least)),
        "touched": touched(seized),
        "gini": gini(seized),
        "hhi": hhi(seized),
        "top_share": top_share(seized, top),
        "rank_inversions": rank_inversions(seized, endowment),
        "ptsr": ptsr(seized, endowment, raised),
        "ptsr_code": ptsr_code(seized, endowment, deficit),
        "pmr": pmr(seized, endowment, float(severity(raised, deficit)), largest),
        "pmr_code": pmr_code(seized, endowment, deficit, largest),
        "rd_nse": rd_nse(seized, endowment, deficit),
    }


def _total(seized: Vector) -> float:
    (x,) = _vectors(seized=seized)
    return _sum(x)


def _sum(values: Float64Array) -> float:
    """The exact sum, rounded once; most of a vector of seizures is zeros, which add nothing."""
    return fsum(values[values != 0.0].tolist())


def _over(above: float, below: float) -> float:
    return above / below if below > 0.0 else nan


def _rounds(*given: Numbers) -> list[Float64Array]:
    """Numbers or vectors of one shape as float64."""
    try:
        return [np.array(each) for each in np.broadcast_arrays(*(np.asarray(g, np.float64) for g in given))]
    except (TypeError, ValueError) as error:
        raise InputError(("rounds",), str(error), "give numbers, or vectors of one length") from None


def _vectors(**given: Vector) -> list[Float64Array]:
    """Vectors of one length as float64; seizures are never negative."""
    found: list[Float64Array] = []
    for name, vector in given.items():
        try:
            array: Any = np.asarray(vector, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError((name,), str(error), "give a vector of numbers") from None
        if array.ndim != 1:
            raise InputError((name,), f"{array.ndim} dimensions", "give a vector, one entry an account")
        if found and len(array) != len(found[0]):
            raise InputError((name,), f"{len(array)} entries", f"give {len(found[0])}, as many as before")
        bad = ~np.isfinite(array)
        if name == "seized":
            bad |= array < 0.0
        if bad.any():
            at = int(bad.argmax())
            limit = "a finite number, 0 or more" if name == "seized" else "a finite number"
            raise InputError((name, at), float(array[at]), f"give {limit}")
        found.append(array)
    return found
