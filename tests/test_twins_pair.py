"""How answers of a kernel and of its twin compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from twins.pair import assert_equal


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": (1, np.zeros(2))}, {"a": (1, np.ones(2))}),
        (np.zeros(3), 0.0),
        (0.0, np.zeros(3)),
        (np.zeros((1, 3)), np.zeros(3)),
        ((1, 2), (1, 3)),
        ([1, 2], [1]),
    ],
)
def test_answers_that_differ_are_told_apart(ours: Any, theirs: Any) -> None:
    with pytest.raises((AssertionError, ValueError)):
        assert_equal(ours, theirs)


def test_a_dict_is_the_same_in_any_order() -> None:
    assert_equal({"a": np.arange(2), "b": (1,)}, {"b": (1,), "a": np.arange(2)})
