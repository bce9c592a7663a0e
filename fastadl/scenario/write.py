"""A result as a folder of files (rule R79)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from fastadl import io

__all__ = ["write_result"]


def write_result(
    result: Mapping[str, Any], frames: Mapping[str, pl.DataFrame], folder: str | os.PathLike[str]
) -> Path:
    """Write ``result.json`` and one Parquet file per frame into a new or empty folder, whole or not at all.

    Parameters
    ----------
    result : mapping
        The object of `Scenario.run`.
    frames : mapping of name to DataFrame
        From `Run.frames`.
    folder : path

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds something, or cannot be written; then nothing is left behind.
    """
    with io.new_folder(folder) as partial:
        text = msgspec.json.format(msgspec.json.encode(result), indent=1)
        (partial / "result.json").write_bytes(text + b"\n")
        for name, frame in frames.items():
            frame.write_parquet(partial / f"{name}.parquet")
    return Path(folder)
