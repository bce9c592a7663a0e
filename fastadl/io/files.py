"""Books in files: Parquet, Arrow IPC and CSV; every error names the file; written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl

from fastadl.errors import InputError
from fastadl.io.frames import frames, tables
from fastadl.schema import TABLES

if TYPE_CHECKING:
    from fastadl.book import Book

__all__ = ["check_folder", "load", "new_folder", "read", "readable", "write"]


def read(source: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]) -> Book:
    """Read a book.

    Parameters
    ----------
    source : path or mapping
        A folder with ``instruments``, ``accounts`` and ``positions``, each ending in ``.parquet``,
        ``.arrow``, ``.ipc``, ``.feather`` or ``.csv``; or the three names mapped to files.

    Raises
    ------
    InputError
        Naming the file, and the row and column in it.
    """
    from fastadl.book import Book

    files = _files(source)
    loaded = {name: load(name, path) for name, path in files.items()}
    try:
        return Book._from_columns(*tables(*(loaded[name] for name in TABLES)))
    except InputError as error:
        raise error.within(str(files[str(error.path[0])])) from None


def write(book: Book, folder: str | os.PathLike[str], *, format: str = "parquet") -> Path:
    """Write a book into a new or empty folder, whole or not at all.

    Parameters
    ----------
    book : Book
    folder : path
    format : str
        ``parquet``, ``arrow`` or ``csv``.

    Returns
    -------
    Path
        The folder.
    """
    if format not in _WRITERS:
        raise InputError(("format",), format, f"give {', '.join(_WRITERS)}")
    with new_folder(folder) as partial:
        for name, frame in zip(TABLES, frames(book), strict=True):
            _WRITERS[format](frame, partial / f"{name}.{format}")
    return Path(folder)


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to fill, which takes its place under its name when all went well and vanishes otherwise.

    Parameters
    ----------
    folder : path
        New, or empty.

    Raises
    ------
    InputError
        If the folder holds something, or cannot be written.
    """
    target = Path(folder).absolute()
    partial = target.with_name(f".{target.name}.{uuid4().hex[:12]}")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError((), "not an empty folder", "give a new or empty folder", str(folder))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = _system_error(error)
        if reason is None:
            raise
        raise InputError((), reason, "give a folder that can be written", str(folder)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _system_error(error: Exception) -> str | None:
    """What the operating system refused; polars says it in the text of an error of its own."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    number = re.search(r"\(os error (\d+)\)", str(error))
    return None if number is None else os.strerror(int(number[1]))


class _RehearsedError(Exception):
    """Leaves what was made only to see that it can be."""


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Refuse now what `new_folder` would refuse when a long run is over."""
    with suppress(_RehearsedError), new_folder(folder):
        raise _RehearsedError


@contextmanager
def new_file(file: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write, which takes the place of that name when all went well and vanishes otherwise.

    Raises
    ------
    InputError
        If there is something else than a file, or it cannot be written.
    """
    try:
        target = Path(file).resolve()  # what a link leads to is replaced, not the link
        if target.exists() and not target.is_file():
            raise InputError((), "no file", "give a file that can be replaced", os.fspath(file))
        partial = target.with_name(f".{target.name}.{uuid4().hex[:12]}")
        try:
            partial.touch(exist_ok=False)
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError((), reason, "give a file that can be written", os.fspath(file)) from None


def check_file(file: str | os.PathLike[str]) -> None:
    """Refuse now what `new_file` would refuse when a long run is over."""
    with suppress(_RehearsedError), new_file(file):
        raise _RehearsedError


# ---------------------------------------------------------------------- reading


def _files(source: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]) -> dict[str, Path]:
    if isinstance(source, Mapping):
        if set(source) != set(TABLES):
            raise InputError(
                ("source",), ", ".join(map(str, source)), f"name the files of {', '.join(TABLES)}"
            )
        return {name: Path(source[name]) for name in TABLES}
    folder = Path(source)
    if not folder.is_dir():
        raise InputError((), "no such folder", f"give a folder with {', '.join(TABLES)}", str(folder))
    files = {}
    for name in TABLES:
        found = sorted(path for path in folder.glob(f"{name}.*") if path.suffix in _READERS)
        if len(found) != 1:
            value = "missing" if not found else f"{len(found)} files of that name"
            remedy = f"keep one file {name} with one of the endings {', '.join(_READERS)}"
            raise InputError((), value, remedy, str(folder / f"{name}.*"))
        files[name] = found[0]
    return files


def load(name: str, path: Path) -> Any:
    """What stands in a file of the table of a name, unchecked; a file that cannot be read is refused."""
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError((), f"ending {path.suffix!r}", f"give one of {', '.join(_READERS)}", str(path))
    if not path.is_file():
        raise InputError((), "no such file", "give an existing file", str(path))
    with readable(path), path.open("rb") as stream:
        return reader(stream, name)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Refuse a file by name if what is done with it within the block says that it cannot be read."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        remedy = f"give a complete {path.suffix[1:]} file that can be read"
        raise InputError((), reason, remedy, str(path)) from None


def _read_csv(stream: IO[bytes], name: str) -> dict[str, Any]:
    """All columns as texts, so that no number goes through float64; tiers are JSON."""
    frame = pl.read_csv(stream, infer_schema=False)
    columns: dict[str, Any] = {series.name: series for series in frame}
    for column in TABLES[name]:
        if column.name not in columns:
            continue
        if column.type == "integer":
            columns[column.name] = _integers(columns[column.name])
        elif column.type == "flag":
            columns[column.name] = _flags(columns[column.name])
        elif column.type == "tiers":
            columns[column.name] = [_tiers(text) for text in columns[column.name].to_list()]
    return columns


def _integers(texts: pl.Series) -> pl.Series | list[Any]:
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == texts.null_count():
        return whole
    return [text if number is None else number for text, number in zip(texts, whole, strict=True)]


def _flags(texts: pl.Series) -> pl.Series:
    found = texts.replace_strict(["true", "false"], [True, False], default=None, return_dtype=pl.Boolean)
    return found if found.null_count() == texts.null_count() else texts


def _tiers(text: Any) -> Any:
    """The list a JSON text holds; a text that is none is left for the check of the tiers to refuse."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=Decimal, parse_constant=Decimal)
    except (TypeError, ValueError, RecursionError):
        return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key given twice")
    return fields


_READERS: dict[str, Callable[[IO[bytes], str], Any]] = {
    ".parquet": lambda stream, _: pl.read_parquet(stream),
    ".arrow": lambda stream, _: pl.read_ipc(stream),
    ".ipc": lambda stream, _: pl.read_ipc(stream),
    ".feather": lambda stream, _: pl.read_ipc(stream),
    ".csv": _read_csv,
}


# ---------------------------------------------------------------------- writing


def _write_csv(frame: pl.DataFrame, path: Path) -> None:
    if "tiers" in frame.columns:
        texts = [json.dumps([_given(tier) for tier in tiers]) for tiers in frame["tiers"].to_list()]
        frame = frame.with_columns(pl.Series("tiers", texts, pl.String))
    frame.write_csv(path)


def _given(tier: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in tier.items() if value is not None}


_WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "arrow": lambda frame, path: frame.write_ipc(path),
    "csv": _write_csv,
}
