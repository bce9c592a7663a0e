"""Exact liquidation, insurance fund and auto-deleveraging for millions of leveraged positions per price tick.

Importing this package compiles nothing and sets nothing: a name is loaded when it is first used.
``fastadl docs`` shows the numbered rules that code, tests and error texts cite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastadl import metrics as metrics
    from fastadl import published as published
    from fastadl import synth as synth
    from fastadl import testing as testing
    from fastadl.book import Book as Book
    from fastadl.compilation import warmup as warmup
    from fastadl.contracts import Instrument as Instrument
    from fastadl.contracts import Instruments as Instruments
    from fastadl.engine import Engine as Engine
    from fastadl.engine import Marked as Marked
    from fastadl.engine import Report as Report
    from fastadl.engine import Standings as Standings
    from fastadl.errors import BoundsError as BoundsError
    from fastadl.errors import ConservationError as ConservationError
    from fastadl.errors import FastadlError as FastadlError
    from fastadl.errors import ForkError as ForkError
    from fastadl.errors import InputError as InputError
    from fastadl.errors import JournalError as JournalError
    from fastadl.errors import MemoryLimitError as MemoryLimitError
    from fastadl.errors import PolicyError as PolicyError
    from fastadl.errors import StageError as StageError
    from fastadl.errors import UnwrittenError as UnwrittenError
    from fastadl.kernels.scores import Candidate as Candidate
    from fastadl.live import LiveEngine as LiveEngine
    from fastadl.live import Replayed as Replayed
    from fastadl.live import replay as replay
    from fastadl.policy import AdlPolicy as AdlPolicy
    from fastadl.policy import Fund as Fund
    from fastadl.policy import Liquidity as Liquidity
    from fastadl.policy import OwnScore as OwnScore
    from fastadl.policy import SideIndex as SideIndex
    from fastadl.policy import Venue as Venue
    from fastadl.policy import add_preset as add_preset
    from fastadl.policy import score as score
    from fastadl.scenario import Scenario as Scenario

__version__ = "0.1.0"

#: Public name → the module it stands in, or its own module if it is one.
_HOME = {
    "AdlPolicy": "policy",
    "Book": "book",
    "BoundsError": "errors",
    "Candidate": "kernels.scores",
    "ConservationError": "errors",
    "Engine": "engine",
    "FastadlError": "errors",
    "ForkError": "errors",
    "Fund": "policy",
    "InputError": "errors",
    "Instrument": "contracts",
    "Instruments": "contracts",
    "JournalError": "errors",
    "Liquidity": "policy",
    "LiveEngine": "live",
    "Marked": "engine",
    "MemoryLimitError": "errors",
    "OwnScore": "policy",
    "PolicyError": "errors",
    "Replayed": "live",
    "Report": "engine",
    "Scenario": "scenario",
    "SideIndex": "policy",
    "StageError": "errors",
    "Standings": "engine",
    "UnwrittenError": "errors",
    "Venue": "policy",
    "add_preset": "policy",
    "metrics": "metrics",
    "published": "published",
    "replay": "live",
    "score": "policy",
    "synth": "synth",
    "testing": "testing",
    "warmup": "compilation",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    found = module if home == name else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
