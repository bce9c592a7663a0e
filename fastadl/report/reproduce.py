"""The reproduced policy table on a terminal: as published, then what the published definitions leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from rich.console import Console
from rich.text import Text

from fastadl.report.terminal import NOTHING, Number, money, table
from fastadl.reproduce import NAMES, REFERENCE, Reproduction

__all__ = ["show"]

Entry: TypeAlias = dict[str, Any]
Column: TypeAlias = tuple[str, Callable[[Entry], object]]

_POLICY: Column = ("policy", lambda row: row["policy"])


def show(result: Reproduction, console: Console) -> None:
    """Print the published table, the sums behind it, and the flaws."""
    of = result.totals
    policies = result.policies.to_dicts()
    console.print(
        table(
            f"Published: {of['rounds']} rounds, in USD",
            [
                _POLICY,
                *_usd("tracking", "fairness", "total"),
                ("of bound", _percent("of_bound")),
            ],
            policies,
        ),
        table(
            "The production queue by the time its profit forgone is valued at, in USD",
            [
                ("after ms", lambda row: row["horizon_ms"]),
                *_usd("taken", "net", "overshoot", "undershoot"),
                ("in rounds", lambda row: row["rounds_under"]),
            ],
            result.horizons.to_dicts(),
        ),
        table(
            "What the definitions leave out, in USD",
            [
                _POLICY,
                *_usd("one_sided", "overshoot", "undershoot"),
                ("of bound once", _percent("of_bound_once")),
            ],
            policies,
        ),
        _sums(of),
        sep="\n",
    )


def _sums(of: dict[str, float]) -> Text:
    left_out = of["queue_budget_left_out"] / of["queue_budget"] if of["queue_budget"] else 0.0
    lines = {
        "Deficit": f"{_amount(of['deficit'])}; needed {_amount(of['needed'])}; severity moves by "
        f"{of['variation']:.4f}; regret bound {_amount(of['regret_bound'])}",
        "Debts counted once": f"deficit {_amount(of['deficit_once'])}: a loss of "
        f"{_amount(of['repeated_loss'])} is the largest of {of['repeated_in']} rounds; severity moves by "
        f"{of['variation_once']:.4f}; regret bound {_amount(of['regret_bound_once'])}",
        "Fairness": f"is needed · |largest burden − that of {NAMES[REFERENCE]}|, which also counts being "
        "fairer; one-sided it is not",
        "Overshoot": "is published as the net of all rounds; above are its two parts",
        "Rounds left out": f"{of['rounds_left_out']}, with {_amount(of['queue_budget_left_out'])} of the "
        f"{_amount(of['queue_budget'])} ({left_out:.1%}) that the queue closed",
        "First version": f"{of['shocks']:,} shocks, {of['shocks_with_deficit']} with a deficit, together "
        f"{_amount(of['queue_deficit'])}; overshoot against it {_amount(of['queue_overshoot'])}, residual "
        f"{_amount(of['queue_residual'])}",
    }
    text = Text()
    for heading, line in lines.items():
        text.append(f"{heading}: ", style="bold").append(f"{line}\n")
    text.rstrip()
    return text


def _amount(usd: float) -> str:
    return str(money(f"{usd:.2f}"))


def _usd(*columns: str) -> list[Column]:
    def shown(column: str) -> Column:
        return (column, lambda row: money(f"{row[column]:.2f}"))

    return [shown(column) for column in columns]


def _percent(column: str) -> Callable[[Entry], Number]:
    return lambda row: Number(NOTHING if row[column] is None else f"{row[column]:.1%}")
