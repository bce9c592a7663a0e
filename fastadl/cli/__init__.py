"""The command line: ``fastadl run``, ``stress``, ``replay``, and what the list of commands below has more."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from fastadl import __version__
from fastadl.cli.audit import audit
from fastadl.cli.docs import docs
from fastadl.cli.explain import explain
from fastadl.cli.machine import bench, warmup
from fastadl.cli.policies import policies, reproduce
from fastadl.cli.replay import replay
from fastadl.cli.run import run
from fastadl.cli.stress import stress
from fastadl.cli.synth import synth
from fastadl.errors import InputError, ShardError

__all__ = ["app", "main"]

app = App(
    name="fastadl",
    help="Exact liquidation, insurance fund and auto-deleveraging for leveraged futures.",
    version=__version__,
    version_format="plaintext",
    suppress_keyboard_interrupt=False,
)
for _command in (run, stress, replay, explain, audit, synth, policies, reproduce, bench, warmup, docs):
    app.command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code (rule R70).

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; those of the process if left out.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _refuse(f"fastadl: {' '.join(str(error).split())} See fastadl --help.")
    except (InputError, ShardError) as error:
        return _refuse(str(error))
    return code if isinstance(code, int) else 0


def _refuse(line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201
    return 2
