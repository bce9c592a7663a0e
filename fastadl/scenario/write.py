"""A result as a folder of files (rule R79)."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from fastadl.errors import InputError

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
    target = Path(os.path.abspath(folder))
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(("--out",), str(folder), "name a new or empty folder (rule R79)")
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        text = msgspec.json.format(msgspec.json.encode(result), indent=1)
        (beside / "result.json").write_bytes(text + b"\n")
        for name, frame in frames.items():
            frame.write_parquet(beside / f"{name}.parquet")
        if target.exists():
            target.rmdir()
        os.replace(beside, target)
    except OSError as error:
        raise InputError(
            ("--out",), str(folder), f"name a folder that can be written: {error.strerror or error}"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target
