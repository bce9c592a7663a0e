"""An engine that is recorded: every call that changes it is in a journal, and a journal can be done again."""

from __future__ import annotations

from fastadl.recording.engine import LiveEngine
from fastadl.recording.replaying import Replayed, replay

__all__ = ["LiveEngine", "Replayed", "replay"]
