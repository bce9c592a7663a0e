"""Generated scenarios: the engine and the exact model agree to the last character."""

from __future__ import annotations

from hypothesis import given, settings

from fastadl import AdlPolicy, Scenario
from fastadl.policy import VENUES
from model import run
from model.policy import MORE_PRESETS, PRESETS, resolve, shown
from model.strategies import scenarios
from uncompiled import fewer


@settings(max_examples=fewer(250), deadline=None)
@given(scenarios())
def test_engine_equals_model(scenario):
    assert Scenario.load(scenario).run() == run(scenario)


@settings(max_examples=fewer(150), deadline=None)
@given(scenarios(wide=True))
def test_engine_equals_model_under_every_policy(scenario):
    """Section 9."""
    assert Scenario.load(scenario).run() == run(scenario)


@settings(max_examples=fewer(150), deadline=None)
@given(scenarios(always_liquidity=True, max_accounts=6))
def test_engine_equals_model_with_an_order_book(scenario):
    """R22, R68, R101."""
    assert Scenario.load(scenario).run() == run(scenario)


def test_presets_are_those_of_the_rules():
    """R67 and R96, and R81 in their order."""
    expected = {name: list(shown(resolve(name)).items()) for name in {*PRESETS, *MORE_PRESETS}}
    assert {name: list(AdlPolicy.of(name).choices().items()) for name in VENUES} == expected
