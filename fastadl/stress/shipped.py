"""The price path that comes with the package: bitcoin on 12 and 13 March 2020.

Facts: the 48 hourly closes of BTC/USD on Gemini from 2020-03-12 00:00 to 2020-03-13 23:00 UTC, each at the
beginning of its hour; 7,923.79 at first and 4,160.00 at the lowest.
"""

from __future__ import annotations

from fastadl.stress.prices import Path

__all__ = ["MARCH_2020"]

_FIRST_HOUR = 1583971200
_CLOSES = """
7923.79 7712.25 7635.04 7656.57 7611.18 7635.24 7493.24 7380.61
7365.24 7350.52 6092.44 6000.06 6007.81 5969.81 6099.16 6126.96
6087.68 6113.66 5986 6029.94 5723.01 5795.02 5791.86 4830.45
4681.06 4160 4997.99 5301.14 5301.14 4964.57 5263.35 5463.85
5350.01 5756.11 5682.67 5467.65 5606.63 5669.27 5427.93 5236.95
5207.02 5215.75 5005.33 5476.06 5465.26 5563.4 5673.98 5653.03
"""

MARCH_2020 = Path(
    times=tuple(_FIRST_HOUR + 3600 * hour for hour in range(48)),
    symbols=("BTCUSD",),
    closes=tuple((close,) for close in _CLOSES.split()),
    source="BTC/USD on Gemini, hourly, 12 and 13 March 2020",
)
