"""Exact liquidation, insurance fund and auto-deleveraging for millions of leveraged positions per price tick.

Importing this package compiles nothing and sets nothing: a name is loaded when it is first used.
``fastadl docs`` shows the numbered rules that code, tests and error texts cite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastadl import auditing as auditing
    from fastadl import borders as borders
    from fastadl import metrics as metrics
    from fastadl import monitor as monitor
    from fastadl import published as published
    from fastadl import synth as synth
    from fastadl import testing as testing
    from fastadl.auditing import Audit as Audit
    from fastadl.auditing import audit as audit
    from fastadl.book import Book as Book
    from fastadl.compilation import warmup as warmup
    from fastadl.contracts import Instrument as Instrument
    from fastadl.contracts import Instruments as Instruments
    from fastadl.engine import Demand as Demand
    from fastadl.engine import Distances as Distances
    from fastadl.engine import Engine as Engine
    from fastadl.engine import Explanation as Explanation
    from fastadl.engine import Exposures as Exposures
    from fastadl.engine import Marked as Marked
    from fastadl.engine import Report as Report
    from fastadl.engine import Standings as Standings
    from fastadl.errors import BoundsError as BoundsError
    from fastadl.errors import ConservationError as ConservationError
    from fastadl.errors import FastadlError as FastadlError
    from fastadl.errors import ForkError as ForkError
    from fastadl.errors import InputError as InputError
    from fastadl.errors import JournalError as JournalError
    from fastadl.errors import LateError as LateError
    from fastadl.errors import MemoryLimitError as MemoryLimitError
    from fastadl.errors import PolicyError as PolicyError
    from fastadl.errors import ShardError as ShardError
    from fastadl.errors import StageError as StageError
    from fastadl.errors import UnwrittenError as UnwrittenError
    from fastadl.kernels.scores import Candidate as Candidate
    from fastadl.monitor import Monitor as Monitor
    from fastadl.policy import AdlPolicy as AdlPolicy
    from fastadl.policy import Fund as Fund
    from fastadl.policy import Liquidity as Liquidity
    from fastadl.policy import OwnScore as OwnScore
    from fastadl.policy import SideIndex as SideIndex
    from fastadl.policy import Venue as Venue
    from fastadl.policy import add_preset as add_preset
    from fastadl.policy import score as score
    from fastadl.recording import LiveEngine as LiveEngine
    from fastadl.recording import Replayed as Replayed
    from fastadl.recording import replay as replay
    from fastadl.scenario import Scenario as Scenario
    from fastadl.sharded.engine import ShardedEngine as ShardedEngine
    from fastadl.sharded.recording import LiveShardedEngine as LiveShardedEngine

__version__ = "0.1.0"

#: Public name → the module it stands in, or its own module if it is one.
_HOME = {
    "AdlPolicy": "policy",
    "Audit": "auditing",
    "Book": "book",
    "BoundsError": "errors",
    "Candidate": "kernels.scores",
    "ConservationError": "errors",
    "Demand": "engine",
    "Distances": "engine",
    "Engine": "engine",
    "Explanation": "engine",
    "Exposures": "engine",
    "FastadlError": "errors",
    "ForkError": "errors",
    "Fund": "policy",
    "InputError": "errors",
    "Instrument": "contracts",
    "Instruments": "contracts",
    "JournalError": "errors",
    "LateError": "errors",
    "Liquidity": "policy",
    "LiveEngine": "recording",
    "LiveShardedEngine": "sharded.recording",
    "Marked": "engine",
    "MemoryLimitError": "errors",
    "Monitor": "monitor",
    "OwnScore": "policy",
    "PolicyError": "errors",
    "Replayed": "recording",
    "Report": "engine",
    "Scenario": "scenario",
    "ShardError": "errors",
    "ShardedEngine": "sharded.engine",
    "SideIndex": "policy",
    "StageError": "errors",
    "Standings": "engine",
    "UnwrittenError": "errors",
    "Venue": "policy",
    "add_preset": "policy",
    "audit": "auditing",
    "auditing": "auditing",
    "borders": "borders",
    "metrics": "metrics",
    "monitor": "monitor",
    "published": "published",
    "replay": "recording",
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
