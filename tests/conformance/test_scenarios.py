"""Every conformance file gives exactly the object it expects (section 7 of the rules)."""

from __future__ import annotations

import json
from pathlib import Path

from fastadl import Scenario


def test_the_file_gives_what_it_expects(scenario_file: Path) -> None:
    case = json.loads(scenario_file.read_text("utf-8"))
    result = Scenario.load(case["scenario"]).run()
    assert json.loads(json.dumps(result)) == case["expected"]
