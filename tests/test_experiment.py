"""Experiments in files: read, refused by name, and written so that they can be run again."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from fastadl.errors import InputError
from fastadl.policy import Fund
from fastadl.stress import Experiment
from fastadl.sweep import Sweep

TOML = """
seeds = [3, 4]
feedback = ["off", "all"]
fund = { cash = "1000", max_drawdown = "0.3" }

[book]
shape = "pareto"
positions = 500
instruments = 3

[scenario]
name = "flash-crash"
depth = 0.4

[liquidity]
impact = "square_root"
slice = "0.2"

[policies.usual]
preset = "bitmex"

[policies.by_size]
preset = "bitmex"
allocation = "pro_rata_size"
"""


def file_of(folder: Path, text: str) -> Path:
    file = folder / "crash.toml"
    file.write_text(text)
    return file


def test_a_file_says_everything(tmp_path: Path) -> None:
    read = Experiment.load(file_of(tmp_path, TOML))
    assert (read.seeds, read.feedback, read.runs) == ((3, 4), ("off", "all"), 8)
    assert (read.book.positions, read.book.instruments, read.book.accounts) == (500, 3, None)
    assert read.fund.fund == Fund("1000", max_drawdown="0.3")
    assert read.scenario.parameters["depth"] == 0.4
    assert read.liquidity.impact == "square_root"
    assert read.liquidity.partial.slice is not None
    assert read.policies["by_size"].allocation == "pro_rata_size"


def test_what_was_run_can_be_run_again_from_its_result(tmp_path: Path) -> None:
    first = Experiment.load(file_of(tmp_path, TOML))
    result = first.run(out=tmp_path / "out")
    again = Experiment.load(tmp_path / "out" / "result.json")
    assert again.to_dict() == first.to_dict()
    assert Experiment.load(tmp_path / "out" / "experiment.toml").to_dict() == first.to_dict()
    clock = [name for name in result.steps.columns if name.startswith("seconds")]
    assert again.run().steps.drop(clock).equals(result.steps.drop(clock))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"fund": "5"},
        {"fund": {"share": "0.01"}},
        {
            "fund": {
                "cash": "7",
                "min_equity": "-1",
                "daily_share": "0.5",
                "limits": {"BTC-PERP": {"max_loss": 3}},
            }
        },
        {"policies": {"mine": {"space": "wealth"}}},
        {"book": {"positions": 50, "seed": 0}, "seeds": [1, 2]},
        {"scenario": {"name": "jumps", "steps": 5}, "seeds": 9},
        {"liquidity": {"markets": {"BTC-PERP": "1000.5"}, "slice": "0.2", "cooldown": 30}},
    ],
)
def test_tables_there_and_back(given: dict[str, Any]) -> None:
    tables = json.loads(json.dumps(Experiment(**given).to_dict()))
    assert Experiment.of(tables).to_dict() == tables
    assert Experiment.of(tomllib.loads(Experiment(**given).to_toml())).to_dict() == tables


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("positions = 5", ["/positions", "no such field"]),
        ("[bok]", ["/bok", "did you mean book?"]),
        ("[book]\nposition = 5", ["/book/position", "did you mean positions?"]),
        ("[book]\nsize_tale = 5", ["/book/size_tale", "did you mean size_tail?"]),
        ("[book]\nseed = -1", ["/book/seed", "at least 0"]),
        ("[book]\nseed = 1.5", ["/book/seed", "whole number"]),
        ("[book]\npositions = 'many'", ["/book/positions", "whole number"]),
        ("[book]\nshape = 'paretto'", ["/book/shape", "pareto"]),
        ("[liquidity]\nimpct = 'linear'", ["/liquidity/impct", "did you mean impact?"]),
        ("[liquidity]\nimpact = 'cubic'", ["/liquidity/impact", "linear, square_root"]),
        ("[liquidity]\ndepth = '0'", ["/liquidity/depth", "above 0"]),
        ("[liquidity]\ndistance = '-1'", ["/liquidity/distance", "above 0"]),
        ("[scenario]\nname = 'flash-crush'", ["/scenario", "did you mean flash-crash?"]),
        ("[scenario]\nname = 'flash-crash'\ndept = 0.5", ["/scenario/dept", "did you mean depth?"]),
        ("[scenario]\ndepth = 0.5", ["/scenario", "a name with its parameters, or prices"]),
        ("[scenario]\nprices = 'no.csv'\nbeta = 1", ["/scenario/beta", "no such field"]),
        ("scenario = 5", ["/scenario", "5"]),
        ("[fund]\nshares = '1'", ["/fund/shares", "did you mean"]),
        ("[fund]\nshare = '-1'", ["/fund/share", "0 or more"]),
        ("[fund]\nshare = '1'\ncash = '5'", ["/fund/share", "or cash and its rules"]),
        ("policies = ['bitmx']", ["/policies/bitmx", "bitmex"]),
        ("policies = ['bitmex', 'bitmex']", ["/policies", "once"]),
        ("policies = []", ["/policies", "at least one"]),
        ("policies = [5]", ["/policies", "table of choices for each name"]),
        ("[policies.mine]\nscore = 'bitmx'", ["/policies/mine/score", "bitmex"]),
        ("seeds = []", ["/seeds"]),
        ("seeds = [1, -2]", ["/seeds/1", "0 or more"]),
        ("seeds = [1, 1]", ["/seeds", "once"]),
        ("seeds = [true]", ["/seeds/0"]),
        ("feedback = 'some'", ["/feedback", "off, liquidations, all"]),
        ("feedback = ['all', 'all']", ["/feedback", "once"]),
        ("seeds = [", ["at end of document"]),
        ("book = 5", ["/book", "table"]),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    file = file_of(tmp_path, text)
    with pytest.raises(InputError) as error:
        Experiment.load(file)
    said = str(error.value)
    assert said.startswith(str(file))
    assert "\n" not in said
    for part in parts:
        assert part in said


def test_a_file_that_is_not_there_or_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml.*No such file"):
        Experiment.load(tmp_path / "none.toml")
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InputError, match="tables of an experiment"):
        Experiment.load(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("book", "match"),
    [
        ({"positions": 0}, "positions: 0: give at least 1"),
        ({"positions": "5"}, "whole number"),
        ({"accounts": -1}, "accounts"),
        ({"instruments": 0}, "instruments: 0: give at least 1"),
        ({"shape": "paretto"}, "pareto"),
        ({"size_tail": 0}, "from 0.1 to 10"),
        ({"tiers": "/nowhere.json"}, r"/nowhere\.json"),
    ],
)
def test_bad_books_are_refused_before_anything_runs(book: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Experiment(book={"positions": 50, "instruments": 2, **book}).run()


def test_the_examples_of_the_documentation_are_an_experiment_and_a_sweep() -> None:
    page = (files("fastadl") / "docs" / "stress.md").read_text("utf-8")
    one, many = re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    said = Experiment.of(tomllib.loads(one))
    assert (said.runs, said.book.positions, said.liquidity.cooldown) == (18, 1_000_000, 30)
    assert [len(Sweep.of(tomllib.loads(many)).points), said.seeds] == [6, (1, 2, 3)]
