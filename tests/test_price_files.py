"""Price files are read cell by cell, and a bad one is refused by name, line, column, value and remedy."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastadl.errors import InputError
from fastadl.stress import paths
from fastadl.stress.paths.files import read_path
from fastadl.stress.paths.path import eight_digits

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "price_paths"
WIDE = "time,BTC,ETH\n0,100,10.50\n3600,90,9\n"


def write(folder, text, name="btcusdt_1h.csv"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def parquet(folder, columns, name="btcusdt_1h.parquet"):
    file = folder / name
    pl.DataFrame(columns).write_parquet(file)
    return file


def read(*files):
    return read_path([str(file) for file in files])


def shown(path):
    return path.times.tolist(), path.symbols, path.marks.tolist()


def test_wide_files_have_one_close_column_per_symbol(tmp_path):
    path = read(write(tmp_path, WIDE))
    assert shown(path) == ([0, 3600], ("BTC", "ETH"), [[100, 10.5], [90, 9]])
    assert path.source == "btcusdt_1h.csv"
    assert (path.times.dtype, path.marks.dtype) == (np.int64, np.float64)


def test_a_scenario_of_files_anchors_their_assets_and_can_be_written_down(tmp_path):
    file = write(tmp_path, "time,BTCUSDT,eth-perp\n0,7923.79,0.1\n60,7000,0.2\n")
    scenario = paths.read(file)
    assert scenario.anchors == {"BTC": Fraction("7923.79"), "ETH": Fraction("0.1")}
    assert list(scenario.anchors) == ["BTC", "ETH"]
    assert scenario.to_dict() == {"prices": [str(file)]}
    assert scenario.source == file.name


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("ts_ms,date,symbol,open,high,low,close,volume\n60000,x,BTCUSD,1,2,0.5,1.5,7\n", "BTCUSD"),
        (
            "\ufeffdate,open,high,low,close,volume,ticker\r\n1970-01-01 00:01:00,1,2,0.5,1.5,7,XBT\r\n\r\n",
            "XBT",
        ),
        ("Date,Open,High,Low,Close\n1970-01-01T00:01:00+00:00,1,2,0.5,1.50\n", "btcusdt"),
        ('time,open,high,low,close\n60,1,2,0.5,"15e-1"\n', "btcusdt"),
        ("\n\ntime, close \n\n60, 1.5 \n", "btcusdt"),
        ("time,close,volume\n60,1.5,\n", "btcusdt"),
    ],
)
def test_ohlcv_files_give_their_close(tmp_path, text, symbol):
    assert shown(read(write(tmp_path, text))) == ([60], (symbol,), [[1.5]])


LONG = "time,symbol,close\n0,BTC,1\n60,BTC,2\n0,ETH,3\n60,ETH,4\n"


@pytest.mark.parametrize(
    "text",
    [LONG, "time,symbol,close\n0,BTC,1\n0,ETH,3\n60,BTC,2\n60,ETH,4\n", LONG.replace("symbol", "pair")],
)
def test_long_files_have_several_symbols_in_any_order(tmp_path, text):
    assert shown(read(write(tmp_path, text))) == ([0, 60], ("BTC", "ETH"), [[1, 3], [2, 4]])


MOMENTS = [datetime(2020, 3, 12, 10), datetime(2020, 3, 12, 11)]
SECONDS = [1584007200, 1584010800]


@pytest.mark.parametrize(
    "times",
    [
        pl.Series(MOMENTS, dtype=pl.Datetime("ns")),
        pl.Series(MOMENTS, dtype=pl.Datetime("ms")),
        pl.Series([moment.replace(tzinfo=UTC) for moment in MOMENTS]).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(SECONDS, dtype=pl.UInt32),
        pl.Series([1000 * time for time in SECONDS]),
        pl.Series(["2020-03-12 10:00", "2020-03-12T11:00:00Z"]),
    ],
)
def test_times_of_parquet_files_are_spelled_in_any_way(tmp_path, times):
    assert read(parquet(tmp_path, {"time": times, "BTC": [1.0, 2.0]})).times.tolist() == SECONDS


def test_dates_are_midnights(tmp_path):
    path = read(parquet(tmp_path, {"date": [date(1970, 1, 2), date(1970, 1, 3)], "BTC": [1, 2]}))
    assert path.times.tolist() == [86400, 172800]


@pytest.mark.parametrize(
    "prices",
    [[9.9, 0.1], pl.Series([9.9, 0.1], dtype=pl.Float32), [Decimal("9.9"), Decimal("0.1")], ["9.9", " 1e-1"]],
)
def test_prices_of_parquet_files_are_numbers_of_any_kind(tmp_path, prices):
    wide = read(parquet(tmp_path, {"time": [0, 60], "BTC": prices}))
    assert shown(wide) == ([0, 60], ("BTC",), [[9.9], [0.1]])
    columns = {"time": [0, 60], "open": [1, 2], "close": prices, "ticker": ["X", "X"]}
    assert shown(read(parquet(tmp_path, columns))) == ([0, 60], ("X",), [[9.9], [0.1]])


def test_long_parquet_files_and_csv_files_are_joined(tmp_path):
    columns = {"time": [0, 0, 60, 60], "symbol": ["A", "B"] * 2, "close": [1, 2, 3, 4]}
    long = parquet(tmp_path, {**columns, "symbol": pl.Series(columns["symbol"], dtype=pl.Categorical)})
    path = read(long, write(tmp_path, "time,BTC\n0,5\n60,6\n"))
    assert shown(path) == ([0, 60], ("A", "B", "BTC"), [[1, 2, 5], [3, 4, 6]])


def test_several_files_are_joined_on_the_span_they_share(tmp_path):
    long = write(tmp_path, "time,BTC\n0,1\n60,2\n120,3\n180,4\n", "a.csv")
    short = write(tmp_path, "time,ETH\n60,5\n120,6\n", "b.csv")
    path = read(long, short)
    assert shown(path) == ([60, 120], ("BTC", "ETH"), [[2, 5], [3, 6]])
    assert path.source == "a.csv, b.csv"


@pytest.mark.parametrize(
    "symbol", ["BTC", "btcusd", "BTCUSDT", "BTC-PERP", "BTC/USDT:USDT", "BTCUSD_PERP", "BTC-USD", " BTCPERP"]
)
def test_symbols_of_one_asset_have_its_name(symbol):
    assert paths.asset_of(symbol) == "BTC"


@pytest.mark.parametrize(("symbol", "asset"), [("USDT", "USDT"), ("USTUSDT", "UST"), ("FTTUSDT", "FTT")])
def test_a_quote_is_only_cut_off_an_asset(symbol, asset):
    assert paths.asset_of(symbol) == asset


def test_eight_digits_are_the_float_of_that_decimal():
    prices = np.array([123456.789123, 0.000123456789, 1.0, 9.99999999, 123456789012.0, 3e-12, 99999999.6])
    assert eight_digits(prices).tolist() == [
        *(123456.79, 0.00012345679, 1.0, 10.0, 123456790000.0, 3e-12, 100000000.0)
    ]


BAD = [
    ("", "/header", "nothing"),
    ("a,b\n1,2\n", "/header", "a,b"),
    ("time\n1\n", "/header", "time"),
    ("time,open,high,low\n1,2,3,4\n", "/header", "time,open,high,low"),
    ("time,BTC,btc\n1,2,3\n", "/header", "time,BTC,btc"),
    ("time,BTC,BTCUSD\n1,2,3\n", "/header", "BTCUSD"),
    ("time,BTC\n", "/line/2", "nothing"),
    ("time,BTC\n0,1\n60\n", "/line/3", "1 cells"),
    ("time,BTC\n0,1,2\n", "/line/2", "3 cells"),
    *(
        (f"time,BTC\n0,1\n60,{price}\n", "/line/3/BTC", price)
        for price in ("nan", "0", "0.00", "-5", "inf", "1_0", "1,5")[:-1]
    ),
    ("time,BTC\n0,\n", "/line/2/BTC", "''"),
    ("time,open,high,low,close\n0,1,1,1,NaN\n", "/line/2/close", "NaN"),
    ("time,BTC\n60,1\n60,2\n", "/line/3/time", "60"),
    ("time,BTC\n60,1\n0,2\n", "/line/3/time", "0"),
    *(
        (f"time,BTC\n{time},1\n", "/line/2/time", time)
        for time in ("noon", "-1", "1.5", "100000000500", "2020-13-01")
    ),
    ("date,BTC\n2020-03-12 00:00:00.5,1\n", "/line/2/date", "2020-03-12 00:00:00.5"),
    ("time,symbol,open,high,low,close\n0,BTC,1,1,1,1\n1,ETH,1,1,1,1\n", "/BTC", "no time in common"),
    ("time,symbol,close\n0,A,1\n60,B,2\n60,A,2\n60,B,2\n", "/line/5/time", "60"),
    ("time,symbol,close\n0,A,1\n60,,2\n", "/line/3/symbol", "''"),
    ("time,symbol,price\n0,A,1\n", "/header", "time,symbol,price"),
    ("time,close,BTC\n0,1,1\n", "/header", "time,close,BTC"),
    ("time,BTC,ETH\n0,1,2\n\n60,,3\n", "/line/4/BTC", "''"),
    ("time,BTC,ETH\n0,1,2\n,,\n60,2,3\n", "/line/3", "nothing"),
    ("time,BTC,ETH\n0,1,0\n60,-1,3\n", "/line/2/ETH", "0"),
    ("time,BTC\n0,1\n60,1e999\n", "/line/3/BTC", "1e999"),
    ("time,symbol,open,high,low,close\n0,,1,1,1,1\n", "/line/2/symbol", "''"),
    ('time,BTC\n0,"1\n', "/", "unexpected end of data"),
    (b"time,BTC\n0,\xff\n", "/", "'utf-8' codec"),
    (b"PAR1\x00\x15\x04", "/header", "PAR1"),
]


@pytest.mark.parametrize(("text", "pointer", "value"), BAD)
def test_bad_files_are_refused_naming_line_column_and_value(tmp_path, text, pointer, value):
    file = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        paths.read(file)
    message = str(error.value)
    assert message.startswith(f"{file}: {pointer}: {value}")
    assert message.count("\n") == 0
    assert error.value.remedy


BAD_PARQUET = [
    ({"BTC": [1.0]}, "/header", "BTC"),
    ({"time": [0, 60, 120], "A": [1.0, 2.0, 3.0], "B": [1.0, None, 3.0]}, "/row/1/B", "None"),
    ({"time": [0, 60], "A": [1.0, float("nan")]}, "/row/1/A", "nan"),
    ({"time": [0, 60], "A": [1.0, float("inf")]}, "/row/1/A", "inf"),
    ({"time": [0, 60], "A": [0, 1]}, "/row/0/A", "0"),
    ({"time": [0, 60], "A": [True, False]}, "/header/A", "Boolean"),
    ({"time": [60, 0], "A": [1, 1]}, "/row/1/time", "0"),
    ({"time": [60, None], "A": [1, 1]}, "/row/1/time", "None"),
    ({"time": [0.0, 60.0], "A": [1, 1]}, "/header/time", "Float64"),
    ({"time": [datetime(2020, 1, 1, 0, 0, 0, 5)], "A": [1]}, "/row/0/time", "2020-01-01 00:00:00.000005"),
    ({"time": pl.Series([], dtype=pl.Int64), "A": pl.Series([], dtype=pl.Float64)}, "/row/0", "nothing"),
    ({"time": [0, 0, 60], "symbol": ["A", "B", "A"], "close": [1, 0, 1]}, "/row/1/close", "0"),
    ({"time": [0, 0, 60], "symbol": ["A", None, "A"], "close": [1, 1, 1]}, "/row/1/symbol", "''"),
    (
        {"time": [0, 0, 60, 120, 120], "symbol": list("ABAAB"), "close": [1] * 5},
        "/B",
        "no close at 1970-01-01 00:01:00",
    ),
]


@pytest.mark.parametrize(("columns", "pointer", "value"), BAD_PARQUET)
def test_bad_parquet_files_are_refused_naming_row_column_and_value(tmp_path, columns, pointer, value):
    file = parquet(tmp_path, columns)
    with pytest.raises(InputError) as error:
        paths.read(file)
    assert str(error.value).startswith(f"{file}: {pointer}: {value}")
    assert error.value.remedy


@pytest.mark.parametrize("content", [b"", b"time,BTC\n0,1\n", b"PAR1 and then something else PAR1"])
def test_what_is_no_parquet_file_is_refused(tmp_path, content):
    file = write(tmp_path, content, "prices.parquet")
    with pytest.raises(InputError, match=r"prices\.parquet: /: .*: give a Parquet file"):
        paths.read(file)


def test_missing_files_folders_and_no_files_are_refused(tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    missing = tmp_path / "none.csv"
    for files in (missing, tmp_path, tmp_path / "folder.parquet", [], [write(tmp_path, WIDE), missing]):
        with pytest.raises(InputError):
            paths.read(files)


def test_times_of_one_symbol_that_another_lacks_are_refused_naming_symbol_file_and_time(tmp_path):
    whole = write(tmp_path, "time,BTC\n0,1\n60,2\n120,3\n", "a.csv")
    gap = write(tmp_path, "time,ETH\n0,1\n120,3\n", "b.csv")
    apart = write(tmp_path, "time,SOL\n300,1\n", "c.csv")
    with pytest.raises(InputError, match=r"b\.csv: /ETH: no close at 1970-01-01 00:01:00"):
        paths.read([whole, gap])
    finer = write(tmp_path, "time,ETH\n0,1\n30,1\n60,1\n120,3\n", "d.csv")
    with pytest.raises(InputError, match=r"a\.csv: /BTC: no close at 1970-01-01 00:00:30"):
        paths.read([whole, finer])
    with pytest.raises(InputError, match="no time in common"):
        paths.read([whole, apart])
    with pytest.raises(InputError, match=r"BTCUSDT: .*a\.csv has BTC already"):
        paths.read([whole, write(tmp_path, "time,BTCUSDT\n0,1\n", "e.csv")])


def test_a_hole_in_even_times_is_refused_and_uneven_times_are_not(tmp_path):
    hours = [hour for hour in range(24) if hour not in (7, 8)]
    holed = write(tmp_path, "time,BTC\n" + "".join(f"{3600 * hour},1\n" for hour in hours))
    with pytest.raises(
        InputError, match=r"nothing between 1970-01-01 06:00:00 and 1970-01-01 09:00:00: .*3600"
    ):
        paths.read(holed)
    for times in ((0, 60, 180, 200), (0, 60, 180, 240), range(0, 600, 60), (*range(0, 1200, 60), 1230, 1400)):
        file = write(tmp_path, "time,BTC\n" + "".join(f"{time},1\n" for time in times))
        assert read(file).times.tolist() == list(times)


def test_columns_and_lines_are_found_in_large_files(tmp_path):
    text = "time,A,B\n" + "".join(f"{60 * i},{1 + i},{2 + i}\n\n" for i in range(5000))
    assert read(write(tmp_path, text)).marks[-1].tolist() == [5000, 5001]
    with pytest.raises(InputError, match=r"/line/8000/B: -2"):
        paths.read(write(tmp_path, text.replace("\n239940,4000,4001\n", "\n239940,4000,-2\n")))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no price files in {DATA}")
def test_real_files_are_read():
    luna = read(*sorted(DATA.glob("*2022-05*.csv")))
    assert luna.symbols == ("BTCUSDT", "ETHUSDT", "LUNAUSDT", "USTUSDT")
    assert luna.marks[-1, 2] == 0.00005
