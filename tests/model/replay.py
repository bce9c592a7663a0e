"""The four laws, recomputed from a scenario and its output alone; no other part of the model is used.

The input book plus the lists of every tick must give the output book, to the last atom. Any engine's output
can be held against this.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, trunc
from typing import Any

Raw = dict[str, Any]
Key = tuple[str, str, str]  # account, symbol, side

RESERVED = ("fund", "market")
OPPOSITE = {"long": "short", "short": "long"}


@dataclass
class Ledger:
    """Cash and rows in atoms and lots, moved by report entries only."""

    decimals: int
    lot_sizes: dict[str, Fraction]
    inverse: set[str]
    cash: dict[str, int] = field(default_factory=dict)
    lots: dict[Key, int] = field(default_factory=dict)
    entry_values: dict[Key, int] = field(default_factory=dict)

    def atoms(self, amount: str | int) -> int:
        return whole(Fraction(amount) * 10**self.decimals)

    def count(self, symbol: str, qty: str) -> int:
        return whole(Fraction(qty) / self.lot_sizes[symbol])

    def money(self) -> int:
        return sum(self.cash.values()) - sum(self.entry_values.values())

    def signed_lots(self) -> dict[str, int]:
        total = dict.fromkeys(self.lot_sizes, 0)
        for (_, symbol, side), lots in self.lots.items():
            total[symbol] += lots if side == "long" else -lots
        return total

    def close(self, key: Key, lots: int, value: int) -> int:
        """R10, law 3."""
        held = self.lots.get(key, 0)
        assert 0 < lots <= held, f"{key}: {lots} lots closed of {held}"
        released = trunc(Fraction(self.entry_values[key] * lots, held))
        self.cash[key[0]] += value - released
        self.entry_values[key] -= released
        self.lots[key] -= lots
        if lots == held:
            del self.lots[key], self.entry_values[key]
        return value - released

    def take(self, account: str, symbol: str, side: str, lots: int, value: int) -> int:
        """R12; returns what the taker realised."""
        realized = 0
        opposite = (account, symbol, OPPOSITE[side])
        netted = min(lots, self.lots.get(opposite, 0))
        if netted:
            paid = trunc(Fraction(value * netted, lots))
            realized = self.close(opposite, netted, -paid)
            lots, value = lots - netted, value - paid
        if lots:
            key = (account, symbol, side)
            self.lots[key] = self.lots.get(key, 0) + lots
            self.entry_values[key] = self.entry_values.get(key, 0) + value
        return realized

    def pay(self, payer: str, payee: str, amount: int) -> None:
        self.cash[payer] -= amount
        self.cash[payee] += amount


def whole(number: Fraction) -> int:
    assert number.denominator == 1, f"{number} is not whole"
    return int(number)


def open_ledger(scenario: Raw) -> Ledger:
    """The input book."""
    decimals = scenario.get("currency", {}).get("decimals", 6)
    instruments = {raw["symbol"]: raw for raw in scenario["instruments"]}
    ledger = Ledger(
        decimals,
        {symbol: Fraction(raw["lot"]) for symbol, raw in instruments.items()},
        {symbol for symbol, raw in instruments.items() if raw["kind"] == "inverse"},
    )
    ledger.cash = {raw["id"]: ledger.atoms(raw["cash"]) for raw in scenario["accounts"]}
    ledger.cash |= {"fund": ledger.atoms((scenario.get("fund") or {}).get("cash", 0)), "market": 0}
    for raw in scenario["positions"]:
        instrument, qty = instruments[raw["symbol"]], Fraction(raw["qty"])
        key = (raw["account"], raw["symbol"], "long" if qty > 0 else "short")
        ledger.lots[key] = abs(ledger.count(raw["symbol"], raw["qty"]))
        if "entry_value" in raw:
            ledger.entry_values[key] = ledger.atoms(raw["entry_value"])
        else:
            face = qty * Fraction(instrument["contract_size"]) * 10**decimals
            price = Fraction(raw["entry_price"])
            ledger.entry_values[key] = ceil(
                -face / price if raw["symbol"] in ledger.inverse else face * price
            )
    return ledger


def check_laws(scenario: Raw, output: Raw) -> None:
    """Raise where the output breaks a law, or does not follow from the input and its own lists."""
    ledger = open_ledger(scenario)
    lots, money = ledger.signed_lots(), ledger.money()
    for tick in output["ticks"]:
        replay_tick(ledger, output["policy"], tick)
        assert ledger.signed_lots() == lots, "law 1: lots"
        assert ledger.money() == money, "law 2: money"
        check_closed_at_zero(ledger, output["policy"], tick)
    assert_same_book(ledger, output)


def replay_tick(ledger: Ledger, policy: Raw, tick: Raw) -> None:
    bankrupt = {entry["account"] for entry in tick["liquidations"] if Fraction(entry["shortfall"]) > 0}
    treated = {entry["account"] for entry in tick["liquidations"]} if unfilled(policy) else bankrupt
    for entry in tick["executions"]:
        replay_transfer(ledger, entry, "market")
    for entry in tick["fees"]:
        ledger.pay(entry["account"], "fund", ledger.atoms(entry["amount"]))
    for entry in tick["netted"]:
        replay_netting(ledger, entry)
    for entry in tick["takeovers"]:
        assert entry["account"] in treated
        replay_transfer(ledger, entry, "fund")
    for entry in tick["adl_fills"]:
        assert entry["counterparty"] not in {*bankrupt, *RESERVED}, "law 3: who was asked"
        if policy["trigger"] == "pool_profit":
            replay_payout(ledger, entry)
        else:
            assert entry["bankrupt"] in treated - {entry["counterparty"]}
            replay_fill(ledger, entry)
        assert policy["price"] != "entry" or Fraction(entry["realized_pnl"]) == 0, "R85: entry"
    for entry in tick["fund_payments"]:
        ledger.pay("fund", entry["account"], ledger.atoms(entry["amount"]))
    for entry in tick["socialized"]:
        ledger.cash[entry["account"]] += ledger.atoms(entry["amount"])
    assert sum(Fraction(entry["amount"]) for entry in tick["socialized"]) == 0, "law 2: socialized"
    check_refused(ledger, policy, tick)


def unfilled(policy: Raw) -> bool:
    """R87: solvent accounts go the way of the bankrupt."""
    return bool(policy["trigger"] == "unfilled")


def check_refused(ledger: Ledger, policy: Raw, tick: Raw) -> None:
    """R86: the list is there with guard `health` only, and nobody refuses twice for the same row."""
    assert ("refused" in tick) == (policy["guard"] == "health")
    seen = [(entry["account"], entry["bankrupt"], entry["symbol"]) for entry in tick.get("refused", [])]
    assert len(seen) == len(set(seen))
    for entry in tick.get("refused", []):
        assert ledger.count(entry["symbol"], entry["qty"]) > 0
        assert entry["account"] != entry["bankrupt"]


def replay_transfer(ledger: Ledger, entry: Raw, taker: str) -> None:
    """An execution or a takeover."""
    lots, value = ledger.count(entry["symbol"], entry["qty"]), ledger.atoms(entry["value"])
    realized = ledger.close((entry["account"], entry["symbol"], entry["side"]), lots, value)
    assert realized == ledger.atoms(entry["realized_pnl"])
    ledger.take(taker, entry["symbol"], entry["side"], lots, value)


def replay_netting(ledger: Ledger, entry: Raw) -> None:
    lots = ledger.count(entry["symbol"], entry["qty"])
    legs = [(entry["account"], entry["symbol"], side) for side in ("long", "short")]
    realized = sum(ledger.close(leg, lots, 0) for leg in legs)
    assert realized == ledger.atoms(entry["realized_pnl"])


def replay_fill(ledger: Ledger, entry: Raw) -> None:
    symbol, side = entry["symbol"], entry["side"]
    lots, value = ledger.count(symbol, entry["qty"]), ledger.atoms(entry["value"])
    by_bankrupt = ledger.close((entry["bankrupt"], symbol, side), lots, value)
    by_counterparty = ledger.close((entry["counterparty"], symbol, OPPOSITE[side]), lots, -value)
    assert by_bankrupt == ledger.atoms(entry["bankrupt_realized_pnl"])
    assert by_counterparty == ledger.atoms(entry["realized_pnl"])


def replay_payout(ledger: Ledger, entry: Raw) -> None:
    """R90: the fund takes what it pays a winner for."""
    assert entry["bankrupt"] == "fund"
    symbol, side = entry["symbol"], OPPOSITE[entry["side"]]
    lots, value = ledger.count(symbol, entry["qty"]), -ledger.atoms(entry["value"])
    by_counterparty = ledger.close((entry["counterparty"], symbol, side), lots, value)
    by_fund = ledger.take("fund", symbol, side, lots, value)
    assert by_counterparty == ledger.atoms(entry["realized_pnl"])
    assert by_fund == ledger.atoms(entry["bankrupt_realized_pnl"])


def check_closed_at_zero(ledger: Ledger, policy: Raw, tick: Raw) -> None:
    """Law 4. A row that R26 cut to price zero shows as a row of negative value closed for nothing."""
    for liquidation in tick["liquidations"]:
        account = liquidation["account"]
        takeovers = [entry for entry in tick["takeovers"] if entry["account"] == account]
        fills = [entry for entry in tick["adl_fills"] if entry["bankrupt"] == account]
        elsewhere = (fills and policy["price"] != "bankruptcy") or any(e["at"] == "mark" for e in takeovers)
        closed_for: dict[tuple[str, str], int] = {}
        for entry in takeovers + fills:
            row = (entry["symbol"], entry["side"])
            closed_for[row] = closed_for.get(row, 0) + ledger.atoms(entry["value"])
        cut = any(
            value == 0 and (side == "long") == (symbol in ledger.inverse)
            for (symbol, side), value in closed_for.items()
        )
        still_open = any(key[0] == account for key in ledger.lots)
        if closed_for and not (still_open or elsewhere or cut):
            assert ledger.cash[account] == 0, f"law 4: {account} ends with {ledger.cash[account]}"


def assert_same_book(ledger: Ledger, output: Raw) -> None:
    cash = {entry["id"]: ledger.atoms(entry["cash"]) for entry in output["accounts"]}
    cash |= {account: ledger.atoms(output[account]["cash"]) for account in RESERVED}
    assert cash == ledger.cash
    lots, entry_values = {}, {}
    for entry in output["positions"]:
        signed = ledger.count(entry["symbol"], entry["qty"])
        key = (entry["account"], entry["symbol"], "long" if signed > 0 else "short")
        lots[key], entry_values[key] = abs(signed), ledger.atoms(entry["entry_value"])
    assert lots == ledger.lots
    assert entry_values == ledger.entry_values
    assert output["balanced"] == (not any(ledger.signed_lots().values()))
