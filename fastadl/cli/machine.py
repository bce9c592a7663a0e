"""``fastadl bench`` and ``fastadl warmup``: how fast this machine is, and its first tick."""

from __future__ import annotations

from fastadl.cli.terminal import Flag, Several, console, print_json

__all__ = ["bench", "warmup"]


def bench(
    *,
    positions: int = 1_000_000,
    only: Several = None,
    json: Flag = False,
    html: str | None = None,
) -> int:
    """Measure this machine: fastadl beside its rivals and the memory's own limit. Ctrl-C keeps what is done.

    Parameters
    ----------
    positions
        Size of the books.
    only
        A group of benchmarks such as mark; may be given several times. An unknown name lists them.
    json
        Print one JSON object instead of tables.
    html
        Also write a page for people into this file.
    """
    from fastadl.bench import reserve

    reserve()
    from fastadl import io
    from fastadl.bench.run import Bench
    from fastadl.report import bench as report
    from fastadl.report.bench_page import page

    planned = Bench(positions, only or ())
    if html is not None:
        io.check_file(html)
    result = report.run(planned, console(stderr=True))
    if html is not None:
        with io.new_file(html) as partial:
            partial.write_text(page(result), "utf-8")
    if json:
        print_json(result)
    else:
        report.show(result, console())
    return 0 if result["finished"] else 130


def warmup(*, json: Flag = False) -> int:
    """Compile every kernel now, or load it from the cache, so that no later tick has to wait.

    Parameters
    ----------
    json
        Print one JSON object instead of a table.
    """
    from fastadl.report.compiling import show, warm

    found = warm(console(stderr=True))
    if found is None:
        return 130
    if json:
        print_json(found.to_dict())
    else:
        show(found, console())
    return 0
