"""Every field and limit of a scenario file: what breaks it, where the error points, what it advises."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadl import Scenario
from fastadl.errors import BoundsError, InputError

GONE = object()
TIER = {"min_notional": "0", "maintenance_rate": "0.01"}
BASE: dict[str, Any] = {
    "name": "base",
    "note": "a book that runs",
    "currency": {"code": "USDC", "decimals": 2},
    "instruments": [
        {"symbol": "X", "kind": "linear", "contract_size": "1", "lot": "0.1", "tiers": [TIER]},
        {
            "symbol": "Y",
            "kind": "inverse",
            "contract_size": "100",
            "lot": 1,
            "tiers": [TIER, {"min_notional": "1000", "maintenance_rate": "0.02"}],
            "mark": "50",
        },
    ],
    "accounts": [
        {"id": "ann", "cash": "100.00"},
        {"id": "bob", "cash": -5, "owner": "zoe", "margin_mode": "cross", "adl_tier": 3},
    ],
    "positions": [
        {"account": "ann", "symbol": "X", "qty": "3.0", "entry_price": "10"},
        {"account": "bob", "symbol": "X", "qty": "-3", "entry_value": "-30.00"},
        {"account": "fund", "symbol": "Y", "qty": 2, "entry_price": 50},
    ],
    "fund": {"cash": "0", "min_equity": "0", "max_drawdown": None, "peak_window": 28800},
    "policy": {"preset": "bitmex"},
    "liquidity": {"model": "fixed", "depth": {"X": "1.5"}, "slippage": "0.01", "fee": "0", "surplus": "fund"},
    "ticks": [{"time": 5, "marks": {"X": "10"}}, {"marks": {}}],
}

LIST = "give a list"
TEXT = "give a text"
DECIMAL = 'a decimal text such as "12.5"'
POINT = 'write it as a decimal text, such as "12.5"'
PLAIN = "write a decimal such as 12.5"
REQUIRED = "this field is required"

#: path of the field, value put there, pointer of the error if not that path, fragment of the remedy
CASES: list[tuple[str, Any, str | None, str]] = [
    # the top
    ("instruments", GONE, None, REQUIRED),
    ("accounts", GONE, None, REQUIRED),
    ("positions", GONE, None, REQUIRED),
    ("ticks", GONE, None, REQUIRED),
    ("instruments", {}, None, LIST),
    ("accounts", None, None, LIST),
    ("positions", "none", None, LIST),
    ("ticks", 3, None, LIST),
    ("ticks", {"marks": {}}, None, LIST),
    ("tick", [], None, "did you mean ticks?"),
    ("zzz", None, None, "no such field"),
    ("a/b~c", 1, "/a~1b~0c", "no such field"),
    ("name", None, None, TEXT),
    ("name", 5, None, TEXT),
    ("note", ["a"], None, TEXT),
    # currency
    ("currency", None, None, "give an object"),
    ("currency", "USD", None, "give an object"),
    ("currency.code", None, None, TEXT),
    ("currency.code", 840, None, TEXT),
    ("currency.decimals", None, None, "give an integer"),
    ("currency.decimals", "2", None, "give an integer"),
    ("currency.decimals", 2.0, None, POINT),
    ("currency.decimals", True, None, "give an integer"),
    ("currency.decimals", -1, None, ">= 0"),
    ("currency.decimals", 13, None, "<= 12"),
    ("currency.scale", 2, None, "no such field"),
    # instruments
    ("instruments.0", "X", None, "give an object"),
    ("instruments.0", None, None, "give an object"),
    ("instruments.0.symbol", GONE, None, REQUIRED),
    ("instruments.0.symbol", None, None, TEXT),
    ("instruments.0.symbol", 7, None, TEXT),
    ("instruments.0.symbol", "", None, "not empty"),
    ("instruments.0.symbol", "\ud800", None, "Unicode"),
    ("instruments.1.symbol", "X", None, "unique"),
    ("instruments.0.kind", GONE, None, REQUIRED),
    ("instruments.0.kind", None, None, TEXT),
    ("instruments.0.kind", "liner", None, "linear"),
    ("instruments.0.kind", "spot", None, "linear"),
    ("instruments.0.contract_size", GONE, None, REQUIRED),
    ("instruments.0.contract_size", None, None, DECIMAL),
    ("instruments.0.contract_size", 1.0, None, POINT),
    ("instruments.0.contract_size", "0", None, "above 0"),
    ("instruments.0.contract_size", "-1", None, "above 0"),
    ("instruments.0.contract_size", "1e3", None, "without exponent"),
    ("instruments.0.lot", GONE, None, REQUIRED),
    ("instruments.0.lot", None, None, DECIMAL),
    ("instruments.0.lot", "0", None, "above 0"),
    ("instruments.0.lot", "-0.1", None, "above 0"),
    ("instruments.0.lot", ".1", None, PLAIN),
    ("instruments.0.lots", "1", None, "did you mean lot?"),
    ("instruments.0.mark", "0", None, "above 0"),
    ("instruments.0.mark", "-1", None, "above 0"),
    ("instruments.0.mark", 41000.5, None, POINT),
    ("instruments.0.mark", "n/a", None, PLAIN),
    ("instruments.0.mark", True, None, DECIMAL),
    ("instruments.0.mark", "9" * 30, None, "a lot's value"),
    ("instruments.0.mark", "9" * 17, None, "no row may be worth more than 2^62"),
    ("instruments.1.mark", "0." + "0" * 60 + "1", None, "a lot's value"),
    # tiers
    ("instruments.0.tiers", GONE, None, REQUIRED),
    ("instruments.0.tiers", [], None, "length >= 1"),
    ("instruments.0.tiers", None, None, LIST),
    ("instruments.0.tiers", {}, None, LIST),
    ("instruments.0.tiers.0", [], None, "give an object"),
    ("instruments.0.tiers.0.min_notional", GONE, None, REQUIRED),
    ("instruments.0.tiers.0.min_notional", None, None, DECIMAL),
    ("instruments.0.tiers.0.min_notional", "1", None, "0"),
    ("instruments.1.tiers.1.min_notional", "0", None, ""),
    ("instruments.1.tiers.1.min_notional", "-5", None, ""),
    ("instruments.0.tiers.0.maintenance_rate", GONE, None, REQUIRED),
    ("instruments.0.tiers.0.maintenance_rate", "1", None, ""),
    ("instruments.0.tiers.0.maintenance_rate", "-0.01", None, ""),
    ("instruments.0.tiers.0.maintenance_rate", "5%", None, PLAIN),
    ("instruments.1.tiers.1.maintenance_rate", "0.009", None, ""),
    ("instruments.1.tiers.1.deduction", "10", None, "all tiers or in none"),
    ("instruments.1.tiers.0.deduction", "0", "/instruments/1/tiers/1/deduction", "all tiers or in none"),
    ("instruments.1.tiers.0.deduction", None, None, DECIMAL),
    ("instruments.0.tiers.0.max_leverage", "0", None, "above 0"),
    ("instruments.0.tiers.0.max_leverage", None, None, DECIMAL),
    ("instruments.0.tiers.0.rate", "0.01", None, "no such field"),
    # accounts
    ("accounts.0", None, None, "give an object"),
    ("accounts.0.id", GONE, None, REQUIRED),
    ("accounts.0.id", None, None, TEXT),
    ("accounts.0.id", "", None, "not empty"),
    ("accounts.1.id", "ann", None, "unique"),
    ("accounts.0.id", "fund", None, "reserved"),
    ("accounts.0.id", "market", None, "reserved"),
    ("accounts.0.cash", GONE, None, REQUIRED),
    ("accounts.0.cash", None, None, DECIMAL),
    ("accounts.0.cash", 100.0, None, POINT),
    ("accounts.0.cash", "100.001", None, "2"),
    ("accounts.0.cash", "1,000", None, PLAIN),
    ("accounts.0.cash", " 1", None, PLAIN),
    ("accounts.0.cash", "+1", None, PLAIN),
    ("accounts.0.cash", "1.", None, PLAIN),
    ("accounts.0.cash", "", None, PLAIN),
    ("accounts.0.cash", "٣", None, PLAIN),
    ("accounts.0.cash", "NaN", None, PLAIN),
    ("accounts.0.cash", "90071992547409.93", None, "2^53"),
    ("accounts.0.cash", "-90071992547409.93", None, "2^53"),
    ("accounts.0.cash", "9" * 300, None, "2^53"),
    ("accounts.0.cash", 10**390, None, "2^53"),
    ("accounts.0.owner", None, None, TEXT),
    ("accounts.0.owner", 1, None, TEXT),
    ("accounts.0.margin_mode", None, None, TEXT),
    ("accounts.0.margin_mode", "croos", None, "cross"),
    ("accounts.0.adl_tier", None, None, "give an integer"),
    ("accounts.0.adl_tier", "1", None, "give an integer"),
    ("accounts.0.adl_tier", -1, None, ">= 0"),
    ("accounts.0.adl_tier", 256, None, "<= 255"),
    ("accounts.0.balance", "1", None, "no such field"),
    # positions
    ("positions.0", [], None, "give an object"),
    ("positions.0.account", GONE, None, REQUIRED),
    ("positions.0.account", None, None, TEXT),
    ("positions.0.account", "nobody", None, "account"),
    ("positions.0.symbol", GONE, None, REQUIRED),
    ("positions.0.symbol", "Z", None, "instrument"),
    ("positions.0.symbol", 3, None, TEXT),
    ("positions.0.qty", GONE, None, REQUIRED),
    ("positions.0.qty", None, None, DECIMAL),
    ("positions.0.qty", 0.5, None, POINT),
    ("positions.0.qty", "0", None, "at least one lot"),
    ("positions.0.qty", "-0.0", None, "at least one lot"),
    ("positions.0.qty", "0.05", None, "0.1"),
    ("positions.0.qty", "900719925474099.3", None, "2^53"),
    ("positions.0.entry_price", GONE, None, "give entry_price or entry_value"),
    ("positions.0.entry_value", "30", None, "not both"),
    ("positions.0.entry_price", None, None, DECIMAL),
    ("positions.0.entry_price", "0", None, "above 0"),
    ("positions.0.entry_price", "-3", None, "above 0"),
    ("positions.0.entry_price", "9999999999999999999", None, "2^53"),
    ("positions.1.entry_value", None, None, DECIMAL),
    ("positions.1.entry_value", "30.00", None, "sign"),
    ("positions.1.entry_value", "-30.001", None, "2"),
    ("positions.1.entry_value", "-90071992547409.93", None, "2^53"),
    ("positions.0.side", "long", None, "no such field"),
    # fund
    ("fund", "0", None, "an object or null"),
    ("fund", [], None, "an object or null"),
    ("fund.cash", None, None, "decimal"),
    ("fund.cash", 0.5, None, POINT),
    ("fund.cash", "0.001", None, "2 decimal places"),
    ("fund.cash", "99999999999999999999", None, "2^62"),
    ("fund.min_equity", None, None, "decimal"),
    ("fund.max_drawdown", "1.5", None, "from 0 to 1"),
    ("fund.max_drawdown", "-0.1", None, "from 0 to 1"),
    ("fund.max_drawdown", 0.3, None, POINT),
    ("fund.peak_window", 0, None, "more than 0"),
    ("fund.peak_window", None, None, "whole seconds"),
    ("fund.peak_window", "60", None, "whole seconds"),
    ("fund.floor", "0", None, "no such field"),
    # policy
    ("policy", None, None, "a text or an object"),
    ("policy", 3, None, "a text or an object"),
    ("policy", "binance", None, "did you mean binance_2025?"),
    ("policy.preset", "bitmx", None, "did you mean bitmex?"),
    ("policy.scor", "okx", None, "did you mean score?"),
    ("policy.price", "makr", None, "did you mean mark?"),
    ("policy.price", None, None, "take one of"),
    ("policy", {"guard": "solvent", "allocation": "whole"}, "/policy/guard", "R45"),
    # liquidity
    ("liquidity", "fixed", None, "an object or null"),
    ("liquidity.model", "book", None, "fixed"),
    ("liquidity.depth", None, None, "by symbol"),
    ("liquidity.depth", [], None, "by symbol"),
    ("liquidity.depth.Q", "1", None, "instrument"),
    ("liquidity.depth.X", "-1", None, "0 or more"),
    ("liquidity.depth.X", "0.05", None, "multiple of the lot 0.1"),
    ("liquidity.depth.X", None, None, "decimal"),
    ("liquidity.depth.X", 1.5, None, POINT),
    ("liquidity.slippage", "1", None, "below 1"),
    ("liquidity.fee", "-0.1", None, "below 1"),
    ("liquidity.surplus", "both", None, "trader, fund"),
    ("liquidity.slice", "1", None, "below 1"),
    ("liquidity.slice", 0.2, None, POINT),
    ("liquidity.slice_above", "5", None, "slice"),
    ("liquidity.cooldown", 30, None, "slice or step_down"),
    ("liquidity.step_down", "yes", None, "true or false"),
    ("liquidity.bankrupt", "bank", None, "book, fund"),
    ("liquidity.spread", "0", None, "no such field"),
    # ticks
    ("ticks.0", [], None, "give an object"),
    ("ticks.0.marks", GONE, None, REQUIRED),
    ("ticks.0.marks", None, None, "give an object"),
    ("ticks.0.marks", ["10"], None, "give an object"),
    ("ticks.0.marks", {}, "/ticks/0/marks/X", "the first tick marks every symbol"),
    ("ticks.1.marks", {"Q": "1"}, "/ticks/1/marks/Q", "instrument"),
    ("ticks.1.marks", {"BTC/USD": "1"}, "/ticks/1/marks/BTC~1USD", "instrument"),
    ("ticks.0.marks.X", "0", None, "above zero"),
    ("ticks.1.marks.X", "-10", None, "above zero"),
    ("ticks.1.marks.X", None, None, "decimal"),
    ("ticks.1.marks.X", True, None, "true or false"),
    ("ticks.1.marks.X", {}, None, "decimal"),
    ("ticks.1.marks.X", 10.5, None, POINT),
    ("ticks.1.marks.X", "inf", None, PLAIN),
    ("ticks.1.marks.X", "9" * 30, None, "a lot's value"),
    ("ticks.1.marks.X", "9" * 17, None, "no row may be worth more than 2^62"),
    ("ticks.1.marks.Y", "0.000000000000004", None, "no row may be worth more than 2^62"),
    ("ticks.0.time", -1, None, ">= 0"),
    ("ticks.0.time", None, None, "give an integer"),
    ("ticks.0.time", "5", None, "give an integer"),
    ("ticks.0.time", 5.0, None, POINT),
    ("ticks.0.time", 1 << 63, None, "<="),
    ("ticks.1.time", 4, None, "times do not fall"),
    ("ticks.1.executions", [], None, "no such field"),
]


BASE = json.loads(json.dumps(BASE))  # every object its own


def put(tree: Any, path: str, value: Any) -> Any:
    """The tree with one field replaced, added or taken away."""
    tree = copy.deepcopy(tree)
    *parents, last = path.split(".")
    place = tree
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    key = int(last) if isinstance(place, list) else last
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return tree


def refusal(source: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as refused:
        Scenario.load(source, **options)
    assert "\n" not in str(refused.value)
    return refused.value


def test_the_base_is_accepted() -> None:
    Scenario.load(BASE)


@pytest.mark.parametrize(
    ("path", "value", "pointer", "remedy"),
    CASES,
    ids=[f"{path}={'(none)' if value is GONE else ascii(value)[:30]}" for path, value, _, _ in CASES],
)
def test_one_bad_field(path: str, value: Any, pointer: str | None, remedy: str) -> None:
    error = refusal(put(BASE, path, value))
    assert error.pointer == (pointer or "/" + path.replace(".", "/"))
    assert remedy in error.remedy
    assert error.remedy


@pytest.mark.parametrize(
    ("positions", "pointer"),
    [
        ([("ann", "X", "1"), ("bob", "X", "-1"), ("ann", "X", "2")], "/positions/2"),
        ([("ann", "X", "1"), ("ann", "X", "-1"), ("ann", "X", "-2")], "/positions/2"),
        ([("fund", "X", "1"), ("fund", "X", "2")], "/positions/1"),
        ([("fund", "X", "1"), ("fund", "X", "-2")], "/positions/1"),
        ([("market", "X", "-1"), ("market", "X", "1")], "/positions/1"),
    ],
)
def test_one_row_per_account_symbol_and_side(positions: list[tuple[str, str, str]], pointer: str) -> None:
    rows = [{"account": a, "symbol": s, "qty": q, "entry_price": "10"} for a, s, q in positions]
    error = refusal(put(BASE, "positions", rows))
    assert error.pointer.startswith(pointer)


def test_a_hedge_is_two_rows() -> None:
    rows = [{"account": "ann", "symbol": "X", "qty": q, "entry_price": "10"} for q in ("1", "-1")]
    assert len(Scenario.load(put(BASE, "positions", rows)).book) == 2


def test_an_isolated_account_has_at_most_one_position() -> None:
    accounts = [{"id": "ann", "cash": "1", "margin_mode": "isolated"}]
    rows = [
        {"account": "ann", "symbol": "X", "qty": "1", "entry_price": "10"},
        {"account": "ann", "symbol": "Y", "qty": "1", "entry_price": "10"},
    ]
    source = put(put(BASE, "accounts", accounts), "positions", rows[:1])
    Scenario.load(source)
    assert refusal(put(source, "positions", rows)).pointer.startswith("/positions/1")


class TestText:
    """What is wrong before a field can be named, or because of how it is spelled."""

    def refused(self, content: str, format: str = "json") -> InputError:
        with pytest.raises(InputError) as refused:
            Scenario.loads(content, format, file="case")
        assert str(refused.value).startswith("case: /")
        assert "\n" not in str(refused.value)
        return refused.value

    @pytest.mark.parametrize("cut", [0, 1, 10, 200, 700, -1])
    def test_a_truncated_file_names_line_and_column(self, cut: int) -> None:
        error = self.refused(json.dumps(BASE, indent=1)[:cut])
        assert str(error.value).startswith("line ")
        assert "column" in str(error.value)

    @pytest.mark.parametrize("content", ["[]", "3", "null", '"text"', "true"])
    def test_the_top_is_an_object(self, content: str) -> None:
        error = self.refused(content)
        assert error.pointer == "/"
        assert error.remedy == "give an object"

    @pytest.mark.parametrize(
        ("content", "pointer"),
        [
            ('{"name": "a", "name": "a"}', "/name"),
            ('{"fund": {"cash": "1", "cash": "1"}}', "/fund/cash"),
            ('{"ticks": [{"marks": {}}, {"marks": {"X": "1", "Y": "1", "X": "1"}}]}', "/ticks/1/marks/X"),
            ('{"zzz": {"a": 1, "a": 2}}', "/zzz/a"),
            ('{"a": 1, "\\u0061": 2}', "/a"),
        ],
    )
    def test_a_key_given_twice(self, content: str, pointer: str) -> None:
        error = self.refused(content)
        assert (error.pointer, error.value) == (pointer, "given twice")

    @pytest.mark.parametrize(
        "number", ["NaN", "Infinity", "-Infinity", "1.0", "1e3", "1E400", "-0.0", "9" * 5000]
    )
    def test_numbers_that_only_a_text_carries_exactly(self, number: str) -> None:
        content = json.dumps(BASE).replace('"cash": "100.00"', f'"cash": {number}')
        error = self.refused(content)
        assert error.pointer == "/accounts/0/cash"
        assert error.remedy == POINT

    @pytest.mark.parametrize(
        "content", ["[" * 100_000, '{"a":' * 100_000, "[" * 60 + "]" * 60, '{"name":' * 20 + "1" + "}" * 20]
    )
    def test_deep_nesting(self, content: str) -> None:
        assert "nest at most" in self.refused(content).remedy or "not JSON" in self.refused(content).remedy

    @pytest.mark.parametrize(
        ("content", "pointer", "remedy"),
        [
            ("instruments = ", "/", "not TOML"),
            ("name = 'a'\nname = 'b'", "/", "not TOML"),
            ("x = " + "9" * 5000, "/", "not TOML"),
            ("x = " + "[" * 5000, "/", "nest at most"),
            ("name = 1979-05-27", "/name", "give a text"),
            ("[fund]\ncash = 0.5", "/fund/cash", POINT),
            ("[fund]\ncash = inf", "/fund/cash", POINT),
        ],
    )
    def test_toml(self, content: str, pointer: str, remedy: str) -> None:
        error = self.refused(content, "toml")
        assert error.pointer == pointer
        assert remedy in error.remedy

    def test_line_breaks_in_names_stay_on_one_line(self) -> None:
        error = self.refused(json.dumps(BASE | {"a\nb": 1}))
        assert str(error).startswith("case: /a\\nb: 1: no such field")


class TestFile:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "none.json")
        assert str(error) == f"{tmp_path}/none.json: /: no such file: name a scenario file"

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "a folder" in str(refusal(tmp_path))

    @pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b'{"name": "\xe9"}'])
    def test_not_utf8(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "latin.json"
        file.write_bytes(content)
        assert "UTF-8" in refusal(file).remedy

    @pytest.mark.parametrize("name", ["a" * 5000, "a\0b", ""])
    def test_a_name_no_file_can_have(self, name: str) -> None:
        refusal(name)

    def test_the_error_names_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "bad.json"
        file.write_text(json.dumps(put(BASE, "accounts.1.cash", None)))
        assert str(refusal(file)).startswith(f"{file}: /accounts/1/cash: null: give a decimal text")


class TestDict:
    def test_the_callers_dict_is_left_alone(self) -> None:
        source = copy.deepcopy(BASE)
        Scenario.load(source, overrides=["accounts.0.cash=7", "policy.price=mark"])
        assert source == BASE

    @pytest.mark.parametrize("value", [{1}, b"x", object(), (x for x in "a")])
    def test_values_json_does_not_know(self, value: Any) -> None:
        assert refusal(put_raw("name", value)).pointer == "/name"

    def test_keys_that_are_no_text(self) -> None:
        assert refusal(put_raw("fund", {1: "x"})).pointer == "/fund"

    def test_a_list_that_holds_itself(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        assert "nest at most" in refusal(put_raw("name", loop)).remedy


def put_raw(key: str, value: Any) -> dict[str, Any]:
    return {**BASE, key: value}


def nodes(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything below the top."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, item in items for place in ((*path, key), *nodes(item, (*path, key)))]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(("-1", "1e5", "X")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(nodes(BASE)), JUNK)
def test_junk_anywhere_is_accepted_or_refused_in_one_line(path: tuple[Any, ...], junk: Any) -> None:
    source = copy.deepcopy(BASE)
    place = source
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    try:
        Scenario.load(source)
    except InputError as error:
        line = str(error)
        assert line.startswith("scenario: /")
        assert line.isprintable()


def test_a_bound_is_an_error_of_its_own() -> None:
    with pytest.raises(BoundsError):
        Scenario.load(put(BASE, "accounts.0.cash", "90071992547409.93"))
    Scenario.load(put(BASE, "accounts.0.cash", "90071992547409.92"))
