"""Ticks that cost what moved: levels at which accounts are looked at again."""

from fastadl.engine.wake.wake import Wake

__all__ = ["Wake"]
