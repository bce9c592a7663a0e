"""A preset on a page: what it says, what it does, and an example worked out on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from fastadl.engine import Engine
from fastadl.policy import PARAMETERS, VENUES, AdlPolicy
from fastadl.policy.meaning import events, meaning, used
from fastadl.report.terminal import Number, money, table, tick_lists
from fastadl.scenario import Scenario

__all__ = ["example", "show"]

_PLACES = 2


def show(name: str, console: Console) -> None:
    """Print the page of a preset."""
    policy = AdlPolicy.of(name)
    console.print(*_said(name), *_done(policy), *_worked(name), sep="\n")


def _said(name: str) -> Iterator[RenderableType]:
    venue = VENUES[name]
    yield Text.assemble((name, "bold"), f": {venue.title}, {venue.date}")
    for heading, text in (
        ("Documented", venue.documented),
        ("Assumed", venue.assumed),
        ("Source", venue.source),
    ):
        yield Text(f"\n{heading}", style="bold")
        yield Padding(Text(text), (0, 0, 0, 2))


def _done(policy: AdlPolicy) -> Iterator[RenderableType]:
    rows: list[dict[str, Any]] = []
    for choice, value in used(policy):
        rule, text = meaning(choice, value)
        rows.append({"choice": choice, "value": getattr(value, "name", value), "meaning": text, "rule": rule})
    yield Text()
    yield table("Choices", [(key, itemgetter(key)) for key in rows[0]], rows)
    shown = policy.choices()
    given = {name: shown.get(name, PARAMETERS[name].default) for name in PARAMETERS if _used(policy, name)}
    if given:
        yield Text(
            "Parameters (R80): " + ", ".join(f"{name} {_plain(value)}" for name, value in given.items())
        )
    yield Text("\nOrder of events", style="bold")
    for number, step in enumerate(events(policy), 1):
        yield Padding(Text(f"{number}. {step}"), (0, 0, 0, 2))


def _used(policy: AdlPolicy, parameter: str) -> bool:
    return getattr(policy, parameter) is not None and getattr(policy, parameter) != ()


def _plain(value: Any) -> str:
    return f"{float(value):g}" if hasattr(value, "denominator") else str(value)


def example(policy: AdlPolicy | str) -> dict[str, Any]:
    """A scenario of one symbol, small enough to follow by hand, in which the policy has something to do.

    A crash makes ann bankrupt, who is long; shorts of every kind stand against her. Under the trigger
    ``pool_profit`` the fund is the pool and holds the longs' other side.
    """
    policy = AdlPolicy.of(policy)
    tiers = [{"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": "50"}]
    shorts = [
        ("bob", "150", "-6", "110", 0),
        ("cy", "900", "-5", "104", 0),
        ("dee", "400", "-4", "125", 0),
        ("eve", "300", "-3", "85", 0),
    ]
    hedged = [("fay", "100", "-4", "120", 1)]
    scenario: dict[str, Any] = {
        "currency": {"code": "USD", "decimals": _PLACES},
        "instruments": [
            {
                "symbol": symbol,
                "kind": "linear",
                "contract_size": "1",
                "lot": "0.1",
                "tiers": tiers,
                "mark": mark,
            }
            for symbol, mark in (("X", "100"), ("Y", "50"))
        ],
        "accounts": [
            {"id": "ann", "cash": "200"},
            *({"id": who, "cash": cash, "adl_tier": tier} for who, cash, _, _, tier in (*shorts, *hedged)),
        ],
        "positions": [
            {"account": "ann", "symbol": "X", "qty": "15", "entry_price": "100"},
            *(
                {"account": who, "symbol": "X", "qty": qty, "entry_price": price}
                for who, _, qty, price, _ in (*shorts, *hedged)
            ),
            {"account": "fay", "symbol": "Y", "qty": "6.4", "entry_price": "50"},
            {"account": "market", "symbol": "X", "qty": "7", "entry_price": "100"},
            {"account": "market", "symbol": "Y", "qty": "-6.4", "entry_price": "50"},
        ],
        "fund": {"cash": "30"},
        "ticks": [{"time": 0, "marks": {"X": "95"}}, {"time": 60, "marks": {"X": "80"}}],
    }
    if policy.trigger == "pool_profit":
        scenario["positions"][-2] = {"account": "fund", "symbol": "X", "qty": "7", "entry_price": "100"}
        scenario["accounts"][0]["cash"] = "2000"
        scenario["fund"] = {"cash": "700"}
    if policy.socialization == "clawback":
        scenario["ticks"].append({"time": policy.session, "marks": {}})
    return scenario


def _worked(name: str) -> Iterator[RenderableType]:
    policy, given = AdlPolicy.of(name), example(name)
    yield Text("\nWorked example", style="bold")
    yield table(
        f"The book; X falls from 95 to 80, the fund has {given['fund']['cash']}, fay's adl_tier is 1",
        [
            ("account", lambda row: row["account"]),
            ("cash", lambda row: Number(row["cash"])),
            ("symbol", lambda row: row["symbol"]),
            ("qty", lambda row: Number(row["qty"])),
            ("entry price", lambda row: Number(row["entry_price"])),
        ],
        _book(given),
    )
    if policy.space == "contract" and policy.trigger != "none":
        yield _ranking(policy, given)
    result = Scenario.load({**given, "policy": name}).run()
    for tick in result["ticks"][1:]:
        yield from tick_lists(tick)
    idle = Scenario.load(
        {**given, "policy": {"trigger": "none"}}, overrides=["fund.min_equity=1000000"]
    ).run()
    before = {entry["id"]: entry["equity"] for entry in _accounts(idle)}
    yield table(
        "Equity at the last mark, with nothing done and with all of this",
        [
            ("account", lambda entry: entry["id"]),
            ("before", lambda entry: money(before[entry["id"]])),
            ("after", lambda entry: money(entry["equity"])),
        ],
        _accounts(result),
    )


def _ranking(policy: AdlPolicy, given: dict[str, Any]) -> RenderableType:
    """The shorts in the order in which they would be deleveraged at the last mark."""
    scenario = Scenario.load(given)
    engine = Engine(scenario.book, policy=policy, fund=given["fund"]["cash"])
    for tick in given["ticks"]:
        engine.mark(tick["marks"], tick["time"])
    unit = 10**_PLACES
    return table(
        "The ranking of X shorts at 80",
        [
            ("rank", lambda row: row["rank"]),
            ("account", lambda row: row["account"]),
            ("tier", lambda row: row["adl_tier"]),
            ("score", lambda row: row["score"]),
            ("profit", lambda row: money(f"{row['unrealized_pnl'] / unit:.2f}")),
            ("notional", lambda row: money(f"{row['notional'] / unit:.2f}")),
            ("equity", lambda row: money(f"{row['equity'] / unit:.2f}")),
        ],
        engine.rank("X", "short").to_dicts(),
    )


def _book(given: dict[str, Any]) -> Iterator[dict[str, str]]:
    cash = {account["id"]: account["cash"] for account in given["accounts"]}
    cash |= {"fund": given["fund"]["cash"], "market": "0"}
    for position in given["positions"]:
        yield {**position, "cash": cash[position["account"]]}


def _accounts(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [*result["accounts"], {"id": "fund", **result["fund"]}]
