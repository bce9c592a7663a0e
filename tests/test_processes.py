"""Several Python threads, forked and spawned processes: the same numbers, or a clear error, never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numba
import pytest

from fastadl import Engine, InputError, synth

pytestmark = pytest.mark.jit

LAYERS = ["omp", "workqueue", "tbb"]

#: What a thread does: build, tick, read; as bytes.
WORK = """
import os, sys, threading, warnings
import numpy as np
import fastadl as fa

def results(seed, engine=None):
    book = fa.synth.book("pareto", positions=6000, accounts=2500, instruments=3, seed=seed)
    book = fa.Book.from_frames(*book.to_frames())
    engine = fa.Engine(book, fund="1000")
    found = []
    for factor in (0.9, 1.2, 0.7):
        report = engine.tick(engine.marks * factor if engine.marks[0] == engine.marks[0] else 100.0)
        found += [len(report.adl_fills), engine.equity().tobytes(), engine.maintenance_margin().tobytes()]
    assert engine.check().ok
    return found
"""

THREADS = """
import numba
seeds = range(4)
try:
    alone = [results(seed) for seed in seeds]
except ValueError as error:
    if "No threading layer could be loaded" not in str(error):
        raise
    print("no such layer")
    sys.exit()
assert numba.threading_layer() == os.environ["NUMBA_THREADING_LAYER"]
together = [None] * 4
def run(seed):
    for _ in range(3):
        together[seed] = results(seed)
threads = [threading.Thread(target=run, args=(seed,)) for seed in seeds]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert together == alone

shared = fa.Engine(fa.synth.book("pareto", positions=6000, accounts=2500, instruments=3, seed=9), fund="1000")
marks = shared.marks
def tick(factor):
    for _ in range(5):
        shared.tick(marks * factor)
        shared.rank(shared.symbols[0], "long")
threads = [threading.Thread(target=tick, args=(1.0 + 0.01 * seed,)) for seed in seeds]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert shared.check().ok
print("same")
"""

FORK = """
warnings.simplefilter("ignore")
used = sys.argv[1] == "used"
wanted = results(1) if used else None
engine = fa.Engine(fa.synth.book("pareto", positions=9, accounts=9, instruments=1, seed=1)) if used else None
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        found = results(1)
        said = "works" if wanted in (None, found) else "another number"
    except fa.ForkError as error:
        said = f"refused: {error}"
        for use in (engine.check, engine.equity, lambda: engine.tick({}), lambda: engine.book.copy()):
            try:
                use()
            except fa.ForkError:
                pass
    os.write(writer, said.encode())
    os._exit(0)
os.close(writer)
said = os.read(reader, 4096).decode()
_, status = os.waitpid(child, 0)
assert results(1) == (wanted or results(1))
print(status, said)
"""

POOL = """
import multiprocessing
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    here = results(1)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        try:
            print(pool.map(results, [1, 1]) == [here, here])
        except fa.ForkError as error:
            print("refused")
"""


def run(program: str, *arguments: str, folder: Any = None, **settings: str) -> str:
    if folder is None:
        command = [sys.executable, "-c", WORK + program, *arguments]
    else:
        (folder / "program.py").write_text(WORK + program)
        command = [sys.executable, str(folder / "program.py"), *arguments]
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_engines_in_several_threads_give_the_numbers_of_one(layer: str) -> None:
    said = run(THREADS, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    if said == "no such layer":
        pytest.skip(f"{layer} is not installed")
    assert said == "same"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("layer", LAYERS[:2])
def test_a_forked_child_works_unless_its_parent_did(layer: str) -> None:
    assert run(FORK, "unused", NUMBA_THREADING_LAYER=layer) == "0 works"
    said = run(FORK, "used", NUMBA_THREADING_LAYER=layer)
    assert said.startswith("0 refused: this process was forked from one that had used fastadl")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(("method", "said"), [("fork", "refused"), ("spawn", "True")])
def test_a_pool_of_processes(method: str, said: str, tmp_path: Any) -> None:
    assert run(POOL, method, folder=tmp_path) == said


BOOK = {"positions": 1000, "accounts": 400, "instruments": 3, "seed": 1}


@pytest.mark.parametrize("threads", [0, -1, 2.5, "2", True, numba.config.NUMBA_NUM_THREADS + 1, 10**30])
def test_a_number_of_threads_that_cannot_be(threads: Any) -> None:
    with pytest.raises(InputError, match=r"^threads: .*: give 1 to \d+, the threads numba has"):
        Engine(synth.book("pareto", **BOOK), threads=threads)


@pytest.mark.slow
def test_more_threads_than_cores_work_where_numba_has_them() -> None:
    program = """
engine = fa.Engine(fa.synth.book("pareto", positions=6000, accounts=2500, instruments=3, seed=9), threads=64)
other = engine.copy()
other._threads = 1
marks = engine.marks * 0.8
assert len(engine.tick(marks).liquidations) == len(other.tick(marks).liquidations) > 0
assert (engine.equity() == other.equity()).all()
print("same")
"""
    assert run(program, NUMBA_NUM_THREADS="64") == "same"
