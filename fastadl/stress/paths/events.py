"""What is known of five crashes: dated highs, lows and closes, as published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

__all__ = ["EVENTS", "Event", "Facts"]

#: Price by moment: seconds since 1970.
Facts: TypeAlias = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Event:
    """A crash as it is known.

    Attributes
    ----------
    title, source : str
    seconds : int
        Between two steps. All facts are at whole steps.
    facts : mapping of str to mapping of int to float
        By asset, largest market first, and moment. All begin at one moment and end at one.
    leaders : tuple of str
        Assets whose median return the markets follow that have no facts.
    beta : float
        How they follow: by this power.
    """

    title: str
    source: str
    seconds: int
    facts: Mapping[str, Facts]
    leaders: tuple[str, ...]
    beta: float = 1.2


def _facts(month: str, text: str) -> Facts:
    """Facts written as ``day hour:minute price`` in a month such as ``2021-05``."""
    words = text.replace(",", " ").split()
    found = {}
    for day, clock, price in zip(words[::3], words[1::3], words[2::3], strict=True):
        moment = datetime.fromisoformat(f"{month}-{day} {clock}").replace(tzinfo=UTC)
        found[int(moment.timestamp())] = float(price)
    return found


def _hourly(first: str, closes: str) -> Facts:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return {
        int((start + timedelta(hours=hour)).timestamp()): float(close)
        for hour, close in enumerate(closes.split())
    }


_MARCH_2020 = Event(
    title="Bitcoin halves in a day, 12 and 13 March 2020",
    source="BTC/USD on Gemini, hourly closes, 12 and 13 March 2020, each at the beginning of its hour",
    seconds=3600,
    facts={
        "BTC": _hourly(
            "2020-03-12",
            """
            7923.79 7712.25 7635.04 7656.57 7611.18 7635.24 7493.24 7380.61
            7365.24 7350.52 6092.44 6000.06 6007.81 5969.81 6099.16 6126.96
            6087.68 6113.66 5986 6029.94 5723.01 5795.02 5791.86 4830.45
            4681.06 4160 4997.99 5301.14 5301.14 4964.57 5263.35 5463.85
            5350.01 5756.11 5682.67 5467.65 5606.63 5669.27 5427.93 5236.95
            5207.02 5215.75 5005.33 5476.06 5465.26 5563.4 5673.98 5653.03
            """,
        )
    },
    leaders=("BTC",),
)

_MAY_2021 = Event(
    title="Leverage is washed out, 19 May 2021",
    source="BTC and ETH against USDT on Binance, 19 and 20 May 2021: closes and lows of hours",
    seconds=1800,
    facts={
        "BTC": _facts(
            "2021-05",
            """
            19 00:00 42849.78, 19 02:00 40843.52, 19 05:00 39307.66, 19 08:00 40371.44, 19 11:00 39432.27,
            19 12:00 38700, 19 12:30 32488.89, 19 13:00 35234.62, 19 13:30 30000, 19 14:00 35863.06,
            19 15:00 37521.32, 19 17:00 39580.68, 19 19:00 37961.02, 19 20:00 39342.93, 19 23:00 39090.15,
            20 00:00 36690.09, 20 00:30 34850, 20 01:00 35817.31, 20 03:00 38051.34,
            20 08:00 39959.68, 20 12:00 40475.17
            """,
        ),
        "ETH": _facts(
            "2021-05",
            """
            19 00:00 3375.07, 19 02:00 3188.24, 19 05:00 2931.56, 19 08:00 2985, 19 11:00 2856.56,
            19 12:00 2721.08, 19 12:30 1960, 19 13:00 2365.18, 19 13:30 1888, 19 14:00 2493.69,
            19 15:00 2612.74, 19 17:00 2852.6, 19 19:00 2604.36, 19 23:00 2657, 20 00:00 2438.92,
            20 00:30 2155, 20 01:00 2230.9, 20 03:00 2465.76, 20 08:00 2712.69, 20 12:00 2754.41
            """,
        ),
    },
    leaders=("BTC", "ETH"),
)

_LUNA = Event(
    title="Terra's dollar loses its peg and LUNA all its value, 7 to 13 May 2022",
    source="LUNA, UST, BTC and ETH against USDT on Binance, 7 to 13 May 2022: closes and lows of hours",
    seconds=3600,
    facts={
        "BTC": _facts(
            "2022-05",
            """
            07 00:00 36013.77, 08 00:00 35472.39, 09 00:00 34038.4, 09 16:00 32341.53, 09 20:00 30944.82,
            10 00:00 30076.31, 10 08:00 31609.78, 11 00:00 31017.1, 11 12:00 31533.15, 11 16:00 30977.61,
            11 20:00 29372.22, 11 22:00 27785, 12 00:00 29103.94, 12 01:00 29831.35, 12 04:00 28406.15,
            12 06:00 26700, 12 08:00 28193.4, 12 16:00 29021.27, 13 00:00 29029.75, 13 01:00 29545.39
            """,
        ),
        "ETH": _facts(
            "2022-05",
            """
            07 00:00 2692.85, 08 00:00 2635.34, 09 00:00 2519.71, 09 16:00 2381.87, 09 20:00 2270.68,
            10 00:00 2228.55, 10 08:00 2373.68, 11 00:00 2342.05, 11 12:00 2410.22, 11 16:00 2264.53,
            11 20:00 2117.42, 11 22:00 2005, 12 00:00 2084.99, 12 01:00 2152.25, 12 04:00 1971.56,
            12 06:00 1800, 12 08:00 1916.3, 12 16:00 1968.23, 13 00:00 1960.22, 13 01:00 2013.13
            """,
        ),
        "LUNA": _facts(
            "2022-05",
            """
            07 00:00 77.3, 08 00:00 68.13, 09 00:00 64.26, 09 16:00 57.38, 09 20:00 46.96, 10 00:00 30.29,
            10 12:00 32.46, 11 00:00 17.46, 11 04:00 13.59, 11 08:00 5.71, 11 12:00 1.59, 11 13:00 0.7302,
            11 15:00 4.0874, 11 20:00 1.2193, 12 00:00 1.0769, 12 04:00 0.392, 12 08:00 0.1407,
            12 10:00 0.026, 12 11:00 0.0871, 12 16:00 0.00887, 12 20:00 0.03834, 12 21:00 0.02757,
            12 22:00 0.00408, 13 00:00 0.00032, 13 01:00 0.00005
            """,
        ),
        "UST": _facts(
            "2022-05",
            """
            07 00:00 0.9998, 08 00:00 0.9939, 09 00:00 0.9954, 09 16:00 0.9846, 10 00:00 0.754,
            10 04:00 0.747, 10 07:00 0.9389, 10 21:00 0.9087, 11 00:00 0.7987, 11 06:00 0.6988,
            11 07:00 0.5084, 11 08:00 0.225, 11 09:00 0.5, 11 13:00 0.28976, 11 16:00 0.54994,
            12 01:00 0.775101, 12 10:00 0.411989, 12 13:00 0.631432, 12 17:00 0.340322, 13 00:00 0.363505,
            13 01:00 0.245779
            """,
        ),
    },
    leaders=("BTC", "ETH"),
)

_FTX = Event(
    title="A run on FTX takes its token and the market down, 7 to 10 November 2022",
    source="BTC, ETH and FTT against USDT on Binance, 7 to 10 November 2022: closes and lows of hours",
    seconds=3600,
    facts={
        "BTC": _facts(
            "2022-11",
            """
            07 00:00 20905.58, 07 08:00 20635.74, 08 00:00 20591.13, 08 08:00 19796.9, 08 16:00 19520.97,
            08 17:00 20371.06, 08 18:00 19342.67, 08 20:00 17166.83, 08 21:00 18159.77, 08 22:00 18702.22,
            09 00:00 18547.23, 09 12:00 17818.08, 09 16:00 17116.08, 09 22:00 15751.13, 10 00:00 15588,
            10 01:00 16272.46, 10 04:00 16369.59
            """,
        ),
        "ETH": _facts(
            "2022-11",
            """
            07 00:00 1568.29, 07 08:00 1550.01, 08 00:00 1568.1, 08 08:00 1492, 08 16:00 1462.48,
            08 17:00 1545.82, 08 18:00 1447.42, 08 20:00 1233, 08 21:00 1310.57, 08 22:00 1336.7,
            09 00:00 1334.77, 09 11:00 1136.13, 09 12:00 1220.04, 09 16:00 1163.02, 09 20:00 1195.47,
            09 22:00 1106.68, 10 00:00 1073.53, 10 01:00 1146.14, 10 04:00 1174.16
            """,
        ),
        "FTT": _facts(
            "2022-11",
            """
            07 00:00 22.26, 08 00:00 22.08, 08 04:00 17.94, 08 08:00 18.13, 08 16:00 14.49, 08 17:00 17.93,
            08 18:00 11.45, 08 19:00 6.99, 08 20:00 2.51, 08 21:00 5.3094, 08 22:00 6.1037, 09 00:00 5.5,
            09 10:00 4.2263, 09 12:00 4.9329, 09 16:00 4.0621, 09 22:00 2.4003, 10 00:00 2.012,
            10 04:00 2.3804
            """,
        ),
    },
    leaders=("BTC", "ETH"),
)

#: Facts: average prices of Hyperliquid's deleveraging rounds 1, 4, 8, 13 and 14, which fell into the minutes
#: before 21:17, 21:18, 21:19, 21:20 and 21:21 UTC; SUI's, LINK's and XRP's last are of round 17, ENA's of 21
#: (21:22:11), XRP's first is of 7, ETH's of 9, SOL's of 2 and 9, BNB's second of 11. Reported elsewhere: what
#: stands in the first and the last column for BTC, ETH, XRP and BNB, and the last for SOL and DOGE.
_ROUNDS = """
         20:50     21:17     21:18     21:19     21:20     21:21     21:22     21:50
BTC     117000         -         -         -    106170    102950         -    114500
ETH       4000         -         -    3556.3    3427.7    3373.7         -      3900
SOL          -    174.44         -    162.74    156.17    147.56         -       190
XRP       2.63         -         -     2.052    1.8054    1.4979    1.3207      2.33
BNB       1200         -    1019.2    959.55    904.51    876.05         -      1075
HYPE         -      36.2    34.445    33.949    35.001    34.095         -         -
DOGE         -    0.1891    0.1696    0.1473    0.1281    0.1001         -      0.18
ADA          -     0.633    0.5405    0.5093    0.4039    0.3353         -         -
AVAX         -    22.075    20.323    18.275    13.703    11.132         -         -
LINK         -      17.5    15.909    14.651    12.406    10.767     8.527         -
SUI          -     2.586     2.199     1.954     1.279    0.9621    0.6136         -
LTC          -    113.19    105.34    96.735    76.713    69.963         -         -
UNI          -     6.205     5.564     5.034     4.139     3.433         -         -
ENA          -     0.397    0.3441    0.3079    0.2176    0.1562    0.3143         -
PUMP         -  0.003908  0.002918  0.002967  0.002342  0.002188         -         -
XPL          -    0.4998    0.3831    0.3521    0.2889    0.2568         -         -
TON          -     2.015     1.815     1.515    0.9125    0.5732         -         -
WLD          -    0.8908    0.7677    0.5895    0.3198    0.2663         -         -
FARTCOIN     -    0.4257    0.3357    0.2442    0.1763    0.1245         -         -
IP           -     6.598     5.655     4.244     1.412         -         -         -
TRUMP        -      5.83     4.678     4.253     2.097     1.369         -         -
LINEA        -   0.01755   0.01456   0.01324  0.008797  0.005643         -         -
"""
#: Assumed where nothing is known: before the first round a price fell by this share since 20:50,
_FIRST_LEG = 0.2
#: a third of the fall to its first price came before 21:10, as the next ten minutes were the wildest;
_BEFORE = 1 / 3
#: at 21:50 it has made good this share of its whole fall (SOL, XRP and DOGE did 0.6 to 0.8),
_REGAINED = 0.6
#: most of that before 21:30. All shares but the first are of logarithms.
_SOON = 0.8


def _rounds(text: str) -> dict[str, Facts]:
    """The table of the rounds, with what is assumed before and after."""
    header, *rows = text.strip().splitlines()
    moments = [_october(at) for at in header.split()]
    found: dict[str, Facts] = {}
    for row in rows:
        asset, *cells = row.split()
        known = {at: float(cell) for at, cell in zip(moments, cells, strict=True) if cell != "-"}
        start = known.pop(moments[0], known[min(known)] / (1 - _FIRST_LEG))
        low, first = min(known.values()), known[min(known)]
        end = known.pop(moments[-1], low * (start / low) ** _REGAINED)
        last = known[max(known)]
        assumed = {moments[0]: start, _october("21:10"): start * (first / start) ** _BEFORE}
        assumed |= {_october("21:30"): last * (end / last) ** _SOON, moments[-1]: end}
        found[asset] = known | {at: float(f"{price:.4g}") for at, price in assumed.items()}
    return found


def _october(clock: str) -> int:
    return int(datetime.fromisoformat(f"2025-10-10 {clock}").replace(tzinfo=UTC).timestamp())


_OCTOBER_2025 = Event(
    title="The largest liquidation day so far, 10 October 2025, 20:50 to 21:50 UTC",
    source=(
        "Hyperliquid's deleveraging prices by round (arXiv 2512.01112) and press reports of 10 October 2025; "
        "assumed: most markets' fall of 20 % before the first round, and what they made good after the last"
    ),
    seconds=60,
    facts=_rounds(_ROUNDS),
    leaders=tuple(_rounds(_ROUNDS)),
    beta=1.0,
)

#: The crashes by name.
EVENTS: Mapping[str, Event] = {
    "2020-03-12": _MARCH_2020,
    "2021-05-19": _MAY_2021,
    "luna-2022-05": _LUNA,
    "ftx-2022-11": _FTX,
    "2025-10-10": _OCTOBER_2025,
}
