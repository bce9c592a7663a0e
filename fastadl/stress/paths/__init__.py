"""Price paths for stress tests: made-up moves, crashes of the past, and any file of prices.

`named` gives a scenario by its name in `SCENARIOS`; `read` makes one of CSV or Parquet files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np

from fastadl.errors import InputError
from fastadl.policy.choices import nearest
from fastadl.stress.paths.events import EVENTS
from fastadl.stress.paths.files import read
from fastadl.stress.paths.history import Historical
from fastadl.stress.paths.jumps import Jumps
from fastadl.stress.paths.path import Path, asset_of
from fastadl.stress.paths.scenario import Scenario
from fastadl.stress.paths.shapes import Depeg, FlashCrash, Rally, SlowBleed, relative

__all__ = ["SCENARIOS", "Path", "Scenario", "asset_of", "named", "read"]

Made: TypeAlias = FlashCrash | Rally | SlowBleed | Depeg | Jumps

#: The parameters of each scenario, at their defaults.
SCENARIOS: Mapping[str, Made | Historical] = {
    **{made.name: made for made in (FlashCrash(), Rally(), SlowBleed(), Depeg(), Jumps())},
    **{name: Historical.of(event) for name, event in EVENTS.items()},
}


def named(name: str, /, **parameters: int | float | str) -> Scenario:
    """Make a scenario.

    Parameters
    ----------
    name : str
        Of `SCENARIOS`.
    **parameters : int, float or str
        In place of its defaults.

    Raises
    ------
    InputError
        For a name or parameter that does not exist, suggesting the nearest, and for a value of another type
        or out of bounds; at ``scenario`` and the parameter's name.

    Examples
    --------
    >>> named("flash-crash", depth=0.3).parameters["depth"]
    0.3
    """
    usual = SCENARIOS.get(str(name))
    if usual is None:
        raise InputError(("scenario",), name, f"name one of {', '.join(SCENARIOS)}{nearest(name, SCENARIOS)}")
    known = {item.name: getattr(usual, item.name) for item in fields(usual) if item.name != "event"}
    for key, value in parameters.items():
        if key not in known:
            allowed = f"{name} has {', '.join(known)}{nearest(key, known)}"
            raise InputError(("scenario", key), value, allowed)
    given = {key: _typed(key, value, type(known[key])) for key, value in parameters.items()}
    chosen = replace(usual, **given)
    return chosen.scenario(name) if isinstance(chosen, Historical) else relative(chosen)


def _typed(name: str, value: Any, kind: type) -> Any:
    """A value of the type of the parameter's default."""
    if kind is str and isinstance(value, str):
        return value
    if kind is float and isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    what = {str: "text", float: "a number", int: "a whole number"}[kind]
    raise InputError(("scenario", name), value, f"give {what}")
