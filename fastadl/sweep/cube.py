"""The runs of a sweep as an array: points by policies by seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fastadl.schema import BoolArray, Float64Array, Int64Array

__all__ = ["Cube", "block", "measures"]

_KEYS = ("point", "seed", "feedback", "policy")


def measures(runs: pl.DataFrame, parameters: Iterable[str]) -> list[str]:
    """Columns that measure something: numbers that are neither a name nor a parameter."""
    given = {*_KEYS, *parameters}
    return [name for name, kind in runs.schema.items() if kind.is_numeric() and name not in given]


@dataclass(frozen=True, slots=True)
class Cube:
    """All runs under one kind of feedback.

    Attributes
    ----------
    feedback : str
    policies : tuple of str
        Sorted.
    points : tuple of dict
        ``point`` and the values of the parameters.
    values : dict
        By parameter: its value at each point.
    measured : dict
        By measure: float64 (points, policies, seeds), NaN where it says nothing or was not run.
    ran : bool (points, policies, seeds)
    """

    feedback: str
    policies: tuple[str, ...]
    points: tuple[dict[str, Any], ...]
    values: dict[str, Any]
    measured: dict[str, Float64Array]
    ran: BoolArray

    @classmethod
    def each(cls, runs: pl.DataFrame, parameters: Sequence[str]) -> Iterator[Cube]:
        """One for each kind of feedback."""
        names = measures(runs, parameters)
        for (feedback,), mine in runs.sort("feedback").group_by("feedback", maintain_order=True):
            keys = (mine[key].to_numpy() for key in ("point", "policy", "seed"))
            axes = [np.unique(key, return_inverse=True) for key in keys]
            cells = tuple(place for _, place in axes)
            shape = [len(found) for found, _ in axes]
            ran = np.zeros(shape, np.bool_)
            ran[cells] = True
            measured = {name: np.full(shape, np.nan) for name in names}
            for name in names:
                measured[name][cells] = mine[name].cast(pl.Float64).to_numpy()
            points = mine.select("point", *parameters).unique("point", keep="any").sort("point")
            values = {name: points[name].to_numpy() for name in parameters}
            policies = tuple(axes[1][0].tolist())
            yield cls(str(feedback), policies, tuple(points.to_dicts()), values, measured, ran)

    def of(self, measure: str, policy: str | None) -> Float64Array:
        """A measure under one policy, or under all."""
        whole = self.measured[measure]
        if policy is None:
            return whole
        at = self.policies.index(policy)
        return whole[:, at : at + 1]


def block(there: BoolArray) -> tuple[Int64Array, Int64Array]:
    """Points and seeds that all ran: taking in the points of the most seeds first, the largest block.

    Parameters
    ----------
    there : bool (points, seeds)
    """
    order = np.argsort(-there.sum(axis=1), kind="stable")
    common = np.logical_and.accumulate(there[order], axis=0)
    cells = common.sum(axis=1) * np.arange(1, len(there) + 1)
    last = len(cells) - 1 - int(np.argmax(cells[::-1]))
    return np.sort(order[: last + 1]), np.flatnonzero(common[last])
