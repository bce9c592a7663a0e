"""Audits: an ADL fill recomputed from the journal, published, and checked by a third party (R114 to R117)."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import fastadl as fa
from engines import book
from fastadl import Audit, InputError, JournalError, auditing, cli
from fastadl.auditing import pseudonym, verify
from fastadl.errors import PolicyError
from fastadl.journal import NEVER, Journal, read
from fastadl.policy import CHOICES
from fastadl.recording.recorded import contents_of
from fastadl.testing import books, marks
from live_calls import POLICIES, made, perform
from uncompiled import fewer

few = settings(max_examples=fewer(40), deadline=None, suppress_health_check=list(HealthCheck))
X = {"X": {"mark": "100"}}


@contextmanager
def journal(given: fa.Book, **options: Any) -> Iterator[tuple[Path, fa.LiveEngine]]:
    """A recorded engine, and its folder, for as long as the block lasts."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        with fa.LiveEngine.create(folder, given, fsync=NEVER, **options) as engine:
            yield folder, engine


def lines(folder: Path) -> list[dict[str, Any]]:
    """One fill of every entry that has any, the last."""
    found = auditing.fills(folder)
    return [part.row(-1, named=True) for part in found.partition_by("entry", maintain_order=True)]


def audited(folder: Path, line: dict[str, Any]) -> Audit:
    found = fa.audit(folder, line, tick=line["tick"], threads=1)
    assert found.ok, found.difference
    return found


# ---------------------------------------------------------------- beside the engine


@st.composite
def policies(draw: Any) -> dict[str, Any]:
    names = ("score", "allocation", "price", "guard", "split", "rerank", "tiers")
    policy = {name: draw(st.sampled_from(CHOICES[name])) for name in names}
    policy |= {"trigger": draw(st.sampled_from(["bankrupt", "bankrupt", "unfilled", "drawdown"]))}
    policy |= {"then": draw(st.lists(st.sampled_from(CHOICES["score"]), max_size=2))}
    policy |= draw(st.sampled_from([{}, {}, {"severity": "fraction", "fraction": "0.7"}]))
    if policy["score"] == "random":
        policy["seed"] = draw(st.integers(0, 2**63 - 1))
    if policy["allocation"] == "risk_aware":
        policy |= {"exponent": draw(st.integers(0, 3)), "min_leverage": "0.5"}
    return policy


@few
@given(data=st.data())
def test_every_event_of_every_policy_follows_from_the_rules(data: Any) -> None:
    found, policy = data.draw(books()), data.draw(policies())
    funds = {"USD": data.draw(st.sampled_from(["0", "3", "50"])), "BTC": "0.0005"}
    fund = {code: funds[code] for code in found.instruments.currencies}
    depth = {item.symbol: "3" for item in found.instruments if item.symbol != "X"}
    liquidity = data.draw(st.sampled_from([None, None, {"depth": depth, "slippage": "0.02", "fee": "0.01"}]))
    try:
        with journal(found, policy=policy, fund=fund, liquidity=liquidity) as (folder, engine):
            for _ in range(2):
                engine.tick(data.draw(marks(found, every=True)), oracle=data.draw(marks(found)))
            for line in lines(folder):
                audited(folder, line)
    except PolicyError:
        assume(False)


ONE_BY_ONE: list[dict[str, Any]] = [
    *({"score": score} for score in CHOICES["score"]),
    *({"allocation": allocation} for allocation in CHOICES["allocation"]),
    *({"price": price} for price in CHOICES["price"]),
    *({"tiers": tiers, "delta_limit": "0.6"} for tiers in CHOICES["tiers"][1:]),
    *({"guard": guard, "rerank": rerank} for guard in CHOICES["guard"][1:] for rerank in CHOICES["rerank"]),
    {"allocation": "risk_aware", "exponent": 2, "min_leverage": "1.5"},
    {"allocation": "factor_fill", "betas": {"BTC-PERP": "1.5"}},
    {"score": "bitget_c", "then": ["random", "size"], "seed": 7},
    {"severity": "fraction", "fraction": "0.35"},
    {"trigger": "unfilled"},
    {"trigger": "drawdown", "drawdown_scope": "symbol"},
]


@pytest.mark.parametrize("policy", ONE_BY_ONE, ids=lambda policy: "-".join(map(str, policy.values())))
def test_every_choice_follows_from_the_rules(policy: dict[str, Any], tmp_path: Path) -> None:
    """Ties, tiers, hedges and bankrupts on both sides, after a mark up and a mark down."""
    drawn = fa.synth.book("hedged", positions=150, accounts=60, instruments=2, seed=4)
    instruments, accounts, positions = drawn.to_frames()
    flagged = accounts.with_columns(adl_tier=pl.int_range(pl.len()) % 3 == 1)
    drawn = fa.Book.from_frames(instruments, flagged.cast({"adl_tier": pl.Int64}), positions)
    folder = tmp_path / "journal"
    with fa.LiveEngine.create(folder, drawn, policy=policy, fund="40", fsync=NEVER, threads=1) as engine:
        start = engine.marks
        for move in (1.25, 0.7):
            engine.tick(start * move, oracle=start * (1 + move) / 2)
    found = lines(folder)
    assert found
    for line in found:
        audited(folder, line)


@pytest.mark.slow
@pytest.mark.parametrize("which", range(len(POLICIES)))
def test_whatever_an_exchange_calls_in_between_is_no_obstacle(which: int, tmp_path: Path) -> None:
    """Fills, executions, orders, transfers, closes by hand, stages alone, all that grows or changes."""
    folder = tmp_path / "journal"
    options = {**made(which), "fund": "100", **POLICIES[which]}
    with fa.LiveEngine.create(folder, **options, fsync=NEVER, snapshot_every=20, threads=1) as engine:
        for number in range(200):
            perform(engine, number, which)
        kinds = dict(events(folder))
        found = lines(folder)
        assert "deleverage_account" in {kinds[line["entry"]] for line in found}
        for line in found[:: max(1, len(found) // 8)]:
            out = audited(folder, line).publish(tmp_path / f"out{line['entry']}")
            assert verify.main([str(out)]) == 0


FUNDS: list[Any] = [
    "0",
    {"cash": "60", "daily_share": "0.5", "limits": {"BTC-PERP": {"max_loss": "10"}}},
    {"cash": "60", "max_drawdown": "0.4", "peak_window": 100},
]


@pytest.mark.parametrize("fund", FUNDS, ids=["none", "limits", "drawdown"])
def test_what_happens_between_detection_and_takeover_is_no_obstacle(fund: Any, tmp_path: Path) -> None:
    """Every stage alone, and an exchange that goes on trading, and closes in its book, within the tick."""
    drawn = fa.synth.book("retail", positions=160, accounts=90, instruments=3, seed=2)
    folder, stages = tmp_path / "journal", []
    with fa.LiveEngine.create(folder, drawn, fund=fund, fsync=NEVER, threads=1) as engine:
        start = engine.marks
        for step, move in enumerate([0.92, 0.84, 0.78, 0.72, 0.66, 0.6]):
            engine.mark(start * move, step)
            below = engine.liquidations()["account"]
            safe = sorted(set(engine.accounts) - set(below))[:2]
            fills = {"account": safe, "symbol": [engine.symbols[0]] * 2, "lots": [3, -3]}
            engine.apply_fills({**fills, "price": [float(engine.marks[0])] * 2})
            engine.deposit({"account": safe, "amount": ["10", "20"]})
            engine.set_flags({"account": safe[:1], "exempt": [True]})
            seller = [*safe, *below][-1]
            held = engine.positions(seller).row(0, named=True)
            closed = {"symbol": [held["symbol"]], "side": [held["side"]], "lots": [1]}
            engine.settle({"account": [seller], **closed, "price": [held["mark_price"]]})
            if step % 2:
                engine.takeover()
            stages += [step % 2] * bool(len(engine.deleverage().adl_fills))
    assert set(stages) == {0, 1}, "takeovers by themselves, and within deleverage"
    for line in lines(folder):
        out = audited(folder, line).publish(tmp_path / f"out{line['entry']}")
        assert verify.main([str(out)]) == 0


def events(folder: Path) -> Iterator[tuple[int, str]]:
    yield from ((entry.sequence, entry.kind) for entry in read(folder))


@few
@given(found=books(), data=st.data())
def test_the_queue_is_the_reference_ranking(found: fa.Book, data: Any) -> None:
    score = data.draw(st.sampled_from(["bitmex", "binance", "okx", "hyperliquid", "extended", "kucoin_v1"]))
    with journal(found, policy={"score": score}) as (folder, engine):
        engine.mark(data.draw(marks(found, every=True)))
        engine.takeover()
        before = engine.copy()
        engine.deleverage()
        for line in lines(folder):
            audit = audited(folder, line)
            side = "short" if line["side"] == "long" else "long"
            ranked = before.rank(line["symbol"], side)
            kept = ranked.filter(pl.col("account").is_in(audit.queue["account"].to_list()))
            assert kept.drop("rank", "adl_tier").equals(
                audit.queue.select(kept.drop("rank", "adl_tier").columns)
            )


# ---------------------------------------------------------------- by hand

THREE = "ann X 10 100\nbob X -4 95\ncy X -8 90\ndee X -2 80\neve X 4 100"
CASH = {"ann": "40", "bob": "100", "cy": "100", "dee": "1000", "eve": "900"}


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann is bankrupt at 90: 10 lots worth 900, closed for 960; bob and cy are deleveraged, dee is not."""
    folder = tmp_path_factory.mktemp("crashed") / "journal"
    with fa.LiveEngine.create(folder, book(THREE, cash=CASH, listed=X), fund="7") as engine:
        engine.tick({"X": "99"})
        engine.mark({"X": "90"})
        engine.deposit({"account": ["dee"], "amount": ["5"]})
        engine.takeover()
        engine.deleverage()
        engine.tick({"X": "91"})
    return folder


@pytest.fixture
def published(crashed: Path, tmp_path: Path) -> Path:
    return fa.audit(crashed, account="cy").publish(tmp_path / "out")


def test_it_says_who_why_and_at_which_price(crashed: Path) -> None:
    found = fa.audit(crashed, account="cy")
    assert found.ok
    assert found
    assert found.queue.select("account", "lots", "lots_ahead", "taken").rows() == [
        ("bob", 4, 0, 4),
        ("cy", 8, 4, 5),
        ("dee", 2, 12, 0),
    ]
    assert found.mine["rank"] == 2
    assert found.next is not None
    assert found.next["account"] == "dee"
    scores = found.queue["score"].to_list()
    assert found.lost_by == f"bitmex score {scores[1]!r} above {scores[2]!r}"
    assert (found.close["at_mark"], found.close["shortfall"], found.close["bankruptcy_value"]) == (
        *(90_000, 6_000, 96_000),
    )
    assert (found.close["fund_took"], found.close["fund_paid"]) == (1, 9_600)
    assert (found.close["lots_left"], found.close["left_value"]) == (9, 86_400)
    assert (found.close["closed_before"], found.close["fill_value"], found.close["fill_price"]) == (
        *(4, 48_000, "96"),
    )
    assert found.fund["room"] == 700
    text = str(found)
    for words in (
        "cy: 5 lots of X",
        "at 96, against bankrupt ann",
        "RIGHT",
        "Why not dee, rank 3",
        "room for 7.00",
    ):
        assert words in text
    told = json.loads(json.dumps(found.to_dict()))
    assert told["close"]["bankruptcy_value"] == "960.00"
    assert told["hash"] == found.hash == fa.replay(crashed, until=5).hash
    assert told["hash_before"] == fa.replay(crashed, until=4).hash


def test_a_fill_is_found_by_its_row_its_notice_or_its_account(crashed: Path) -> None:
    line = auditing.fills(crashed).row(1, named=True)
    engine = fa.replay(crashed, until=4).engine
    report = engine.deleverage()
    for fill in (line, report.adl_fills.row(1, named=True), report.notices.drop("side").row(1, named=True)):
        assert fa.audit(crashed, fill).mine["account"] == "cy"
    assert fa.audit(crashed, tick=1, account="bob", symbol="X").mine["rank"] == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"account": "dee"}, "no such fill is in the journal; fastadl audit JOURNAL lists"),
        ({"account": "cya"}, "account cya is in none of them; did you mean cy\\?$"),
        ({"account": "cy", "symbol": "XX"}, "symbol XX is in none of them; did you mean X\\?$"),
        ({"account": "cy", "bankrupt": "anna"}, "bankrupt anna is in none of them; did you mean ann\\?$"),
        ({"account": "cy", "tick": 2}, "no such fill"),
        ({"account": "cy", "symbol": "Y"}, "no such fill"),
        ({"fill": {"counterparty": "cy", "lots": 6}}, "no such fill"),
        ({"fill": {"counterparty": "cy", "score": 1.0}}, "no such fill"),
        ({}, "name who was deleveraged"),
        ({"fill": ["cy"]}, "give a row of adl_fills"),
    ],
)
def test_a_fill_that_is_not_in_the_journal_is_refused(
    crashed: Path, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fa.audit(crashed, **asked)


def test_one_of_several_fills_has_to_be_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with fa.LiveEngine.create(
        folder, book("a X 1 100\nb X -9 90\nc X 8 110", cash=CASH_OF_TWO, listed=X)
    ) as engine:
        engine.tick({"X": "95"})
        engine.tick({"X": "70"})
    with pytest.raises(InputError, match="name the tick: it may be of 0, 1"):
        fa.audit(folder, account="b")
    assert fa.audit(folder, account="b", tick=1).ok


def test_several_fills_of_one_tick_are_told_apart_by_the_bankrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    positions, cash = "a X 2 100\nb X 3 100\nz X -9 100", {"a": "5", "b": "5", "z": "900"}
    folder = recorded(tmp_path / "journal", positions, cash)
    first = fa.audit(folder, account="z")
    assert (first.alike, first.fill["bankrupt"]) == (2, "b")
    assert "The first of 2 fills in this tick" in str(first)
    assert (first.to_dict()["alike"], fa.audit(folder, first.fill).alike) == (2, 1)
    code, out, _ = command(capsys, str(folder), "--account", "z", "--bankrupt", "a")
    assert code == 0
    assert out.startswith("z: 2 lots of X closed in tick 0 at 97.5, against bankrupt a\nRIGHT")
    code, out, _ = command(capsys, str(folder), "--bankrupt", "a", "--json")
    assert [line["lots"] for line in json.loads(out)["fills"]] == [2]
    code, out, _ = command(capsys, str(folder), "--tick", "7", "--symbol", "X", "--bankrupt", "a")
    assert (code, out.splitlines()[0]) == (0, "0 fills of auto-deleveraging")
    assert auditing.fills(folder, tick=7).schema == auditing.fills(folder).schema


CASH_OF_TWO = {"a": "1", "b": "500", "c": "200"}


def test_what_was_forgotten_is_said_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with fa.LiveEngine.create(folder, book(THREE, cash=CASH, listed=X), segment_bytes=1) as engine:
        engine.tick({"X": "90"})
        engine.snapshot()
        engine.journal.forget(keep=1)
        engine.tick({"X": "91"})
    with pytest.raises(InputError, match="entries up to 1 were forgotten"):
        fa.audit(folder, account="cy")


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        fa.audit(tmp_path, account="cy")


def test_profits_closed_against_the_pool_are_no_matter_of_an_audit(tmp_path: Path) -> None:
    folder, policy = tmp_path / "journal", {"trigger": "pool_profit", "price": "mark"}
    with fa.LiveEngine.create(
        folder, book("a X 9 100", cash={"a": "100"}, listed=X), policy=policy, fund="90"
    ) as e:
        assert len(e.tick({"X": "110"}).adl_fills)
    with pytest.raises(InputError, match=r"pool_profit.*fastadl replay"):
        fa.audit(folder, account="a")


def recorded(
    folder: Path, positions: str, cash: dict[str, str], *, price: str = "90", **options: Any
) -> Path:
    """The journal of one tick."""
    columns = {name: options.pop(name) for name in ("adl_tier",) if name in options}
    drawn = book(positions, cash=cash, listed=X, **columns)
    with fa.LiveEngine.create(folder, drawn, **options) as engine:
        engine.tick({"X": price})
    return folder


def test_a_close_by_hand_is_audited_alike(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with fa.LiveEngine.create(folder, book(THREE, cash=CASH, listed=X)) as engine:
        engine.tick({"X": "99"})
        engine.deleverage_account("eve", "X", lots=3, price="mark", counterparties=["cy", "dee"])
        engine.deleverage_account("ann", "X", lots=5)
    named = fa.audit(folder, account="cy", symbol="X", fill={"bankrupt": "eve"})
    assert named.ok
    assert named.lost_by == "named as number 1, the other as number 2"
    assert (named.close["price"], named.fill["value"]) == ("mark", 3 * 9900)
    done = lone(named.publish(tmp_path / "named", salt="pepper"))
    assert done.returncode == 0
    eve = pseudonym("eve", "pepper")
    assert (
        f"Taken as stated: that {eve} was closed by hand, bankrupt or not, and against whom." in done.stdout
    )
    assert "Taken as stated: the order of the ids, which are hidden" in done.stdout
    ranked = fa.audit(folder, account="cy", fill={"bankrupt": "ann"})
    assert ranked.ok
    assert ranked.close["shortfall"] == -3_000, "what it still has"
    assert lone(ranked.publish(tmp_path / "ranked")).returncode == 0


def test_ties_and_tiers_are_told(tmp_path: Path) -> None:
    positions, cash = "ann X 2 100\nb X -2 100\nc X -2 100", {"ann": "5", "b": "90", "c": "90"}
    even = fa.audit(recorded(tmp_path / "even", positions, cash), account="b")
    assert even.lost_by == "equal scores, id b before c"
    flagged = recorded(tmp_path / "flagged", positions, cash, adl_tier=[0, 1, 0])
    assert fa.audit(flagged, account="c").lost_by == "adl_tier 0 before 1"
    keys = recorded(tmp_path / "keys", positions, cash, policy={"then": ["newest"]})
    found = fa.audit(keys, account="c")
    assert found.lost_by == "newest score 2.0 above 1.0"
    assert found.queue["then_newest"].to_list() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("positions", "cash", "options", "taken"),
    [
        # 6.00 a lot: of 12.00 an atom has to stay, so that one lot fits and not two (R45)
        (
            *("ann X 10 100\nb X -9 95\nc X -9 90", {"ann": "40", "b": "-33", "c": "900"}),
            {"policy": {"guard": "solvent"}},
            [("b", 1), ("c", 9)],
        ),
        # h is neutral, of tier 2·0 + 1; b is not, of tier 2·1, whatever their scores (R83)
        (
            *("ann X 2 100\nb X -2 200\nh X -2 100\nh X 2 100", {"ann": "5", "b": "90", "h": "900"}),
            {"policy": {"tiers": "delta_neutral"}, "adl_tier": [0, 1, 0]},
            [("h", 2), ("b", 0)],
        ),
        # equally deep: by id (R21)
        (
            *("a X 2 100\nb X 2 100\nz X -9 100", {"a": "5", "b": "5", "z": "900"}),
            {},
            [("z", 4)],
        ),
        # at 6.00 a lot b's 9 lots cost 54.00 of 54.08: closing one has to leave 9 atoms more, not 8 (R86)
        (
            *("ann X 1 100\nb X -9 95\nc X -9 90", {"ann": "4", "b": "9.08", "c": "900"}),
            {"policy": {"guard": "health"}},
            [("c", 1)],
        ),
        (
            *("ann X 1 100\nb X -9 95\nc X -9 90", {"ann": "4", "b": "9.09", "c": "900"}),
            {"policy": {"guard": "health"}},
            [("b", 1)],
        ),
    ],
    ids=["solvent", "neutral", "depth", "health", "health-enough"],
)
def test_edges_of_single_rules(
    positions: str, cash: dict[str, str], options: dict[str, Any], taken: list[Any], tmp_path: Path
) -> None:
    folder = recorded(tmp_path / "journal", positions, cash, **options)
    found = fa.audit(folder, account=taken[0][0])
    assert found.ok, found.difference
    rows = found.queue.select("account", "taken").rows()
    assert [row for row in rows if row[1] or row in taken] == taken


def test_weights_have_forty_bits(tmp_path: Path) -> None:
    """Profits of three to one weigh 2⁴⁰ to ⌊2⁴⁰/3⌋, which 10¹² lots can tell (R84)."""
    fine = {"X": {"mark": "100", "lot": "0.00000001"}}
    cash = {"ann": "50000", "b": "900000", "c": "900000"}
    drawn = book("ann X 10000 100\nb X -9000 99\nc X -9000 93", cash=cash, listed=fine)
    policy, weights = {"allocation": "quadratic_projection"}, (2**40, 2**40 // 3)
    with fa.LiveEngine.create(tmp_path / "journal", drawn, policy=policy) as engine:
        lots = engine.tick({"X": "90"}).adl_fills["lots"].to_list()
    assert lots == [round(Fraction(10**12 * weight, sum(weights))) for weight in weights]
    assert fa.audit(tmp_path / "journal", account="b").ok


def test_who_was_not_ranked_is_counted(tmp_path: Path) -> None:
    positions = "ann X 2 100\nb X -2 100\nc X -2 70\nd X -9 70\nz X 30 60"
    cash = {"ann": "5", "b": "90", "c": "45", "d": "100", "z": "900"}
    found = fa.audit(recorded(tmp_path / "journal", positions, cash), account="b")
    assert found.left_out == {"bankrupt": 1}
    assert "Not ranked: 1 bankrupt." in str(found)


@pytest.mark.parametrize("limits", [{}, {"limits": {"X": {"max_loss": "1000"}}}], ids=["plain", "stated"])
def test_a_price_cut_off_at_zero_and_a_debt_paid_in_cash(limits: dict[str, Any], tmp_path: Path) -> None:
    """Ann owes more than her short is worth: the fund takes it for nothing and pays the rest of her debt."""
    positions, cash = "ann X -1 100\nbob X -20 110\nzed X 10 120", {"ann": "-150", "bob": "900", "zed": "100"}
    folder = recorded(tmp_path / "journal", positions, cash, price="100", fund={"cash": "160", **limits})
    found = fa.audit(folder, account="bob")
    assert found.ok
    assert (found.fund["paid"], found.fund["took_lots"]) == (5_000, 2)
    assert (found.close["account"], found.close["lots_left"], found.close["cut_at_zero"]) == ("zed", 9, False)
    out = found.publish(tmp_path / "out")
    assert lone(out).returncode == 0
    changed(out, "payments", lambda lines: lines[0].update(amount="5001"))
    assert "payments 1 (account ann, amount 5001): amount is 5001, by the rules 5000" in lone(out).stdout
    changed(out, "payments", lambda lines: lines[0].update(amount="5000"))
    changed(out, "takeovers", lambda lines: lines[1].update(lots="11"))
    assert "takeovers 2" in lone(out).stdout
    folder = recorded(
        tmp_path / "cut", "ann X -1 100\nbob X 20 90", {"ann": "-150", "bob": "900"}, price="100"
    )
    cut = fa.audit(folder, account="bob")
    assert (cut.close["bankruptcy_value"], cut.close["bankruptcy_price"]) == (0, "0")
    assert "cut off (R26)" in str(cut)


def test_the_price_of_an_inverse_contract(tmp_path: Path) -> None:
    """Worked example W4: ann's seven longs close for −0.015 BTC, which is a price of 46 666.67."""
    coin = {"kind": "inverse", "contract_size": "100", "currency": "BTC", "mark": "50000"}
    drawn = book(
        "ann X 7 50000\nbob X -3 49000\ncy X -4 48000",
        cash={"ann": "0.001", "bob": "0.002", "cy": "0.01"},
        listed={"X": coin},
        currency=["BTC"] * 3,
    )
    folder = tmp_path / "journal"
    new = drawn.to_frames()[0].with_columns(symbol=pl.lit("new"), mark=pl.lit(None, pl.String))
    with fa.LiveEngine.create(folder, drawn) as engine:
        engine.tick({"X": "50000"})
        engine.list_instruments(new)
        engine.tick({"X": "46000"})
    found = fa.audit(folder, account="cy")
    assert found.ok
    assert (found.close["bankruptcy_value"], found.close["bankruptcy_price"]) == (-1_500_000, "46666.6666667")
    assert set(found.tables()["instruments"]["symbol"]) == {"X"}


def test_what_has_no_snapshot_from_before_is_refused(crashed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    shutil.copytree(crashed, folder)
    shutil.rmtree(folder / "snapshots")
    with pytest.raises(JournalError, match="no snapshot before entry 5"):
        fa.audit(folder, account="cy")


# ---------------------------------------------------------------- tampering


def test_a_byte_changed_in_the_journal_is_found_and_named(crashed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    shutil.copytree(crashed, folder)
    (segment,) = folder.glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[-20] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalError, match="entry 6 is not what was written"):
        fa.audit(folder, account="cy")
    snapshot = next((crashed / "snapshots").iterdir())
    shutil.rmtree(folder)
    shutil.copytree(crashed, folder)
    (folder / "snapshots" / snapshot.name / "accounts.parquet").write_bytes(b"other")
    with pytest.raises(JournalError, match="a snapshot is not what was written"):
        fa.audit(folder, account="cy")


@pytest.mark.parametrize(("which", "kind"), [(2, "mark"), (3, "deposit"), (5, "deleverage")])
def test_an_entry_rewritten_with_all_its_hashes_is_found_and_named(
    crashed: Path, tmp_path: Path, which: int, kind: str
) -> None:
    """Whoever writes the journal can make its hashes anew; what an entry does he cannot."""
    folder = tmp_path / "journal"
    source = fa.replay(crashed, until=0).engine
    with Journal.create(folder) as written:
        written.snapshot(contents_of(source))
        for entry in read(crashed):
            payload = dict(entry.payload)
            if entry.sequence == which and kind == "mark":
                payload["input"] = {"prices": {"X": "89.5"}}
            elif entry.sequence == which and kind == "deposit":
                payload["input"] = {"transfers": {"account": ["dee"], "amount": ["-5"]}}
            elif entry.sequence == which:
                fills = payload["result.adl_fills"]
                payload["result.adl_fills"] = fills.with_columns(rank=pl.col("rank") + 1)
            written.append(entry.kind, payload, time=entry.time)
    named = 5 if kind == "mark" else which  # a mark says only how many fell
    with pytest.raises(JournalError, match=f"entry {named}, "):
        fa.audit(folder, account="cy")


# ---------------------------------------------------------------- the third party


def lone(folder: Path) -> subprocess.CompletedProcess[str]:
    """The script beside the frames, in an interpreter that sees no package at all."""
    command = [sys.executable, "-I", "-S", "-W", "error", str(folder / "verify.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)


def test_the_script_needs_the_standard_library_alone() -> None:
    tree = ast.parse(Path(verify.__file__).read_text("utf-8"))
    names = {
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for each in (x.name for x in node.names)
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_a_third_party_checks_it_without_the_package(published: Path) -> None:
    done = lone(published)
    assert (done.returncode, done.stderr) == (0, "")
    journal = json.loads((published / "manifest.json").read_text("utf-8"))["journal"]
    assert done.stdout.startswith("RIGHT: 2 fills of tick 1, from 3 ranked positions.\n")
    assert f"entry 5, hash {journal['hash']}" in done.stdout
    assert sha256((published / "manifest.json").read_bytes()).hexdigest() in done.stdout
    assert "order of the bankrupt" in done.stdout, "a deposit came between detection and takeover"
    package = [sys.executable, "-m", "fastadl.auditing.verify", str(published)]
    assert subprocess.run(package, capture_output=True, text=True, check=False).stdout == done.stdout


def test_what_is_published_is_the_same_every_time(crashed: Path, tmp_path: Path) -> None:
    for name, account in (("one", "cy"), ("other", "bob")):
        fa.audit(crashed, account=account).publish(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes(), file.name


def test_ids_can_be_hidden_and_everyone_finds_his_own(crashed: Path, tmp_path: Path) -> None:
    found = fa.audit(crashed, account="cy")
    out = found.publish(tmp_path / "out", salt="pepper")
    assert lone(out).returncode == 0
    shown = "".join(file.read_text("utf-8") for file in out.iterdir() if file.suffix != ".py")
    for name in CASH:
        assert f'"{name}"' not in shown
    assert pseudonym("cy", b"pepper") in shown
    assert pseudonym("cy", "salt") != pseudonym("cy", "pepper")


def test_no_secret_is_no_salt(crashed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a secret"):
        fa.audit(crashed, account="cy").publish(tmp_path / "out", salt=b"")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(crashed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(InputError, match="new or empty folder"):
        fa.audit(crashed, account="cy").publish(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def changed(
    folder: Path, table: str, change: Callable[[list[dict[str, str]]], Any], *, seal: bool = True
) -> None:
    """Rewrite a table, and its hash with it, as whoever publishes could."""
    path = folder / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    names = list(lines[0])
    change(lines)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(lines)
    if seal:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        manifest["files"][path.name] = sha256(path.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("instruments", "X is there twice"),
        ("accounts", "ann is there twice"),
        ("positions", "ann, X, long is there twice"),
        ("bankrupt", "ann is there twice"),
        ("funds", "USD is there twice"),
    ],
)
def test_nothing_is_said_twice(
    published: Path, capsys: pytest.CaptureFixture[str], table: str, words: str
) -> None:
    """Whoever finds his line knows that it counts; who is bankrupt is closed once."""
    changed(published, table, lambda lines: lines.append(lines[0]))
    assert verify.main([str(published)]) == 1
    assert capsys.readouterr().out == f"WRONG: {table}: {words}\n"


def test_no_column_is_there_twice(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = published / "accounts.csv"
    twice = [
        f'{line},"{number or "cash"}"' for number, line in enumerate(path.read_text("utf-8").splitlines())
    ]
    path.write_text("\n".join(twice) + "\n", "utf-8")
    changed(published, "bankrupt", lambda _: None)
    manifest = json.loads((published / "manifest.json").read_text("utf-8"))
    manifest["files"]["accounts.csv"] = sha256(path.read_bytes()).hexdigest()
    (published / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert verify.main([str(published)]) == 1
    assert capsys.readouterr().out == "WRONG: accounts: a column is there twice\n"


def test_lots_below_zero_do_not_make_up_for_others(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def hide(lines: list[dict[str, str]]) -> None:
        lines[1]["lots"], lines[3]["lots"] = "14", "-8"

    changed(published, "positions", hide)
    assert verify.main([str(published)]) == 1
    assert "has -8 lots; they are unsigned" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        {"policy": {"betas": []}},
        {"policy": None},
        {"currencies": []},
        {"files": []},
        {"by_hand": "x"},
        {"journal": []},
    ],
    ids=str,
)
def test_frames_that_are_none_are_refused(
    published: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    manifest = json.loads((published / "manifest.json").read_text("utf-8"))
    if change == {"policy": {"betas": []}}:
        change = {"policy": {**manifest["policy"], "allocation": "factor_fill", "betas": []}}
    (published / "manifest.json").write_text(json.dumps(manifest | change), "utf-8")
    assert verify.main([str(published)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_was_changed_is_named(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(published, "accounts", lambda lines: lines[1].update(cash="1"), seal=False)
    assert verify.main([str(published)]) == 1
    assert capsys.readouterr().out == "WRONG: accounts.csv is not what was published, by its hash\n"
    (published / "accounts.csv").unlink()
    assert verify.main([str(published)]) == 1


def swapped(lines: list[dict[str, str]]) -> None:
    lines[0]["counterparty"], lines[1]["counterparty"] = lines[1]["counterparty"], lines[0]["counterparty"]


def of(account: str, **columns: str) -> Callable[[list[dict[str, str]]], None]:
    def change(lines: list[dict[str, str]]) -> None:
        next(line for line in lines if line["account"] == account).update(columns)

    return change


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("fills", swapped, "fills 1 (bankrupt ann, counterparty cy"),
        ("fills", lambda lines: lines[0].update(lots="3"), "lots is 3, by the rules 4"),
        ("fills", lambda lines: lines[0].update(value="38401"), "value is 38401, by the rules 38400"),
        ("fills", lambda lines: lines[0].update(rank="2"), "rank is 2, by the rules 1"),
        ("fills", lambda lines: lines[1].update(score="0.5"), "fills 2"),
        ("fills", lambda lines: lines[1].update(realized_pnl="0"), "realized_pnl is 0"),
        ("fills", lambda lines: lines.pop(), "fills 2 is not there: bankrupt ann, counterparty cy"),
        ("fills", lambda lines: lines.append(lines[0]), "fills 3 should not be"),
        ("takeovers", lambda lines: lines[0].update(lots="2"), "takeovers 1"),
        ("takeovers", lambda lines: lines.clear(), "takeovers 1 is not there"),
        ("funds", lambda lines: lines[0].update(cash="1900"), "lots is 1, by the rules 3"),
        (
            "accounts",
            of("bob", cash="9900"),
            "fills 1 (bankrupt ann, counterparty bob, symbol X, side long, lots 4): score",
        ),
        ("accounts", of("bob", adl_tier="1"), "counterparty is bob, by the rules cy"),
        ("accounts", of("bob", spared="exempt"), "counterparty is bob, by the rules cy"),
        ("accounts", of("ann", cash="10001"), "bankrupt ann: by the rules it is not"),
        ("accounts", of("ann", spared="in_liquidation"), "bankrupt ann: by the rules it is not"),
        ("accounts", of("bob", place="7"), "accounts: bob is before cy, but its place is not"),
        ("positions", of("dee", entry_value="-90000"), "counterparty is cy, by the rules dee"),
        ("positions", lambda lines: lines.pop(2), "X short: 14 lots are open, of which 6 are shown"),
        ("instruments", lambda lines: lines[0].update(mark="90.5"), "by the rules"),
    ],
)
def test_whoever_publishes_something_else_is_found_out(
    published: Path, capsys: pytest.CaptureFixture[str], table: str, change: Any, words: str
) -> None:
    """With all hashes in order: who was taken, how much, at which price, in which place, by what figures."""
    changed(published, table, change)
    assert verify.main([str(published)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("WRONG: ")
    assert words in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": "secret"}, "score secret is not covered"),
        ({"then": ["secret"]}, "score secret is not covered"),
        ({"allocation": "secret"}, "allocation secret is not covered"),
        ({"trigger": "pool_profit"}, "trigger pool_profit is not covered"),
        ({"space": "wealth"}, "space wealth"),
    ],
)
def test_what_cannot_be_checked_is_named(
    published: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], words: str
) -> None:
    manifest = json.loads((published / "manifest.json").read_text("utf-8"))
    manifest["policy"] |= change
    (published / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert verify.main([str(published)]) == 2
    assert words in capsys.readouterr().err


def test_another_format_or_no_event_at_all_is_refused(published: Path, tmp_path: Path) -> None:
    manifest = json.loads((published / "manifest.json").read_text("utf-8"))
    (published / "manifest.json").write_text(json.dumps({**manifest, "format": 2}), "utf-8")
    assert verify.main([str(published)]) == 2
    (published / "manifest.json").write_text("{}", "utf-8")
    assert verify.main([str(published)]) == 2
    assert verify.main([str(tmp_path / "nowhere")]) == 2
    assert verify.main([]) == 2


def test_the_order_of_the_bankrupt_is_checked_where_nothing_came_between(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, positions = tmp_path / "journal", "a X 4 100\nb X 4 100\nc X 3 100\nz X -11 90"
    cash = {"a": "20", "b": "10", "c": "11", "z": "400"}
    with fa.LiveEngine.create(folder, book(positions, cash=cash, listed=X)) as engine:
        engine.tick({"X": "90"})
    out = fa.audit(folder, account="z").publish(tmp_path / "out")
    assert lone(out).returncode == 0
    changed(out, "bankrupt", lambda lines: lines.reverse())
    assert verify.main([str(out)]) == 1
    assert "bankrupt 1: published a, by the rules b" in capsys.readouterr().out


def backward(quota: Any) -> Any:
    return replace(quota, row=quota.row[::-1], slot=quota.slot[::-1], lots=quota.lots[::-1])


def sparing(quota: Any) -> Any:
    return replace(quota, lots=np.maximum(quota.lots - 1, 1))


def dearer(bankrupt: Any) -> Any:
    return bankrupt._replace(value=bankrupt.value + 7)


@pytest.mark.parametrize(
    ("module", "function", "change", "words"),
    [
        ("allocation", "_numbered", backward, "counterparty is"),
        ("allocation", "_numbered", sparing, "lots is"),
        ("deleverage", "_bankrupt", dearer, "value is"),
    ],
    ids=["order", "lots", "price"],
)
def test_a_venue_that_breaks_its_rules_is_found_out(
    module: str, function: str, change: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its software replays as it ran, with all hashes in order; the script works by the rules."""
    where = f"fastadl.engine.{module}.{function}"
    right = getattr(import_module(f"fastadl.engine.{module}"), function)
    monkeypatch.setattr(where, lambda *given: change(right(*given)))
    folder = recorded(tmp_path / "journal", THREE, CASH)
    assert fa.replay(folder).ok
    found = fa.audit(folder, account="bob")
    assert not found
    assert words in found.difference
    assert str(found).splitlines()[1] == f"WRONG: {found.difference}"
    assert command_code(folder, "--account", "bob") == 1
    assert lone(found.publish(tmp_path / "out")).stdout == f"WRONG: {found.difference}\n"


@pytest.mark.parametrize("ranked", [True, False])
def test_whoever_should_not_have_been_deleveraged_learns_it(
    ranked: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The venue takes the last first, or, with dee exempt, takes him all the same."""
    from fastadl.engine.ranking import Candidates

    monkeypatch.setattr(Candidates, "best", lambda self, need: self.ranked()[::-1])
    folder = recorded(tmp_path / "journal", THREE, CASH)
    out = fa.audit(folder, account="dee").publish(tmp_path / "out")
    assert lone(out).returncode == 1
    if not ranked:  # as if the state were another
        original = verify.Event.__init__

        def exempted(self: verify.Event, *given: Any) -> None:
            original(self, *given)
            self.accounts["dee"].spared = "exempt"

        monkeypatch.setattr(verify.Event, "__init__", exempted)
    found = fa.audit(folder, account="dee")
    assert not found
    assert (found.mine is not None) is ranked
    assert found.difference.startswith("by the rules dee gave nothing here; fills 1")
    assert str(found).splitlines()[3].startswith("Why this account: rank 3" if ranked else "Not ranked")
    assert found.to_dict()["queue"][0]["account"] == "bob"


def command_code(folder: Path, *options: str) -> int:
    return cli.main(["audit", str(folder), *options])


@pytest.mark.jit
def test_the_crash_of_the_example_exchange_is_audited(tmp_path: Path) -> None:
    from fastadl.examples import exchange

    assert exchange.main(["--journal", str(tmp_path / "day"), "--agents", "80", "--steps", "70"]) == 0
    found = lines(tmp_path / "day")
    for line in (found[0], found[-1]):
        out = audited(tmp_path / "day", line).publish(tmp_path / f"out{line['entry']}")
        assert lone(out).returncode == 0


# ---------------------------------------------------------------- the command


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["audit", *arguments])
    return code, *capsys.readouterr()


def test_the_command_lists_audits_and_publishes(
    crashed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command(capsys, str(crashed))
    assert code == 0
    assert "2 fills of auto-deleveraging" in out
    assert [line.split()[1] for line in out.splitlines()[3:5]] == ["bob", "cy"]
    code, out, _ = command(capsys, str(crashed), "--json", "--tick", "1", "--symbol", "X")
    assert [line["counterparty"] for line in json.loads(out)["fills"]] == ["bob", "cy"]
    code, out, _ = command(capsys, str(crashed), "--json", "--tick", "2")
    assert json.loads(out) == {"fills": []}
    code, out, _ = command(capsys, str(crashed), "--account", "cy")
    assert (code, out) == (0, f"{fa.audit(crashed, account='cy')}\n")
    (tmp_path / "salt").write_bytes(b"pepper")
    hide = ("--out", str(tmp_path / "out"), "--salt", str(tmp_path / "salt"))
    code, out, _ = command(capsys, str(crashed), "--account", "cy", "--json", *hide)
    assert json.loads(out)["ok"] is True
    assert pseudonym("cy", "pepper") in (tmp_path / "out" / "accounts.csv").read_text("utf-8")
    assert lone(tmp_path / "out").returncode == 0


def test_the_command_refuses_in_one_line(
    crashed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, words in (
        (["--account", "nobody"], "no such fill"),
        (["--out", "x"], "name the account"),
        (["--salt", "x"], "name the account"),
        (["--account", "cy", "--salt", "x"], "say with --out"),
        (
            ["--account", "cy", "--out", "x", "--salt", str(tmp_path / "none")],
            "give a file that holds the salt",
        ),
    ):
        code, out, err = command(capsys, str(crashed), *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err


def test_the_snippet_in_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(fa.__file__).parent / "docs" / "transparency.md").read_text("utf-8")
    section = page.partition("## Audit\n")[2].partition("\n## ")[0]
    (snippet,) = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    exec(snippet, {})
    assert re.fullmatch(r"True\nbitmex score \S+ above \S+\n", capsys.readouterr().out)
