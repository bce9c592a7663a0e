"""Compiled kernels on disk: one cache that any edit in this folder empties.

numba's own ``cache=True`` watches only the file a function stands in, so machine code built from an edited
helper in another file would go on answering. Here kernels lie in a folder named by a digest of all sources
beside this one, of the versions that turn them into machine code, and of the settings that change it; numba
adds the processor. The folder stands in the user's cache directory (``FASTADL_CACHE_DIR`` moves it, an empty
value turns it off). A cache that cannot be read or written costs time, never a result: the kernel is compiled
anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching

__all__ = ["KernelCache", "cache_directory", "source_digest"]

#: Settings of numba that change machine code and that it does not keep apart.
_SETTINGS = ("BOUNDSCHECK", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE")
#: Folders of other sources and versions that are kept, and days they are kept after their last use.
_MOST, _DAYS = 8, 30


@functools.cache
def source_digest() -> str:
    """Digest of every source file of the kernels package, and of what compiles them."""
    settings = [str(getattr(numba.config, name, None)) for name in _SETTINGS]
    compiler = [sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, np.__version__]
    digest = hashlib.sha256(" ".join([*compiler, *settings]).encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


@functools.cache
def cache_directory() -> Path | None:
    """Folder of compiled kernels, or None where there is none; one that cannot be written is still read."""
    given = os.environ.get("FASTADL_CACHE_DIR")
    if given == "":
        return None
    variable, fallback = ("LOCALAPPDATA", "") if sys.platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    try:
        root = Path(given) if given else Path(os.environ.get(variable) or Path.home() / fallback) / "fastadl"
        folder = root / source_digest()
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _prune(root, folder)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)  # its last use
    return folder if os.access(folder, os.R_OK) else None


def _prune(root: Path, used: Path) -> None:
    """Remove folders of other sources that have not been used for long; one in use then misses its files."""
    with contextlib.suppress(OSError):
        others = [path for path in root.iterdir() if re.fullmatch("[0-9a-f]{20}", path.name) and path != used]
        last = {path: path.stat().st_mtime for path in others}
        others.sort(key=last.__getitem__, reverse=True)
        oldest = time.time() - _DAYS * 86_400
        for place, path in enumerate(others):
            if place >= _MOST or last[path] < oldest:
                shutil.rmtree(path, ignore_errors=True)


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._folder = folder
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return source_digest()

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], _py_file: str) -> _Locator | None:
        folder = cache_directory()
        return None if folder is None else cls(py_func, folder)


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Files(caching.IndexDataCacheFile):  # type: ignore[misc]
    """Names machine code by what it is for.

    numba numbers the files, so that two processes which compile the same function for other types at the same
    time both write number 1, and the index of one may lead to the code of the other. Here the worst that
    happens is that an entry is missing from the index.
    """

    def save(self, key: Any, data: Any) -> None:
        name = f"{self._index_name[:-4]}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.nbc"
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Cache of one kernel, whose files may be damaged, or be written by other processes at the same time."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, source_digest())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a file cut short by a crash can fail in any way, and none of them matters
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if the disk lets it."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)
