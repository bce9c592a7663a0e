"""Pairs that rank: scores, the figures they are made from, tiers, order."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.scoring import scoring
from fastadl.kernels.layout import gather
from fastadl.kernels.measure import FIELDS, ONE_BY_ONE, Context
from fastadl.kernels.scores import COSTLY, LINES, NEEDS, SCORES, Candidate
from fastadl.reference import account, layout, measure, rank, scores
from twins.books import Case, cases
from twins.pair import Pair, assert_equal

atoms = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(2.0**-200, 1e18))
notionals = st.one_of(st.sampled_from([0.0, 1e4, 1e7, 1e10]), st.floats(0.0, 1e18))
signed = st.one_of(atoms, atoms.map(lambda x: -x))
candidates = st.builds(
    Candidate,
    lots=st.floats(1.0, 1e15),
    short=st.booleans(),
    inverse=st.booleans(),
    value=st.floats(1e-3, 1e18),
    cost=atoms,
    profit=signed,
    symbol_profit=signed,
    row_margin=atoms,
    cash=signed,
    equity=signed,
    margin=atoms,
    gross=st.floats(1e-3, 1e18),
    one=st.sampled_from([1.0, 100.0, 1e8]),
    max_leverage=st.sampled_from([1.0, 1 / 3, 20.0, 125.0]),
    place=st.integers(0, (1 << 31) - 1).map(float),
    given=st.integers(0, (1 << 31) - 1).map(float),
    seed=st.integers(-(1 << 63), (1 << 63) - 1),
)


def same_score(kernel: Any, twin: Any, arguments: Any) -> None:
    assert kernel(*arguments) == twin(*arguments)


def same_columns(kernel: Any, twin: Any, arguments: Any) -> None:
    """Line by line, all with the seed of the first."""
    number, found = arguments
    found = [c._replace(seed=found[0].seed) for c in found]
    figures = np.array([[getattr(c, name) for c in found] for name in LINES], np.float64)
    out = np.empty(len(found))
    kernel(number, scoring(SCORES[number]).own, figures, found[0].seed if found else 0, out)
    np.testing.assert_array_equal(out, [twin(number, c) for c in found])
    assert not np.signbit(out[out == 0.0]).any()


def same_mix(kernel: Any, twin: Any, arguments: Any) -> None:
    """The same low 64 bits."""
    assert int(kernel(*arguments)) % (1 << 64) == twin(*arguments)


def context_of(found: Case) -> Context:
    """Ids in the reverse of the order given."""
    tiers = found.instruments.tiers
    return Context(
        *found.rows,
        *found.margins,
        least=tiers.min_notional,
        leverage=tiers.max_leverage,
        unit=found.marks.unit,
        inverse=found.marks.exact.inverse,
        one=np.array([10.0**item.decimals for item in found.instruments]),
        place=found.slots[::-1].copy(),
        given=np.arange(len(found.slots))[::-1] * 3 if len(found.slots) % 2 else np.empty(0, np.int64),
        seed=-7,
    )


def gathered(found: Case, size: int) -> tuple[Any, ...]:
    wanted = np.arange(2 * len(found.instruments), dtype=np.int32)
    return gather(found.rows, wanted, np.zeros(len(found.slots), np.bool_), found.blocks(size))


def same_measure(kernel: Any, twin: Any, arguments: Any) -> None:
    """Bit-equal, zeros of one sign, and equity within its bound; one by one or by blocks of a size."""
    number, every, found, size = arguments
    if size:
        _, row, slot, span = gathered(found, size)
        where = span, found.blocks(size)
    else:
        pairs = [(at, slot) for slot in found.slots.tolist() for at in layout.places(found.rows, slot)]
        row, slot = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
        where = ONE_BY_ONE
    out = np.empty((len(FIELDS), len(row)))
    own = scoring(SCORES[number]).own
    kernel(number, needs(number, every), own, row, slot.astype(np.int32), *where, context_of(found), out)
    agree_on_scores(out, list(zip(row.tolist(), slot.tolist(), strict=True)), twin, number, found)


def same_description(kernel: Any, twin: Any, arguments: Any) -> None:
    found, size, seed = arguments
    _, row, slot, span = gathered(found, size)
    random = np.random.default_rng(seed)
    rank_of = random.permutation(len(found.slots)).astype(np.int32)
    tier_of = random.integers(0, 3, len(found.slots)).astype(np.uint8)
    out = np.empty(len(row), np.int64), np.empty(len(row), np.int32), np.empty(len(row), np.uint8)
    kernel(row, slot, span, found.rows, rank_of, tier_of, *out)
    assert_equal(out, twin(row, slot, found.rows, rank_of, tier_of))


def needs(number: int, every: bool) -> int:
    """What a score reads, or everything."""
    return sum(set(COSTLY.values())) if every else NEEDS[number]


def same_leverage(kernel: Any, twin: Any, arguments: Any) -> None:
    notional, found = arguments
    for instrument in range(len(found.instruments)):
        assert kernel(notional, instrument, context_of(found)) == twin(
            notional, instrument, context_of(found)
        )


def same_neutral(kernel: Any, twin: Any, arguments: Any) -> None:
    found, limit, flagged, isolated, tiers = arguments
    isolated = np.resize(isolated, len(found.slots))
    tier = np.resize(np.array(tiers, np.uint16), len(found.slots))
    inputs = found.slots, limit, flagged, isolated, found.rows, found.marks.unit
    wanted = twin(*inputs, tier)
    kernel(*inputs, tier)
    assert tier.tolist() == wanted


def same_repeated(kernel: Any, twin: Any, arguments: Any) -> None:
    key = np.array(arguments, np.int64)
    out = np.empty(len(key), np.bool_)
    kernel(key, out)
    assert out.tolist() == twin(key)


def agree_on_scores(out: Any, pairs: list[tuple[int, int]], twin: Any, number: int, found: Case) -> None:
    context = context_of(found)
    assert not np.signbit(out[0][out[0] == 0.0]).any()
    for c, (at, who) in enumerate(pairs):
        parts = dict(zip(FIELDS, out[:, c].tolist(), strict=True))
        error = Fraction(parts.pop("error"))
        assert parts == twin(number, None, at, who, context)
        assert abs(Fraction(parts["equity"]) - account.equity(found.rows, who, found.units)) <= error


def _score(name: str) -> Pair:
    return Pair(getattr(scores, name), st.tuples(candidates), same_score)


single: tuple[str, ...] = tuple(name for name in SCORES if name not in ("htx", "bitget_a"))
numbers: Callable[[], Any] = lambda: st.integers(0, len(SCORES) - 1)  # noqa: E731

PAIRS = {
    **{f"scores.{name}": _score(name) for name in single},
    "scores.columns": Pair(scores.score, st.tuples(numbers(), st.lists(candidates)), same_columns),
    "scores.mix": Pair(scores.mix, st.tuples(st.integers(-(1 << 63), (1 << 63) - 1)), same_mix),
    "measure.max_leverage": Pair(measure.max_leverage, st.tuples(notionals, cases(least=1)), same_leverage),
    "measure.describe": Pair(
        measure.describe, st.tuples(cases(), st.integers(1, 3), st.integers(0, 99)), same_description
    ),
    "measure.measure": Pair(
        measure.measure, st.tuples(numbers(), st.booleans(), cases(), st.integers(0, 3)), same_measure
    ),
    "measure.neutral": Pair(
        measure.neutral,
        st.tuples(
            cases(),
            st.sampled_from([0.0, 0.05, 1 / 3, 1.0]),
            st.booleans(),
            st.lists(st.booleans(), min_size=1),
            st.lists(st.integers(0, 255), min_size=1),
        ),
        same_neutral,
    ),
    "rank.repeated": Pair(
        rank.repeated,
        st.lists(st.one_of(st.integers(-3, 3), st.integers(-(1 << 63), (1 << 63) - 1))),
        same_repeated,
    ),
}
