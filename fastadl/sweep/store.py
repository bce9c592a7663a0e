"""The folder of a sweep: trials on disk as they are finished, so that none is ever run twice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from fastadl.errors import InputError
from fastadl.lock import Lock
from fastadl.sweep.executor import Trial
from fastadl.sweep.identity import digest, file_of, refuse_other

if TYPE_CHECKING:
    from fastadl.sweep.result import SweepResult
    from fastadl.sweep.sweep import Sweep

__all__ = ["Store", "folder_of", "opened"]

#: Files of single trials after which they are made one.
_MANY = 256
_LOCK, _SWEEP, _RUNS, _RESULT, _UNDONE = ".lock", "sweep.toml", "runs", "result.json", ".part"
#: Says of every stored row of which sweep it is.
_MARK = "sweep"


def folder_of(file: str | os.PathLike[str]) -> Path | None:
    """The folder that a sweep goes on in: itself, or where its ``result.json`` lies; None for other files."""
    path = Path(file)
    if path.name == _RESULT and (path.parent / _SWEEP).is_file():
        return path.parent
    return path if path.is_dir() else None


@contextmanager
def opened(folder: str | os.PathLike[str], sweep: Sweep) -> Iterator[Store]:
    """The store in a folder that is new, empty, or of the same sweep; nobody else writes to it meanwhile.

    Parameters
    ----------
    folder : path
    sweep : Sweep
        Its seeds may be others than those before.

    Raises
    ------
    InputError
        For the folder of another sweep, or of another version of fastadl; one that is in use or holds
        something else; and whenever it cannot be written: then what is finished stays there.
    """
    name, path = os.fspath(folder), Path(folder).absolute()
    with _refusals(name, "give a folder that can be written"):
        path.mkdir(parents=True, exist_ok=True)
        lock = Lock(path / _LOCK, name)
    with lock:
        try:
            store = Store(path, name, sweep, lock)
        except InputError:
            lock.leave_no_trace()
            raise
        yield store


class Store:
    """A folder with ``sweep.toml``, which says what is run, and ``runs``, what came of trials.

    Parameters
    ----------
    folder : path
    name : str
        Of the folder, as errors call it.
    sweep : Sweep
    lock : Lock

    Attributes
    ----------
    found : DataFrame or None
        Rows of finished trials of this sweep.
    finished : set of Trial
        These trials.
    """

    found: pl.DataFrame | None
    finished: set[Trial]

    def __init__(self, folder: Path, name: str, sweep: Sweep, lock: Lock) -> None:
        self._folder, self._runs, self._name = folder, folder / _RUNS, name
        self._sweep, self._lock, self._mark = sweep, lock, digest(sweep)
        self._single: list[Path] = []
        with _refusals(name, "give a folder that can be written"):
            seeds = dict.fromkeys([*self._seeds_before(), *sweep.seeds])
            self._write(folder / _SWEEP, file_of(sweep, list(seeds)).encode())
            self._runs.mkdir(exist_ok=True)
            self._files, self._torn, frames = self._read()
        self.found, self.finished = self._whole(frames)

    def _seeds_before(self) -> list[int]:
        """Seeds that the folder was made for; none if it is empty."""
        there = {path.name for path in self._folder.iterdir() if path.suffix != _UNDONE} - {_LOCK}
        if _SWEEP in there:
            return refuse_other(self._sweep, self._folder / _SWEEP, self._name)
        if there:
            remedy = "give a new or empty folder, or that of this sweep"
            raise InputError((), f"holds {min(there)}", remedy, self._name)
        return []

    def _read(self) -> tuple[list[Path], list[Path], list[pl.DataFrame]]:
        """Files that can be read, those that cannot, and rows of this sweep."""
        for undone in self._runs.glob(f"*{_UNDONE}"):
            undone.unlink()
        files, torn, frames = [], [], []
        for path in sorted(self._runs.glob("*.parquet")):
            try:
                frame = _rows(path)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # its trials run again
                torn.append(path)
                continue
            if {"point", "seed", "feedback", "policy", _MARK} <= set(frame.columns):
                files.append(path)
                frames.append(frame.filter(pl.col(_MARK) == self._mark).drop(_MARK))
        return files, torn, [frame for frame in frames if len(frame)]

    def _whole(self, frames: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame | None, set[Trial]]:
        """Rows of trials of which all runs are there, each once; and which trials these are."""
        if not frames:
            return None, set()
        run = ["point", "seed", "feedback", "policy"]
        wanted = pl.DataFrame(
            [
                (point, seed, feedback, policy)
                for point, experiment in enumerate(self._sweep.experiments)
                for feedback in experiment.feedback
                for policy in experiment.policies
                for seed in self._sweep.seeds
            ],
            schema={"point": pl.Int64, "seed": pl.Int64, "feedback": pl.String, "policy": pl.String},
            orient="row",
        )
        rows = pl.concat(frames, how="vertical_relaxed").unique(run, keep="first", maintain_order=True)
        trial = ["point", "seed"]
        there = wanted.join(rows.select(run), on=run, how="semi").group_by(trial).len()
        whole = wanted.group_by(trial).len().join(there, on=[*trial, "len"], how="semi").select(trial)
        return rows.join(whole, on=trial, how="semi"), {Trial(*row) for row in whole.iter_rows()}

    def keep(self, trial: Trial, frame: pl.DataFrame) -> None:
        """Write what came of a trial."""
        with self._failures():
            path = self._runs / f"{trial.point}-{trial.seed}.parquet"
            self._write(path, _parquet(frame.with_columns(pl.lit(self._mark).alias(_MARK))))
            self.finished.add(trial)
            self._single.append(path)
            if len(self._single) >= _MANY:
                self._files.append(self._merge(self._single))
                self._single = []

    def finish(self, result: SweepResult) -> None:
        """Make one file of all trials, and write all frames and ``result.json`` beside them."""
        with self._failures():
            files = [*self._files, *self._single]
            if len(files) > 1:
                self._files, self._single = [self._merge(files)], []
            for torn in {*self._torn} - {*self._files, *self._single}:
                torn.unlink(missing_ok=True)
            for name, frame in result.frames().items():
                self._write(self._folder / f"{name}.parquet", _parquet(frame))
            text = msgspec.json.format(msgspec.json.encode(result.to_dict()), indent=1)
            self._write(self._folder / _RESULT, text + b"\n")

    def _merge(self, files: Sequence[Path]) -> Path:
        """One file in place of several; killed meanwhile, it leaves rows twice, never less than once."""
        taken = [
            int(found[1]) for path in self._runs.iterdir() if (found := re.match(r"all-(\d+)", path.name))
        ]
        merged = self._runs / f"all-{max(taken, default=0) + 1}.parquet"
        self._write(merged, _parquet(pl.concat(map(_rows, files), how="vertical_relaxed")))
        for path in files:
            path.unlink(missing_ok=True)
        return merged

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, and only into the folder that is locked."""
        self._lock.refuse_lost()
        undone = path.with_name(path.name + _UNDONE)
        try:
            with undone.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            undone.replace(path)
        except OSError:
            with suppress(OSError):
                undone.unlink()
            raise

    @contextmanager
    def _failures(self) -> Iterator[None]:
        kept = f"{len(self.finished)} finished trials"
        with _refusals(self._name, f"see that it can be written, and run it again: {kept} are kept there"):
            try:
                yield
            except FileNotFoundError:
                raise InputError(
                    (), "the folder is gone", f"run it again: {kept} went with it", self._name
                ) from None


@contextmanager
def _refusals(name: str, remedy: str) -> Iterator[None]:
    """What the operating system refuses, as an error of the folder."""
    try:
        yield
    except OSError as error:
        raise InputError((), error.strerror or str(error), remedy, name) from None


def _rows(path: Path) -> pl.DataFrame:
    return pl.read_parquet(BytesIO(path.read_bytes()))


def _parquet(frame: pl.DataFrame) -> bytes:
    stream = BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()
