"""Every typed fact of a crash stands in the data, at its hour; moves beyond all prices are refused."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fastadl import synth
from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.stress import paths
from fastadl.stress.paths.events import EVENTS

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}")
HOUR = 3600
FILES = {
    ("2020-03-12", "BTC"): "btcusd_gemini*2020*",
    **{("2021-05-19", asset): f"{asset.lower()}usdt*2021-05*" for asset in ("BTC", "ETH")},
    **{("luna-2022-05", asset): f"{asset.lower()}usdt*2022-05*" for asset in ("BTC", "ETH", "LUNA", "UST")},
    **{("ftx-2022-11", asset): f"{asset.lower()}usdt*2022-11*" for asset in ("BTC", "ETH", "FTT")},
}


def hours(pattern):
    (file,) = (DATA / "price_paths").glob(pattern)
    with open(file, encoding="utf-8") as text:
        return {
            int(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC).timestamp()): row
            for row in csv.DictReader(text)
        }


@needs_data
@pytest.mark.parametrize(("event", "asset"), FILES)
def test_every_fact_is_a_close_or_a_low_of_its_hour(event, asset):
    rows = hours(FILES[event, asset])
    for moment, price in EVENTS[event].facts[asset].items():
        known = [rows[moment]["open"]] if moment in rows else []
        if event == "2020-03-12":  # closes that stand at the beginning of their hour, as the source has them
            known.append(rows[moment]["close"])
        if (hour := rows.get(moment - HOUR)) is not None:
            known += [hour["close"], hour["low"]]
        if (hour := rows.get(moment - HOUR // 2)) is not None:
            known.append(hour["low"])
        assert price in [float(one) for one in known], (asset, moment, price)


@needs_data
def test_prices_of_the_deleveraging_rounds_are_those_published():
    file = DATA / "hyperliquid_2025-10-10" / "derived_adl_vwap_by_wave_coin.csv"
    with open(file, encoding="utf-8") as text:
        published = {}
        for row in csv.DictReader(text):
            published.setdefault(row["coin"], []).append((int(row["t_start_ms"]), float(row["adl_vwap"])))
    event = EVENTS["2025-10-10"]
    for asset, facts in event.facts.items():
        rounds = [moment for moment in facts if 1760130960 < moment <= 1760131320]  # 21:16 to 21:22
        assert len(rounds) >= 2
        for moment in rounds:
            near = [price for at, price in published[asset] if -15 < moment - at / 1000 < 75]
            assert any(price == pytest.approx(facts[moment], rel=1e-3) for price in near), (asset, moment)


@pytest.mark.parametrize(
    "parameters",
    [
        {"jump_mean": 5.0, "jumps": 1000.0},
        {"jump_mean": -5.0, "jumps": 1000.0},
        {"drift": -1000.0, "steps": 1000, "seconds": 86400},
    ],
)
def test_moves_beyond_all_prices_are_refused_naming_a_market(parameters):
    scenario = paths.named("jumps", **parameters)
    with pytest.raises(InputError, match=r"column [A-Z0-9]+-PERP: a move of .*: give smaller moves"):
        scenario.path(Instruments(synth.perpetuals(5)), 1)


def test_prices_hundreds_of_powers_of_ten_apart_are_refused_without_a_warning(tmp_path):
    file = tmp_path / "wild.csv"
    file.write_text("time,BTC\n0,1e-300\n60,1e300\n")
    scenario = paths.read(file)
    with pytest.raises(InputError, match="give smaller moves"):
        scenario.path(Instruments(synth.perpetuals(3, marks={"BTC": Fraction(1)})), 1)


@pytest.mark.parametrize("files", [5, None, [5], {"a.csv": 1}, b"a.csv"])
def test_what_names_no_files_is_refused(files):
    with pytest.raises(InputError, match="give the name of a CSV or Parquet file"):
        paths.read(files)


def test_marks_are_decimals_of_eight_digits_whatever_the_size_of_prices():
    scenario = paths.named("luna-2022-05")
    marks = scenario.path(Instruments(synth.perpetuals(12, marks=scenario.anchors)), 1).marks
    assert marks.min() == 5e-05
    again = np.array([float(f"{mark:.7e}") for mark in marks.ravel()])
    assert np.array_equal(again, marks.ravel())
