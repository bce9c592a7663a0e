"""What the waterfall is allowed to do: the policy of a venue, the rule of its fund, simulated liquidity."""

from __future__ import annotations

from fastadl.policy.choices import CHOICES
from fastadl.policy.funding import Fund
from fastadl.policy.liquidity import AnyOrderBook, Liquidity
from fastadl.policy.model import AdlPolicy, add_preset
from fastadl.policy.own_score import OwnScore, score
from fastadl.policy.parameters import PARAMETERS
from fastadl.policy.partial import Partial
from fastadl.policy.side_index import SideIndex, Stake, index_delta
from fastadl.policy.venues import VENUES, Venue

__all__ = [
    "CHOICES",
    "PARAMETERS",
    "VENUES",
    "AdlPolicy",
    "AnyOrderBook",
    "Fund",
    "Liquidity",
    "OwnScore",
    "Partial",
    "SideIndex",
    "Stake",
    "Venue",
    "add_preset",
    "index_delta",
    "score",
]
