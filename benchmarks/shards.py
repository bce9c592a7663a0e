"""What a sharded book costs, and would where nobody has measured: ``python -m benchmarks.shards [--write]``.

Large books are ticked on a Ray cluster of this machine beside one process. Ticks of few small shards in this
process are measured, and from them it is foretold what many small shards here come to, which is then measured
too, and what large books on many cores would (`fastadl.sharded.cost`). Work is time of the processor, the
least of some ticks, so that what else runs here hardly counts; waits are those of the Ray cluster. Prints
Markdown: all that the page on shards has in tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count, product
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks.beside import Pair
from benchmarks.beside import markdown as beside
from benchmarks.table import put
from fastadl import ShardedEngine
from fastadl.bench import loads as named
from fastadl.bench.loads import Load
from fastadl.bench.sharded import ticked
from fastadl.schema import Float64Array
from fastadl.sharded.cost import Cost, Model, Seen, forecast, most_positions

PAGE = Path(__file__).parent.parent / "fastadl" / "docs" / "sharded.md"

#: Numbers of shards from which is foretold; and of those on Ray.
FEW, ON_RAY = (2, 32), 8
#: Positions of the books foretold, cores, and cores of a shard.
BOOKS, CORES, THREADS = (10**9, 10**10), (16, 64, 256), (1, 16)
#: Ticks in a round, and rounds; the book that crashes is so many times smaller.
_TICKS = {"quiet": (20, 1), "crash": (1, 3)}
_SMALLER, _CALLS = 10, 20
#: The crash is seen at a book so many times smaller yet: what it costs whatever falls is told from that.
_TINY = 8
#: Books on Ray beside one process, and ticks of each.
_LARGE, _BESIDE = (50_000_000, 10_000_000, 1_000_000), 30
_TRIED = "ms of a shard", "ms of coordinator", "kB to a shard", "kB from a shard"
_HEAD = (
    "| positions | cores | shards | GB a core | quiet tick, s | in shards | messages | crash, s | in shards "
    "| coordinator | GB sent | GB of docket |"
)


class Timed:
    """A shard, the seconds it has worked, and how often it was waited for: nobody waits for a commit."""

    def __init__(self, shard: Any) -> None:
        self.shard, self.seconds, self.calls = shard, 0.0, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.shard, name)

        def timed(*given: Any) -> Any:
            start = process_time()
            found = method(*given)
            self.seconds += process_time() - start
            self.calls += name != "commit"
            return found

        return timed


def least(load: Load, shards: int, ticks: int, rounds: int) -> Seen:
    """Of ticks to and fro, in so many shards of this process, each on one core; new ones in each round."""
    found: list[Seen] = []
    for _ in range(rounds):
        engine = ShardedEngine(load.book, shards=shards, address="inline", threads=1)
        links: Any = engine._links
        links._shards = timed = [Timed(each) for each in links._shards]
        engine.mark(load.before)
        found += [_seen(engine, timed, (load.after, load.before)[i % 2]) for i in range(ticks)]
    return Seen(*(min(getattr(each, name) for each in found) for name in Seen.__slots__))


def _seen(engine: ShardedEngine, timed: list[Timed], prices: Float64Array) -> Seen:
    """A tick."""
    for each in timed:
        each.seconds, each.calls = 0.0, 0
    docket: Any = engine._state
    lent = [0]
    docket.homeward = lambda: lent.append(docket.book.nbytes) or type(docket).homeward(docket)
    start = process_time()
    found = ticked(engine, prices)
    spent, shards = process_time() - start, len(timed)
    work = sum(each.seconds for each in timed)
    calls = sum(each.calls for each in timed)
    directing = (spent - work) / shards
    return Seen(work / shards, directing, found.sent, found.received, calls / shards, max(lent) / shards)


def directed(found: Mapping[int, Seen]) -> float:
    """Seconds of the coordinator in a tick, beside what each shard costs it."""
    return Cost.fit({shards: found[shards] for shards in FEW}).directing.whole


def whatever_falls(large: tuple[Load, Mapping[int, Seen]], small: tuple[Load, Mapping[int, Seen]]) -> float:
    """Of these, those that a book of nobody would cost; half at least goes by how large a book is."""
    (most, many), (fewest, few) = ((len(load.book), directed(found)) for load, found in (large, small))
    return min(max(0.0, few - (many - few) * fewest / (most - fewest)), many / 2)


def waits(load: Load, shards: int) -> tuple[float, float]:
    """Seconds that a call of one shard takes on a local cluster, and what each further shard adds."""
    with ShardedEngine(load.book, shards=shards) as engine:
        links: Any = engine._links

        def spent(call: Callable[[], Any]) -> float:
            start = perf_counter()
            call()
            return perf_counter() - start

        one = median(spent(lambda: links.each("rows", {0: ()})) for _ in range(_CALLS))
        every = median(spent(lambda: links.all("rows")) for _ in range(_CALLS))
    return one, max(0.0, every - one) / (shards - 1)


def tried(model: Model, cost: Cost, shards: int, found: Seen) -> tuple[tuple[float, float], ...]:
    """What was foretold of many shards here, each beside what they then came to, in thousandths of a unit."""
    told = forecast(model, cost, model.positions, shards)
    return (
        (1e3 * told.working, 1e3 * found.work),
        (1e3 * told.directing, 1e3 * found.directing * shards),
        (told.sent / 1e3, found.sent / 1e3),
        (told.received / 1e3, found.received / 1e3),
    )


def markdown(models: Mapping[str, Model], found: Mapping[str, Mapping[int, Seen]]) -> str:
    """The tables."""
    costs = {name: Cost.fit({shards: each[shards] for shards in FEW}) for name, each in found.items()}
    lines = [f"| tick | positions | shards | {' | '.join(_TRIED)} |", "|---|--:|--:|--:|--:|--:|--:|"]
    off = dict.fromkeys(_TRIED, 0.0)
    for name, cost in costs.items():
        for shards in [shards for shards in found[name] if shards not in FEW]:
            pairs = tried(models[name], cost, shards, found[name][shards])
            cells = " | ".join(f"{_figure(told, 4)}, {_figure(came, 4)}" for told, came in pairs)
            lines.append(f"| {name} | {models[name].positions:,} | {shards} | {cells} |")
            off = {each: max(off[each], abs(a / b - 1.0)) for each, (a, b) in zip(off, pairs, strict=True)}
    worst = ", ".join(f"{most:.0%} in {each}" for each, most in off.items())
    lines += ["", f"Farthest off: {worst}.", "", _HEAD, "|" + "--:|" * 12]
    for positions, threads, cores in product(BOOKS, THREADS, CORES):
        shards = cores // threads
        quiet, crash = (
            forecast(models[name], cost, positions, shards, threads) for name, cost in costs.items()
        )
        times = (quiet.seconds, quiet.working, quiet.messages, crash.seconds, crash.working, crash.directing)
        sent = shards * (crash.sent + crash.received) / 1e9
        cells = (quiet.memory / 1e9, *times, sent, crash.docket / 1e9)
        told = " | ".join(_figure(each, 3) for each in cells)
        lines.append(f"| {_power(positions)} | {cores} | {shards} | {told} |")
    return "\n".join([*lines, "", *limits(models, costs)])


def limits(models: Mapping[str, Model], costs: Mapping[str, Cost]) -> list[str]:
    """Where each of what grows is too much."""
    quiet, crash = models["quiet"], models["crash"]
    one, more = 1e3 * quiet.waiting, 1e3 * quiet.message
    minute = crash.positions * 60.0 / (costs["crash"].directing.whole - crash.idle)
    return [
        f"- A call of one shard on Ray takes {one:.2g} ms, and {more:.2g} ms for each shard more.",
        *(
            f"- With {_power(positions)} positions and a core for each shard, messages of a quiet tick take"
            f" longer than its marking from {outweighed(quiet, costs['quiet'], positions)} shards on."
            for positions in BOOKS
        ),
        f"- A crash keeps the coordinator for a minute from {_about(minute)} positions on.",
        f"- Places among all ids are used up at {_about(most_positions(quiet))} positions.",
    ]


def outweighed(model: Model, cost: Cost, positions: int) -> int:
    """From how many shards of one core on messages take longer than the work of the shards."""
    several = (forecast(model, cost, positions, shards) for shards in count(1))
    return next(shards for shards, each in enumerate(several, 1) if each.messages > each.working)


def _power(positions: int) -> str:
    return f"10^{len(str(positions)) - 1}"


def _about(positions: float) -> str:
    """Two digits and a word."""
    millions = positions / 1e6
    return f"{_figure(millions / 1e3, 2)} billion" if millions >= 1e3 else f"{_figure(millions, 2)} million"


def _figure(number: float, digits: int) -> str:
    """So many digits that count, written out."""
    return f"{float(f'{number:.{digits}g}'):,g}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    parser.add_argument("--positions", type=_whole, default=10_000_000, help="of the quiet book here")
    parser.add_argument(
        "--many", type=int, nargs="*", default=[64, 128, 256], help="shards to try the forecast on"
    )
    parser.add_argument(
        "--beside", type=_whole, nargs="*", default=_LARGE, help="books to tick on Ray beside one process"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into the page on shards")
    given = parser.parse_args(arguments)
    pairs = []
    for positions in given.beside:
        print(f"{positions:,} positions on Ray, beside one process", file=sys.stderr)
        pairs.append(Pair(positions, ON_RAY, _BESIDE))
    loads = {
        "quiet": named.calm(given.positions),
        "crash": named.crash(named.calm(given.positions // _SMALLER)),
    }
    tiny = named.crash(named.calm(given.positions // _SMALLER // _TINY))
    found: dict[str, dict[int, Seen]] = {name: {} for name in loads}
    for name, load in loads.items():
        for shards in (*FEW, *given.many):
            print(f"{name}: {shards} shards in this process", file=sys.stderr)
            found[name][shards] = least(load, shards, *_TICKS[name])
    print("crash: a smaller book", file=sys.stderr)
    few = {shards: least(tiny, shards, *_TICKS["crash"]) for shards in FEW}
    idle = {
        "quiet": directed(found["quiet"]),
        "crash": whatever_falls((loads["crash"], found["crash"]), (tiny, few)),
    }
    wait = waits(loads["crash"], ON_RAY)
    models = {}
    for name, load in loads.items():
        nbytes = load.book.nbytes + 8 * len(load.book.rows.cash)  # its guards
        models[name] = Model(len(load.book), len(load.book.slot), nbytes, idle[name], *wait)
    text = markdown(models, found)
    texts = {"beside": beside(pairs)} if pairs else {}
    for mark, each in {**texts, "shards": text}.items():
        print(each, end="\n\n")
        if given.write:
            put(PAGE, mark, each)


def _whole(text: str) -> int:
    return int(float(text))


if __name__ == "__main__":
    main()
