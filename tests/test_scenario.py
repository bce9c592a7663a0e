"""Scenario files read, changed, run and printed (R69 to R72, R79)."""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadl import Scenario
from fastadl.decimals import fixed, json_number, parse_decimal, places_of, plain, significant
from fastadl.errors import BoundsError, InputError
from fastadl.scenario import write_result
from fastadl.scenario.show import LISTS

EXAMPLES = Path(__file__).parent / "conformance" / "examples"
FIRST = {
    "trigger": "bankrupt",
    "space": "contract",
    "score": "bitmex",
    "allocation": "queue",
    "price": "bankruptcy",
    "guard": "none",
    "split": "maintenance_margin",
    "rerank": "never",
}


def example(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))["scenario"]
    return case


class TestOverrides:
    """R69: path=value replaces a field before validation."""

    def load(self, *assignments: str, name: str = "queue_two_winners", **changes: Any) -> Scenario:
        return Scenario.load(example(name) | changes, overrides=assignments)

    def refused(self, *assignments: str, **changes: Any) -> InputError:
        with pytest.raises(InputError) as refused:
            self.load(*assignments, **changes)
        return refused.value

    def test_a_number_with_a_point_is_kept_as_text(self) -> None:
        assert self.load("fund.cash=0.5").fund.cash == Fraction(1, 2)

    def test_an_integer_a_quoted_text_and_a_plain_text(self) -> None:
        for value in ("7", '"7"', " 7 ", "7.000"):
            assert self.load(f"fund.cash={value}").fund.cash == 7

    def test_integers_index_lists(self) -> None:
        scenario = self.load("accounts.1.cash=5", "ticks.0.marks.BTC-PERP=40000.5")
        assert scenario.book.cash.tolist()[1] == 5_000_000
        assert scenario.steps[0].marks == {"BTC-PERP": Fraction(80001, 2)}

    def test_whole_objects_and_null(self) -> None:
        assert self.load('policy={"score": "size"}').policy.choices() == FIRST | {"score": "size"}
        assert self.load("fund=null").fund.cash == 0
        assert self.load("fund.max_drawdown=null", fund={"max_drawdown": "0.1"}).fund.max_drawdown is None

    def test_a_choice_of_a_policy_given_as_text_keeps_its_preset(self) -> None:
        changed = self.load("policy.price=bankruptcy", policy="okx_2025").policy
        assert changed.choices() == FIRST | {"score": "okx"}

    def test_a_choice_of_an_absent_policy_starts_from_bitmex(self) -> None:
        source = example("queue_two_winners")
        del source["policy"]
        assert Scenario.load(source, overrides=["policy.price=mark"]).policy.choices() == FIRST | {
            "split": "notional",
            "price": "mark",
        }

    def test_a_choice_of_a_policy_object_only_changes_that(self) -> None:
        changed = self.load("policy.price=mark", policy={"score": "size"}).policy
        assert changed.choices() == FIRST | {"score": "size", "price": "mark"}

    def test_a_policy_replaced_as_a_whole(self) -> None:
        assert self.load("policy=okx_2025", policy={"score": "size"}).policy.score == "okx"

    def test_a_missing_parent_is_created(self) -> None:
        scenario = self.load("liquidity.depth.BTC-PERP=0.01", "liquidity.model=fixed", "currency.decimals=4")
        assert scenario.liquidity is not None
        assert scenario.liquidity.depth == {"BTC-PERP": Fraction(1, 100)}
        assert scenario.decimals == 4

    def test_the_last_of_two_counts(self) -> None:
        assert self.load("fund.cash=1", "fund.cash=2").fund.cash == 2

    def test_a_bad_field_can_be_mended(self) -> None:
        assert self.load("fund.cash=3", fund={"cash": None}).fund.cash == 3

    def test_a_value_may_hold_equals_signs(self) -> None:
        assert self.load("name=a=b").file == "scenario"

    @pytest.mark.parametrize(
        ("assignment", "pointer", "remedy"),
        [
            ("policy.price", "/--set", "path=value"),
            ("=5", "/--set", "path=value"),
            ("fund..cash=5", "/--set", "path=value"),
            (".fund=5", "/--set", "path=value"),
            ("accounts.9.cash=5", "/accounts/9", "index the list of 3"),
            ("accounts.3=5", "/accounts/3", "index the list of 3"),
            ("accounts.-1.cash=5", "/accounts/-1", "index the list of 3"),
            ("accounts.ann.cash=5", "/accounts/ann", "index the list of 3"),
            ("accounts.²=5", "/accounts/²", "index the list of 3"),
            ("accounts.0.cash.x=5", "/accounts/0/cash", "no object or list"),
            ("fund.cash=1e3", "/fund/cash", "without exponent"),
            ("fund.cash=NaN", "/fund/cash", "write a decimal"),
            ("fund.cash=", "/fund/cash", "write a decimal"),
            ("fund.cahs=5", "/fund/cahs", "did you mean cash?"),
            ("accounts.0.id=5", "/accounts/0/id", "give a text"),
            ('policy={"score": "size", "score": "size"}', "/policy", "every key once"),
            ("name=" + "[" * 100_000, "/name", "nest at most"),
        ],
    )
    def test_what_leads_nowhere_is_refused(self, assignment: str, pointer: str, remedy: str) -> None:
        error = self.refused(assignment)
        assert error.pointer == pointer
        assert remedy in error.remedy

    def test_set_gives_a_new_scenario(self) -> None:
        scenario = self.load()
        changed = scenario.set("policy.price=mark", "fund.cash=1")
        assert (changed.policy.price, changed.fund.cash) == ("mark", 1)
        assert (scenario.policy.price, scenario.fund.cash) == ("bankruptcy", 0)


class TestReading:
    def test_toml_is_the_same_scenario(self, tmp_path: Path) -> None:
        file = tmp_path / "w1.TOML"
        file.write_text(
            """
            policy = "bitmex"
            positions = [
              {account = "ann", symbol = "BTC-PERP", qty = "0.100", entry_price = 50000},
              {account = "bob", symbol = "BTC-PERP", qty = "-0.060", entry_price = 50000},
              {account = "cy", symbol = "BTC-PERP", qty = "-0.040", entry_price = "49000"},
            ]
            [currency]
            code = "USDC"
            decimals = 6
            [[instruments]]
            symbol = "BTC-PERP"
            kind = "linear"
            contract_size = 1
            lot = "0.001"
            tiers = [{min_notional = 0, maintenance_rate = "0.005"}]
            [[accounts]]
            id = "ann"
            cash = "800"
            [[accounts]]
            id = "bob"
            cash = 500
            [[accounts]]
            id = "cy"
            cash = 9000
            [[ticks]]
            marks = {BTC-PERP = 41000}
            """,
            "utf-8",
        )
        assert Scenario.load(file).run() == Scenario.load(example("queue_two_winners")).run()

    def test_a_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        file = tmp_path / "bom.json"
        file.write_text(json.dumps(example("queue_two_winners")), "utf-8-sig")
        assert Scenario.load(str(file)).book.accounts.to_list() == ["ann", "bob", "cy"]

    def test_times_default_to_the_tick_before(self) -> None:
        ticks = [
            {"marks": {"BTC-PERP": "41000"}},
            {"time": 7, "marks": {}},
            {"marks": {}},
            {"time": 7, "marks": {}},
        ]
        scenario = Scenario.load(example("queue_two_winners") | {"ticks": ticks})
        assert [step.time for step in scenario.steps] == [0, 7, 7, 7]


class TestRunning:
    def test_a_scenario_can_be_run_again(self) -> None:
        scenario = Scenario.load(example("two_bankrupts_and_ties"))
        assert scenario.run() == scenario.run()

    def test_progress_is_told_after_every_tick(self) -> None:
        told: list[tuple[int, int]] = []
        Scenario.load(example("price_never_negative")).run(progress=lambda done, of: told.append((done, of)))
        assert told == [(1, 2), (2, 2)]

    def test_a_run_can_stop_and_go_on(self) -> None:
        scenario = Scenario.load(example("price_never_negative"))
        run = scenario.start()
        assert len(run) == 2
        first = next(iter(run))
        assert first["tick"] == 0
        assert len(run.result()["ticks"]) == 1
        for _ in run:
            pass
        assert run.result() == scenario.run()

    def test_without_ticks_only_what_holds_an_unmarked_symbol_is_unknown(self) -> None:
        source = example("cross_winning_leg") | {"ticks": []}
        source["instruments"][1]["mark"] = "40"
        result = Scenario.load(source).run()
        equity = {account["id"]: account["equity"] for account in result["accounts"]}
        assert equity == {"ann": None, "bob": None, "cy": "26.00", "dee": "440.00"}
        assert result["accounts"][0]["maintenance_margin"] is None
        assert result["ticks"] == []

    def test_an_unbalanced_book_is_shown(self) -> None:
        source = example("queue_two_winners")
        source["positions"].pop()
        assert Scenario.load(source).run()["balanced"] is False

    def test_a_row_that_grows_past_the_bound_on_the_way_is_refused_at_its_mark(self) -> None:
        lots = str(1 << 53)
        source = {
            "currency": {"decimals": 0},
            "instruments": example("socialize")["instruments"],
            "accounts": [{"id": "ann", "cash": "-1"}, {"id": "bob", "cash": "-1"}],
            "positions": [
                {"account": a, "symbol": "X", "qty": lots, "entry_price": 1} for a in ("ann", "bob")
            ],
            "policy": {"space": "wealth"},
            "ticks": [{"marks": {"X": "1"}}, {"marks": {"X": "362"}}],
        }
        run = Scenario.load(source).start()
        with pytest.raises(BoundsError, match="scenario: /ticks/1/marks/X: 362"):
            list(run)
        assert len(run.result()["ticks"]) == 1

    @pytest.mark.parametrize("ticks", [[], [{"marks": {}}]])
    def test_an_empty_scenario(self, ticks: list[Any]) -> None:
        empty: dict[str, Any] = {"instruments": [], "accounts": [], "positions": [], "ticks": ticks}
        result = Scenario.load(empty).run()
        assert result["accounts"] == result["positions"] == []
        assert result["currency"] == {"code": "USD", "decimals": 6}
        assert result["fund"] == {"cash": "0.000000", "equity": "0.000000"}
        assert all(result["checks"].values())

    def test_accounts_without_any_instrument(self) -> None:
        source: dict[str, Any] = {
            "currency": {"decimals": 2},
            "instruments": [],
            "accounts": [{"id": "b", "cash": "-1.5"}, {"id": "a", "cash": 2}],
            "positions": [],
            "fund": {"cash": "3"},
            "ticks": [{"marks": {}}],
        }
        result = Scenario.load(source).run()
        assert [account["equity"] for account in result["accounts"]] == ["2.00", "-1.50"]
        assert result["fund"] == {"cash": "3.00", "equity": "3.00"}

    def test_the_result_goes_through_json_unchanged(self) -> None:
        result = Scenario.load(example("inverse_long")).run()
        assert json.loads(json.dumps(result)) == result


class TestWriting:
    def write(self, folder: Path, name: str = "queue_two_winners", **changes: Any) -> dict[str, Any]:
        run = Scenario.load(example(name) | changes).start()
        for _ in run:
            pass
        write_result(run.result(), run.frames(), folder)
        return run.result()

    def test_result_and_one_table_per_list(self, tmp_path: Path) -> None:
        folder = tmp_path / "deep" / "out"
        result = self.write(folder)
        assert json.loads((folder / "result.json").read_text("utf-8")) == result
        tables = {file.stem: pl.read_parquet(file) for file in folder.glob("*.parquet")}
        assert set(tables) == {*LISTS, "accounts", "positions"}
        assert tables["adl_fills"].select("tick", "counterparty", "lots").rows() == [
            (0, "bob", 60),
            (0, "cy", 40),
        ]
        assert tables["accounts"]["cash_atoms"].to_list() == [0, 980_000_000, 9_280_000_000]
        assert [file.name for file in tmp_path.iterdir()] == ["deep"]
        assert [file.name for file in folder.parent.iterdir()] == ["out"]

    def test_every_table_is_there_without_ticks(self, tmp_path: Path) -> None:
        self.write(tmp_path, ticks=[])
        tables = {file.stem: pl.read_parquet(file) for file in tmp_path.glob("*.parquet")}
        assert tables["takeovers"].columns[:2] == ["tick", "time"]
        assert tables["takeovers"].is_empty()

    def test_an_empty_folder_may_stand_there_and_a_full_one_may_not(self, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        self.write(folder)
        before = sorted(folder.iterdir())
        with pytest.raises(InputError, match="new or empty folder"):
            self.write(folder)
        assert sorted(folder.iterdir()) == before
        assert [file.name for file in tmp_path.iterdir()] == ["out"]

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("mine")
        for place in ("out", "out/deeper"):
            with pytest.raises(InputError, match="folder"):
                self.write(tmp_path / place)
        assert (tmp_path / "out").read_text() == "mine"

    def test_a_failure_half_way_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[object] = []

        def fail(self: pl.DataFrame, file: object, **options: object) -> None:
            written.append(file)
            if len(written) == 3:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
        with pytest.raises(InputError, match="No space left on device"):
            self.write(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestFormats:
    """R72."""

    @given(st.integers(-(10**30), 10**30), st.integers(0, 12))
    def test_money_has_exactly_its_places(self, units: int, places: int) -> None:
        text = fixed(units, places)
        assert parse_decimal(text) == Fraction(units, 10**places)
        assert len(text.partition(".")[2]) == places
        assert not text.startswith("-0") or units < 0

    @pytest.mark.parametrize(
        ("units", "places", "text"),
        [
            (0, 2, "0.00"),
            (0, 0, "0"),
            (-1, 2, "-0.01"),
            (-100, 2, "-1.00"),
            (5, 0, "5"),
            (7, 12, "0.000000000007"),
        ],
    )
    def test_money(self, units: int, places: int, text: str) -> None:
        assert fixed(units, places) == text

    @given(
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=9)
    )
    def test_a_plain_decimal_is_exact_and_shortest(self, number: Decimal) -> None:
        text = plain(Fraction(number))
        assert parse_decimal(text) == Fraction(number)
        assert not ("." in text and text.endswith("0"))
        assert text != "-0"

    @pytest.mark.parametrize(
        ("number", "places"),
        [
            (Fraction(1), 0),
            (Fraction(100), 0),
            (Fraction(1, 1000), 3),
            (Fraction(1, 8), 3),
            (Fraction(1, 3), None),
        ],
    )
    def test_places_of_the_shortest_form(self, number: Fraction, places: int | None) -> None:
        assert places_of(number) == places

    @given(st.fractions(max_denominator=10**12))
    def test_a_price_is_the_nearest_with_twelve_digits(self, number: Fraction) -> None:
        text = significant(number)
        printed = parse_decimal(text)
        digits = text.lstrip("-").replace(".", "").lstrip("0").rstrip("0")
        assert len(digits) <= 12
        assert "E" not in text
        assert not ("." in text and text.endswith("0"))
        if number:
            unit = Fraction(10) ** (Decimal(text).adjusted() - 11)
            assert abs(printed - number) <= unit / 2

    @given(st.integers(-(10**12), 10**12).filter(lambda n: n % 10 != 0))
    def test_a_tie_goes_to_the_even_digit(self, n: int) -> None:
        half = 10 * (10**12 + abs(n)) + 5  # fourteen digits ending in 5: thirteen would be kept whole
        rounded = Context(prec=12, rounding=ROUND_HALF_EVEN).create_decimal(half)
        assert significant(Fraction(half)) == format(rounded, "f")

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (Fraction(0), "0"),
            (Fraction(41000), "41000"),
            (Fraction(140000, 3), "46666.6666667"),
            (Fraction(-2, 3), "-0.666666666667"),
            (Fraction(1, 3 * 10**9), "0.000000000333333333333"),
            (Fraction(1234567890125, 10), "123456789012"),
            (Fraction(1234567890135, 10), "123456789014"),
            (Fraction(999999999999999), "1000000000000000"),
            (Fraction(10**20), "100000000000000000000"),
        ],
    )
    def test_prices(self, number: Fraction, text: str) -> None:
        assert significant(number) == text

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_scores_have_twelve_digits_and_no_negative_zero(self, value: float) -> None:
        printed = json_number(value)
        assert math.isclose(printed, value, rel_tol=1e-11, abs_tol=5e-324)
        assert json_number(printed) == printed
        assert math.copysign(1, printed) == 1 or printed < 0
