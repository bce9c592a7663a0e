"""``fastadl run``: a scenario file by hand."""

from __future__ import annotations

from fastadl.cli.terminal import Flag, Several, console, print_json

__all__ = ["run"]


def run(
    file: str,
    /,
    *,
    json: Flag = False,
    out: str | None = None,
    set: Several = None,
) -> int:
    """Run a scenario file and show what every tick did.

    Parameters
    ----------
    file
        JSON, or TOML by its ending .toml (fastadl docs, section 6).
    json
        Print one JSON object instead of tables.
    out
        Write the result and its lists into this new or empty folder.
    set
        Replace a field before the file is validated, e.g. policy.price=mark; may be given several times.
    """
    from fastadl import io
    from fastadl.report.compiling import compiling
    from fastadl.report.terminal import print_result
    from fastadl.scenario import Scenario, write_result

    with compiling(console(stderr=True)):
        started = Scenario.load(file, overrides=set or ()).start()
        if out is not None:
            io.check_folder(out)
        for _ in started:
            pass
    result = started.result()
    if out is not None:
        write_result(result, started.frames(), out)
    if json:
        print_json(result)
    else:
        print_result(console(), result)
    return 0 if all(result["checks"].values()) else 1
