"""Every case of the table, once each in a smoke test, by rounds with ``--benchmark-enable``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastadl.bench.cases import GROUPS
from fastadl.bench.registry import Absent, Case, Group

CASES = [pytest.param(group, case, id=f"{group.name}-{case.who}") for group in GROUPS for case in group.cases]


@pytest.mark.parametrize(("group", "case"), CASES)
def test_case(benchmark: BenchmarkFixture, shared: Callable[[Group], Any], group: Group, case: Case) -> None:
    try:
        work = case.make(shared(group))
    except Absent as absent:
        pytest.skip(str(absent))
    benchmark.group = group.title
    benchmark.extra_info.update(
        who=case.who, unit=case.unit, units=work.units, bytes=work.moved, left_out=case.left_out
    )
    result = benchmark.pedantic(  # type: ignore[no-untyped-call]
        work.run,
        args=() if work.setup else work.arguments,
        setup=(lambda: (work.setup(), {})) if work.setup else None,  # type: ignore[misc]
        rounds=case.rounds,
        warmup_rounds=int(case.warm),
    )
    work.check(result)
    benchmark.extra_info.update(work.facts(result))
