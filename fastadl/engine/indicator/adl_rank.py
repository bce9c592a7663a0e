"""A place in the queue in the words of ccxt (rule R122)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import index
from typing import Any

from fastadl.errors import InputError

__all__ = ["adl_rank", "stamped"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def adl_rank(
    symbol: str, side: str, light: int, percentile: float | None, timestamp: int | None
) -> dict[str, Any]:
    """Ccxt's ADL structure of one position; a light of 0 has neither rank nor percentage.

    Examples
    --------
    >>> found = adl_rank("BTC/USDT:USDT", "long", 5, 0.125, 1_760_130_964_831)
    >>> found["rank"], found["rating"], found["percentage"], found["datetime"]
    (5, '5', 87.5, '2025-10-10T21:16:04.831Z')
    """
    return {
        "info": {"side": side},
        "symbol": symbol,
        "rank": light or None,
        "rating": str(light) if light else None,
        "percentage": None if percentile is None else 100.0 * (1.0 - percentile),
        **stamped(timestamp),
    }


def stamped(timestamp: int | None) -> dict[str, Any]:
    """``timestamp`` (milliseconds of the epoch) and ``datetime``, both None if it is."""
    if timestamp is None:
        return {"timestamp": None, "datetime": None}
    try:
        whole = index(timestamp)
        moment = _EPOCH + whole * timedelta(milliseconds=1)
    except (TypeError, OverflowError):
        remedy = "give milliseconds of the epoch as an integer, or None"
        raise InputError(("timestamp",), timestamp, remedy) from None
    text = moment.isoformat(timespec="milliseconds")
    return {"timestamp": whole, "datetime": text.replace("+00:00", "Z")}
