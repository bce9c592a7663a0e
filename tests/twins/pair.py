"""A kernel's twin, the inputs to try both on, and how their answers compare."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy


def assert_equal(ours: Any, theirs: Any) -> None:
    """Equal numbers, arrays of one shape, and tuples and dicts of them."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, right in theirs.items():
            assert_equal(ours[key], right)
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert_equal(left, right)
    elif isinstance(theirs, (list, np.ndarray)):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs


def same_call(kernel: Callable[..., Any], twin: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Kernel and twin, called alike, return the same and write the same."""
    ours, theirs = deepcopy(arguments), deepcopy(arguments)
    assert_equal(kernel(*ours), twin(*theirs))
    assert_equal(ours, theirs)


@dataclass(frozen=True)
class Pair:
    """Calling `agree` with kernel, twin and any of the cases raises unless they agree."""

    twin: Callable[..., Any]
    cases: SearchStrategy[Any]
    agree: Callable[[Callable[..., Any], Callable[..., Any], Any], None] = same_call
