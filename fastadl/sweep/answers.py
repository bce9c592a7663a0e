"""What a sweep answers: functions of its runs, with bands of 95 %, independent of the order of rows.

Every frame begins with the names of what it tells of and is sorted by them. Money is in atoms. The seeds of a
sweep are a sample, and so are points that were drawn; bands say how far off it may be. What so many seeds
cannot say is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import floor, isnan, nan
from typing import Any

import numpy as np
import polars as pl

from fastadl.stress import compare
from fastadl.stress.compare import PROBABILITIES
from fastadl.sweep.cube import Cube, block
from fastadl.sweep.design import shown
from fastadl.sweep.statistics import crossed_reach, order_band, wilson
from fastadl.sweep.variance import Design, shares

__all__ = ["QUANTILES", "differences", "distributions", "effects", "fund_for", "importance", "of_all"]

#: Shares of the seeds whose values `distributions` tells.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Values of a drawn parameter are told of in this many classes.
_CLASSES = 8
_MEAN = ("mean", "mean_low", "mean_high")


def distributions(runs: pl.DataFrame, parameters: Iterable[str]) -> pl.DataFrame:
    """How every measure is distributed over the seeds, at each point, by kind of feedback and policy.

    The band of a mean is Student's: it needs no random numbers and is exact for normal measures, near enough
    for others from some thirty seeds on. Quantiles are values that were found, the least that so many of the
    seeds do not exceed; so are their bands, by the binomial law, which hold for any distribution.

    Parameters
    ----------
    runs : DataFrame
        One row a run: ``point``, the parameters, ``seed``, ``feedback``, ``policy`` and the measures.
    parameters : iterable of str
        Names of the columns that the sweep varies.

    Returns
    -------
    DataFrame
        ``point``, parameters, ``feedback``, ``policy``, ``measure``; of how many runs (``n``), and where it
        says nothing (``nulls``); ``mean``, ``mean_low``, ``mean_high``, null of what has no bound; ``least``,
        ``most``; and for each of `QUANTILES`, such as 5 %, ``q05``, ``q05_low``, ``q05_high``. If there are
        several points, also of all together: ``point`` is null there, and quantiles have no bands.
    """
    parameters = list(parameters)
    rows = []
    for cube in Cube.each(runs, parameters):
        for where, points, grid in _places(cube):
            for at, policy in enumerate(cube.policies):
                which = {**where, "feedback": cube.feedback, "policy": policy}
                there = int(cube.ran[points, at].sum())
                for name, measured in cube.measured.items():
                    cells = measured[points, at]
                    said = _of_cells(cells, grid)
                    order = _of_order(cells[~np.isnan(cells)], banded=len(points) == 1)
                    rows.append({**which, "measure": name, **said, "nulls": there - said["n"], **order})
    quantiles = [f"q{round(100 * share):02d}{edge}" for share in QUANTILES for edge in ("", "_low", "_high")]
    kinds = _kinds(measure=pl.String, n=pl.Int64, nulls=pl.Int64)
    return _frame(rows, runs, parameters, kinds | _floats(*_MEAN, "least", "most", *quantiles))


def differences(runs: pl.DataFrame, parameters: Iterable[str]) -> pl.DataFrame:
    """How far two policies are apart, seed by seed: both met the same book and path, so chance cancels.

    Returns
    -------
    DataFrame
        ``point``, parameters, ``feedback``, ``policy``, ``against``, ``measure``; ``n`` runs in which both
        say something; ``mean`` of the policy less the other, ``mean_low``, ``mean_high``; and the shares of
        runs in which it is ``less`` and ``more``. If there are several points, also of all together:
        ``point`` is null there.
    """
    parameters = list(parameters)
    rows = []
    for cube in Cube.each(runs, parameters):
        for where, points, grid in _places(cube):
            for one, other in combinations(range(len(cube.policies)), 2):
                pair = {"policy": cube.policies[one], "against": cube.policies[other]}
                for name, measured in cube.measured.items():
                    apart = _apart(measured[points, one], measured[points, other])
                    said = _of_cells(apart, grid)
                    less, more = (float(signs.sum()) / (said["n"] or nan) for signs in (apart < 0, apart > 0))
                    shares = {"less": _known(less), "more": _known(more)}
                    rows.append(
                        {**where, "feedback": cube.feedback, **pair, "measure": name, **said, **shares}
                    )
    kinds = _kinds(against=pl.String, measure=pl.String, n=pl.Int64)
    return _frame(rows, runs, parameters, kinds | _floats(*_MEAN, "less", "more"))


def of_all(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of all points together, or of the only one."""
    several = table["point"].null_count() > 0
    return table.filter(pl.col("point").is_null()) if several else table


def _apart(one: Any, other: Any) -> Any:
    """Differences; NaN where both are without bound."""
    with np.errstate(invalid="ignore"):
        return one - other


def _places(cube: Cube) -> Iterator[tuple[dict[str, Any], list[int], bool]]:
    """Each point, then all together: its names, its rows in the cube, and whether they are all there are."""
    for at, where in enumerate(cube.points):
        yield where, [at], True
    if len(cube.points) > 1:
        yield dict.fromkeys(cube.points[0]), list(range(len(cube.points))), Design.of(cube.values).grid


def fund_for(
    runs: pl.DataFrame, parameters: Iterable[str], probabilities: Sequence[float] = PROBABILITIES
) -> pl.DataFrame:
    """How much cash keeps deleveraging away but for a probability, at each point, by kind of feedback.

    As `fastadl.stress.compare.fund_for` says, with a band; n seeds say nothing of probabilities below 1/n.

    Parameters
    ----------
    runs : DataFrame
        With ``fund_needed`` and ``deficit``.
    parameters : iterable of str
    probabilities : sequence of float
        Above 0 and below 1.

    Returns
    -------
    DataFrame
        ``point``, parameters, ``feedback``, ``probability``; ``cash`` (atoms), ``cash_low``, ``cash_high``;
        how many ``seeds``; and, with the fund as it was, the share of them in which it left something to
        others: ``observed``, ``observed_low``, ``observed_high`` (Wilson's band).
    """
    parameters = list(parameters)
    keys = ["point", *parameters, "feedback"]
    rows = []
    for names, mine in runs.group_by(keys):
        which = dict(zip(keys, names, strict=True))
        of_seed = mine.drop_nulls("fund_needed").group_by("seed").agg(pl.col("fund_needed", "deficit").max())
        needed, n = of_seed["fund_needed"].sort().to_list(), len(of_seed)
        hits = int((of_seed["deficit"] > 0).sum())
        low, high = wilson(hits, n) if n else (None, None)
        seen = {"seeds": n, "observed": hits / n if n else None, "observed_low": low, "observed_high": high}
        for probability in probabilities:
            edges = order_band(n, 1.0 - probability) if n else (None, None)
            least, most = (None if edge is None else needed[edge] for edge in edges)
            cash = {"cash": compare.fund_for(needed, probability), "cash_low": least, "cash_high": most}
            rows.append({**which, "probability": probability, **cash, **seen})
    money = dict.fromkeys(("cash", "cash_low", "cash_high", "seeds"), pl.Int64)
    kinds = {"probability": pl.Float64, **money, **_floats("observed", "observed_low", "observed_high")}
    return _frame(rows, runs, parameters, kinds, policy=False)


def importance(runs: pl.DataFrame, parameters: Iterable[str]) -> pl.DataFrame:
    """How much of what a measure varies comes from each parameter, from the policy, and from the seed.

    Of all runs under a kind of feedback (``policy`` is null), and of those of each policy. Seeds that did not
    run at every point, or in which a measure says nothing, are left out, and points likewise; where that is
    more than half of the runs, nothing is said.

    Returns
    -------
    DataFrame
        ``feedback``, ``policy``, ``measure``, ``factor`` (a parameter, ``policy`` or ``seed``); ``rank`` by
        ``alone``, the share of the variance that the factor explains by itself, with ``alone_low``,
        ``alone_high``; ``total``, the same with what it does in combination with others (for parameters,
        known where the points are a full grid), ``total_low``, ``total_high``; of how many ``points`` and
        ``seeds``. See `fastadl.sweep.variance`.
    """
    parameters = list(parameters)
    rows = [
        {"feedback": cube.feedback, "policy": policy, "measure": name, **row}
        for cube in Cube.each(runs, parameters)
        for policy in (*([None] if len(cube.policies) > 1 else []), *cube.policies)
        for name in cube.measured
        for row in _ranked(cube, cube.of(name, policy))
    ]
    edges = [f"{name}{edge}" for name in ("alone", "total") for edge in ("", "_low", "_high")]
    names = _kinds(feedback=pl.String, policy=pl.String, measure=pl.String, factor=pl.String, rank=pl.Int64)
    return pl.DataFrame(rows, schema=names | _floats(*edges) | _kinds(points=pl.Int64, seeds=pl.Int64))


def _ranked(cube: Cube, measured: Any) -> Iterator[dict[str, Any]]:
    """Factors of a measure, the one that explains most first."""
    points, seeds = block(np.isfinite(measured).all(axis=1))
    some = measured[np.ix_(points, np.arange(measured.shape[1]), seeds)]
    told = 2 * some.size >= measured.size and some.size > 0
    if not told:
        some, points = np.zeros_like(measured), np.arange(len(measured))
    found = shares(some, Design.of({name: values[points] for name, values in cube.values.items()}))
    order = sorted(found, key=lambda name: -np.nan_to_num(found[name].alone[0], nan=-1.0))
    for rank, name in enumerate(order, 1):
        row: dict[str, Any] = {"factor": name, "rank": rank}
        for index in ("alone", "total"):
            for edge, at in zip(("", "_low", "_high"), getattr(found[name], index), strict=True):
                row[index + edge] = _known(at)
        yield {**row, "points": some.shape[0] if told else 0, "seeds": some.shape[2] if told else 0}


def effects(runs: pl.DataFrame, parameters: Iterable[str]) -> pl.DataFrame:
    """What every measure is on average where a parameter has a value, by kind of feedback and policy.

    Means are over the seeds and over all values of the other parameters; of drawn numbers, of
    classes with as many points each. Bands are Student's, of seeds and drawn points as samples both.

    Returns
    -------
    DataFrame
        ``feedback``, ``policy``, ``measure``, ``parameter``; ``level`` from 0; ``value`` in words; ``at``,
        ``from``, ``to``: mean, least and largest value of the class, null if not numbers; ``n`` runs;
        ``mean``, ``mean_low``, ``mean_high``.
    """
    parameters = list(parameters)
    rows = []
    for cube in Cube.each(runs, parameters):
        design = Design.of(cube.values, most=_CLASSES)
        for policy in cube.policies:
            for name in cube.measured:
                measured = cube.of(name, policy)[:, 0]
                which = {"feedback": cube.feedback, "policy": policy, "measure": name}
                for parameter, levels in design.levels.items():
                    for level in range(int(levels.max()) + 1):
                        here = levels == level
                        of = {"parameter": parameter, "level": level, **_class(cube.values[parameter][here])}
                        rows.append({**which, **of, **_of_cells(measured[here], design.grid)})
    names = _kinds(feedback=pl.String, policy=pl.String, measure=pl.String, parameter=pl.String)
    kinds = names | _kinds(level=pl.Int64, value=pl.String) | _floats("at", "from", "to") | _kinds(n=pl.Int64)
    return pl.DataFrame(rows, schema=kinds | _floats(*_MEAN))


def _class(values: Any) -> dict[str, Any]:
    """A class of values of a parameter."""
    first, last = values.min(), values.max()
    if not np.issubdtype(values.dtype, np.number):
        return {"value": str(first), "at": None, "from": None, "to": None}
    words = shown(first) if first == last else f"{shown(first)} to {shown(last)}"
    return {"value": words, "at": float(np.mean(values)), "from": float(first), "to": float(last)}


# ---------------------------------------------------------------------- values of one group


def _of_cells(cells: Any, grid: bool) -> dict[str, Any]:
    """How many values there are, and their mean over points and seeds; NaN where there is none."""
    known = ~np.isnan(cells)
    said: dict[str, Any] = {"n": int(known.sum()), **dict.fromkeys(_MEAN)}
    if said["n"] and not np.isinf(cells).any():
        cells = cells[known.any(axis=1)][:, known.any(axis=0)]
        mean, reach = float(np.nanmean(cells)), crossed_reach(cells, grid)
        edges = (None, None) if reach is None else (mean - reach, mean + reach)
        said.update(zip(_MEAN, (mean, *edges), strict=True))
    return said


def _of_order(values: Any, *, banded: bool) -> dict[str, float | None]:
    values, n = np.sort(values), len(values)
    ends = (float(values[0]), float(values[-1])) if n else (None, None)
    said: dict[str, float | None] = dict(zip(("least", "most"), ends, strict=True))
    for share in QUANTILES:
        place = n - 1 - floor((1.0 - share) * n + 1e-9)
        sure = n * min(share, 1.0 - share) >= 1.0 - 1e-9
        edges = order_band(n, share) if n and banded else (None, None)
        for name, edge in zip(("", "_low", "_high"), (place if sure else None, *edges), strict=True):
            said[f"q{round(100 * share):02d}{name}"] = None if edge is None else float(values[edge])
    return said


def _known(value: float) -> float | None:
    return None if isnan(value) else value


# ---------------------------------------------------------------------- frames


def _kinds(**kinds: Any) -> dict[str, Any]:
    return kinds


def _floats(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, pl.Float64)


def _frame(
    rows: Sequence[dict[str, Any]],
    runs: pl.DataFrame,
    parameters: Sequence[str],
    kinds: Mapping[str, Any],
    *,
    policy: bool = True,
) -> pl.DataFrame:
    """Rows as a frame, by point, feedback and policy."""
    names = ["point", "feedback", *(["policy"] if policy else [])]
    schema = {key: runs.schema[key] for key in ["point", *parameters, *names[1:]]}
    frame = pl.DataFrame(rows, schema={**schema, **kinds}, orient="row")
    return frame.sort(names, nulls_last=True, maintain_order=True)
