"""An audited fill as frames, as data and in words (rules R114, R117)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import polars as pl

from fastadl.auditing import verify
from fastadl.decimals import fixed, significant

if TYPE_CHECKING:
    from fastadl.auditing.audited import Audit

__all__ = ["after", "close", "fund", "left_out", "lost_by", "plain", "queue", "text"]

#: Parts of scores: column, and figure of `fastadl.auditing.verify.Figures`; the first five are money.
_PARTS = {
    "unrealized_pnl": "profit", "notional": "value", "position_margin": "row_margin", "equity": "equity",
    "maintenance_margin": "margin", "gross": "gross", "leverage": "leverage",
}  # fmt: skip
_MONEY = {*_PARTS} - {"leverage"} | {
    "value", "bankrupt_realized_pnl", "realized_pnl", "cash", "shortfall", "at_mark", "bankruptcy_value",
    "left_value", "transfer_value", "fill_value", "floor", "room", "paid", "equity_before", "fund_paid",
}  # fmt: skip
#: So many lines of the queue before and behind the account are told.
_AROUND = 3


def queue(event: verify.Event, fill: verify.Fill) -> pl.DataFrame:
    """Everyone who was ranked for a fill; see `Audit.queue`."""
    ranked = fill.ranked
    lots = pl.Series("lots", [each.lots for each in ranked], pl.Int64)
    columns = {
        "rank": [each.rank for each in ranked],
        "account": [each.account.name for each in ranked],
        "adl_tier": [each.tier for each in ranked],
        "score": [each.scores[0] for each in ranked],
    }
    for place, name in enumerate(event.policy["then"], start=1):
        columns[f"then_{name}"] = [each.scores[place] for each in ranked]
    for name, figure in _PARTS.items():
        columns[name] = [float(getattr(each.figures, figure)) for each in ranked]
    columns |= {"lots": lots, "lots_ahead": lots.cum_sum() - lots, "taken": [each.taken for each in ranked]}
    return pl.DataFrame(columns)


def after(ranked: list[verify.Candidate], me: verify.Candidate) -> verify.Candidate | None:
    """The best placed behind a candidate who gave nothing."""
    return next((each for each in ranked[ranked.index(me) + 1 :] if not each.taken), None)


def lost_by(event: verify.Event, one: verify.Candidate, other: verify.Candidate) -> str:
    """The first number in which two candidates differ (rules R41, R83)."""
    if event.by_hand and event.by_hand["counterparties"] is not None:
        return f"named as number {one.rank}, the other as number {other.rank}"
    if one.tier != other.tier:
        return f"adl_tier {one.tier} before {other.tier}"
    names = (event.policy["score"], *event.policy["then"])
    for name, mine, theirs in zip(names, one.scores, other.scores, strict=True):
        if mine != theirs:
            return f"{name} score {mine!r} above {theirs!r}"
    return f"equal scores, id {one.account.name} before {other.account.name}"


def left_out(event: verify.Event, fill: verify.Fill) -> dict[str, int]:
    """Accounts that hold the other side and were not ranked, by reason (rules R40, R106, R108)."""
    row = fill.closing.row
    ranked = {each.account.name for each in fill.ranked}
    bankrupt = {account.name for account in event.bankrupt}
    found: dict[str, int] = {}
    for account in event.accounts.values():
        if (row.instrument.symbol, not row.long) in account.rows and account.name not in ranked:
            reason = "bankrupt" if account.name in bankrupt else account.spared or "equity below zero"
            found[reason] = found.get(reason, 0) + 1
    return found


def close(event: verify.Event, fill: verify.Fill) -> dict[str, Any]:
    """How the price of a fill comes about (rules R13, R25, R26, R44).

    Returns
    -------
    dict
        ``account``, ``symbol``, ``side``; ``lots`` of its row, worth ``at_mark``; the account's ``shortfall``
        and the ``share`` of it that falls on the row, which make ``bankruptcy_value``, ``cut_at_zero`` or
        not; ``fund_took`` lots for ``fund_paid``; what is left, ``lots_left`` worth ``left_value``, closes
        for ``transfer_value`` by the policy's ``price``. Of that the fill pays ``fill_value`` for its lots,
        after ``closed_before``; ``bankruptcy_price`` and ``fill_price`` are views of these. Money in atoms,
        exact numbers rounded against the holder.
    """
    closing, item = fill.closing, fill.closing.row.instrument
    transfer = verify.transfer_value(event, closing)
    c = item.scale
    return {
        "account": closing.account.name,
        "symbol": item.symbol,
        "side": verify.side(closing.row.long),
        "lots": closing.lots,
        "at_mark": floor(closing.worth),
        "shortfall": ceil(closing.shortfall),
        "share": float(closing.weight / closing.weights),
        "bankruptcy_value": closing.value,
        "bankruptcy_price": _price(Fraction(closing.value), closing.lots, closing.row.long, item.inverse, c),
        "cut_at_zero": closing.cut,
        "fund_took": closing.taken,
        "fund_paid": closing.paid,
        "lots_left": closing.left,
        "left_value": closing.left_value,
        "price": event.policy["price"],
        "transfer_value": floor(transfer),
        "closed_before": fill.before,
        "fill_lots": fill.lots,
        "fill_value": fill.value,
        "fill_price": _price(Fraction(fill.value), fill.lots, closing.row.long, item.inverse, c),
    }


def fund(event: verify.Event, rerun: verify.Rerun, fill: verify.Fill) -> dict[str, Any]:
    """What the fund of the currency had and what it paid before anyone was deleveraged (rule R27)."""
    currency = fill.candidate.row.instrument.currency
    found = event.funds[currency]
    equity = found.equity()
    taken = [each for each in rerun.takeovers if each[0].row.instrument.currency == currency]
    paid = [amount for account, amount in rerun.payments if account.currency == currency]
    return {
        "equity_before": floor(equity),
        "floor": ceil(found.floor),
        "room": 0 if found.resting else max(0, floor(equity - found.floor)),
        "resting": found.resting,
        "took_lots": sum(lots for _, lots, _ in taken),
        "paid": sum(paid),
    }


def _price(value: Fraction, lots: int, long: bool, inverse: bool, c: Fraction) -> str | None:
    """The price at which lots are worth a value (rule R72)."""
    unit = value / (lots if long else -lots)
    if not inverse:
        return significant(unit / c)
    return significant(-c / unit) if unit else None


# ------------------------------------------------------------ data


def plain(audit: Audit) -> dict[str, Any]:
    """See `Audit.to_dict`."""
    return {
        "entry": audit.entry,
        "tick": audit.tick,
        "time": audit.time,
        "hash": audit.hash,
        "hash_before": audit.before,
        "policy": audit.policy,
        "currency": audit._currency,
        "ok": audit.ok,
        "difference": audit.difference or None,
        "fill": _units(audit, audit.fill),
        "alike": audit.alike,
        "ranked": len(audit.queue),
        "queue": [_units(audit, line) for line in _around(audit)],
        "next": None if audit.next is None else _units(audit, audit.next),
        "lost_by": audit.lost_by or None,
        "left_out": audit.left_out,
        "close": _units(audit, audit.close),
        "fund": _units(audit, audit.fund),
    }


def _around(audit: Audit) -> list[dict[str, Any]]:
    """The part of the queue before and behind the account; its beginning if the account is not in it."""
    place = 0 if audit.mine is None else audit.queue["account"].to_list().index(audit.mine["account"])
    return list(audit.queue[max(0, place - _AROUND) : place + _AROUND + 1].iter_rows(named=True))


def _units(audit: Audit, line: Mapping[str, Any]) -> dict[str, Any]:
    """Money as text in units of the currency."""
    return {
        name: fixed(floor(x), audit._decimals) if name in _MONEY and x is not None else x
        for name, x in line.items()
    }


# ------------------------------------------------------------ words


def text(audit: Audit) -> str:
    """See `Audit.__str__`."""
    fill = audit.fill
    what = f"{fill['counterparty']}: {fill['lots']:,} lots of {fill['symbol']} closed in tick {audit.tick}"
    at = audit.close["fill_price"] or "no price"
    lines = [f"{what} at {at}, against bankrupt {fill['bankrupt']}"]
    if audit.alike > 1:
        more = "tell another by its symbol or its bankrupt"
        lines.append(f"The first of {audit.alike} fills in this tick that are called by this name: {more}.")
    lines.append(
        "RIGHT: all of the event follows from the rules." if audit.ok else f"WRONG: {audit.difference}"
    )
    lines += ["", *_queue_lines(audit), "", *_price_lines(audit), ""]
    return "\n".join([*lines, f"Journal entry {audit.entry}, hash {audit.hash}"])


def _queue_lines(audit: Audit) -> list[str]:
    rows, mine, taken = audit.queue, audit.mine, audit.queue["taken"].sum()
    lines = [f"Not ranked by {audit.policy['score']}; {taken:,} lots were taken."]
    if mine is not None:
        where = f"rank {mine['rank']:,} of {len(rows):,} by {audit.policy['score']}"
        needed = f"{mine['lots_ahead']:,} lots were ahead, {taken:,} were taken"
        lines = [f"Why this account: {where}; {needed}."]
    lines.append(f"  {'rank':>6} {'account':20} {'score':>14} {'leverage':>9} {'lots':>12} {'taken':>12}")
    for row in _around(audit):
        mark = ">" if row["account"] == audit.fill["counterparty"] else " "
        figures = f"{row['score']:>14.6g} {row['leverage']:>9.2f} {row['lots']:>12,} {row['taken']:>12,}"
        lines.append(f"{mark} {row['rank']:>6,} {row['account']:20} {figures}")
    if audit.next is not None:
        lines.append(f"Why not {audit.next['account']}, rank {audit.next['rank']:,}: {audit.lost_by}.")
    if audit.left_out:
        reasons = ", ".join(f"{many:,} {reason}" for reason, many in sorted(audit.left_out.items()))
        lines.append(f"Not ranked: {reasons}.")
    return lines


def _price_lines(audit: Audit) -> list[str]:
    close, fund, code = _units(audit, audit.close), _units(audit, audit.fund), audit._currency
    at = close["bankruptcy_price"] or "no price"
    held = f"{close['account']} held {close['lots']:,} lots {close['side']}"
    rests = " and rested" if fund["resting"] else ""
    of_it = f"after {close['closed_before']:,} of them these {close['fill_lots']:,}"
    lines = [
        f"Why this price: {held}, worth {close['at_mark']} {code} at mark.",
        f"  Its shortfall was {close['shortfall']}, of which {close['share']:.2%} falls on these lots.",
        f"  That makes their bankruptcy value {close['bankruptcy_value']}, a price of {at}.",
    ]
    if close["cut_at_zero"]:
        lines.append("  More would have been a price below zero, and is cut off (R26).")
    lines.append(f"  The fund had {fund['equity_before']}, room for {fund['room']}{rests}.")
    lines.append(f"  It took {close['fund_took']:,} of the lots for {close['fund_paid']}.")
    lines.append(
        f"  The {close['lots_left']:,} left closed for {close['transfer_value']} ({close['price']}):"
    )
    return [*lines, f"  {of_it} paid {close['fill_value']}."]
