"""What the waterfall is allowed to do: the policy of a venue, the rule of its fund, simulated liquidity."""

from __future__ import annotations

from fastadl.policy.funding import Fund
from fastadl.policy.liquidity import Liquidity
from fastadl.policy.model import CHOICES, AdlPolicy
from fastadl.policy.venues import VENUES, Venue

__all__ = ["CHOICES", "VENUES", "AdlPolicy", "Fund", "Liquidity", "Venue"]
