"""A trader's question: one position in its queue as data, text and picture (R113, R122, R123)."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from engines import book
from fastadl import Book, Engine, InputError, JournalError, LiveEngine, synth
from fastadl.borders import ccxt
from fastadl.cli import main
from fastadl.cli.source import Source, State
from fastadl.engine.indicator import adl_rank
from fastadl.report import queue_words
from fastadl.report.explain import drawn, show
from fastadl.report.queue import SHOCKS, Place, places
from fastadl.report.queue_words import choice_line, headline, liquidated, position, reach_line
from fastadl.testing import books
from uncompiled import fewer

EXAMPLES = Path(__file__).parent / "conformance" / "examples"
few = settings(max_examples=fewer(30), deadline=None, suppress_health_check=list(HealthCheck))
KEYS = ("account", "symbol", "side")
X = {"X": {"mark": "100"}}


def small(fund: str = "0") -> Engine:
    """Ann, bob and cy are ranked in this order; dan is bankrupt at +10 %."""
    money = {"ann": "100", "bob": "2000", "cy": "9000", "dan": "250"}
    rows = "ann X 10 80\nbob X 15 90\ncy X 15 100\ndan X -30 100"
    return Engine(book(rows, cash=money, listed=X), fund=fund)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(synth.book("retail", positions=900, accounts=300, instruments=4, seed=11), fund="3000")


def one(engine: Engine, *which: str) -> Place:
    (found,) = places(engine, *which)
    return found


def text(place: Place, width: int = 100) -> str:
    from rich.console import Console

    console = Console(width=width, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    with console.file:
        show([place], "a book", console)
    return console.export_text()


# ---------------------------------------------------------------- in ccxt's words


@few
@given(found=books())
def test_one_position_and_all_of_them_say_the_same_in_the_words_of_ccxt(found: Book) -> None:
    engine = Engine(found)
    ranks = ccxt.adl_ranks(engine, timestamp=7)
    listed = {
        (account, each["symbol"], each["info"]["side"]): each
        for account, held in ranks.items()
        for each in held
    }
    for row in engine.distances().frame().head(8).iter_rows(named=True) if len(found.rows.lots) else ():
        key = tuple(row[name] for name in KEYS)
        told = engine.explain(key[0], key[1], side=key[2]).to_ccxt(timestamp=7)
        if key in listed:
            assert told == listed[key]
        else:
            assert (told["rank"], told["rating"], told["percentage"]) == (None, None, None)


# ---------------------------------------------------------------- the queue as data


def test_a_queue_is_the_ranking_with_lights_and_distances(engine: Engine) -> None:
    symbol, distances = engine.symbols[1], engine.distances().frame()
    lights = {row[:3]: row[3] for row in engine.lights().frame().iter_rows()}
    adl = {row[:3]: row[3] for row in distances.select(*KEYS, "adl").iter_rows()}
    for side in ("long", "short"):
        ranked = engine.rank(symbol, side)
        account = ranked["account"][len(ranked) // 3]
        place = one(engine, account, symbol, side)
        assert place.queue.select("rank", "lots", "score").equals(ranked.select("rank", "lots", "score"))
        keys = [(each, symbol, side) for each in ranked["account"]]
        assert place.queue["light"].to_list() == [lights[key] for key in keys]
        assert place.queue["adl"].to_list() == [adl[key] for key in keys]
        assert place.queue["ahead"].to_list() == [0, *ranked["lots"].cum_sum()[:-1]]
        assert place.queue.filter("you")["rank"].to_list() == [place.told.rank]
        assert place.queue.filter("you")["ahead"].to_list() == [place.told.lots_ahead]
        rank = place.told.rank
        assert place.neighbours() == (ranked["score"][rank - 2], ranked["score"][rank])


def test_a_shock_reaches_whose_distance_is_no_larger(engine: Engine) -> None:
    frame = engine.distances().frame()
    account, symbol, side = frame.filter(pl.col("adl").is_finite()).row(0)[:3]
    of_leg = frame.filter(symbol=symbol, side=side)
    place = one(engine, account, symbol, side)
    seen = list(place.reach())
    assert [reach.shock for reach in seen] == list(SHOCKS)
    assert seen[0].positions < seen[-1].positions
    for reach in seen:
        assert reach.positions == len(of_leg.filter(pl.col("adl") <= reach.shock))
        assert reach.you == (place.told.adl <= reach.shock)


def test_all_positions_of_an_account_come_the_nearest_first(engine: Engine) -> None:
    for account in engine.accounts.head(40):
        held = engine.positions(account).select("symbol", "side").rows()
        told = [engine.explain(account, symbol, side=side) for symbol, side in held]
        nearest = sorted(told, key=lambda each: (each.adl, each.percentile))
        if [each.adl for each in told] != [each.adl for each in nearest]:
            break
    found = places(engine, account)
    assert len(found) == len(held) > 1
    assert [each.told.symbol for each in found] == [each.symbol for each in nearest]
    for each in found:
        assert (each.held["symbol"], each.held["side"]) == (each.told.symbol, each.told.side)


def test_who_cannot_be_deleveraged_has_a_queue_and_no_place_in_it() -> None:
    drawn_book = book(
        "ann X 10 100\nbob X 5 100\ncy X -15 100", cash={"ann": "-1", "bob": "50", "cy": "900"}, listed=X
    )
    place = one(Engine(drawn_book), "ann")
    assert not place.standing
    assert place.neighbours() == (None, None)
    assert place.moves() == []
    assert len(place.queue) == 1
    assert "▲" not in text(place)
    alone = Engine(book("ann X 10 100\ncy X -10 100", cash={"ann": "-1", "cy": "900"}, listed=X))
    assert one(alone, "ann").queue.is_empty()
    assert "ann cannot be deleveraged in X now: its equity is below zero" in text(one(alone, "ann"))
    both = Engine(book("ann X 10 100\nann X -4 100\ncy X -6 100", cash={"ann": "-1", "cy": "900"}, listed=X))
    assert [each.told.rank for each in places(both, "ann")] == [None, None]


@pytest.mark.parametrize(
    ("which", "told"),
    [
        (("ann", None, "long"), "side: long: name the symbol too"),
        (("eve",), "account: eve: name an account that holds a position"),
        (("nobody",), "account: nobody"),
        (("ann", "Y"), "symbol: Y: name one of the instruments, such as X"),
        (("ann", "X", "short"), "side: short: name a side the account holds: long"),
    ],
)
def test_what_is_not_there_is_refused(which: tuple[str, ...], told: str) -> None:
    made = Engine(book("ann X 1 100\nbob X -1 100", cash={"ann": "9", "bob": "9", "eve": "1"}, listed=X))
    with pytest.raises(InputError, match=told):
        places(made, *which)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("module", [adl_rank, queue_words])
def test_examples_of_words_say_what_they_claim(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 1
    assert not found.failed


def test_an_answer_in_words() -> None:
    place = one(small(), "bob")
    assert headline(place) == "bob is 2nd of 3 in line: a rise of all prices by 10% reaches it"
    assert position(place) == (
        "bob is long 15 contracts of X, entered at 90, now 100: profit 150.00 USD, leverage 0.7×"
    )
    assert liquidated(place) == "However far X alone falls, the account is not liquidated."
    lines = [reach_line(place, reach) for reach in place.reach()]
    assert lines[:2] == [
        "All prices +5%: nobody is deleveraged",
        "All prices +10%: 3 positions, 100% of the lots, you too",
    ]
    assert choice_line(place, place.moves()[0]) == "Close 25%: 25% of the lots ahead, reached at 10%"
    far = one(small(fund="9000"), "bob")
    assert headline(far).endswith("no rise of all prices by up to 50% reaches it")
    short = one(small(), "dan")
    assert short.sign == -1
    assert liquidated(short) == "The account is liquidated when X alone rises by 7.3%, to 107.261."
    assert reach_line(short, next(short.reach())).startswith("All prices −5%")


def test_a_queue_in_letters() -> None:
    """40 lots in 20 letters: 10 of ann, 15 of bob and 15 of cy, whose lights are 4, 2 and 1."""
    lines = [str(line) for line in drawn(one(small(), "bob"), 43)]
    assert lines[0] == "the queue      " + "▓" * 5 + "░" * 7 + "·" * 8  # the lot in the middle counts
    assert lines[1] == " " * 15 + " " * 8 + "▲ you"
    assert lines[2] == "all +5%        " + " " * 8 + "│" + " " * 11 + " nobody"
    assert lines[3] == "all +10%       " + "━" * 8 + "┿" + "━" * 11 + " you too"
    assert lines[6].startswith("Close 25%      " + " " * 8)
    assert lines[6].rstrip().endswith("●") or lines[6][23] == "●"
    assert len(lines) == 10


@pytest.mark.parametrize("width", [40, 80, 140])
def test_text_fits_its_terminal(engine: Engine, width: int) -> None:
    account, symbol, side = engine.distances().frame().row(40)[:3]
    told = text(one(engine, account, symbol, side), width)
    assert max(map(len, told.splitlines())) <= width


# ---------------------------------------------------------------- from where


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A journal with a snapshot in its middle, and what an account was told after every entry."""
    folder, told = tmp_path_factory.mktemp("live") / "day", []
    made = synth.book("retail", positions=300, accounts=120, instruments=3, seed=3)
    with LiveEngine.create(folder, made, fund="3000", clock=lambda: 1_760_000_000_000_000_000) as engine:
        for at, factor in enumerate((1.0, 0.99, 0.97, 0.98)):
            engine.tick(made_marks(engine, factor))
            told.append([each.to_dict() for each in places(engine, "a0000005")])
            if at == 1:
                engine.snapshot()
    return folder, told


def made_marks(engine: Engine, factor: float) -> dict[str, float]:
    return dict(zip(engine.symbols, (engine.marks * factor).tolist(), strict=True))


@pytest.mark.parametrize("until", [None, 1, 2, 3])
def test_a_journal_is_asked_after_any_entry_and_nothing_in_it_changes(
    journal: tuple[Path, list[dict[str, Any]]], until: int | None
) -> None:
    folder, told = journal
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = Source.of(str(folder), State(until=until))
    assert [each.to_dict() for each in places(found.engine, "a0000005")] == told[(until or 4) - 1]
    assert found.told == f"{folder} after entry {until or 4}"
    assert found.timestamp == 1_760_000_000_000
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_journal_may_be_asked_while_its_engine_runs(tmp_path: Path) -> None:
    made = synth.book("retail", positions=300, accounts=120, instruments=3, seed=3)
    with LiveEngine.create(tmp_path / "day", made) as engine:
        first = Source.of(str(tmp_path / "day"))
        assert (first.told, first.timestamp) == (f"{tmp_path / 'day'} after entry 0", None)
        engine.tick(made_marks(engine, 0.9))
        np.testing.assert_array_equal(Source.of(str(tmp_path / "day")).engine.marks, engine.marks)


def test_a_damaged_journal_is_refused(journal: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    folder = tmp_path / "day"
    for path in journal[0].rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(journal[0])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    segment = max(folder.glob("*.journal"))
    content = bytearray(segment.read_bytes())
    content[-5] ^= 1
    segment.write_bytes(content)
    with pytest.raises(JournalError, match="entries are lost: fastadl replay tells more"):
        Source.of(str(folder))


def test_a_scenario_is_asked_after_any_tick(tmp_path: Path) -> None:
    content = json.loads((EXAMPLES / "fund_takes_part.json").read_text("utf-8"))["scenario"]
    symbol = content["instruments"][0]["symbol"]
    content["ticks"] = [{"marks": {symbol: "50000"}}, {"marks": {symbol: "49000"}}]
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(content), "utf-8")
    last, first = Source.of(str(file)), Source.of(str(file), State(until=0))
    assert (last.engine.marks[0], last.told) == (49000.0, f"{file} after tick 1")
    assert (first.engine.marks[0], first.told) == (50000.0, f"{file} after tick 0")
    with pytest.raises(InputError, match="until: 2: give a tick of the scenario, 0 to 1"):
        Source.of(str(file), State(until=2))


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = synth.book("retail", positions=300, accounts=120, instruments=3, seed=3)
    return str(made.write(tmp_path_factory.mktemp("book") / "book"))


def test_a_book_is_asked_under_a_policy_at_marks_and_with_a_fund(on_disk: str) -> None:
    found = Source.of(on_disk, State(policy="okx_2025", fund="70", mark=["ETH-PERP=2500"]))
    expected = Engine(Book.read(on_disk), policy="okx_2025", fund="70")
    expected.mark({"ETH-PERP": "2500"})
    assert found.engine.reserves().equals(expected.reserves())
    assert found.engine.rank("ETH-PERP", "short").equals(expected.rank("ETH-PERP", "short"))
    assert not found.engine.rank("ETH-PERP", "short").equals(
        Engine(Book.read(on_disk)).rank("ETH-PERP", "short")
    )


def test_a_source_that_does_not_go_with_what_is_asked_is_refused(
    on_disk: str, journal: tuple[Path, Any], tmp_path: Path
) -> None:
    unmarked = book("ann X 1 100\nbob X -1 100", cash={"ann": "9", "bob": "9"}).write(tmp_path / "unmarked")
    for place, state, told in [
        (on_disk, State(until=1), "until: 1: leave it out: a book is of one moment"),
        (on_disk, State(mark=["3"]), "mark: 3: give a symbol and its price"),
        (on_disk, State(mark=["NO=3"]), "prices, column NO: NO: name one of the instruments"),
        (str(journal[0]), State(policy="bitmex"), "policy: bitmex: leave it out"),
        (str(journal[0]), State(fund="1"), "fund: 1: leave it out"),
        (str(journal[0]), State(until=5), "until: 5: give an entry of the journal, up to 4"),
        (str(tmp_path), State(), "source: .*: give the folder of a journal or of a book, or a scenario file"),
        (str(tmp_path / "gone"), State(), "source: .*gone: give the folder"),
        (str(unmarked), State(), "mark: .*has no mark yet.*: give --mark SYMBOL=PRICE"),
    ]:
        with pytest.raises(InputError, match=told):
            Source.of(place, state)
    assert Source.of(str(unmarked), State(mark=["X=100"])).engine.marks.tolist() == [100.0]


# ---------------------------------------------------------------- the command


def test_the_command_prints_one_object(on_disk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", on_disk, "a0000005", "--mark", "ETH-PERP=2700", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    engine = Source.of(on_disk, State(mark=["ETH-PERP=2700"])).engine
    assert result == {
        "state": on_disk,
        "account": "a0000005",
        "positions": [each.to_dict() for each in places(engine, "a0000005")],
    }
    assert {"ccxt", "reach", "position", "choices", "parts"} < set(result["positions"][0])


def test_the_command_answers_in_words(on_disk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", on_disk, "a0000005"]) == 0
    told = capsys.readouterr().out
    assert "positions, the nearest to deleveraging first" in told
    assert "Name a symbol to see its queue, and why." in told
    symbol = next(each for each in ("BTC-PERP", "ETH-PERP", "SOL-PERP") if each in told)
    assert main(["explain", on_disk, "a0000005", symbol]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^a0000005 is [\d,]+(st|nd|rd|th) of \d+ in line: ", told)
    assert "▲ you" in told
    assert "What would help" in told
    assert "Why: ranked by bitmex" in told
    assert main(["explain", on_disk, "a0000005", symbol, "--policy", "vega"]) == 2
    assert "policy, column space: wealth" in capsys.readouterr().err
