"""Was it right? A deleveraging recomputed from a journal, and published so that anybody can recompute it."""

from __future__ import annotations

from fastadl.auditing.audited import Audit, audit, pseudonym
from fastadl.auditing.moment import fills

__all__ = ["Audit", "audit", "fills", "pseudonym"]
