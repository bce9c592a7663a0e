"""Small books for hand-computed examples, and what is read off their ticks."""

from typing import Any

from model.output import run
from model.replay import check_laws

Raw = dict[str, Any]

ROW = ("account", "symbol", "qty", "entry_price")
FLAT = [{"min_notional": "0", "maintenance_rate": "0.01"}]
BANKRUPT = "b X 10 100"  # with cash 100 and a mark of 80: equity -100, bankruptcy price 90


def play(rows: str, cash: str, ticks: list[Raw], *, tiers: list[Raw] = FLAT, **fields: Any) -> list[Raw]:
    """Run whole dollars and whole contracts: rows `account symbol qty entry_price`, ticks as marks alone."""
    accounts = fields.pop("accounts", {})
    held = [dict(zip(ROW, row.split(), strict=True)) for row in rows.split(", ")]
    scenario = {
        "currency": {"code": "USD", "decimals": 0},
        "instruments": [
            {"symbol": symbol, "kind": "linear", "contract_size": "1", "lot": "1", "tiers": tiers}
            for symbol in sorted({row["symbol"] for row in held})
        ],
        "accounts": [
            {"id": account, "cash": amount} | accounts.get(account, {})
            for account, amount in (entry.split() for entry in cash.split(", "))
        ],
        "positions": held,
        "ticks": [tick if "marks" in tick else {"marks": tick} for tick in ticks],
    }
    output = run(scenario | fields)
    check_laws(scenario | fields, output)
    assert all(output["checks"].values())
    ran: list[Raw] = output["ticks"]
    return ran


def fills(tick: Raw) -> list[tuple[str, int, int]]:
    return [(fill["counterparty"], int(fill["qty"]), int(fill["value"])) for fill in tick["adl_fills"]]


def takeovers(tick: Raw) -> list[tuple[str, int]]:
    return [(entry["account"] + entry["symbol"], int(entry["qty"])) for entry in tick["takeovers"]]


def socialized(tick: Raw) -> dict[str, int]:
    return {entry["account"]: int(entry["amount"]) for entry in tick["socialized"]}
