"""From report frames to one row a policy: who bore what in a tick, and what the measures say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.decimals import exact
from fastadl.engine import Engine, Report
from fastadl.errors import InputError
from fastadl.metrics.measures import measure
from fastadl.policy import AdlPolicy

__all__ = ["burdens", "compare", "forgone", "row"]


def forgone(report: Report, at: Engine) -> pl.DataFrame:
    """What fills cost their counterparties at the marks of an engine: lots · (price − mark), seen by them.

    At the marks of the tick this is what the fills took. At later marks it is what the closed lots would
    have made until then: the two-pass H(Δ) of P2, on prices that do not react.

    Parameters
    ----------
    report : Report
    at : Engine
        Of the same instruments, with the marks to value at.

    Returns
    -------
    DataFrame
        By account: ``account``; ``cost`` (atoms, rounded up per account, symbol and side; negative: a gain);
        ``lots`` closed, and their ``notional`` (atoms, rounded down likewise).
    """
    fills = report.adl_fills.group_by("counterparty", "symbol", "side").agg(pl.col("lots", "value").sum())
    unit = _units(at, fills["symbol"].unique().to_list())
    costs, notionals = [], []
    for symbol, side, lots, value in fills.select("symbol", "side", "lots", "value").iter_rows():
        number, per = unit[symbol]
        signed = lots if side == "long" else -lots
        costs.append(value - signed * number // per)
        notionals.append(abs(lots * number) // per)
    return (
        pl.DataFrame(
            {"account": fills["counterparty"], "cost": costs, "lots": fills["lots"], "notional": notionals},
            schema={"account": pl.String, "cost": pl.Int64, "lots": pl.Int64, "notional": pl.Int64},
        )
        .group_by("account")
        .sum()
        .sort("account")
    )


def burdens(report: Report, before: Engine, prices: Any = None) -> pl.DataFrame:
    """What each account bore in a tick, and what it had: the vectors of `measure`.

    Parameters
    ----------
    report : Report
    before : Engine
        A copy made before the tick.
    prices : mapping or array, optional
        Of the tick, as the engine was given them; left out if `before` has these marks.

    Returns
    -------
    DataFrame
        In the order of the book, every account that might have been asked (not bankrupt, with profit and
        equity above zero) or was: ``account``, ``currency``; ``seized`` and ``gained``, what fills cost it
        at mark and charges took, and the opposite; unrealised ``profit`` and ``equity`` at the new marks,
        before anything was closed; ``lots`` closed and their ``notional``. Money in atoms.

    Examples
    --------
    >>> import fastadl as fa
    >>> book = fa.synth.book("pareto", positions=90, accounts=40, instruments=3, seed=1)
    >>> engine = fa.Engine(book)
    >>> before, prices = engine.copy(), engine.marks * 0.7
    >>> borne = burdens(engine.tick(prices), before, prices)
    >>> borne["seized"].sum() > 0
    True
    """
    if prices is not None:
        before = before.copy()
        before.mark(prices)
    book, equity = before.book, before.equity()
    codes = book.instruments.currencies
    standing = pl.DataFrame(
        {
            "account": book.accounts,
            "currency": pl.Series(codes, dtype=pl.String).gather(book.currency.astype(np.uint32)),
            "profit": equity - book.cash,
            "equity": equity,
        }
    )
    charged = report.socialized.filter(pl.col("amount") < 0).group_by("account").agg(-pl.col("amount").sum())
    bankrupt = [
        *report.liquidations.filter(pl.col("shortfall") > 0)["account"],
        *report.adl_fills["bankrupt"].unique(),
    ]
    net = pl.col("cost") + pl.col("amount")
    joined = standing.join(forgone(report, before), on="account", how="left", maintain_order="left")
    joined = joined.join(charged, on="account", how="left", maintain_order="left")
    return (
        joined.with_columns(pl.col("cost", "lots", "notional", "amount").fill_null(0))
        .filter(
            ~pl.col("account").is_in(bankrupt),
            (pl.col("lots") > 0) | (pl.col("amount") > 0) | (pl.col("profit") > 0) & (pl.col("equity") > 0),
        )
        .select(
            "account", "currency", net.clip(lower_bound=0).alias("seized"),
            (-net).clip(lower_bound=0).alias("gained"), "profit", "equity", "lots", "notional",
        )
    )  # fmt: skip


def row(
    name: str,
    report: Report,
    burdens: pl.DataFrame,
    *,
    needed: int | None = None,
    reference: float | None = None,
    top: int = 10,
) -> pl.DataFrame:
    """The measures of a tick as one row (one per currency, if the book has several).

    Parameters
    ----------
    name : str
        What stands under ``policy``.
    report : Report
    burdens : DataFrame
        What `burdens` made of the report.
    needed : int, optional
        What was to be raised, in atoms; the deficit if left out. Of a book of one currency.
    reference : float, optional
        Largest burden over equity to compare with; equal shares of equity if left out.
    top : int
        Accounts in ``top_share``.

    Returns
    -------
    DataFrame
        ``shortfall`` of the bankrupt; ``fund_paid`` by the insurance fund, in cash and in takeovers;
        ``deficit``, what that leaves; what `measure` returns (null where it says NaN); ``uncovered``;
        ``accounts`` that might have been asked and those ``touched``, at no cost too; ``gained`` by
        counterparties; ``adl_lots`` and ``adl_notional``. Money in atoms.

    Raises
    ------
    InputError
        If `needed` is given for a book of several currencies.
    """
    if needed is not None and len(report.summary) > 1:
        raise InputError(("needed",), needed, "leave it out: the book has several currencies")
    lines = []
    for total in report.summary.iter_rows(named=True):
        of = pl.col("currency") == total["currency"]
        borne = burdens.filter(of)
        lacking = report.liquidations.filter(of)["shortfall"]
        fund = total["fund_paid"] + total["takeover_loss"]
        deficit = max(0, total["shortfall"] - fund)
        raised = deficit if needed is None else needed
        found: dict[str, float | None] = dict(
            measure(
                borne["seized"].to_numpy(),
                borne["profit"].clip(lower_bound=0).to_numpy(),
                borne["equity"].to_numpy(),
                deficit=deficit,
                needed=raised,
                largest=float(lacking.max() or 0),  # type: ignore[arg-type]
                reference=reference,
                top=top,
            )
        )
        del found["touched"]
        lines.append(
            {
                "policy": name,
                "currency": total["currency"],
                "shortfall": total["shortfall"],
                "fund_paid": fund,
                "deficit": deficit,
                "needed": raised,
                **{key: None if value is None or isnan(value) else value for key, value in found.items()},
                "uncovered": total["uncovered"],
                "accounts": len(borne),
                "touched": borne.filter((pl.col("lots") > 0) | (pl.col("seized") > 0)).height,
                "gained": borne["gained"].sum(),
                "adl_lots": borne["lots"].sum(),
                "adl_notional": borne["notional"].sum(),
            }
        )
    return pl.DataFrame(lines, schema_overrides=dict.fromkeys(found, pl.Float64))


def compare(
    book: Book,
    prices: Any,
    policies: Iterable[str] | Mapping[str, Any],
    *,
    fund: Any = "0",
    liquidity: Any = None,
    executions: Any = None,
    oracle: Any = None,
    needed: int | None = None,
    top: int = 10,
) -> pl.DataFrame:
    """Run one tick of one book under several policies: one row a policy, as `row` says, with its ``space``.

    Parameters
    ----------
    book : Book
        Left as it is.
    prices : mapping of symbol to price, or array
    policies : iterable of str, or mapping
        Names of presets, or names of one's own with what `AdlPolicy.of` takes.
    fund, liquidity, executions, oracle : optional
        As `Engine` and `Engine.tick` take them.
    needed, top : optional
        As `row` takes them.

    Notes
    -----
    ``seized`` is money in both spaces, but not of one kind: in ``contract`` space it is profit forgone on
    lots that are closed, in ``wealth`` space cash paid while the position stays.

    Examples
    --------
    >>> import fastadl as fa
    >>> book = fa.synth.book("pareto", positions=90, accounts=40, instruments=3, seed=1)
    >>> marks = {item.symbol: item.mark * 7 / 10 for item in book.instruments}
    >>> compare(book, marks, ["bitmex", "pro_rata"])["policy"].to_list()
    ['bitmex', 'pro_rata']
    """
    named = policies if isinstance(policies, Mapping) else _by_name(policies)
    before = Engine(book)
    before.mark(prices)
    rows = []
    for name, given in named.items():
        policy = AdlPolicy.of(given)
        engine = Engine(book, policy=policy, fund=fund, liquidity=liquidity)
        report = engine.tick(prices, executions=executions, oracle=oracle)
        found = row(name, report, burdens(report, before), needed=needed, top=top)
        rows.append(found.insert_column(1, pl.Series("space", [policy.space] * len(found))))
    if not rows:
        raise InputError(("policies",), "none", "name at least one policy")
    return pl.concat(rows)


def _by_name(policies: Iterable[str]) -> dict[str, str]:
    names = [policies] if isinstance(policies, str) else list(policies)
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError(("policies", place), name, "name a preset, or give a mapping of name to choices")
    return dict(zip(names, names, strict=True))


def _units(engine: Engine, symbols: list[str]) -> dict[str, tuple[int, int]]:
    """The exact value of one lot at mark, as numerator and denominator in atoms."""
    instruments, marks = engine.book.instruments, engine.marks
    units = {}
    for symbol in symbols:
        i = instruments.code[symbol]
        unit = instruments[i].unit_value(exact(float(marks[i])))
        units[symbol] = (unit.numerator, unit.denominator)
    return units
