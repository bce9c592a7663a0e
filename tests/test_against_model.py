"""Generated scenarios: the engine and the exact model agree to the last character."""

from __future__ import annotations

from hypothesis import given, settings

from fastadl import Scenario
from model import run
from model.strategies import scenarios


@settings(max_examples=400, deadline=None)
@given(scenarios())
def test_engine_equals_model(scenario):
    assert Scenario.load(scenario).run() == run(scenario)
