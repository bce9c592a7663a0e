"""Every kernel gives its twin's answer (`fastadl.reference`), on generated books and at the edges."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastadl.engine
import fastadl.io  # noqa: F401
from fastadl.kernels import _jit
from twins import PAIRS
from uncompiled import fewer


def test_every_public_kernel_has_a_twin() -> None:
    public = {name for name in _jit.compiled if not name.partition(".")[2].startswith("_")}
    assert set(PAIRS) == public


@pytest.mark.parametrize("name", sorted(PAIRS))
@settings(max_examples=fewer(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_kernel_equals_its_twin(name: str, data: st.DataObject) -> None:
    pair = PAIRS[name]
    pair.agree(_jit.compiled[name], pair.twin, data.draw(pair.cases))
