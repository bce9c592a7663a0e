"""What frames of an experiment say of payers and of the book; and one seed of it among thousands."""

from __future__ import annotations

import pickle
import signal
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl import stress
from fastadl.book import row_slots
from fastadl.kernels._jit import compiled
from fastadl.stress import Experiment
from fastadl.stress.payers import Holders, Ledger
from fastadl.stress.portrait import Portrait, _cells
from fastadl.synth.describe import Holdings

SMALL = {"positions": 3000, "instruments": 5}
THREE = ("bitmex", "hyperliquid_2025", "vega")


@pytest.fixture(scope="module")
def three() -> stress.StressResult:
    return Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run()


def without_clock(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(column for column in frame.columns if not column.startswith("seconds"))


# ---------------------------------------------------------------------- who paid


def test_haircuts_hold_every_winner_and_all_that_was_taken(three: stress.StressResult) -> None:
    one = three.haircuts.group_by("policy", maintain_order=True)
    assert one.len()["len"].to_list() == [22, 22, 22]
    sums, table = one.agg(pl.col("accounts", "profit", "seized").sum()), three.policies
    winners = (
        three.payers.filter(by="size")
        .group_by("policy", maintain_order=True)
        .agg(pl.col("accounts", "profit").sum())
    )
    assert sums["accounts"].to_list() == winners["accounts"].to_list()
    assert sums["profit"].to_list() == pytest.approx(winners["profit"].to_list())
    assert sums["seized"].to_list() == pytest.approx(table["seized"].to_list(), abs=1e3)
    assert one.last()["accounts"].to_list() == table["paid_own"].to_list()
    classes = three.haircuts.filter(pl.col("accounts") > 0).with_columns(
        paid=pl.col("seized") / pl.col("profit")
    )
    assert (classes.filter(to=0.0)["seized"] == 0).all()
    middle = classes.filter(pl.col("from") < 1, pl.col("to") > 0)
    assert len(middle) > 10
    assert (middle["paid"] > middle["from"]).all()
    assert (middle["paid"] <= middle["to"]).all()


def test_fills_at_mark_take_nothing_and_charges_pay_nobody_who_won() -> None:
    found = Experiment(book=SMALL, scenario="flash-crash", policies=("okx_2025", "vega")).run().policies
    assert (found["deleveraged"] > 0).all()
    assert found["gained"].to_list() == [0, 0]
    at_mark, charged = found.select("seized", "paid_own", "socialized").rows()
    assert at_mark == (0, 0, 0)
    assert charged[0] == charged[2] > 0


def test_haircuts_at_the_borders() -> None:
    ledger = Ledger(7)
    ledger.profit[:] = [100, 100, 100, 100, 100, 0, 0]
    ledger.seized[:] = [0, 5, 5.1, 100, 100.1, 0, 3]
    ledger.deleveraged[5:] = True  # with equity alone
    table = ledger.haircuts().filter(pl.col("accounts") > 0)
    assert table.select("from", "to", "accounts").rows() == [
        (0.0, 0.0, 2), (0.0, 0.05, 1), (0.05, 0.1, 1), (0.95, 1.0, 1), (1.0, None, 2)
    ]  # fmt: skip


def test_the_ten_who_paid_most_are_named(three: stress.StressResult) -> None:
    for outcome in three.outcomes:
        table, total = outcome.largest, outcome.totals["seized"]
        assert table["place"].to_list() == list(range(1, 11))
        assert table["seized"].is_sorted(descending=True)
        assert table["seized"].sum() >= 0.99 * outcome.totals["top_share"] * total
        np.testing.assert_allclose(table["leverage"], table["gross"] / table["equity"])
    assert three.largest.columns[:5] == ["seed", "feedback", "policy", "place", "account"]


def test_accounts_that_paid_the_same_are_named_in_the_order_of_their_ids() -> None:
    book = fa.synth.book("pareto", positions=100, accounts=40, instruments=2, seed=1)
    engine = fa.Engine(book)
    engine.mark(engine.marks)
    ledger = Ledger(40)
    ledger.seized[::2] = 5.0
    ledger.seized[[7, 31]] = 6.0
    named = ledger.largest(Holders.of(engine), engine.accounts)["account"].to_list()
    ids = book.accounts
    assert named == [*sorted(ids[[7, 31]].to_list()), *sorted(ids[::2].to_list())[:8]]
    ledger.seized[:] = 0
    assert ledger.largest(Holders.of(engine), engine.accounts).is_empty()


# ---------------------------------------------------------------------- the book


def test_a_portrait_holds_every_position_of_the_first_book(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, of = [], Portrait.of
    monkeypatch.setattr(Portrait, "of", lambda *given: drawn.append(given) or of(*given))
    experiment = Experiment(book={**SMALL, "instruments": 14}, scenario="flash-crash", seeds=[4, 5])
    result = experiment.run()
    assert len(drawn) == 1
    held = Holdings.of(stress.draw(experiment, 4))
    density, markets, total = result.density, result.markets, held.size.sum() / 2
    leverage = (held.gross / held.equity)[row_slots(stress.draw(experiment, 4).rows)]
    assert density["positions"].sum() == 3000
    assert density["positions"].min() > 0
    for short, side in enumerate(["long", "short"]):
        for row in density.filter(side=side).iter_rows(named=True):
            mine = (held.short == short) & (held.size >= row["size_from"]) & (held.size < row["size_to"])
            mine &= (leverage >= row["leverage_from"]) & (leverage < row["leverage_to"])
            assert row["positions"] == mine.sum()
            assert row["notional"] == pytest.approx(held.size[mine].sum() * 1e6)
    assert len(markets) == 13
    assert markets["symbol"].null_count() == 1
    assert markets["symbol"][12] is None
    assert markets["open_interest"][:12].is_sorted(descending=True)
    assert markets["open_interest"].sum() == pytest.approx(total * 1e6)
    assert markets["share"].sum() == pytest.approx(1)
    assert (markets["longs"].sum(), markets["shorts"].sum()) == ((~held.short).sum(), held.short.sum())
    value = np.bincount(held.instrument, held.size) / 2
    first = stress.draw(experiment, 4).instruments.symbols.index(markets["symbol"][0])
    assert markets["open_interest"][0] == pytest.approx(value[first] * 1e6)
    assert markets["longs"][0] == ((held.instrument == first) & ~held.short).sum()


def test_few_markets_are_all_named(three: stress.StressResult) -> None:
    assert len(three.markets) == 5
    assert three.markets["symbol"].null_count() == 0


def test_what_lies_beyond_the_cells_is_in_the_outermost() -> None:
    assert _cells(np.array([0.0, 0.5, 1.0, 1.5, 2.0, 9.0]), (1.0, 2.0, 4.0)).tolist() == [0, 0, 0, 0, 1, 1]


def test_the_pressure_in_the_result_is_that_of_the_experiment(three: stress.StressResult) -> None:
    experiment = Experiment(book=SMALL, scenario="flash-crash", policies=THREE)
    assert three.pressure.frame.equals(experiment.pressure().frame)
    assert three.pressure.frame["fund"].max() >= three.facts[0].fund > 0


# ---------------------------------------------------------------------- one among thousands


def test_a_trial_is_the_table_of_one_seed(three: stress.StressResult) -> None:
    experiment = Experiment(book=SMALL, scenario="flash-crash", policies=THREE, seeds=[5])
    assert stress.trial(experiment, 1).equals(three.policies.drop("seconds"))
    assert stress.trial(experiment, 1).equals(stress.trial(experiment, 1, stress.draw(experiment, 1)))


def test_a_trial_draws_no_portrait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Portrait, "of", lambda *_: pytest.fail("it was drawn"))
    assert stress.trial(Experiment(book=SMALL), 1).height == 1


def read_only(book: fa.Book) -> fa.Book:
    """The book as a store that processes share hands it out."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(book, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(each.raw()) for each in buffers])


def test_a_trial_takes_a_read_only_book_and_leaves_it_alone() -> None:
    experiment = Experiment(
        book={**SMALL, "seed": 3},
        scenario="flash-crash",
        policies=["bitmex", "vega"],
        feedback=["off", "all"],
    )
    book = stress.draw(experiment, 9)
    rows, known = [array.copy() for array in book.rows], None
    for _ in range(2):
        first = stress.trial(experiment, 2, book)
        kernels = {name: len(getattr(each, "signatures", ())) for name, each in compiled.items()}
        assert known in (None, kernels)
        known, book = kernels, read_only(book)
    assert not book.rows.lots.flags.writeable
    assert stress.trial(experiment, 2).equals(first)
    assert all(map(np.array_equal, rows, book.rows))


def test_a_trial_is_interrupted_unless_the_process_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    add, experiment = Ledger.add, Experiment(book=SMALL, scenario="flash-crash")

    def pressed(self: Ledger, engine: fa.Engine, report: fa.Report, paid: int) -> Any:
        if report.tick == 12:
            signal.raise_signal(signal.SIGINT)
        return add(self, engine, report, paid)

    monkeypatch.setattr(Ledger, "add", pressed)
    with pytest.raises(KeyboardInterrupt):
        stress.trial(experiment, 1)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert stress.trial(experiment, 1)["finished"].all()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_book_of_its_own_seed_is_the_same_for_every_seed() -> None:
    shared = Experiment(book={**SMALL, "seed": 2}, scenario="jumps", seeds=[1, 2])
    alone = Experiment(book=SMALL, scenario="jumps", seeds=[1, 2])
    result, usual = shared.run(), alone.run()
    assert len({facts.open_interest for facts in result.facts}) == 1
    assert without_clock(result.steps.filter(seed=2)).equals(without_clock(usual.steps.filter(seed=2)))
    paths = result.steps.group_by("seed", maintain_order=True).agg("path")
    assert (
        paths["path"].equals(usual.steps.group_by("seed", maintain_order=True).agg("path")["path"]) is False
    )
    assert paths["path"].n_unique() == 2
