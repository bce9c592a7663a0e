"""Section 5, R91 to R95: losses are charged in cash."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from model import margin
from model.allocation import capped_shares
from model.book import FUND, Account, Row
from model.exact import ceil, floor, largest_remainders
from model.moves import close
from model.state import RowKey, Tick

INDEX = 10**9


@dataclass(frozen=True)
class Bill:
    """What is charged, for whom: B, and the most that each debtor gets of it, in the order of payment."""

    amount: int
    debts: dict[str, int]


def take_at_mark(tick: Tick) -> None:
    """R50."""
    for bankrupt in tick.bankrupts:
        for row in bankrupt.account.rows():
            symbol, side, lots = row.symbol, row.side, row.lots
            exact = margin.row_value(tick.book, row)
            paid = floor(exact)
            realized = close(bankrupt.account, row, lots, paid)
            tick.fund_takes(symbol, side, lots, paid)
            bankrupt.closed_elsewhere = True
            tick.report(
                "takeovers",
                account=bankrupt.account.id,
                symbol=symbol,
                side=side,
                qty=lots,
                at="mark",
                value=paid,
                realized_pnl=realized,
                fund_loss=max(Fraction(0), paid - exact),
            )


def begin_session(tick: Tick, time: int) -> None:
    """R95: at the first tick of a session, after its mark."""
    policy, memory = tick.rules.policy, tick.memory
    if policy["socialization"] not in ("session_profit", "clawback"):
        return
    session = time // policy["session"]
    if session == memory.session:
        return
    tick.session_ended = memory.session is not None
    memory.session, memory.remembered_before = session, memory.remembered
    memory.remembered = {
        account.id: floor(margin.equity_at_previous_marks(tick.book, account))
        for account in tick.book.traders()
    }


def socialize(tick: Tick) -> None:
    """R92."""
    kind = tick.rules.policy["socialization"]
    if kind == "clawback" and not tick.session_ended:
        return
    if kind in ("open_interest", "opposite_side"):
        charge_index(tick, both_sides=kind == "open_interest")
        return
    bill = severity(tick, old_debts(tick) if kind == "clawback" else debts(tick))
    if kind in ("profit_floor", "haircut"):
        charges, raised = floors(tick, bill.amount, to_last=kind == "profit_floor")
    else:
        charges, raised = by_gain(tick, bill.amount, gains(tick))
    settle(tick, charges, raised, bill.debts)


def debts(tick: Tick) -> dict[str, int]:
    """R51, in detection order."""
    return {b.account.id: -b.account.cash for b in tick.bankrupts if b.account.cash < 0}


def old_debts(tick: Tick) -> dict[str, int]:
    """R95: of all accounts without rows, by id."""
    accounts = tick.book.traders()
    return {account.id: -account.cash for account in accounts if account.cash < 0 and not account.rows()}


def severity(tick: Tick, owed: dict[str, int]) -> Bill:
    """R91."""
    policy = tick.rules.policy
    total = sum(owed.values())
    if policy["severity"] == "matched":
        return Bill(min(total, sum(caps(tick, unrealized(tick)).values())), owed)
    if policy["severity"] == "fraction":
        return Bill(floor(policy["fraction"] * total), owed)
    if policy["severity"] == "trigger_loss":
        equities = {entry["account"]: entry["equity"] for entry in tick.lists["liquidations"]}
        owed = {key: min(debt, max(0, ceil(-equities.get(key, 0)))) for key, debt in owed.items()}
        total = sum(owed.values())
    return Bill(total, owed)


def unrealized(tick: Tick) -> dict[str, int]:
    """R51: w."""
    return {account.id: floor(margin.profit(tick.book, account)) for account in tick.payers()}


def gains(tick: Tick) -> dict[str, int]:
    """w of R51, or of R95."""
    book, memory, kind = tick.book, tick.memory, tick.rules.policy["socialization"]
    if kind == "profit":
        return unrealized(tick)
    if kind == "session_profit":
        return {a.id: floor(margin.equity(book, a)) - memory.remembered[a.id] for a in tick.payers()}
    before = memory.remembered_before or {}
    return {a.id: memory.remembered[a.id] - before[a.id] for a in tick.payers()}


def caps(tick: Tick, weights: Mapping[str, int]) -> dict[str, int]:
    """R51: min(w, equity) of those with both positive."""
    equities = {key: floor(margin.equity(tick.book, tick.book.accounts[key])) for key in weights}
    return {
        key: min(weight, equities[key]) for key, weight in weights.items() if weight > 0 and equities[key] > 0
    }


def by_gain(tick: Tick, amount: int, weights: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """R51: min(cap, tau * w)."""
    most = caps(tick, weights)
    raised = min(amount, sum(most.values()))
    shares = capped_shares(raised, most, {key: weights[key] for key in most})
    return largest_remainders(raised, shares), raised


def floors(tick: Tick, amount: int, *, to_last: bool) -> tuple[dict[str, int], int]:
    """R93."""
    weights = {key: weight for key, weight in unrealized(tick).items() if weight > 0}
    total = sum(weights.values())
    raised = min(amount, total)
    kept = {key: weight * (total - raised) // total for key, weight in weights.items()}
    if to_last and kept:
        kept[max(kept)] += total - raised - sum(kept.values())
    return {key: weights[key] - kept[key] for key in kept}, raised


def settle(tick: Tick, charges: Mapping[str, int], raised: int, owed: Mapping[str, int]) -> None:
    """R92: who is charged, who is paid, and the fund, which gets what rounding has left over."""
    amounts = {key: -charge for key, charge in charges.items()}
    amounts[FUND] = sum(charges.values()) - raised
    for key, debt in owed.items():
        amounts[key] = min(debt, raised)
        raised -= amounts[key]
    assert raised == 0, "more is raised than is owed"
    for key in sorted(amounts):
        tick.book.accounts[key].cash += amounts[key]
        if amounts[key] != 0:
            tick.report("socialized", account=key, amount=amounts[key])


def charge_index(tick: Tick, *, both_sides: bool) -> None:
    """R94."""
    taken = taken_at_mark(tick)
    bill = severity(tick, {key: debt for key, debt in debts(tick).items() if key in taken})
    parts: dict[RowKey, int] = {}
    for key, debt in bill.debts.items():
        for (symbol, side), part in shared_in_proportion(debt, taken[key]).items():
            index = (symbol, 0 if both_sides else side)
            parts[index] = parts.get(index, 0) + part
    if not any(parts.values()):
        return
    charges: dict[str, int] = {}
    raised = 0
    for (symbol, side), part in shared_in_proportion(bill.amount, parts).items():
        rows = holders(tick, symbol, side)
        lots = sum(row.lots for _, row in rows)
        if lots == 0:
            continue
        raised += part
        step = ceil(Fraction(part * INDEX, lots))
        for account, row in rows:
            charges[account.id] = charges.get(account.id, 0) + ceil(Fraction(step * row.lots, INDEX))
    settle(tick, charges, raised, bill.debts)


def taken_at_mark(tick: Tick) -> dict[str, dict[RowKey, int]]:
    """R50: |value| of what the fund took from whom, by symbol and the side opposite to the row.

    Sorted by that side, -1 before 1, longs come first as R94 wants it.
    """
    taken: dict[str, dict[RowKey, int]] = {}
    for entry in tick.lists["takeovers"]:
        if entry["at"] == "mark" and entry["value"] != 0:
            rows = taken.setdefault(entry["account"], {})
            rows[entry["symbol"], -entry["side"]] = abs(entry["value"])
    return taken


def shared_in_proportion(amount: int, parts: Mapping[RowKey, int]) -> dict[RowKey, int]:
    total = sum(parts.values())
    return largest_remainders(amount, {key: Fraction(amount * part, total) for key, part in parts.items()})


def holders(tick: Tick, symbol: str, side: int) -> list[tuple[Account, Row]]:
    """Rows that the index reaches; side 0 means both."""
    return [
        (account, row)
        for account in tick.payers()
        for row in account.rows()
        if row.symbol == symbol and side in (0, row.side)
    ]
