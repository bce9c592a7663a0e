"""Numbers of the public record: test suites of peers, worked examples of venues.

Every case carries its source. Adapters ask the library, by its public names, and `compare` lets nothing that
is expected go unchecked. What stands beside it as no target says why not.
"""

from __future__ import annotations

import pytest
from adapters.compare import Record, compare
from adapters.registry import Case

#: No targets, but what they say is found too.
ALSO_FOUND = frozenset(
    (
        *("dexextra-02", "flox-18", "gte-01"),
        *("mango4-01", "mango4-02", "mango4-03", "mango4-04", "mango4-05", "mango4-08", "mango4-10"),
        *("bybit_trigger_pool_zero_ex3", "percolator_full_waterfall"),
    )
)


def test_the_library_finds_what_the_source_says(case: Case) -> None:
    if not case.is_target and case.id not in ALSO_FOUND:
        pytest.skip(case.data.get("why_not", "no target"))
    adapter = case.adapter()
    if adapter is None:
        pytest.fail(f"no adapter for {case.about}; there are {', '.join(sorted(case.known))}", pytrace=False)
    assert "expected" in case.data, "the case expects nothing"
    compare(case.data["expected"], Record(adapter(case.data)))
