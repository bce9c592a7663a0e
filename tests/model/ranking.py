"""R40, R41, R83: who may be asked, and in which order."""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from model import margin
from model.book import Account, Book
from model.exact import floor
from model.margin import AccountFloats
from model.policy import Policy
from model.scores import SCORES, Figures, leverage_of


@dataclass(frozen=True)
class Candidate:
    """One row of the ranking, as the snapshot has it; money in whole atoms (floor).

    `exposure` and `beta` serve `factor_fill`; the last two, in float64, the weights from f (R84).
    """

    account: str
    rank: int
    score: float
    tier: int
    lots: int
    profit: int
    gross: int
    equity: int
    unit_notional: Fraction
    exposure: int = 0
    beta: Fraction = Fraction(1)
    leverage: float = 0.0
    row_profit: float = 0.0


def ranking(
    snapshot: Book, symbol: str, side: int, policy: Policy, bankrupt: Collection[str], tick: int
) -> list[Candidate]:
    """The rows of `symbol` on `side`, by (tier, score and further scores descending, id)."""
    traders = snapshot.traders()
    found = []
    for place, account in enumerate(traders):
        row = account.row(symbol, side)
        if row is None or account.id in bankrupt or margin.equity(snapshot, account) < 0:
            continue
        floats = margin.account_floats(snapshot, account)
        instrument = snapshot.instruments[symbol]
        figures = Figures(
            account=floats,
            row=floats.row(symbol, side),
            kind=instrument.kind,
            tiers=instrument.tiers,
            one=float(10**snapshot.decimals),
            place=place,
            given_place=account.place,
            tick=tick,
            seed=policy.get("seed", 0),
        )
        scores = [SCORES[name](figures) for name in (policy["score"], *policy["then"])]
        tier = tier_of(account, floats, policy)
        found.append((tier, [-score for score in scores], account.id, figures))
    found.sort(key=lambda one: one[:3])
    return [
        candidate(snapshot, policy, rank, tier, -keys[0], snapshot.accounts[account_id], figures)
        for rank, (tier, keys, account_id, figures) in enumerate(found, start=1)
    ]


def tier_of(account: Account, floats: AccountFloats, policy: Policy) -> int:
    """R83."""
    if policy["tiers"] == "given":
        return account.adl_tier
    net = 0.0
    for row in floats.rows:
        net = net + row.side * abs(row.value)
    limit = float(policy["delta_limit"])
    neutral = account.cross and floats.gross > 0 and abs(net) <= limit * floats.gross
    if policy["tiers"] == "delta_neutral":
        return 2 * account.adl_tier + neutral
    return account.adl_tier if neutral else 0


def candidate(
    snapshot: Book, policy: Policy, rank: int, tier: int, score: float, account: Account, figures: Figures
) -> Candidate:
    symbol, side = figures.row.symbol, figures.row.side
    row = account.open_rows[symbol, side]
    betas = policy.get("betas", {})
    net = sum(
        betas.get(each.symbol, 1) * each.side * margin.row_notional(snapshot, each) for each in account.rows()
    )
    return Candidate(
        account=account.id,
        rank=rank,
        score=score,
        tier=tier,
        lots=row.lots,
        profit=floor(margin.row_profit(snapshot, row)),
        gross=floor(margin.gross(snapshot, account)),
        equity=floor(margin.equity(snapshot, account)),
        unit_notional=abs(snapshot.unit_value(symbol)),
        exposure=floor(max(0, side * net)),
        beta=betas.get(symbol, Fraction(1)),
        leverage=leverage_of(figures.account),
        row_profit=figures.row.profit,
    )
