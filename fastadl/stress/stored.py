"""Books of an experiment that are not drawn: folders of books, and of datasets."""

from __future__ import annotations

from pathlib import Path

from fastadl.book import Book
from fastadl.errors import InputError
from fastadl.sharded.dataset import Dataset

__all__ = ["book", "dataset"]


def dataset(folder: str) -> Dataset | None:
    """What is in a folder, if it is in partitions, by its footers."""
    if not any(Path(folder).glob("part-*")):
        return None
    found = Dataset.open(folder)
    _check(found.reserves)
    return found


def book(folder: str) -> Book:
    """The book of a folder, also if it is in partitions."""
    found = dataset(folder)
    if found is not None:
        return found.book()
    whole = Book.read(folder)
    _check(whole)
    return whole


def _check(found: Book) -> None:
    """Refuse what a crash cannot be run on: money is shown in one currency."""
    currencies = found.instruments.currencies
    if len(currencies) != 1:
        raise InputError(("book", "folder"), ", ".join(currencies), "give a book of one settlement currency")
