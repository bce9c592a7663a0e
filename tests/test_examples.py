"""The example exchange: its order book, what it asks and tells the engine, and its whole day."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastadl as fa
from fastadl.examples import exchange as example
from fastadl.examples.exchange import Exchange, Order, OrderBook, Trade

PERP, INVERSE = "BTC-PERP", "BTC-INVERSE"
SMALL, TINY = ("--agents", "80", "--steps", "100"), ("--agents", "20", "--steps", "40")


def order(account: str, lots: int, limit: int | None, symbol: str = PERP) -> Order:
    return Order(account, symbol, lots, limit)


def told(trades: list[Trade]) -> list[tuple[str, int, int]]:
    return [(trade.maker.account, trade.lots, trade.price) for trade in trades]


# ---------------------------------------------------------------------- matching


def test_the_best_price_trades_first_and_at_one_price_the_oldest() -> None:
    book = OrderBook()
    for account, lots, limit in [
        ("old", -2, 101),
        ("dear", -9, 102),
        ("cheap", -1, 100),
        ("new", -5, 101),
    ]:
        assert not book.match(order(account, lots, limit))
    taker = order("t", 5, 101)
    assert told(book.match(taker)) == [("cheap", 1, 100), ("old", 2, 101), ("new", 2, 101)]
    assert taker.lots == 0
    assert told(book.match(order("t", 4, 101))) == [("new", 3, 101)]
    assert told(book.match(order("s", -1, 101))) == [("t", -1, 101)]


def test_bids_are_matched_alike() -> None:
    book = OrderBook()
    for account, limit in [("low", 98), ("high", 99), ("high too", 99)]:
        book.match(order(account, 1, limit))
    assert told(book.match(order("t", -9, 99))) == [("high", -1, 99), ("high too", -1, 99)]
    assert told(book.match(order("u", 9, 99))) == [("t", 7, 99)]
    assert told(book.match(order("v", -1, None))) == [("u", -1, 99)]


def test_an_order_without_a_limit_takes_any_price_and_does_not_wait() -> None:
    book = OrderBook()
    book.match(order("a", -1, 100))
    book.match(order("b", -1, 900))
    assert told(book.match(order("t", 5, None))) == [("a", 1, 100), ("b", 1, 900)]
    assert not book.match(order("s", -5, 1))


def test_a_cancelled_order_trades_no_more() -> None:
    book = OrderBook()
    gone = order("a", -1, 100)
    book.match(gone)
    gone.lots = 0
    assert not book.match(order("t", 1, 100))


# ---------------------------------------------------------------------- beside the engine


@pytest.fixture
def venue() -> Exchange:
    """Three traders with 1,000 dollars each, of whom ann and bob have traded 100 lots at 50,000."""
    instruments = example.INSTRUMENTS
    accounts = {"id": ["ann", "bob", "cy"], "cash": ["1000"] * 3, "currency": ["USD"] * 3}
    book = fa.Book.from_frames(instruments, accounts, example.POSITIONS)
    exchange = Exchange(fa.Engine(book, fund={"USD": "50", "BTC": "0"}))
    exchange.place(order("bob", -100, 50_000))
    exchange.place(order("ann", 100, 50_000))
    exchange.clear()
    exchange.mark(50_000, 60)
    return exchange


def held(exchange: Exchange) -> dict[tuple[str, str], int]:
    positions = exchange.engine.book.to_frames()[2]
    return {(a, s): n for a, s, n in positions.select("account", "symbol", "lots").iter_rows()}


def crossed(exchange: Exchange, price: int) -> None:
    """Cy sells bob 100 lots at a price that no margin check would let him."""
    exchange._match(order("cy", -100, price))
    exchange._match(order("bob", 100, price))


def test_trades_become_positions_and_the_taker_pays_the_fee(venue: Exchange) -> None:
    assert held(venue) == dict(venue.held) == {("ann", PERP): 100, ("bob", PERP): -100}
    assert venue.engine.equity().tolist() == [997_500_000, 1_000_000_000, 1_000_000_000]


def test_an_order_is_taken_if_its_margin_is_free(venue: Exchange) -> None:
    assert venue.engine.free_collateral("cy") == 1_000_000_000
    assert not venue.place(order("cy", 401, 50_000))
    assert venue.place(order("cy", 400, 50_000))


def test_orders_that_wait_are_spoken_for_until_they_are_cancelled(venue: Exchange) -> None:
    assert venue.place(order("cy", 300, 50_000))
    assert not venue.place(order("cy", 101, 50_000))
    venue.cancel("cy")
    assert venue.place(order("cy", 400, 50_000))


def test_so_is_what_was_traded_and_not_yet_cleared(venue: Exchange) -> None:
    assert venue.place(order("cy", 300, 50_000))
    assert venue.place(order("ann", -100, 50_000))  # closes, and needs no margin
    assert venue.held["ann", PERP] == 0
    venue.cancel("cy")
    assert not venue.place(order("cy", 301, 50_000))
    venue.clear()
    assert venue.engine.free_collateral("cy") == 750_000_000
    assert venue.place(order("cy", 300, 50_000))


def test_an_order_that_only_reduces_needs_no_margin(venue: Exchange) -> None:
    venue.mark(41_500, 120)
    assert venue.engine.free_collateral("ann") == 0
    assert not venue.place(order("ann", 1, 41_000))
    assert not venue.place(order("ann", -202, 42_000))
    assert venue.place(order("ann", -100, 42_000))


def test_an_account_below_its_margin_is_sold_at_its_limit_or_better(venue: Exchange) -> None:
    venue.place(order("ann", 1, 40_000))
    venue.place(order("cy", 20, 40_700))
    fall = venue.mark(40_800, 120)
    assert fall.sent.select("account", "symbol", "side", "lots").row(0) == ("ann", PERP, "long", 50)
    (limit,) = fall.sent["limit_price"]
    assert 40_024 < limit < 40_026  # ann has 997.5 dollars, and each dollar of the price is worth a tenth
    assert fall.report.executions.select("account", "lots", "value").row(0) == ("ann", 20, 20 * 40_700_000)
    assert {number: (rest.lots, rest.limit) for number, rest in venue.liquidations.items()} == {
        1: (-30, 40_026)
    }
    assert not venue.place(order("ann", -1, 40_900)), "in liquidation"


def test_what_is_left_of_it_waits_and_trades_later(venue: Exchange) -> None:
    venue.mark(40_800, 120)
    assert venue.place(order("cy", 10, 40_100))
    venue.clear()
    assert venue.engine.orders().select("account", "lots").rows() == [("ann", 40)]
    assert held(venue) == {("ann", PERP): 90, ("bob", PERP): -100, ("cy", PERP): 10}
    assert venue.engine.check().ok


def test_an_order_of_an_account_that_is_safe_again_is_withdrawn(venue: Exchange) -> None:
    venue.mark(40_800, 120)
    fall = venue.mark(49_000, 180)
    assert fall.withdrawn["account"].to_list() == ["ann"]
    assert venue.engine.orders().is_empty()
    venue.place(order("cy", 1, 49_100))
    venue.clear()
    assert held(venue) == {("ann", PERP): 100, ("bob", PERP): -100}


def test_two_orders_that_liquidate_can_meet(venue: Exchange) -> None:
    crossed(venue, 31_600)
    venue.clear()
    fall = venue.mark(40_800, 120)
    assert fall.sent["side"].to_list() == ["long", "short"]
    assert fall.report.executions.select("account", "lots").rows() == [("cy", 50), ("ann", 50)]
    assert held(venue) == {("ann", PERP): 50, ("cy", PERP): -50}
    assert not venue.liquidations
    assert venue.engine.check().ok


def test_orders_of_an_account_in_liquidation_are_taken_back_before_any_is_sent(venue: Exchange) -> None:
    """Cy's bid is the best for what ann must sell, but cy is below his margin too."""
    crossed(venue, 31_600)
    venue.place(order("cy", 1, 40_700))
    venue.clear()
    fall = venue.mark(40_800, 120)
    assert fall.sent["account"].to_list() == ["ann", "cy"]
    assert fall.report.executions["lots"].to_list() == [50, 50]


def test_the_fund_offers_what_it_took_over(venue: Exchange) -> None:
    fall = venue.mark(40_010, 120)  # ann's equity is 50 cents below zero, and the fund has 52.50 dollars
    assert fall.report.takeovers.select("account", "lots").rows() == [("ann", 100)]
    venue.place(order("bob", 40, 38_000))
    venue.place(order("bob", 50, 39_000))
    venue.clear()
    assert held(venue) == {("bob", PERP): -50, ("fund", PERP): 50}, "half of it, not far below the mark"
    venue.mark(40_010, 180)
    venue.place(order("cy", 100, 39_000))
    venue.clear()
    assert held(venue) == {("bob", PERP): -50, ("cy", PERP): 25, ("fund", PERP): 25}
    assert venue.engine.check().ok


def test_the_fund_can_sell_to_an_account_in_liquidation(venue: Exchange) -> None:
    venue.mark(40_010, 120)
    crossed(venue, 31_500)
    venue.clear()
    fall = venue.mark(40_700, 180)
    assert fall.sent.select("account", "side").rows() == [("cy", "short")]
    assert held(venue) == {("cy", PERP): -50, ("fund", PERP): 50}
    assert venue.engine.check().ok


def test_what_is_bought_to_liquidate_costs_no_more_than_the_limit(venue: Exchange) -> None:
    crossed(venue, 31_600)
    venue.clear()
    venue.engine.deposit({"account": ["ann"], "amount": ["100"]})
    venue.mark(40_800, 120)
    assert [(rest.account, rest.lots, rest.limit) for rest in venue.liquidations.values()] == [
        ("cy", 50, 41_599)
    ]


def test_the_fund_offers_no_more_than_half_at_a_time(venue: Exchange) -> None:
    venue.mark(40_010, 120)
    venue.mark(40_010, 180)
    venue.place(order("bob", 100, 39_000))
    venue.clear()
    assert held(venue) == {("bob", PERP): -50, ("fund", PERP): 50}


def test_orders_of_those_deleveraged_are_taken_back(venue: Exchange) -> None:
    venue.place(order("bob", -50, 43_000))
    fall = venue.mark(38_000, 120)
    assert set(fall.report.adl_fills["counterparty"]) == {"bob"}
    assert held(venue)["bob", PERP] == -25
    venue.place(order("cy", 20, 43_000))
    venue.clear()
    assert held(venue)["bob", PERP] == -25


def test_the_fund_takes_over_what_is_bankrupt_and_adl_closes_the_rest(venue: Exchange) -> None:
    venue.place(order("bob", 5, 30_000))
    fall = venue.mark(40_000, 120)
    assert fall.marked.bankrupt == 1
    assert fall.sent.is_empty()
    assert fall.report.takeovers["account"].to_list() == ["ann"]
    assert fall.report.adl_fills["counterparty"].unique().to_list() in ([], ["bob"])
    assert held(venue) == dict(venue.held)
    assert venue.engine.check().ok


# ---------------------------------------------------------------------- the day


class Watched(Exchange):
    """Compares what it believes that accounts hold with what the engine says, whenever they should agree."""

    def clear(self) -> None:
        super().clear()
        believed = {key: lots for key, lots in self.held.items() if lots}
        assert believed == held(self)


def day(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert example.main(["--journal", str(folder), *options]) == 0
    return capsys.readouterr().out


@pytest.mark.jit
def test_the_day_goes_through_the_whole_waterfall_and_replays_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "Exchange", Watched)
    out = day(tmp_path / "journal", capsys, *SMALL)
    events = re.findall(r"^(?: {18}|[ \d]{5} [ \d,]{9} {3})(\w+)", out, flags=re.MULTILINE)
    assert {"mark", "withdrawn", "sent", "filled", "fund", "ADL", "alert"} == set(events)
    assert "conservation laws: kept" in out
    assert f"fastadl replay {tmp_path / 'journal'}" in out
    assert fa.replay(tmp_path / "journal").ok


@pytest.mark.jit
@pytest.mark.parametrize("seed", ["2", "3", "4"])
def test_its_crash_raises_alerts_before_anybody_is_deleveraged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: str
) -> None:
    metrics = tmp_path / "exchange.prom"
    out = day(tmp_path / "journal", capsys, *SMALL, "--seed", seed, "--metrics", str(metrics))
    before, adl, _ = out.partition("ADL  ")
    crash = before[before.index("\n   60 ") :]
    assert adl
    assert "critical raised: fund_coverage" in crash
    assert "adl_volume" not in before
    assert "\nfastadl_tick 99.0\n" in metrics.read_text("utf-8")


def test_metrics_that_cannot_be_written_are_refused_before_the_day_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--journal", str(tmp_path / "journal"), "--metrics", str(tmp_path)]
    assert example.main(options) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "journal").exists()


def test_the_same_seed_is_the_same_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, again, other = (
        day(tmp_path / name, capsys, *TINY, "--seed", seed).partition("\n\nfastadl")[0]
        for name, seed in [("first", "3"), ("again", "3"), ("other", "4")]
    )
    assert first == again != other
    assert "sent" in first
    with fa.LiveEngine.open(tmp_path / "first") as engine:
        assert engine.check().ok
        assert engine.journal.sequence > 80
    hashes = {name: fa.replay(tmp_path / name).hash for name in ("first", "again", "other")}
    assert hashes["first"] == hashes["again"] != hashes["other"]


@pytest.mark.jit
def test_the_two_commands_of_the_readme(tmp_path: Path) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    run, again = re.search(
        r"^(python -m fastadl.examples.+)\n(fastadl replay day) ", readme, re.MULTILINE
    ).groups()
    for command in (f"{run} {' '.join(TINY)}", again.replace("fastadl", "python -m fastadl")):
        words = [sys.executable, "-W", "error", *command.split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Equal")


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("kept")
    assert example.main(["--journal", str(tmp_path), *TINY]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert str(tmp_path) in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_day_that_is_interrupted_leaves_a_journal_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(step: int, *_: object) -> None:
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(example, "tell", interrupted)
    assert example.main(["--journal", str(tmp_path / "journal"), *TINY]) == 130
    with fa.LiveEngine.open(tmp_path / "journal") as engine:
        assert not engine.lost
        assert engine.check().ok


def test_agents_come_in_all_kinds_and_the_index_falls_by_a_third() -> None:
    chance = random.Random(0)
    agents, book = example.crowd(300, chance)
    assert len(agents) == len(book.accounts) == 300
    assert {(agent.decide, agent.symbol) for agent in agents} == {
        (strategy, symbol) for strategy in example.CROWD for symbol in (PERP, INVERSE)
    }
    prices = example.index_prices(240, chance)
    assert 0.6 < prices[168] / prices[143] < 0.72
