"""Nobody is ranked who is not needed: how many candidates every path sorts, and that the answers stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import ipc
from fastadl import AdlPolicy, Book, Engine
from fastadl.engine import allocation, ranking
from fastadl.engine.allocation import quotas
from fastadl.engine.collectives import whole
from fastadl.engine.ranking import Candidates
from fastadl.kernels.rank import BUCKETS, crossing, histogram, keys, order, select
from fastadl.policy import CHOICES


def keys_of(scores: np.ndarray) -> np.ndarray:
    found = np.empty(len(scores), np.int64)
    keys((scores + 0.0).view(np.int64), found)
    return found


# ---------------------------------------------------------------------- histograms of shards


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 50)), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    part=st.fractions(0, 1),
    random=st.randoms(),
)
def test_histograms_of_shards_add_up_in_any_order(rows: Any, cuts: Any, part: Any, random: Any) -> None:
    """Shards count, the sum says where the need is met, shards keep: that is the selection of all."""
    key = keys_of(np.array([score / 8 for score, _ in rows]))
    lots = np.array([size for _, size in rows], np.int64)
    tie = np.arange(len(rows), dtype=np.int32)
    need = max(1, int(part * int(lots.sum())))
    whole, merged = np.zeros((2, 2, BUCKETS), np.int64)
    histogram(key, lots, whole)
    shards = np.split(np.arange(len(rows)), sorted(cut % (len(rows) + 1) for cut in cuts))
    random.shuffle(shards)
    for shard in shards:
        own = np.zeros((2, BUCKETS), np.int64)
        histogram(key[shard], lots[shard], own)
        merged += own
    np.testing.assert_array_equal(merged, whole)
    bucket, before = crossing(merged, need)
    assert (bucket, before) == crossing(whole, need)
    bound = bucket - (BUCKETS >> 1)
    kept = order(np.concatenate([shard[key[shard] >> 48 <= bound] for shard in shards]), key, tie)
    chosen = kept[: int(np.searchsorted(np.cumsum(lots[kept]), need)) + 1]
    np.testing.assert_array_equal(select(key, tie, lots, need), chosen)


@pytest.mark.jit
@pytest.mark.parametrize("count", [65_536, 65_537, 98_304, 300_001])
@pytest.mark.parametrize("digits", [0, 2, 9], ids=lambda digits: f"{digits} digits")
def test_one_thread_and_many_parts_select_alike(count: int, digits: int) -> None:
    """On both sides of every number at which the work is split anew; with long ties, some, and none."""
    random = np.random.default_rng(count)
    key = keys_of(np.round(random.standard_normal(count), digits))
    tie, lots = random.permutation(count).astype(np.int32), random.integers(1, 90, count)
    best = np.lexsort((tie, key))
    total = np.cumsum(lots[best])
    np.testing.assert_array_equal(order(np.arange(count), key, tie), best)
    for need in (1, int(total[-1]) // 40, int(total[-1]) // 2, int(total[-1]), int(total[-1]) + 1):
        chosen = best[: int(np.searchsorted(total, need)) + 1]
        np.testing.assert_array_equal(select(key, tie, lots, need), chosen)


# ---------------------------------------------------------------------- quotas


def crowd(lots: np.ndarray, scores: np.ndarray, tiers: int = 1) -> Candidates:
    count = len(lots)
    who = np.arange(count, dtype=np.int32)
    parts = np.ones((8, count))
    parts[0] = scores
    return Candidates(
        1, who.astype(np.int64), who, lots, parts, keys_of(scores), who, who, (who % tiers).astype(np.uint8)
    )


class Counted:
    """A function that notes the lengths of what it is given or returns."""

    def __init__(self, function: Any, length: Any) -> None:
        self._function, self._length = function, length
        self.lengths: list[int] = []

    def __call__(self, *arguments: Any) -> Any:
        answer = self._function(*arguments)
        self.lengths.append(self._length(arguments, answer))
        return answer


def sequences(kind: str, count: int, need: int) -> np.ndarray:
    """Lots in rank order."""
    place = np.arange(count)
    if kind == "one fits, the next one just does not":
        return np.where(place % 2, np.maximum(need - place // 2, 1), 1)
    if kind == "nobody fits but the last":
        return np.where(place < count - 1, need + 1, need)
    if kind == "halves":
        return np.maximum(need >> np.minimum(place, 40), 1) + (place % 3 == 0)
    return np.random.default_rng(3).integers(1, 90, count)


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("one fits, the next one just does not", 2.0),
        ("nobody fits but the last", 0.01),
        ("halves", 1.0),
        ("any", 0.2),
    ],
)
def test_whole_positions_rank_not_many_more_than_the_walk_passes(
    monkeypatch: pytest.MonkeyPatch, kind: str, most: float
) -> None:
    count, need = 4000, 9000
    lots = sequences(kind, count, need)
    wanted, left = np.zeros(count, np.int64), need
    for i, size in enumerate(lots.tolist()):
        if size <= left:
            wanted[i] = size
            left -= size
    counted = Counted(select, lambda _, chosen: len(chosen))
    monkeypatch.setattr(whole, "select", counted)
    shuffle = np.random.default_rng(5).permutation(count)
    found = crowd(lots[shuffle], -shuffle.astype(np.float64))
    quota = quotas(None, found, AdlPolicy(allocation="whole"), need)  # type: ignore[arg-type]
    np.testing.assert_array_equal(shuffle[quota.row], np.flatnonzero(wanted))
    np.testing.assert_array_equal(quota.lots, wanted[wanted > 0])
    np.testing.assert_array_equal(quota.rank, np.flatnonzero(wanted) + 1)
    assert len(counted.lengths) < 12
    assert sum(counted.lengths) <= most * count


@pytest.mark.parametrize("share", [1, 2, 40, 3000], ids=lambda share: f"one of {share} gives")
@pytest.mark.parametrize("tiers", [1, 2])
def test_only_those_who_give_are_sorted(monkeypatch: pytest.MonkeyPatch, share: int, tiers: int) -> None:
    """Few give by size if few are large; their ranks count all the others."""
    count = 3001
    random = np.random.default_rng(share)
    lots = np.ones(count, np.int64)
    lots[:: max(share, 1)] = 10**7
    found = crowd(lots, np.round(random.standard_normal(count), 2), tiers)
    need = int((lots > 1).sum()) * 1000 if share > 1 else int(lots.sum())
    counted = Counted(order, lambda arguments, _: len(arguments[0]))
    monkeypatch.setattr(allocation, "order", counted)
    quota = quotas(None, found, AdlPolicy(allocation="pro_rata_size"), need)  # type: ignore[arg-type]
    assert sum(counted.lengths) == len(quota.lots)
    assert (len(quota.lots) < count) == (share > 1)
    np.testing.assert_array_equal(found.ranked()[quota.rank - 1], quota.row)


# ---------------------------------------------------------------------- a guard


def market(count: int, debtors: int) -> Book:
    """Shorts entered at 50, and longs entered at 100 that at a mark of 40 cannot pay beyond 90.

    Who closes at about 90 loses some 50 a lot; equities are between 0 and 70 a lot, the least ranked first.
    """
    random = np.random.default_rng(count)
    lots = random.integers(1, 100, count)
    cash = np.ceil(random.uniform(-9.9, 60.0, count) * lots).astype(np.int64) * 100
    need = np.full(debtors, max(lots.sum() // 50 // debtors, 1))
    names = [*(f"s{i:06d}" for i in range(count)), *(f"debtor{i}" for i in range(debtors)), "desk"]
    held = np.concatenate([-lots, need, [lots.sum() - need.sum()]])
    entry = np.concatenate([-lots * 50, need * 100, held[-1:] * 40]) * 100
    return Book.from_frames(
        {
            "symbol": ["X"],
            "kind": ["linear"],
            "contract_size": [1],
            "lot": [1],
            "decimals": [2],
            "tiers": [[{"min_notional": "0", "maintenance_rate": "0.005"}]],
        },
        {
            "id": names,
            "cash_atoms": np.concatenate([cash, need * (1000 + np.arange(debtors)), [1 << 40]]),
            "adl_tier": np.arange(len(names)) % 7 // 4,
        },
        {"account": names, "symbol": ["X"] * len(names), "lots": held, "entry_value_atoms": entry},
    )


def ticked(book: Book, **choices: Any) -> tuple[Any, dict[str, bytes]]:
    engine = Engine(book, policy=choices)
    report = engine.tick({"X": "40"})
    assert engine.check()
    frames = {name: ipc(getattr(report, name)) for name in ("adl_fills", "refused", "uncovered")}
    return report, frames | {"positions": ipc(engine.book.to_frames()[2])}


def all_at_once(found: Candidates, _need: int) -> Any:
    return found.ranked()


@pytest.mark.parametrize("guard", ["solvent", "health"])
@pytest.mark.parametrize("rerank", CHOICES["rerank"])
def test_a_ranking_that_grows_gives_the_fills_of_one_made_at_once(
    monkeypatch: pytest.MonkeyPatch, guard: str, rerank: str
) -> None:
    """The guard refuses more than a batch has; those cut for one debtor serve the next."""
    book = market(300, 3)
    counted = Counted(select, lambda _, chosen: len(chosen))
    monkeypatch.setattr(ranking, "select", counted)
    report, grown = ticked(book.copy(), guard=guard, rerank=rerank)
    assert len(counted.lengths) > (1 if rerank == "never" else 3)
    assert len(report.refused) > 0
    monkeypatch.setattr(Candidates, "best", all_at_once)
    assert ticked(book, guard=guard, rerank=rerank)[1] == grown


@pytest.mark.jit
def test_a_guarded_queue_ranks_a_part_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = Counted(select, lambda _, chosen: len(chosen))
    monkeypatch.setattr(ranking, "select", ranked)
    everyone = Counted(ranking.order, lambda arguments, _: len(arguments[0]))
    monkeypatch.setattr(ranking, "order", everyone)
    report, _ = ticked(market(100_000, 3), guard="solvent")
    assert len(report.refused) > 1000
    assert len(ranked.lengths) > 1
    assert sum(ranked.lengths) < 50_000
    assert not everyone.lengths
