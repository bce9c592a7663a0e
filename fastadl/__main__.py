"""``python -m fastadl`` and the ``fastadl`` command."""

from __future__ import annotations

import os
import sys
from errno import ENOSPC

__all__ = ["main"]

EXTRA = {"cyclopts", "rich", "msgspec"}


def main() -> int:
    """Run the command line and return its exit code (rule R70)."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        from fastadl import cli

        code = cli.main()
        sys.stdout.flush()
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        if package not in EXTRA:
            raise
        return _stop(f'{package} is not installed: pip install "fastadl[cli]" brings the command line', 2)
    except KeyboardInterrupt:
        return _stop("interrupted; nothing was written", 130)
    except BrokenPipeError:
        _close_output()
        return 141
    except OSError as error:
        if error.errno != ENOSPC or error.filename is not None:
            raise
        _close_output()
        return _stop("no space left where the output goes: it is not complete", 2)
    return code


def _close_output() -> None:
    """Let nothing more be printed, or the flush at exit fails again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(line: str, code: int) -> int:
    print(f"fastadl: {line}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
