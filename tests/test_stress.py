"""An experiment drives books through a crash under several policies, and says who paid."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl import stress
from fastadl.engine.results import LISTS
from fastadl.errors import InputError, UnwrittenError
from fastadl.stress import Experiment, OrderBook, StressResult
from fastadl.stress.compare import EXPLAINED
from fastadl.stress.lab import Ground
from fastadl.stress.payers import Ledger
from fastadl.stress.result import Writer

pytest.importorskip("rich")
from rich.console import Console

from fastadl.report.blocks import chart, sparkline
from fastadl.report.columns import Column
from fastadl.report.stress import show, watching
from fastadl.report.stress_words import amount

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))
SMALL = {"positions": 3000, "instruments": 5}
THREE = ("bitmex", "hyperliquid_2025", "vega")


@pytest.fixture(scope="module")
def three() -> stress.StressResult:
    return Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run()


def printed(result: stress.StressResult, width: int = 80) -> str:
    out = io.StringIO()
    show(result, Console(file=out, width=width))
    return out.getvalue()


def without_clock(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(column for column in frame.columns if not column.startswith("seconds"))


# ---------------------------------------------------------------------- runs


def test_every_policy_meets_the_same_market_and_keeps_every_law(three: stress.StressResult) -> None:
    assert three.ok
    assert three.finished
    assert three.policies["policy"].to_list() == list(THREE)
    paths = three.steps.group_by("policy", maintain_order=True).agg("path", "time")
    assert paths["path"].n_unique() == paths["time"].n_unique() == 1
    first = three.steps.group_by("policy").first()
    assert (first["path"] == 1.0).all()
    assert (first["n_liquidations"] == 0).all()
    assert (three.policies["bankrupt"] > 0).all()
    assert (three.policies["deleveraged"] > 0).all()


@pytest.mark.jit
def test_equal_experiments_give_equal_results_on_one_thread_and_on_two(three: stress.StressResult) -> None:
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        again = Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run()
    finally:
        numba.set_num_threads(before)
    assert without_clock(again.steps).equals(without_clock(three.steps))
    assert without_clock(again.policies).equals(without_clock(three.policies))
    other = Experiment(book=SMALL, scenario="flash-crash", policies=THREE, seeds=2).run()
    assert not without_clock(other.steps).equals(without_clock(three.steps))


def test_a_policy_alone_does_what_it_does_beside_others(three: stress.StressResult) -> None:
    alone = Experiment(book=SMALL, scenario="flash-crash", policies="hyperliquid_2025").run()
    beside = three.steps.filter(policy="hyperliquid_2025")
    assert without_clock(alone.steps).equals(without_clock(beside))


def test_a_rich_fund_spares_everybody_and_an_empty_one_nobody() -> None:
    rich = Experiment(book=SMALL, scenario="flash-crash", fund="1000000000").run()
    assert rich.policies["deleveraged"][0] == 0
    assert rich.policies["uncovered"][0] == 0
    assert rich.policies["bankrupt"][0] > 0
    assert "nobody had to be deleveraged; every loss was covered" in " ".join(printed(rich).split()).lower()
    poor = Experiment(book=SMALL, scenario="flash-crash", fund="0").run()
    assert poor.policies["deleveraged"][0] > 0


def test_scenarios_of_the_past_already_hold_their_cascade() -> None:
    assert Experiment().feedback == ("off",)
    assert Experiment(scenario="flash-crash").feedback == ("all",)
    assert Experiment(liquidity={"feedback": "liquidations"}).feedback == ("liquidations",)
    assert Experiment(liquidity={"feedback": "liquidations"}, feedback="all").feedback == ("all",)


@pytest.mark.parametrize(
    "scenario", ["2020-03-12", "2021-05-19", "luna-2022-05", "ftx-2022-11", "2025-10-10"]
)
def test_crashes_of_the_past_run(scenario: str) -> None:
    result = Experiment(book=SMALL, scenario=scenario).run()
    assert result.ok
    assert result.policies["bankrupt"][0] > 0
    assert result.policies["furthest"][0] < 0.85


# ---------------------------------------------------------------------- interrupts and files


def interrupting(at: int) -> Any:
    """Progress that presses Ctrl-C at the so-many-th step."""
    seen = 0

    def tell(what: str, done: int, of: int) -> None:
        nonlocal seen
        seen += what.endswith("marking")
        if what.endswith("marking") and seen == at:
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize("at", [3, 31, 60])
def test_an_interrupt_keeps_and_writes_the_whole_steps(
    three: stress.StressResult, tmp_path: Path, at: int
) -> None:
    """Among the steps that policies share, in those of the first, and in those of the second."""
    experiment = Experiment(book=SMALL, scenario="flash-crash", policies=THREE)
    result = experiment.run(out=tmp_path / "out", progress=interrupting(at))
    assert not result.finished
    assert result.ok
    last = result.outcomes[-1]
    assert not last.finished
    for mine, whole in zip(result.outcomes, three.outcomes, strict=False):
        assert mine.which == whole.which
        assert without_clock(mine.steps).equals(without_clock(whole.steps.head(len(mine.steps))))
        assert mine.finished == (len(mine.steps) == 48)
    assert len(last.steps) < 48
    assert pl.read_parquet(tmp_path / "out" / "executions").height == result.steps["n_executions"].sum()
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["finished"] is False
    said = " ".join(printed(result).split())
    assert f"Interrupted: {len(result.outcomes) - 1} of 3 runs are whole" in said
    assert f"did {len(last.steps)} of 48 steps" in said


def test_ctrl_c_waits_for_the_end_of_a_step(
    three: stress.StressResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Ledger.add

    def pressed(self: Ledger, engine: fa.Engine, report: fa.Report, paid: int) -> Any:
        if report.tick == 12:
            signal.raise_signal(signal.SIGINT)
        return add(self, engine, report, paid)

    monkeypatch.setattr(Ledger, "add", pressed)
    result = Experiment(book=SMALL, scenario="flash-crash").run()
    assert len(result.steps) == 13
    assert without_clock(result.steps).equals(without_clock(three.outcomes[0].steps.head(13).select(
        *(pl.lit(value).alias(name) for name, value in result.outcomes[0].which.items()), pl.all()
    )))  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_before_the_first_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Ground:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ground, "of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Experiment(book=SMALL).run(out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_out_writes_every_frame(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = Experiment(book=SMALL, scenario="flash-crash", policies=["bitmex", "vega"]).run(out=out)
    assert {file.name for file in out.iterdir()} == {
        "result.json", "experiment.toml", "notices", *LISTS, *(f"{name}.parquet" for name in result.frames()),
    }  # fmt: skip
    assert set(result.frames()) == {
        "policies", "steps", "payers", "haircuts", "largest", "fund_needed", "moves", "density", "markets",
        "pressure",
    }  # fmt: skip
    for name, frame in result.frames().items():
        assert pl.read_parquet(out / f"{name}.parquet").equals(frame)
    for name in LISTS:
        frame = pl.read_parquet(out / name)
        assert frame.columns[:4] == ["seed", "feedback", "policy", "tick"]
        for policy in ("bitmex", "vega"):
            mine = result.steps.filter(policy=policy)
            assert frame.filter(policy=policy).height == mine[f"n_{name}"].sum()
    written = json.loads((out / "result.json").read_text())
    assert written == json.loads(json.dumps(result.to_dict()))
    assert set(EXPLAINED) <= set(written["policies"][0])
    for name in result.frames():
        assert [sorted(row) for row in written[name]] == [sorted(result.frames()[name].columns)] * len(
            written[name]
        )
    for name, column in [
        ("policies", "shortfall"), ("haircuts", "profit"), ("largest", "equity"), ("largest", "gross"),
        ("density", "notional"), ("markets", "open_interest"), ("pressure", "notional_beyond"),
    ]:  # fmt: skip
        assert written[name][0][column].count(".") == 1


def test_lists_are_written_in_parts_while_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Writer, "_ROWS", 500)
    result = Experiment(book=SMALL, scenario="flash-crash").run(out=tmp_path / "out")
    parts = sorted(file.name for file in (tmp_path / "out" / "adl_fills").iterdir())
    assert parts[:2] == ["0000.parquet", "0001.parquet"]
    assert pl.read_parquet(tmp_path / "out" / "adl_fills").height == result.steps["n_adl_fills"].sum()


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "_flush", full)
    match = "No space left on device: give a folder that can be written"
    with pytest.raises(UnwrittenError, match=match) as caught:
        Experiment(book=SMALL, scenario="flash-crash").run(out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert isinstance(caught.value.result, StressResult)
    assert caught.value.result.finished


def test_an_interrupt_before_the_first_step_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    absorb = OrderBook.absorb

    def pressed(self: OrderBook, report: Any) -> None:
        monkeypatch.setattr(OrderBook, "absorb", absorb)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(OrderBook, "absorb", pressed)
    with pytest.raises(KeyboardInterrupt):
        Experiment(book=SMALL, scenario="flash-crash").run()


def test_a_folder_in_use_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").touch()
    monkeypatch.setattr(Ground, "of", lambda *_: pytest.fail("it ran"))
    with pytest.raises(InputError, match="not an empty folder"):
        Experiment(book=SMALL).run(out=tmp_path)


# ---------------------------------------------------------------------- on a terminal


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit(three: stress.StressResult, width: int) -> None:
    text = printed(three, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    for policy in THREE:
        assert f"\n{policy}: " in text
    said = " ".join(text.split())
    bitmex = three.policies.row(0, named=True)
    assert f"{bitmex['deleveraged']:,} traders gave up {amount(bitmex['closed'])} USD of positions" in said
    assert f"were charged {amount(three.policies['seized'][2])}" in said
    for words in ("3,000 positions of 1,200 accounts", "Who paid", "leverage 2x to 5x", "money ok"):
        assert words in said


@pytest.mark.jit
@pytest.mark.parametrize(("width", "tables"), [(80, 2), (120, 1)])
def test_many_policies_stand_in_several_tables(width: int, tables: int) -> None:
    five = ["bitmex", "okx_2025", "quadratic_projection", "pro_rata", "hyperliquid_recovered"]
    text = printed(Experiment(book=SMALL, scenario="flash-crash", policies=five).run(), width)
    assert text.count("Accounts below the margin") == tables
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text


def test_policies_that_did_not_run_equally_far_are_not_compared() -> None:
    two = Experiment(book=SMALL, scenario="flash-crash", policies=["bitmex", "pro_rata"])
    assert "Of the two, " in printed(two.run())
    cut = two.run(progress=interrupting(60))
    assert [outcome.finished for outcome in cut.outcomes] == [True, False]
    assert "Of the two, " not in printed(cut)


def test_what_was_covered_is_a_share_of_all_seeds_together() -> None:
    nobody = {"nobody": {"trigger": "none"}}
    result = Experiment(
        book=SMALL, scenario="flash-crash", policies=nobody, seeds=[1, 2], fund={"share": "0.1"}
    ).run()
    assert result.policies["coverage"].to_list() == [0.0, 1.0]  # the fund was enough with one of them
    (column,) = Column.all(result)
    owed, deficit = result.policies["uncovered"].sum(), result.policies["deficit"].sum()
    assert column.total["covered"] == pytest.approx(1 - owed / deficit)
    assert "tables are means over all" in " ".join(printed(result).split())


def test_depth_of_single_markets_is_in_the_depth_that_is_shown() -> None:
    deep = Experiment(book=SMALL, liquidity={"markets": {"BTC-PERP": "1000000000"}}).run()
    assert "Order books  1.0B USD within 1% of mark" in printed(deep)


def test_a_quiet_path_says_so(tmp_path: Path) -> None:
    file = tmp_path / "flat.csv"
    file.write_text("time,BTC\n0,100\n60,100\n120,100\n")
    result = Experiment(book={"positions": 100, "instruments": 1}, scenario={"prices": str(file)}).run()
    assert "nobody fell below the maintenance margin." in printed(result)
    assert result.policies["coverage"][0] == 1.0


def test_progress_is_told_to_a_bar() -> None:
    out = io.StringIO()
    with watching(Console(file=out, force_terminal=True, width=80)) as tell:
        Experiment(book=SMALL).run(progress=tell)
    assert "48/48" in out.getvalue()
    out = io.StringIO()
    with watching(Console(file=out)) as tell:
        tell("marking", 1, 5)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("atoms", "text"),
    [(0, "–"), (1, "0.0"), (-1_500_000, "-1.5"), (9_960_000, "10"), (999_400_000, "999"), (10**9, "1.0k"),
     (99_960 * 10**6, "100k"), (12_345_678 * 10**6, "12.3M"), (-2 * 10**15, "-2.0B"), (10**18, "1.0T")],
)  # fmt: skip
def test_amounts_are_short(atoms: int, text: str) -> None:
    assert amount(atoms) == text


def test_sparklines_keep_the_extreme_of_neighbours() -> None:
    assert sparkline([0, 0, 0, 7, 0, 0], 3) == "▁█▁"
    assert sparkline([7, 0, 7, 7], 2, of=np.min) == "▁█"
    assert chart([3, 0, 0, 3], 2, 2, of=np.min) == ["  ", "▁▁"]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}")
def test_real_prices_and_real_tiers() -> None:
    files = sorted(str(file) for file in (DATA / "price_paths").glob("*2022-05*.csv"))
    tiers = str(DATA / "leverage_brackets" / "binance_leverage_tiers.json")
    book = {"positions": 2000, "instruments": 4, "tiers": tiers}
    result = Experiment(book=book, scenario={"prices": files}).run()
    assert result.ok
    assert result.policies["bankrupt"][0] > 0


def test_an_interrupt_while_the_result_is_written_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Writer.finish

    def interrupted(self: Writer, result: stress.StressResult) -> None:
        signal.raise_signal(signal.SIGINT)
        finish(self, result)

    monkeypatch.setattr(Writer, "finish", interrupted)
    result = Experiment(book=SMALL).run(out=tmp_path / "out")
    assert result.finished
    assert json.loads((tmp_path / "out" / "result.json").read_text())["finished"] is True
