"""The command line: what it prints, refuses and returns (rules R69 to R72 and R79)."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fastadl
from fastadl import cli
from fastadl.__main__ import main as program
from fastadl.policy import CHOICES, VENUES
from fastadl.policy.meaning import events, used
from fastadl.report.policy import example
from fastadl.sharded.dataset import Dataset

EXAMPLES = Path(__file__).parent / "conformance" / "examples"
LISTS = [
    *("liquidations", "executions", "fees", "netted", "fund_payments"),
    *("takeovers", "adl_fills", "socialized", "uncovered", "refused"),
]


def besides_compiling(told: str) -> str:
    """What is said on stderr, whether kernels had to be compiled or not."""
    return "".join(line for line in told.splitlines(True) if not line.startswith("fastadl: compiling "))


class Outcome:
    """Exit code and the two streams of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, besides_compiling(err)

    def refused(self, *parts: str) -> bool:
        """Whether it ended as rule R70 wants a refusal: one line on stderr that holds all parts."""
        assert (self.code, self.out) == (2, "")
        assert self.err.count("\n") == 1
        assert not [part for part in parts if part not in self.err], self.err
        return True


@pytest.fixture
def fastadl_command(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = cli.main([*arguments])
        return Outcome(code, *capsys.readouterr())

    return call


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "fastadl", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options
    )


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """The first worked example with a small fund, as a file."""
    content = json.loads((EXAMPLES / "fund_takes_part.json").read_text("utf-8"))["scenario"]
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(content), "utf-8")
    return file


# ---------------------------------------------------------------- run


def test_run_prints_what_the_example_expects(fastadl_command: Any, scenario: Path) -> None:
    done = fastadl_command("run", str(scenario), "--json")
    assert (done.code, done.err) == (0, "")
    expected = json.loads((EXAMPLES / "fund_takes_part.json").read_text("utf-8"))["expected"]
    assert json.loads(done.out) == expected
    assert done.out.count("\n") == 1


def test_run_shows_every_stage_in_words(fastadl_command: Any, scenario: Path) -> None:
    done = fastadl_command("run", str(scenario))
    assert done.code == 0
    for words in (
        "Tick 0",
        "BTC-PERP 41000",
        "1 of them bankrupt",
        "Taken over by the insurance fund at the bankruptcy price",
        "Auto-deleveraged: BTC-PERP shorts close against bankrupt longs",
        "2,520.00",
        "Nothing is left uncovered.",
        "money ok",
    ):
        assert words in done.out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_tables_fit_the_terminal_and_cut_nothing_off(file: Path, width: int) -> None:
    from rich.console import Console

    from fastadl.report.terminal import print_result

    console = Console(width=width, file=io.StringIO())
    print_result(console, json.loads(file.read_text("utf-8"))["expected"])
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown


def test_a_field_can_be_replaced(fastadl_command: Any, scenario: Path) -> None:
    changes = ["--set", "fund.cash=0", "--set", "policy.price=mark"]
    result = json.loads(fastadl_command("run", str(scenario), "--json", *changes).out)
    assert result["policy"]["price"] == "mark"
    assert result["ticks"][0]["takeovers"] == []
    assert result["ticks"][0]["uncovered"] != []


def test_out_holds_the_result_and_every_list(fastadl_command: Any, scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = fastadl_command("run", str(scenario), "--json", "--out", str(out))
    assert json.loads((out / "result.json").read_text("utf-8")) == json.loads(done.out)
    names = {f"{name}.parquet" for name in [*LISTS, "accounts", "positions"]}
    assert {path.name for path in out.iterdir()} == names | {"result.json"}
    assert pl.read_parquet(out / "adl_fills.parquet")["counterparty"].to_list() == ["bob", "cy"]


def test_out_must_be_empty_and_stays_as_it_was(fastadl_command: Any, scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "full"
    out.mkdir()
    (out / "mine").write_text("kept")
    assert fastadl_command("run", str(scenario), "--out", str(out)).refused(str(out), "new or empty folder")
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_out_that_cannot_be_written(fastadl_command: Any, scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "below"
    assert fastadl_command("run", str(scenario), "--out", str(out)).refused(str(out), "can be written")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "scenario.json"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"instruments": [', ["not JSON"]),
        ('{"instruments": [], "instruments": []}', ["/instruments", "given twice"]),
        (
            '{"instruments": [], "accounts": [], "positions": [], "ticks": [], "fnd": 1}',
            ["/fnd", "did you mean fund"],
        ),
        ('{"instruments": [], "accounts": [], "positions": []}', ["/ticks", "required"]),
        (
            '{"instruments": [], "accounts": [{"id": "a", "cash": 1.5}], "positions": [], "ticks": []}',
            ["/accounts/0/cash", "1.5"],
        ),
        (
            '{"instruments": [], "accounts": [], "positions": [], "ticks": [], "policy": "okx"}',
            ["/policy", "okx_2025"],
        ),
    ],
    ids=["cut short", "key twice", "unknown key", "missing key", "float", "unknown policy"],
)
def test_refused_files_are_named_with_place_value_and_remedy(
    fastadl_command: Any, tmp_path: Path, text: str, parts: list[str]
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert fastadl_command("run", str(file), "--json").refused(f"{file}: ", *parts)


def test_a_file_that_is_not_there(fastadl_command: Any, tmp_path: Path) -> None:
    assert fastadl_command("run", str(tmp_path / "none.json")).refused("none.json", "no such file")


def test_a_broken_law_ends_with_1(
    fastadl_command: Any, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastadl.scenario import Run

    honest = Run.result
    broken = {"lots": True, "money": False, "fills": True, "bankrupt_closed_at_zero": True}
    monkeypatch.setattr(Run, "result", lambda self: honest(self) | {"checks": broken})
    assert fastadl_command("run", str(scenario), "--json").code == 1
    assert "money BROKEN" in fastadl_command("run", str(scenario)).out


# ---------------------------------------------------------------- stress

SMALL = ("stress", "--positions", "2000", "--instruments", "3")


def test_stress_shows_in_80_columns_what_happened_and_who_paid(
    fastadl_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = fastadl_command(*SMALL)
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    for words in ("2,000 positions", "March 2020", "Traders deleveraged", "Who paid", "bitmex: ", "money ok"):
        assert words in done.out


def test_stress_as_json_and_in_a_folder(fastadl_command: Any, tmp_path: Path) -> None:
    done = fastadl_command(*SMALL, "--json", "--out", str(tmp_path / "out"), "--seed", "2")
    result = json.loads(done.out)
    assert len(result["steps"]) == 48
    assert result["experiment"]["seeds"] == [2]
    assert json.loads((tmp_path / "out" / "result.json").read_text("utf-8")) == result
    assert pl.read_parquet(tmp_path / "out" / "steps.parquet").height == 48


def test_stress_runs_an_experiment_with_what_is_given_in_its_place(
    fastadl_command: Any, tmp_path: Path
) -> None:
    file = tmp_path / "crash.toml"
    file.write_text("policies = ['vega']\n[book]\npositions = 1000\ninstruments = 3\n")
    given = (
        "--policy",
        "bitmex",
        "--policy",
        "okx_2025",
        "--scenario",
        "rally",
        "--fund",
        "5",
        "--feedback",
        "off",
    )
    done = fastadl_command("stress", str(file), *given, "--positions", "900", "--json")
    tables = json.loads(done.out)["experiment"]
    assert list(tables["policies"]) == ["bitmex", "okx_2025"]
    assert (tables["book"]["positions"], tables["book"]["instruments"]) == (900, 3)
    assert tables["scenario"]["name"] == "rally"
    assert (tables["fund"], tables["feedback"]) == ({"cash": "5"}, ["off"])


def test_stress_takes_policies_that_the_file_defines_by_name(fastadl_command: Any, tmp_path: Path) -> None:
    file = tmp_path / "crash.toml"
    file.write_text("[book]\npositions = 600\ninstruments = 3\n[policies.mine]\nscore = 'size'\n")
    done = fastadl_command("stress", str(file), "--policy", "mine", "--policy", "bitmex", "--json")
    policies = json.loads(done.out)["experiment"]["policies"]
    assert [policies[name]["score"] for name in ("mine", "bitmex")] == ["size", "bitmex"]


def test_stress_that_is_interrupted_shows_and_writes_what_is_done_and_ends_with_130(
    fastadl_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastadl.stress.payers import Ledger

    add = Ledger.add

    def pressed(self: Ledger, engine: Any, report: Any, paid: int) -> Any:
        if report.tick == 20:
            signal.raise_signal(signal.SIGINT)
        return add(self, engine, report, paid)

    monkeypatch.setattr(Ledger, "add", pressed)
    done = fastadl_command(*SMALL, "--out", str(tmp_path / "out"))
    assert done.code == 130
    assert "Interrupted: 0 of 1 runs are whole; bitmex did 21 of 48 steps." in " ".join(done.out.split())
    assert pl.read_parquet(tmp_path / "out" / "steps.parquet").height == 21


def test_stress_shows_the_pressure_curve_of_its_book(
    fastadl_command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = fastadl_command(*SMALL, "--pressure", "all", "--out", str(tmp_path / "out"))
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"result.json", "pressure.parquet", "by_instrument.parquet"}
    assert pl.read_parquet(tmp_path / "out" / "pressure.parquet").height == 41
    assert (done.code, done.err) == (0, "")
    assert "ADL pressure: every price moves at once" in done.out
    curve = json.loads(fastadl_command(*SMALL, "--pressure", "BTC-PERP", "--json").out)
    assert curve["symbol"] == "BTC-PERP"
    assert len(curve["curve"]) == 41
    assert fastadl_command(*SMALL, "--pressure", "BTC").refused("symbol", "BTC", "such as BTC-PERP")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--policy", "okx"], ["policies", "okx_2025"]),
        (["--shape", "round"], ["shape", "pareto"]),
        (["--positions", "0"], ["positions", "at least 1"]),
        (["--positions", "many"], ["--positions", "many"]),
        (["--prices", "none.csv"], ["none.csv"]),
        (["--prices", "none.csv", "--scenario", "rally"], ["prices", "not both"]),
        (["--scenario", "flash"], ["scenario", "flash-crash"]),
        (["--tiers", "none.json"], ["none.json"]),
        (["--fund", "1e6"], ["fund", "1e6", "without exponent"]),
        (["none.toml"], ["none.toml", "No such file"]),
    ],
)
def test_stress_refuses(fastadl_command: Any, arguments: list[str], parts: list[str]) -> None:
    assert fastadl_command(*SMALL[:1], *arguments).refused(*parts)


# ---------------------------------------------------------------- synth

DRAWN = ("synth", "hyperliquid_like", "--positions", "3000", "--instruments", "20")
CRASH = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def test_synth_says_what_it_drew_and_writes_it(fastadl_command: Any, tmp_path: Path) -> None:
    done = fastadl_command(*DRAWN, "--out", str(tmp_path / "book"))
    assert (done.code, done.err) == (0, "")
    for words in ("3,000 positions of 1,200 accounts in 20 markets, seed 1", "nobody is liquidatable", "MiB"):
        assert words in " ".join(done.out.split())
    assert "Parameters" not in done.out
    book = fastadl.Book.read(tmp_path / "book")
    assert len(book.accounts) == 1200
    assert fastadl.Engine(book).tick({}).liquidations.is_empty()


@pytest.mark.parametrize("shape", fastadl.synth.SHAPES)
@pytest.mark.parametrize("columns", ["80", "120"])
def test_synth_describes_a_shape(
    fastadl_command: Any, monkeypatch: pytest.MonkeyPatch, shape: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = fastadl_command("synth", shape, *DRAWN[2:], "--describe", "--set", "past_volatility=0.33").out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "…" not in out
    shown = {line.split()[0] for line in out.splitlines() if line.split()}
    played = {"size_law", "largest", "rank_slope", "short_share", "long_leverage", "past_volatility"}
    assert played <= shown
    assert ("whale_share" in shown) == (shape == "whale")
    for words in ("0.33", "Given with --set", "-PERP", "Gini", "median", "leverage, net short", "█"):
        assert words in out


def test_synth_as_json_holds_parameters_and_numbers(fastadl_command: Any) -> None:
    one, two = (json.loads(fastadl_command(*DRAWN, "--json").out) for _ in range(2))
    assert one["book"] == two["book"]
    assert one["parameters"]["short_leverage"] == fastadl.synth.SHAPES["hyperliquid_like"].short_leverage
    assert one["book"]["positions"] == 3000
    assert one["against"] is None


def test_synth_beside_real_accounts(fastadl_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CRASH / "hyperliquid_2025-10-10"
    if not folder.is_dir():
        pytest.skip(f"the event's files are not at {folder}: set FASTADL_DATA")
    monkeypatch.setenv("COLUMNS", "80")
    out = fastadl_command(*DRAWN, "--against", str(folder)).out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    for words in ("19,337 real users", "off by ×", "by notional", "Gini", "real", "drawn"):
        assert words in out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["parreto"], ["shape", "parreto", "the nearest is pareto"]),
        (["pareto", "--set", "size_tial=1"], ["size_tial", "the nearest is size_tail"]),
        (["pareto", "--set", "size_tail=0"], ["size_tail", "from 0.1 to 10"]),
        (["pareto", "--set", "size_tail"], ["NAME=VALUE"]),
        (["pareto", "--positions", "0"], ["positions", "at least 1"]),
        (["pareto", "--positions", "9", "--against", "nowhere"], ["nowhere", "no such folder"]),
    ],
)
def test_synth_refuses(fastadl_command: Any, arguments: list[str], parts: list[str]) -> None:
    assert fastadl_command("synth", *arguments).refused(*parts)


def test_synth_writes_nothing_where_it_refuses(fastadl_command: Any, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "kept").touch()
    assert fastadl_command(*DRAWN, "--out", str(full)).refused("not an empty folder")
    fresh = tmp_path / "fresh"
    assert fastadl_command(*DRAWN, "--out", str(fresh), "--against", str(tmp_path)).refused("adl_by_user")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_synth_writes_the_same_book_in_partitions(fastadl_command: Any, tmp_path: Path) -> None:
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    said = fastadl_command(*DRAWN, "--out", parts, "--shards", "3").out
    assert f"{parts}: instruments, accounts and positions as Parquet, partitions: 3." in " ".join(
        said.split()
    )
    fastadl_command(*DRAWN, "--out", whole)
    assert len(Dataset.open(parts).partitions) == 3
    fastadl.testing.assert_books_equal(Dataset.open(parts).book(), fastadl.Book.read(whole))


def test_synth_draws_partitions_apart(fastadl_command: Any, tmp_path: Path) -> None:
    out, place = [], str(tmp_path / "parts")
    given = (*DRAWN, "--out", place, "--shards", "3", "--apart")
    said = fastadl_command(*given).out
    assert "Every partition is a draw of its own" in said
    book = Dataset.open(place).book()
    for _ in range(2):
        shutil.rmtree(place)
        out.append(json.loads(fastadl_command(*given, "--json").out))
    assert out[0]["book"] == out[1]["book"]
    assert (out[0]["apart"], out[0]["shards"], out[0]["written"]) == (True, 3, place)
    numbers = fastadl.synth.describe(book)
    assert out[0]["book"] == pytest.approx({name: numbers[name] for name in out[0]["book"]})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shards", "2"], "shards: 2: say where they are written: --out FOLDER"),
        (["--shards", "0", "--out", "x"], "shards: 0: give a whole number from 1 to 32,768"),
        (["--apart", "--out", "x"], "apart: given: say in how many partitions: --shards N"),
        (["--shards", "2", "--apart", "--out", "x", "--describe"], "describe: given: leave it out"),
        (["--shards", "2", "--apart", "--out", "x", "--against", "y"], "against: y: leave it out"),
        (["--shards", "2000", "--apart", "--out", "x"], "accounts: 1200: give at least 2000"),
    ],
)
def test_synth_refuses_partitions(
    fastadl_command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fastadl_command(*DRAWN, *arguments).refused(said)
    assert not list(tmp_path.iterdir())


def test_synth_that_is_interrupted_leaves_no_partition(
    fastadl_command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*given: Any, **more: Any) -> Any:
        yield fastadl.synth.book("pareto", positions=9, accounts=4, instruments=2, seed=1)
        assert list(tmp_path.glob(".parts.*/part-00000/accounts.parquet"))
        raise KeyboardInterrupt

    monkeypatch.setattr(fastadl.synth, "parts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fastadl_command(*DRAWN, "--out", str(tmp_path / "parts"), "--shards", "3", "--apart")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- the other commands


def test_policies_lists_every_preset_and_value(fastadl_command: Any) -> None:
    out = fastadl_command("policies").out
    words = set(out.replace(",", " ").split())
    assert words >= {*VENUES, *CHOICES, *(value for values in CHOICES.values() for value in values)}


@pytest.mark.parametrize("name", VENUES)
def test_policies_explains_a_preset_on_a_page(fastadl_command: Any, name: str) -> None:
    page = " ".join(fastadl_command("policies", name).out.split())
    venue = VENUES[name]
    for text in (f"{name}: {venue.title}, {venue.date}", venue.documented, venue.assumed, venue.source):
        assert text in page
    for choice, value in used(fastadl.AdlPolicy.of(name)):
        assert f"{choice} {value} " in page
    assert all(step in page for step in events(fastadl.AdlPolicy.of(name)))


@pytest.mark.parametrize("name", VENUES)
def test_the_example_of_a_page_gives_the_policy_something_to_do(name: str) -> None:
    result = fastadl.Scenario.load({**example(name), "policy": name}).run()
    ticks = result["ticks"]
    moved = [entry for tick in ticks for entry in (*tick["adl_fills"], *tick["socialized"])]
    assert moved
    assert all(result["checks"].values())
    assert result["balanced"]


def test_policies_refuses_an_unknown_name(fastadl_command: Any) -> None:
    assert fastadl_command("policies", "bitmax").refused("bitmax", "bitmex")


def test_docs_shows_all_rules_as_they_are_shipped(fastadl_command: Any) -> None:
    shipped = (Path(fastadl.__file__).parent / "docs" / "rules.md").read_text("utf-8")
    assert fastadl_command("docs").out == shipped


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("R27", "### R27 Insurance fund", "netted by R12."),
        ("r1", "### R1 Integers and their bounds", "inside the bound."),
        ("R79", "### R79 Results in a folder", "not at all."),
        ("W2", "### W2 The fund takes a part", '| `fund.equity` | `"0.000000"` |'),
        ("W6", "### W6 Losses charged in cash", '| `accounts.3.cash` | `"-4.48"` |'),
        ("5", "## 5. Wealth space: losses are charged in cash", "what is left is uncovered."),
        ("8", "## 8. Frames and Python", "not at all."),
        ("examples", "# Worked examples", '| `accounts.3.cash` | `"-4.48"` |'),
        ("borders", "# Borders: ccxt and Hyperliquid", ""),
        ("transparency", "# Transparency: why me, and how close am I?", ""),
    ],
)
def test_docs_shows_one_part(fastadl_command: Any, name: str, first: str, last: str) -> None:
    out = fastadl_command("docs", name).out
    assert out.splitlines()[0] == first
    assert " ".join(out.split()).endswith(last)


@pytest.mark.parametrize("name", ["R2x", "r999", "99", "W7", "R", ".*", ""])
def test_docs_refuses_what_is_not_there(fastadl_command: Any, name: str) -> None:
    assert fastadl_command("docs", name).refused(name, "R27")


def test_version(fastadl_command: Any) -> None:
    assert fastadl_command("--version").out == f"{fastadl.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nope"], "nope"),
        (["run"], "FILE"),
        (["run", "a.json", "--jsn"], "--json"),
        (["run", "a.json", "b.json"], "b.json"),
        (["run", "a.json", "--set"], "--set"),
        (["docs", "--all"], "--all"),
    ],
)
def test_a_command_that_is_not_understood(fastadl_command: Any, arguments: list[str], part: str) -> None:
    assert fastadl_command(*arguments).refused("fastadl: ", part)


# ---------------------------------------------------------------- as a process


def test_python_m_fastadl_is_the_command() -> None:
    out, err = process("--version").communicate()
    assert (out, err) == (f"{fastadl.__version__}\n", "")


def test_output_in_another_encoding_does_not_fail() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    started = process("docs", "R15", env=environment)
    out, err = started.communicate()
    assert (started.returncode, err) == (0, "")
    assert "R15" in out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end differently there")
def test_a_reader_that_leaves_early_is_no_error(scenario: Path) -> None:
    for arguments in (["docs"], ["run", str(scenario)], ["run", str(scenario), "--json"]):
        with process(*arguments) as started:
            started.stdout.close()
            assert besides_compiling(started.stderr.read()) == ""
        assert started.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here: a device that takes nothing")
@pytest.mark.parametrize("words", [["docs", "R27"], ["policies", "bitmex"]])
def test_output_that_fits_nowhere_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fastadl", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no space left where the output goes" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_ctrl_c_ends_with_130_and_one_line(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = f"""
import sys, time
from fastadl.__main__ import main
from fastadl.scenario import Run
def wait(self):
    print("ready", flush=True)
    time.sleep(600)
Run.frames = wait
sys.argv = ["fastadl", "run", {str(scenario)!r}, "--out", {str(out)!r}]
sys.exit(main())
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as started:
        assert started.stdout.readline() == "ready\n"
        time.sleep(0.1)
        started.send_signal(signal.SIGINT)
        rest, err = started.communicate(timeout=120)
    assert (started.returncode, rest) == (130, "")
    assert besides_compiling(err) == "fastadl: interrupted; nothing was written\n"
    assert not out.exists()


def test_the_program_returns_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fastadl", "docs", "W0"])
    assert program() == 2
    assert capsys.readouterr().err.startswith("docs: W0: ")


def test_an_interrupt_anywhere_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert program() == 130
    assert capsys.readouterr() == ("", "fastadl: interrupted; nothing was written\n")
