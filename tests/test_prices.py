"""Price paths are read exactly, and a bad file is refused by name, line, column, value and remedy."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from fastadl.errors import InputError
from fastadl.stress import prices
from fastadl.stress.shipped import MARCH_2020

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "price_paths"
WIDE = "time,BTC,ETH\n0,100,10.50\n3600,90,9\n"


def write(folder, text, name="btcusdt_1h.csv"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_wide_files_have_one_close_column_per_symbol(tmp_path):
    path = prices.read(write(tmp_path, WIDE))
    assert path.times == (0, 3600)
    assert path.symbols == ("BTC", "ETH")
    assert path.closes == (("100", "10.5"), ("90", "9"))
    assert path.source == "btcusdt_1h.csv"


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
    ],
)
def test_ohlcv_files_give_their_close(tmp_path, text, symbol):
    path = prices.read([write(tmp_path, text)])
    assert (path.times, path.symbols, path.closes) == ((60,), (symbol,), (("1.5",),))


def test_a_close_never_goes_through_a_float(tmp_path):
    digits = "12345678901234567890.123456789012345678901"
    assert prices.read(write(tmp_path, f"time,X\n0,{digits}\n")).closes == ((digits,),)
    assert prices.read(write(tmp_path, "time,X\n0,5e-05\n1,1E2\n")).closes == (("0.00005",), ("100",))


def test_several_files_are_joined_on_the_span_they_share(tmp_path):
    long = write(tmp_path, "time,BTC\n0,1\n60,2\n120,3\n180,4\n", "a.csv")
    short = write(tmp_path, "time,ETH\n60,5\n120,6\n", "b.csv")
    path = prices.read([long, short])
    assert path.times == (60, 120)
    assert path.symbols == ("BTC", "ETH")
    assert path.closes == (("2", "5"), ("3", "6"))
    assert path.source == "a.csv, b.csv"


@pytest.mark.parametrize(
    "symbol", ["BTC", "btcusd", "BTCUSDT", "BTC-PERP", "BTC/USDT:USDT", "BTCUSD_PERP", "BTC-USD", " BTCPERP"]
)
def test_symbols_of_one_asset_have_its_name(symbol):
    assert prices.asset_of(symbol) == "BTC"


@pytest.mark.parametrize(("symbol", "asset"), [("USDT", "USDT"), ("USTUSDT", "UST"), ("FTTUSDT", "FTT")])
def test_a_quote_is_only_cut_off_an_asset(symbol, asset):
    assert prices.asset_of(symbol) == asset


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
    ("time,symbol,open,high,low,close\n0,BTC,1,1,1,1\n1,ETH,1,1,1,1\n", "/line/3/symbol", "ETH"),
    ("time,symbol,open,high,low,close\n0,,1,1,1,1\n", "/line/2/symbol", "''"),
    ('time,BTC\n0,"1\n', "/", "unexpected end of data"),
    (b"time,BTC\n0,\xff\n", "/", "'utf-8' codec"),
    (b"PAR1\x00\x15\x04", "/header", "PAR1"),
]


@pytest.mark.parametrize(("text", "pointer", "value"), BAD)
def test_bad_files_are_refused_naming_line_column_and_value(tmp_path, text, pointer, value):
    file = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        prices.read(file)
    shown = str(error.value)
    assert shown.startswith(f"{file}: {pointer}: {value}")
    assert shown.count("\n") == 0
    assert error.value.remedy


def test_missing_files_folders_and_no_files_are_refused(tmp_path):
    for files in (tmp_path / "none.csv", tmp_path, [], [write(tmp_path, WIDE), tmp_path / "none.csv"]):
        with pytest.raises(InputError):
            prices.read(files)


def test_gaps_between_symbols_are_refused_naming_symbol_file_and_time(tmp_path):
    whole = write(tmp_path, "time,BTC\n0,1\n60,2\n120,3\n", "a.csv")
    gap = write(tmp_path, "time,ETH\n0,1\n120,3\n", "b.csv")
    apart = write(tmp_path, "time,SOL\n300,1\n", "c.csv")
    with pytest.raises(InputError, match=r"b\.csv: /ETH: no close at 1970-01-01 00:01:00"):
        prices.read([whole, gap])
    with pytest.raises(InputError, match="no time in common"):
        prices.read([whole, apart])
    with pytest.raises(InputError, match=r"BTCUSDT: .*a\.csv has BTC already"):
        prices.read([whole, write(tmp_path, "time,BTCUSDT\n0,1\n", "d.csv")])


def test_the_shipped_path_is_48_hours_of_march_2020():
    assert len(MARCH_2020.times) == len(MARCH_2020.closes) == 48
    assert {b - a for a, b in zip(MARCH_2020.times, MARCH_2020.times[1:], strict=False)} == {3600}
    closes = [Decimal(close) for (close,) in MARCH_2020.closes]
    assert (closes[0], min(closes)) == (Decimal("7923.79"), Decimal(4160))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no price files in {DATA}")
def test_real_files_are_read_and_agree_with_the_shipped_path():
    path = prices.read(next(DATA.glob("btcusd_gemini*.csv")))
    start = path.times.index(MARCH_2020.times[0])
    assert path.times[start : start + 48] == MARCH_2020.times
    assert path.closes[start : start + 48] == MARCH_2020.closes
    luna = prices.read(sorted(DATA.glob("*2022-05*.csv")))
    assert luna.symbols == ("BTCUSDT", "ETHUSDT", "LUNAUSDT", "USTUSDT")
    assert luna.closes[-1][2] == "0.00005"
