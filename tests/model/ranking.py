"""R40, R41: who may be asked, and in which order."""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from model import margin
from model.book import Book
from model.exact import floor
from model.scores import SCORES


@dataclass(frozen=True)
class Candidate:
    """One row of the ranking, as the snapshot has it; money in whole atoms (floor)."""

    account: str
    rank: int
    score: float
    adl_tier: int
    lots: int
    profit: int
    gross: int
    equity: int
    unit_notional: Fraction


def ranking(snapshot: Book, symbol: str, side: int, score: str, bankrupt: Collection[str]) -> list[Candidate]:
    """The rows of `symbol` on `side`, by (tier, score descending, id)."""
    kind = snapshot.instruments[symbol].kind
    one = float(10**snapshot.decimals)
    found = []
    for account in snapshot.traders():
        row = account.row(symbol, side)
        if row is None or account.id in bankrupt or margin.equity(snapshot, account) < 0:
            continue
        account_floats = margin.account_floats(snapshot, account)
        value = SCORES[score](account_floats, account_floats.row(symbol, side), kind, one)
        found.append((account.adl_tier, -value, account.id))
    candidates = []
    for rank, (adl_tier, negative_score, key) in enumerate(sorted(found), start=1):
        account = snapshot.accounts[key]
        row = account.open_rows[symbol, side]
        candidates.append(
            Candidate(
                account=key,
                rank=rank,
                score=-negative_score,
                adl_tier=adl_tier,
                lots=row.lots,
                profit=floor(margin.row_profit(snapshot, row)),
                gross=floor(margin.gross(snapshot, account)),
                equity=floor(margin.equity(snapshot, account)),
                unit_notional=abs(snapshot.unit_value(symbol)),
            )
        )
    return candidates
