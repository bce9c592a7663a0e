"""The command line: ``fastadl run | stress | synth | policies | reproduce | bench | warmup | docs``."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from fastadl import __version__
from fastadl.errors import InputError

if TYPE_CHECKING:
    from fastadl.stress import Pressure

__all__ = ["app", "main"]

app = App(
    name="fastadl",
    help="Exact liquidation, insurance fund and auto-deleveraging for leveraged futures.",
    version=__version__,
    version_format="plaintext",
    suppress_keyboard_interrupt=False,
)


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code (rule R70).

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; those of the process if left out.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _refuse(f"fastadl: {' '.join(str(error).split())} See fastadl --help.")
    except InputError as error:
        return _refuse(str(error))
    return code if isinstance(code, int) else 0


def _refuse(line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201
    return 2


@app.command
def run(
    file: str,
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
    out: str | None = None,
    set: Annotated[list[str] | None, Parameter(negative="")] = None,
) -> int:
    """Run a scenario file and show what every tick did.

    Parameters
    ----------
    file
        JSON, or TOML by its ending .toml (fastadl docs, section 6).
    json
        Print one JSON object instead of tables.
    out
        Write the result and its lists into this new or empty folder.
    set
        Replace a field before the file is validated, e.g. policy.price=mark; may be given several times.
    """
    from fastadl import io
    from fastadl.report.compiling import compiling
    from fastadl.report.terminal import print_result
    from fastadl.scenario import Scenario, write_result

    with compiling(_Console(stderr=True)):
        started = Scenario.load(file, overrides=set or ()).start()
        if out is not None:
            io.check_folder(out)
        for _ in started:
            pass
    result = started.result()
    if out is not None:
        write_result(result, started.frames(), out)
    if json:
        _print_json(result)
    else:
        print_result(_Console(), result)
    return 0 if all(result["checks"].values()) else 1


def _print_json(result: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stress:
    """What is run, in place of what the experiment's file says.

    Parameters
    ----------
    positions
        Open positions of traders; a million unless given.
    accounts
        Two for every five positions unless given.
    instruments
        Those that the scenario names come first; 300 unless given.
    shape
        How positions and accounts are drawn; an unknown name lists them.
    seed
        The same seed draws the same book and path; may be given several times.
    scenario
        A crash such as flash-crash or 2020-03-12; an unknown name lists them.
    prices
        CSV or Parquet files in place of a scenario: a time column and one column of closes per symbol, or
        OHLCV with one symbol a file.
    tiers
        JSON file of leverage tiers as ccxt gives them, for every asset named there.
    policy
        A preset of fastadl policies; may be given several times.
    fund
        Cash of the insurance fund; 0.5 % of the open interest unless given.
    feedback
        Whose orders move later prices: off, liquidations or all; may be given several times.
    """

    positions: int | None = None
    accounts: int | None = None
    instruments: int | None = None
    shape: str | None = None
    seed: Annotated[list[int] | None, Parameter(negative="")] = None
    scenario: str | None = None
    prices: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None
    tiers: str | None = None
    policy: Annotated[list[str] | None, Parameter(negative="")] = None
    fund: str | None = None
    feedback: Annotated[list[str] | None, Parameter(negative="")] = None

    def changes(self) -> dict[str, Any]:
        """What was given, by table of an experiment's file."""
        if self.scenario is not None and self.prices is not None:
            raise InputError(("prices",), ", ".join(self.prices), "give prices or a scenario, not both")
        drawn = ("positions", "accounts", "instruments", "shape", "tiers")
        given = {
            "book": {name: getattr(self, name) for name in drawn if getattr(self, name) is not None} or None,
            "scenario": {"prices": self.prices} if self.prices is not None else self.scenario,
            "seeds": self.seed,
            "policies": self.policy,
            "fund": self.fund,
            "feedback": self.feedback,
        }
        return {name: value for name, value in given.items() if value is not None}


@app.command
def stress(
    file: str | None = None,
    /,
    what: Annotated[_Stress, Parameter(name="*")] = _Stress(),
    *,
    pressure: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    out: str | None = None,
) -> int:
    """Drive a synthetic book through a crash, under one policy or several side by side.

    Without anything: a million positions through bitcoin's 12 and 13 March 2020. Ctrl-C keeps what is done.

    Parameters
    ----------
    file
        An experiment in TOML, or the result.json of one to run it again; what is given beside it replaces
        what it says.
    pressure
        Show the pressure curve of the book instead: a market such as BTC-PERP that moves alone, or all.
    json
        Print one JSON object instead of tables.
    out
        Write result.json and every frame as Parquet into this new or empty folder.
    """
    # on a machine that does other work too, threads that wait for each other busily take it from the others
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from fastadl.report.stress import show, watching
    from fastadl.stress import Experiment

    changes = what.changes()
    experiment = Experiment.of(changes) if file is None else Experiment.of_file(file, changes)
    if pressure is not None:
        _show_pressure(experiment.pressure(None if pressure == "all" else pressure), json=json, out=out)
        return 0
    with watching(_Console(stderr=True)) as progress:
        result = experiment.run(out=out, progress=progress)
    if json:
        _print_json(result.to_dict())
    else:
        show(result, _Console())
    return 130 if not result.finished else 0 if result.ok else 1


def _show_pressure(curve: Pressure, *, json: bool, out: str | None) -> None:
    from fastadl.report.pressure import show
    from fastadl.scenario import write_result

    if out is not None:
        frames = {"pressure": curve.frame, "by_instrument": curve.by_instrument}
        write_result(curve.to_dict(), frames, out)
    if json:
        _print_json(curve.to_dict())
    else:
        show(curve, _Console())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """What a synthetic book is made of.

    Parameters
    ----------
    positions
        Open positions of traders.
    accounts
        Two for every five positions unless given.
    instruments
        Largest market first.
    seed
        The same seed draws the same book.
    set
        Another value of a parameter of the shape, e.g. size_tail=0.9; may be given several times.
    """

    positions: int = 1_000_000
    accounts: int | None = None
    instruments: int = 300
    seed: int = 1
    set: Annotated[list[str] | None, Parameter(negative="")] = None


@app.command
def synth(
    shape: str,
    /,
    what: Annotated[_Drawn, Parameter(name="*")] = _Drawn(),
    *,
    describe: Annotated[bool, Parameter(negative="")] = False,
    against: str | None = None,
    out: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Draw a synthetic book, and say what it is like.

    Parameters
    ----------
    shape
        pareto, retail, hyperliquid_like, whale, hedged, crowded_long or uniform.
    describe
        Show parameters, quantiles and histograms.
    against
        Compare with the accounts deleveraged on 2025-10-10: the folder of their CSV files.
    out
        Write the book into this new or empty folder, as Parquet.
    json
        Print one JSON object instead of tables.
    """
    from fastadl.report.compiling import compiling
    from fastadl.report.synth import show
    from fastadl.synth.command import drawn

    with compiling(_Console(stderr=True)):
        made = drawn(shape, against_folder=against, out=out, **asdict(what))
    if json:
        _print_json(made)
    else:
        show(made, _Console(), described=describe)


@app.command
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

    console = _Console()
    if name is not None:
        show(name, console)
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
    console.print(table("Presets", _columns(*presets[0]), presets))
    console.print(table("Choices (rules R66, R80)", _columns(*choices[0]), choices))
    console.print(table("Parameters (rule R80)", _columns(*numbers[0]), numbers))
    console.print(
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


@app.command
def reproduce(folder: str, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
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
        _print_json(result.to_dict())
    else:
        show(result, _Console())


@app.command
def bench(
    *,
    positions: int = 1_000_000,
    only: Annotated[list[str] | None, Parameter(negative="")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    html: str | None = None,
) -> int:
    """Measure this machine: fastadl beside its rivals and the memory's own limit. Ctrl-C keeps what is done.

    Parameters
    ----------
    positions
        Size of the books.
    only
        A group of benchmarks such as mark; may be given several times. An unknown name lists them.
    json
        Print one JSON object instead of tables.
    html
        Also write a page for people into this file.
    """
    from fastadl.bench import reserve

    reserve()
    from fastadl.bench.run import Bench
    from fastadl.report import bench as report
    from fastadl.report.bench_page import page

    planned = Bench(positions, only or ())
    if html is not None:
        _check_writable(html)
    result = report.run(planned, _Console(stderr=True))
    if html is not None:
        Path(html).write_text(page(result), "utf-8")
    if json:
        _print_json(result)
    else:
        report.show(result, _Console())
    return 0 if result["finished"] else 130


def _check_writable(file: str) -> None:
    """Refuse now what could not be written when a long run is over."""
    there = Path(file).exists()
    try:
        with Path(file).open("a"):
            pass
        if not there:
            Path(file).unlink()
    except OSError as error:
        raise InputError(
            ("html",), file, f"give a file that can be written ({error.strerror or error})"
        ) from None


@app.command
def warmup(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compile every kernel now, or load it from the cache, so that no later tick has to wait.

    Parameters
    ----------
    json
        Print one JSON object instead of a table.
    """
    from fastadl.report.compiling import show, warm

    found = warm(_Console(stderr=True))
    if found is None:
        return 130
    if json:
        _print_json(found.to_dict())
    else:
        show(found, _Console())
    return 0


@app.command
def docs(rule: str | None = None, /) -> None:
    """Show the rules, or one of them, a section, or a worked example.

    Parameters
    ----------
    rule
        A rule such as R27, a section 1 to 9, a worked example such as W1, examples for all of them, or stress
        for what the stress lab simulates and how far to believe it.
    """
    text = _documentation(rule)
    console = _Console()
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        sys.stdout.write(text)


def _documentation(name: str | None) -> str:
    folder = files("fastadl") / "docs"
    rules = (folder / "rules.md").read_text("utf-8")
    examples = (folder / "examples.md").read_text("utf-8")
    if name is None:
        return rules
    if name == "examples":
        return examples
    if name == "stress":
        return (folder / "stress.md").read_text("utf-8")
    heading = rf"## {name}\. " if name.isdigit() else rf"### {re.escape(name.upper())} "
    end = "#{1,2} " if name.isdigit() else "#{1,3} "
    found = re.search(rf"^{heading}.*?(?=^{end}|\Z)", rules + "\n" + examples, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise InputError(
            ("docs",),
            name,
            "name a rule such as R27, a section 1 to 9, an example W1 to W6, examples, or stress",
        )
    return found[0].rstrip() + "\n"
