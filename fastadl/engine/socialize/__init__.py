"""Stage 5, wealth space: debts are charged in cash (rules R51, R91 to R95)."""

from fastadl.engine.socialize.sessions import begin_session
from fastadl.engine.socialize.stage import socialize

__all__ = ["begin_session", "socialize"]
