"""Machine code on disk never answers for other sources than those it was built from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastadl

pytestmark = pytest.mark.jit

PACKAGE = Path(fastadl.__file__).parent

HELPER = """
from fastadl.kernels._jit import kernel
STEP = 1
@kernel
def helper(x):
    return x + STEP
"""

CALLER = """
from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.helper import helper
from numba import prange
@kernel
def caller(x):
    return 10 * helper(x)
@parallel
def total(values):
    for i in prange(values.shape[0]):
        values[i] = helper(values[i])
@kernel
def asking(own, x):
    return own(x)
"""

PROGRAM = """
import numpy as np
from fastadl.kernels.caller import caller, total
values = np.arange(3)
total(values)
print(caller(2), *values, sum(sum(f.stats.cache_hits.values()) for f in (caller, total)))
"""

#: A function from outside, of one name with another factor.
OWN = """
from fastadl.kernels._jit import ByAddress
from fastadl.kernels.caller import asking
def own(x):
    return x * {factor}
print(int(asking(ByAddress(own, 1.0), 2.0)), sum(asking.stats.cache_hits.values()))
"""


class Copy:
    """A copy of the kernels package with two small kernels of its own, run in fresh processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"
        shutil.copytree(
            PACKAGE / "kernels", root / "fastadl" / "kernels", ignore=shutil.ignore_patterns("__pycache__")
        )
        (root / "fastadl" / "__init__.py").write_text("")
        self.write("helper", HELPER)
        self.write("caller", CALLER)

    def write(self, name: str, source: str) -> None:
        (self.root / "fastadl" / "kernels" / f"{name}.py").write_text(source)

    def start(self, program: str) -> subprocess.Popen[str]:
        """A process that runs beside others."""
        environment = os.environ | {"FASTADL_CACHE_DIR": str(self.cache), "PYTHONDONTWRITEBYTECODE": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", program], cwd=self.root, env=environment, **pipes)

    def run(self, cache: str | None = None, program: str = PROGRAM) -> tuple[list[int], int]:
        """The answers of the kernels, and how many came from the cache."""
        environment = os.environ | {
            "FASTADL_CACHE_DIR": str(self.cache) if cache is None else cache,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-W", "error", "-c", program]
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        *answers, hits = map(int, done.stdout.split())
        return answers, hits


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_unchanged_sources_are_answered_from_the_cache(copy: Copy) -> None:
    assert copy.run() == ([30, 1, 2, 3], 0)
    assert copy.run() == ([30, 1, 2, 3], 2)


@pytest.mark.parametrize(
    ("old", "new"), [("x + STEP", "x + 2 * STEP"), ("STEP = 1", "STEP = 2")], ids=["a helper", "a constant"]
)
def test_an_edit_in_another_file_is_never_answered_by_stale_code(copy: Copy, old: str, new: str) -> None:
    copy.run()
    before = (copy.root / "fastadl" / "kernels" / "helper.py").stat()
    copy.write("helper", HELPER.replace(old, new))
    os.utime(copy.root / "fastadl" / "kernels" / "helper.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert copy.run() == ([40, 2, 3, 4], 0)


def test_a_kernel_from_the_cache_calls_the_function_it_is_given(copy: Copy) -> None:
    assert copy.run(program=OWN.format(factor=3)) == ([6], 0)
    assert copy.run(program=OWN.format(factor=5)) == ([10], 1)


def test_a_file_that_comes_or_goes_empties_the_cache(copy: Copy) -> None:
    copy.run()
    copy.write("newcomer", "")
    assert copy.run()[1] == 0


def test_going_back_to_old_sources_finds_their_code_again(copy: Copy) -> None:
    copy.run()
    copy.write("helper", HELPER.replace("STEP = 1", "STEP = 2"))
    copy.run()
    copy.write("helper", HELPER)
    assert copy.run() == ([30, 1, 2, 3], 2)


def test_a_cache_that_cannot_be_made_is_done_without(copy: Copy) -> None:
    (copy.root / "file").write_text("not a folder")
    assert copy.run(str(copy.root / "file" / "below")) == ([30, 1, 2, 3], 0)


def test_a_cache_that_cannot_be_written_is_still_read(copy: Copy) -> None:
    """As one that came with a container's image, owned by somebody else."""
    copy.run()
    refuse = """
import os
def refused(*_, **__):
    raise PermissionError("read only")
os.utime = refused
access = os.access
os.access = lambda path, mode: not mode & os.W_OK and access(path, mode)
"""
    assert copy.run(program=refuse + PROGRAM) == ([30, 1, 2, 3], 2)


def test_an_empty_name_turns_the_cache_off(copy: Copy) -> None:
    assert copy.run("") == ([30, 1, 2, 3], 0)
    assert copy.run("") == ([30, 1, 2, 3], 0)
    assert not copy.cache.exists()


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_file_is_compiled_anew(copy: Copy, suffix: str) -> None:
    copy.run()
    for path in copy.cache.rglob(f"*.{suffix}"):
        path.write_bytes(path.read_bytes()[:40])
    assert copy.run() == ([30, 1, 2, 3], 0)
    assert copy.run() == ([30, 1, 2, 3], 2)


def test_two_processes_that_compile_the_same_kernel_do_not_mix_it_up(copy: Copy) -> None:
    """One for integers, one for floats, each starting from the index the other one has not written yet."""
    program = """
import time, numpy as np
from fastadl.kernels import _cache
from fastadl.kernels.caller import caller, total
load = _cache._Files._load_index
def slow(self):
    found = load(self)
    time.sleep(0.2)
    return found
_cache._Files._load_index = slow
values = np.arange(3, dtype=KIND)
total(values)
print(int(caller(values.dtype.type(2))), *map(int, values))
"""
    for _ in range(2):
        both = [copy.start(program.replace("KIND", repr(kind))) for kind in ("int64", "float64")]
        for process in both:
            out, err = process.communicate()
            assert process.returncode == 0, err
            assert out.split() == ["30", "1", "2", "3"]
    assert not list(copy.cache.rglob("*.tmp.*"))


def test_old_folders_of_other_sources_are_removed(copy: Copy) -> None:
    folders = [copy.cache / f"{number:020x}" for number in range(12)]
    for age, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "kernel.nbi").write_text("")
        last = time.time() - 86_400 * (31 if age == 2 else age)
        os.utime(folder, (last, last))
    (copy.cache / "mine").mkdir()
    copy.run()
    left = {path.name for path in copy.cache.iterdir()}
    gone = [age for age, folder in enumerate(folders) if folder.name not in left]
    assert gone == [2, 9, 10, 11]
    assert "mine" in left
    assert len(left) == 8 + 2


def test_other_compilers_and_settings_have_folders_of_their_own(copy: Copy) -> None:
    program = "from fastadl.kernels import _cache; print(int(_cache.source_digest()[:8], 16), 0)"
    change = "import numba; numba.__version__ = '0.0'\n"
    assert copy.run(program=program) == copy.run(program=program) != copy.run(program=change + program)
    change = "import numba; numba.config.BOUNDSCHECK = 1\n"
    assert copy.run(program=program) != copy.run(program=change + program)


def test_every_kernel_of_the_package_is_watched() -> None:
    from fastadl.kernels import _jit

    watched = {Path(_jit.__file__), PACKAGE / "bench" / "limit.py"}  # the latter is never cached
    assert not [f for f in PACKAGE.rglob("*.py") if "njit" in f.read_text() and f not in watched]
