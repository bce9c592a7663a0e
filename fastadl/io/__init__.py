"""The border: frames, mappings of arrays, Parquet, Arrow IPC and CSV to the book's columns, and back."""

from __future__ import annotations

from fastadl.io.files import check_file, check_folder, new_file, new_folder, read, write
from fastadl.io.frames import frames, tables
from fastadl.io.index import Index

__all__ = [
    "Index",
    "check_file",
    "check_folder",
    "frames",
    "new_file",
    "new_folder",
    "read",
    "tables",
    "write",
]
