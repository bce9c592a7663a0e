"""Policies, funds and liquidity: what they resolve to and what they refuse (R27, R45, R66 to R68)."""

from __future__ import annotations

import dataclasses
import pickle
import re
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
import pytest

from fastadl import Book, Engine
from fastadl.contracts import Instrument, Instruments, Kind, Tier
from fastadl.errors import BoundsError, InputError, PolicyError
from fastadl.policy import (
    CHOICES,
    PARAMETERS,
    VENUES,
    AdlPolicy,
    Fund,
    Liquidity,
    Partial,
    Venue,
    add_preset,
    score,
)
from fastadl.policy.choices import alone
from fastadl.policy.meaning import meaning
from fastadl.policy.venues import named

FIRST = {choice: values[0] for choice, values in list(CHOICES.items())[:8]}


def instruments() -> Instruments:
    tiers = (Tier(Fraction(0), Fraction(1, 100), Fraction(0)),)
    return Instruments(
        [
            Instrument("X", Kind.LINEAR, Fraction(1), Fraction(1, 10), tiers),
            Instrument("Y", Kind.LINEAR, Fraction(1), Fraction(5), tiers),
        ]
    )


class TestPolicy:
    def test_the_first_value_of_every_list_is_the_default(self) -> None:
        assert AdlPolicy.of({}).choices() == FIRST == AdlPolicy().choices()

    def test_every_value_of_every_choice_is_accepted(self) -> None:
        for choice, values in CHOICES.items():
            for value in values:
                policy = AdlPolicy.of(alone(choice, value))
                assert getattr(policy, choice) == value
                shown = policy.choices()
                assert (choice in shown) == (choice in FIRST or value != values[0])
                assert shown.get(choice, value) == value

    @pytest.mark.parametrize(
        ("name", "differences"),
        [
            ("bitmex", {"split": "notional"}),
            ("binance_2025", {"score": "binance"}),
            ("okx_2025", {"score": "okx", "price": "mark"}),
            ("hyperliquid_2025", {"score": "hyperliquid", "price": "previous_mark", "split": "notional"}),
            ("extended_2026", {"score": "extended"}),
        ],
    )
    def test_a_preset_is_its_differences_from_the_first_values(
        self, name: str, differences: dict[str, str]
    ) -> None:
        assert AdlPolicy.of(name).choices() == FIRST | differences
        assert AdlPolicy.of({"preset": name}) == AdlPolicy.of(name)
        changed = AdlPolicy.of({"preset": name, "rerank": "each"})
        assert changed.choices() == FIRST | differences | {"rerank": "each"}
        assert changed.cancel_orders == VENUES[name].cancel_orders

    def test_the_presets_are_those_of_the_rules(self) -> None:
        rules = (files("fastadl") / "docs" / "rules.md").read_text("utf-8")
        tables = "".join(re.findall(r"^### R(?:67|96) .*?(?=^### )", rules, re.MULTILINE | re.DOTALL))
        named = [
            (name, choices)
            for names, choices in re.findall(r"^\| (`.+?) \| (.+) \|$", tables, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", names)
        ]
        assert {name for name, _ in named} == set(VENUES)
        for name, choices in named:
            for choice, value in VENUES[name].choices.items():
                assert name in value if "that name" in choices else True, name
                for word in [value] if isinstance(value, str) else value:
                    assert word in choices or word == name, (name, choice)

    def test_every_preset_says_what_is_documented_and_what_is_assumed(self) -> None:
        for venue in VENUES.values():
            assert all((venue.title, venue.date, venue.source, venue.documented, venue.assumed))

    def test_every_value_of_every_choice_is_explained_with_its_rule(self) -> None:
        for choice, values in CHOICES.items():
            for value in values:
                rule, text = meaning(choice, value)
                assert text
                assert re.fullmatch(r"R\d\d", rule)

    def test_an_object_without_preset_does_not_start_from_bitmex(self) -> None:
        assert AdlPolicy.of({"score": "size"}).split == "maintenance_margin"

    def test_a_policy_is_taken_as_it_is(self) -> None:
        policy = AdlPolicy(score="size")
        assert AdlPolicy.of(policy) is policy

    @pytest.mark.parametrize("allocation", CHOICES["allocation"][:5])
    def test_wealth_space_always_shares_by_profit(self, allocation: str) -> None:
        policy = AdlPolicy.of({"space": "wealth", "allocation": allocation, "guard": "solvent"})
        assert policy.allocation == "pro_rata_profit"
        assert policy.guard == "solvent"

    def test_of_guards_and_allocations_only_whole_positions_contradict(self) -> None:
        for allocation, guard in product(CHOICES["allocation"], CHOICES["guard"]):
            if allocation == "whole" and guard != "none":
                with pytest.raises(PolicyError, match="R45") as refused:
                    AdlPolicy.of({"allocation": allocation, "guard": guard})
                assert refused.value.pointer == "/policy/guard"
            else:
                AdlPolicy.of({"allocation": allocation, "guard": guard})

    @pytest.mark.parametrize(
        ("policy", "pointer", "remedy"),
        [
            ("bitmx", "/policy", "did you mean bitmex?"),
            ("", "/policy", "name one of bitmex, binance_2025"),
            (3, "/policy", "give the name of a preset"),
            (None, "/policy", "give the name of a preset"),
            ({"preset": "okx"}, "/policy/preset", "did you mean okx_2025?"),
            ("OKX_2025", "/policy", "did you mean okx_2025?"),
            ({"preset": None}, "/policy/preset", "name one of"),
            ({"preset": []}, "/policy/preset", "name one of"),
            ({"scores": "okx"}, "/policy/scores", "did you mean score?"),
            ({"cancel_orders": "none"}, "/policy/cancel_orders", "no such choice"),
            ({1: "none"}, "/policy/1", "no such choice"),
            ({"score": "okex"}, "/policy/score", "did you mean okx?"),
            ({"score": None}, "/policy/score", "take one of bitmex, binance"),
            ({"price": "Mark"}, "/policy/price", "did you mean mark?"),
            ({"trigger": "fund"}, "/policy/trigger", "take one of bankrupt, none"),
            ({"space": True}, "/policy/space", "take one of contract, wealth"),
            ({"allocation": "fifo"}, "/policy/allocation", "queue, whole, pro_rata_size"),
            ({"guard": "solvency"}, "/policy/guard", "did you mean solvent?"),
            ({"split": "equal"}, "/policy/split", "maintenance_margin, notional"),
            ({"rerank": "always"}, "/policy/rerank", "never, each"),
            ({"then": "size"}, "/policy/then", "give a list of up to 4"),
            ({"then": ["size"] * 5}, "/policy/then", "give a list of up to 4"),
            ({"then": ["size", "sise"]}, "/policy/then/1", "did you mean size?"),
            ({"then": None}, "/policy/then", "leave it out"),
        ],
    )
    def test_what_does_not_exist_is_refused_with_the_nearest_name(
        self, policy: Any, pointer: str, remedy: str
    ) -> None:
        with pytest.raises(PolicyError) as refused:
            AdlPolicy.of(policy)
        assert refused.value.pointer == pointer
        assert remedy in refused.value.remedy

    @pytest.mark.parametrize(
        ("policy", "field"),
        [
            ({"guard": "solvent", "price": "entry"}, "guard"),
            ({"guard": "health", "price": "entry"}, "guard"),
            ({"guard": "health", "price": "mark"}, "guard"),
            *(({"space": "wealth", "allocation": name}, "allocation") for name in CHOICES["allocation"][5:]),
            *(({"socialization": name}, "socialization") for name in CHOICES["socialization"][1:]),
            ({"severity": "matched"}, "severity"),
            ({"severity": "trigger_loss"}, "severity"),
            ({"space": "wealth", "trigger": "unfilled"}, "trigger"),
            ({"space": "wealth", "trigger": "pool_profit", "price": "mark"}, "trigger"),
            ({"trigger": "pool_profit"}, "price"),
            ({"trigger": "pool_profit", "price": "mark", "severity": "fraction"}, "severity"),
        ],
    )
    def test_choices_that_contradict_each_other_are_refused(self, policy: Any, field: str) -> None:
        with pytest.raises(PolicyError, match="R81") as refused:
            AdlPolicy.of(policy)
        assert refused.value.pointer == f"/policy/{field}"
        assert refused.value.value == policy.get(field, AdlPolicy().price)

    @pytest.mark.parametrize("name", PARAMETERS)
    def test_a_parameter_that_nothing_uses_is_refused(self, name: str) -> None:
        with pytest.raises(PolicyError, match="leave it out: it belongs to") as refused:
            AdlPolicy.of({name: "1"})
        assert refused.value.pointer == f"/policy/{name}"

    @pytest.mark.parametrize(
        ("policy", "name", "bad"),
        [
            ({"score": "random"}, "seed", [-1, 2**63, "x", True, 1.5]),
            ({"tiers": "delta_neutral"}, "delta_limit", ["-0.01", "1.01", "x"]),
            ({"allocation": "capped_pro_rata"}, "max_share", ["0", "1.1", "nan"]),
            ({"allocation": "risk_aware"}, "exponent", [-1, 5, "1"]),
            ({"allocation": "risk_aware"}, "min_leverage", ["-1", "x", "9" * 400]),
            (
                {"allocation": "factor_fill"},
                "betas",
                ["1", {"X": "0"}, {"X": "-1"}, {"X": None}, {5: "1"}, (5,), ((1, 2, 3),)],
            ),
            ({"severity": "fraction"}, "fraction", ["-0.1", "1.1"]),
            ({"space": "wealth", "socialization": "clawback"}, "session", [0, "1", True]),
            ({"trigger": "drawdown"}, "drawdown_start", ["0", "1.1"]),
            ({"trigger": "drawdown"}, "drawdown_stop", ["0", "0.31"]),
            ({"trigger": "drawdown"}, "drawdown_scope", ["all"]),
            ({"trigger": "drawdown"}, "drawdown_reference", ["median"]),
            ({"trigger": "drawdown", "drawdown_scope": "symbol"}, "drawdown_reference", ["peak"]),
            ({"trigger": "drawdown"}, "drawdown_amount", ["-1"]),
            ({"trigger": "drawdown"}, "drawdown_window", [0]),
            ({"trigger": "pool_profit", "price": "mark"}, "pool_max", ["-1"]),
            ({"trigger": "pool_profit", "price": "mark"}, "pool_min", ["0.51"]),
        ],
    )
    def test_a_parameter_out_of_its_limits_is_refused(self, policy: Any, name: str, bad: list[Any]) -> None:
        for value in bad:
            with pytest.raises(PolicyError, match="R80") as refused:
                AdlPolicy.of({**policy, name: value})
            assert refused.value.pointer.startswith(f"/policy/{name}")
        AdlPolicy.of(policy)

    def test_betas_name_symbols_of_the_book(self) -> None:
        book = Book.from_frames(
            {
                "symbol": ["X"],
                "kind": ["linear"],
                "contract_size": ["1"],
                "lot": ["1"],
                "tiers": [[{"min_notional": "0", "maintenance_rate": "0"}]],
            },
            {"id": ["a"], "cash": ["1"]},
            {"account": ["a"], "symbol": ["X"], "qty": ["1"], "entry_price": ["1"]},
        )
        Engine(book, policy={"allocation": "factor_fill", "betas": {"X": "2"}})
        with pytest.raises(InputError) as refused:
            Engine(book, policy={"allocation": "factor_fill", "betas": {"Z": "2"}})
        assert refused.value.pointer == "/policy/betas/Z"

    def test_parameters_are_exact_and_shown_where_they_differ(self) -> None:
        drawdown = AdlPolicy.of({"trigger": "drawdown", "drawdown_start": "0.1"})
        assert drawdown.drawdown_stop == drawdown.drawdown_start == Fraction(1, 10)
        assert drawdown.drawdown_window == 28800
        assert drawdown.max_share is None
        shown = AdlPolicy.of(
            {"allocation": "factor_fill", "betas": {"Y": "1.5", "X": 2}, "score": "random", "seed": 3}
        ).choices()
        assert shown == FIRST | {
            "score": "random",
            "allocation": "factor_fill",
            "seed": 3,
            "betas": {"X": "2", "Y": "1.5"},
        }
        assert AdlPolicy.of(shown).choices() == shown

    def test_a_preset_whose_choice_is_replaced_loses_its_parameters(self) -> None:
        assert AdlPolicy.of({"preset": "bybit_2025", "trigger": "bankrupt"}).choices() == FIRST | {
            "tiers": "delta_neutral_flagged"
        }

    def test_a_venue_can_be_added(self) -> None:
        @score
        def largest_loss(c: Any) -> float:
            return -c.profit

        venue = Venue(
            title="Example", choices={"score": largest_loss, "price": "mark"}, cancel_orders="symbol"
        )
        try:
            policy = add_preset("example_2026", venue)
            assert AdlPolicy.of("example_2026") == policy
            assert policy.choices() == FIRST | {"score": "largest_loss", "price": "mark"}
            assert policy.cancel_orders == "symbol"
            with pytest.raises(PolicyError, match="taken"):
                add_preset("example_2026", venue)
        finally:
            named.pop("example_2026", None)
        for name, given in (
            ("my venue", venue),
            (5, venue),
            ("x", None),
            ("x", Venue(title="", choices=[1])),
        ):
            with pytest.raises(PolicyError, match=r"letters|mapping"):
                add_preset(name, given)  # type: ignore[arg-type]
        with pytest.raises(PolicyError, match="did you mean score"):
            add_preset("x", Venue(title="", choices={"scor": "size"}))
        try:
            add_preset("okx_2030", Venue(title="", choices={"preset": "okx_2025", "score": "size"}))
            assert AdlPolicy.of("okx_2030").choices() == FIRST | {"score": "size", "price": "mark"}
        finally:
            named.pop("okx_2030", None)
        with pytest.raises(PolicyError, match="did you mean size"):
            add_preset("example_2027", Venue(title="", choices={"score": "sise"}))
        assert "example_2027" not in VENUES

    def test_a_policy_cannot_be_changed(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            AdlPolicy().score = "size"  # type: ignore[misc]


class TestFund:
    def test_defaults(self) -> None:
        for fund in (Fund(), Fund.of(None), Fund.of({}), Fund.of("0"), Fund.of(0)):
            assert fund == Fund("0", "0", None, 28800)

    @pytest.mark.parametrize(
        "cash", ["12.5", Decimal("12.5"), 12.5, Fraction(25, 2), Fund("12.5"), {"cash": "12.5"}]
    )
    def test_cash_in_any_exact_spelling(self, cash: Any) -> None:
        assert Fund.of(cash).cash == Fraction(25, 2)
        assert Fund.of(cash).cash_atoms(2) == 1250

    def test_a_mapping_sets_every_field(self) -> None:
        fund = Fund.of({"cash": 5, "min_equity": "-0.005", "max_drawdown": "0.3", "peak_window": 60})
        assert fund == Fund("5", "-0.005", "0.3", 60)
        assert fund.min_equity_atoms(2) == Fraction(-1, 2)

    @pytest.mark.parametrize("share", ["0", "1", 0, 1])
    def test_drawdowns_from_0_to_1(self, share: Any) -> None:
        assert Fund(max_drawdown=share).max_drawdown == int(share)

    @pytest.mark.parametrize(
        ("fund", "pointer", "remedy"),
        [
            ("ten", "/fund", "write a decimal"),
            (True, "/fund", "not true or false"),
            (float("nan"), "/fund", "finite"),
            (float("inf"), "/fund", "finite"),
            ([1], "/fund", "give a decimal"),
            ({"cash": None}, "/fund/cash", "give a decimal"),
            ({"cash": "1e3"}, "/fund/cash", "without exponent"),
            ({"min_equity": None}, "/fund/min_equity", "give a decimal"),
            ({"max_drawdown": "1.01"}, "/fund/max_drawdown", "from 0 to 1"),
            ({"max_drawdown": "-0.1"}, "/fund/max_drawdown", "from 0 to 1"),
            ({"peak_window": 0}, "/fund/peak_window", "more than 0"),
            ({"peak_window": -5}, "/fund/peak_window", "more than 0"),
            ({"peak_window": "60"}, "/fund/peak_window", "whole seconds"),
            ({"peak_window": 60.0}, "/fund/peak_window", "whole seconds"),
            ({"peak_window": True}, "/fund/peak_window", "whole seconds"),
            ({"peak_window": None}, "/fund/peak_window", "whole seconds"),
            ({"peak_window": 1 << 63}, "/fund/peak_window", "2^62"),
            ({"drawdown": "0.3"}, "/fund/drawdown", "did you mean max_drawdown?"),
        ],
    )
    def test_what_is_refused(self, fund: Any, pointer: str, remedy: str) -> None:
        with pytest.raises(InputError) as refused:
            Fund.of(fund)
        assert refused.value.pointer == pointer
        assert remedy in refused.value.remedy

    def test_cash_finer_than_an_atom_or_past_the_bound_is_refused(self) -> None:
        assert Fund("0.01").cash_atoms(2) == 1
        with pytest.raises(InputError, match="at most 2 decimal places"):
            Fund("0.001").cash_atoms(2)
        assert Fund(1 << 62).cash_atoms(0) == 1 << 62
        with pytest.raises(BoundsError, match="R1"):
            Fund((1 << 62) + 1).cash_atoms(0)
        with pytest.raises(BoundsError, match="R1"):
            Fund(min_equity=-(1 << 62)).min_equity_atoms(1)


class TestLiquidity:
    def test_defaults_are_no_depth_no_cost_and_the_traders_surplus(self) -> None:
        liquidity = Liquidity()
        assert (liquidity.model, liquidity.slippage, liquidity.fee, liquidity.surplus) == (
            "fixed",
            0,
            0,
            "trader",
        )
        assert liquidity.depth_lots(instruments()).tolist() == [0, 0]
        assert Liquidity.of(None) is None
        assert Liquidity.of(liquidity) is liquidity

    def test_depth_is_quantity_in_lots_of_each_instrument(self) -> None:
        liquidity = Liquidity.of({"model": "fixed", "depth": {"Y": 10, "X": "2.5"}, "surplus": "fund"})
        assert liquidity is not None
        lots = liquidity.depth_lots(instruments())
        assert lots.dtype == np.int64
        assert lots.tolist() == [25, 2]

    @pytest.mark.parametrize(
        ("liquidity", "pointer", "remedy"),
        [
            ("fixed", "/liquidity", "give a mapping"),
            ({"model": "book"}, "/liquidity/model", "fixed"),
            ({"model": None}, "/liquidity/model", "fixed"),
            ({"depth": None}, "/liquidity/depth", "by symbol"),
            ({"depth": ["1"]}, "/liquidity/depth", "by symbol"),
            ({"depth": {"X": "-1"}}, "/liquidity/depth/X", "0 or more"),
            ({"depth": {"X": None}}, "/liquidity/depth/X", "give a decimal"),
            ({"slippage": "1"}, "/liquidity/slippage", "to below 1"),
            ({"slippage": "-0.1"}, "/liquidity/slippage", "from 0"),
            ({"slippage": None}, "/liquidity/slippage", "give a decimal"),
            ({"fee": "1.0"}, "/liquidity/fee", "to below 1"),
            ({"surplus": "house"}, "/liquidity/surplus", "trader, fund"),
            ({"surplus": None}, "/liquidity/surplus", "trader, fund"),
            ({"slipage": "0"}, "/liquidity/slipage", "did you mean slippage?"),
            ({"slice": "1"}, "/liquidity/slice", "above 0 and below 1"),
            ({"slice": "0"}, "/liquidity/slice", "above 0 and below 1"),
            ({"slice": None}, "/liquidity/slice", "give a share"),
            ({"slice": "a fifth"}, "/liquidity/slice", "decimal"),
            ({"slice": "0.2", "slice_above": "-1"}, "/liquidity/slice_above", "0 or more"),
            ({"step_down": True, "slice_above": "1"}, "/liquidity/slice_above", "give a slice with it"),
            ({"cooldown": 30}, "/liquidity/cooldown", "slice or step_down"),
            ({"slice": "0.2", "cooldown": -1}, "/liquidity/cooldown", "0 or more"),
            ({"slice": "0.2", "cooldown": "30"}, "/liquidity/cooldown", "whole seconds"),
            ({"slice": "0.2", "cooldown": True}, "/liquidity/cooldown", "whole seconds"),
            ({"slice": "0.2", "cooldown": 1 << 63}, "/liquidity/cooldown", "2^62"),
            ({"slice": "0.2", "in_cooldown": "hole"}, "/liquidity/in_cooldown", "did you mean whole?"),
            ({"step_down": 1}, "/liquidity/step_down", "true or false"),
            ({"slices": "0.2"}, "/liquidity/slices", "did you mean slice?"),
        ],
    )
    def test_what_is_refused(self, liquidity: Any, pointer: str, remedy: str) -> None:
        with pytest.raises(InputError) as refused:
            Liquidity.of(liquidity)
        assert refused.value.pointer == pointer
        assert remedy in refused.value.remedy

    def test_partial_close_outs_are_off_unless_given(self) -> None:
        assert not Liquidity().partial
        assert not Liquidity(step_down=False).partial
        assert Liquidity(step_down=True).partial
        given = Liquidity.of({"slice": "0.2", "slice_above": 100_000, "cooldown": 30})
        assert given is not None
        assert given.partial == Partial("0.2", "100000", 30, "wait", False)
        assert given.partial

    @pytest.mark.parametrize(
        ("depth", "pointer", "remedy"),
        [
            ({"Z": "1"}, "/liquidity/depth/Z", "name one of the instruments"),
            ({"X": "0.05"}, "/liquidity/depth/X", "multiple of the lot 0.1"),
            ({"Y": "3"}, "/liquidity/depth/Y", "multiple of the lot 5"),
            ({"Y": 10 << 62}, "/liquidity/depth/Y", "2^62"),
        ],
    )
    def test_depth_that_no_instrument_can_have_is_refused(
        self, depth: dict[str, Any], pointer: str, remedy: str
    ) -> None:
        with pytest.raises(InputError) as refused:
            Liquidity(depth=depth).depth_lots(instruments())
        assert refused.value.pointer == pointer
        assert remedy in refused.value.remedy


@pytest.mark.parametrize("value", [AdlPolicy(), Fund("5"), Liquidity(depth={"X": "1"})])
def test_rules_travel_between_processes(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
