"""``python -m fastadl`` and the ``fastadl`` command."""

from __future__ import annotations

import os
import sys

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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 141
    return code


def _stop(line: str, code: int) -> int:
    print(f"fastadl: {line}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
