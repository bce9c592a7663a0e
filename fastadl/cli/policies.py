"""``fastadl policies`` and ``fastadl reproduce``: rules of venues and papers."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from fastadl.cli.terminal import Flag, console, print_json

__all__ = ["policies", "reproduce"]


def policies(name: str | None = None, /) -> None:
    """Show the presets and all choices, or one preset in full.

    Parameters
    ----------
    name
        A preset such as okx_2025.
    """
    from fastadl.policy import CHOICES, PARAMETERS, VENUES
    from fastadl.report.policy import show
    from fastadl.report.terminal import table

    terminal = console()
    if name is not None:
        show(name, terminal)
        return
    presets = [
        {
            "preset": preset,
            "what": f"{venue.title}, {venue.date}",
            "differs by": ", ".join(f"{choice} {_written(value)}" for choice, value in venue.choices.items()),
        }
        for preset, venue in VENUES.items()
    ]
    choices = [
        {"choice": choice, "values, the first by default": ", ".join(values)}
        for choice, values in (*CHOICES.items(), ("then", ("up to four scores that decide ties",)))
    ]
    numbers = [{"parameter": name, "of": parameter.told} for name, parameter in PARAMETERS.items()]
    terminal.print(table("Presets", _columns(*presets[0]), presets))
    terminal.print(table("Choices (rules R66, R80)", _columns(*choices[0]), choices))
    terminal.print(table("Parameters (rule R80)", _columns(*numbers[0]), numbers))
    terminal.print(
        Text(
            "fastadl policies NAME explains a preset; --set policy.price=mark changes a choice of a scenario."
        )
    )


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_written(each) for each in value)
    return str(getattr(value, "name", value))


def _columns(*names: str) -> list[Any]:
    return [(name, lambda entry, name=name: entry[name]) for name in names]


def reproduce(folder: str, /, *, json: Flag = False) -> None:
    """Recompute the published policy table of the event of 2025-10-10, and what it leaves out.

    Parameters
    ----------
    folder
        With the CSV files of the study (pluriholonomic/autodeleveraging-analysis).
    json
        Print one JSON object instead of tables.
    """
    from fastadl.report.reproduce import show
    from fastadl.reproduce import reproduce as recompute

    result = recompute(folder)
    if json:
        print_json(result.to_dict())
    else:
        show(result, console())
