"""What is foretold of many shards is what many shards in this process then send."""

from __future__ import annotations

import pytest

import fastadl as fa
from fastadl.bench.sharded import ticked
from fastadl.errors import InputError
from fastadl.sharded.cost import Cost, Model, Seen, Shared, forecast, most_positions

BOOK = fa.synth.book("pareto", positions=6000, accounts=2400, instruments=8, seed=1)
MODEL = Model(len(BOOK), len(BOOK.slot), BOOK.nbytes, idle=0.0, waiting=0.001, message=0.0001)


def sent(shards: int, fall: float) -> Seen:
    """What a tick sends, and asks."""
    with fa.ShardedEngine(BOOK, shards=shards, address="inline") as engine:
        engine.tick(engine.marks)
        found = ticked(engine, engine.marks * (1.0 - fall))
    return Seen(0.0, 0.0, found.sent, found.received, found.calls, 0.0)


@pytest.mark.parametrize(("fall", "within"), [(1e-4, 0.02), (0.1, 0.2)])
def test_many_shards_send_what_few_have_foretold(fall: float, within: float) -> None:
    cost = Cost.fit({shards: sent(shards, fall) for shards in (2, 8)})
    for shards in (16, 24):
        foretold, found = forecast(MODEL, cost, MODEL.positions, shards), sent(shards, fall)
        assert foretold.sent == pytest.approx(found.sent, rel=within)
        assert foretold.received == pytest.approx(found.received, rel=within)


def test_a_fit_goes_through_both_runs_whatever_their_order() -> None:
    line = Shared.fit({8: 12.0, 2: 30.0})
    assert line == Shared(6.0, 48.0)
    assert (line.of(2), line.of(8), line.of(16)) == (30.0, 12.0, 9.0)
    assert line.of(16, times=10) == 36.0


@pytest.mark.parametrize("seen", [{2: 1.0}, {1: 1.0, 2: 1.0, 3: 1.0}])
def test_a_fit_wants_two_numbers_of_shards(seen: dict[int, float]) -> None:
    with pytest.raises(InputError, match="two numbers of shards"):
        Shared.fit(seen)


def test_the_book_is_shared_by_cores_and_the_coordinator_pays_for_every_shard() -> None:
    one = Shared(1.0, 0.0)
    cost = Cost(Shared(1.0, 600.0), Shared(2.0, 50.0), one, one, Shared(3.0, 0.0), Shared(0.0, 700.0))
    model = Model(positions=100, accounts=50, nbytes=6400, idle=20.0, waiting=5.0, message=0.5)
    found = forecast(model, cost, positions=1000, shards=4, threads=8)
    assert found.working == 1.0 + 6000.0 / 32
    assert found.directing == 4 * 2.0 + 20.0 + 10 * (50.0 - 20.0)
    assert found.messages == 3 * (5.0 + 3 * 0.5)
    assert found.memory == 64000 / 32
    assert found.docket == 7000.0
    assert found.seconds == found.working + found.directing + found.messages


def test_ranks_bound_the_accounts() -> None:
    assert most_positions(Model(100, 40, 0, 0.0, 0.0, 0.0)) == 2**31 * 100 // 40
