"""``python -m figureground`` and the ``figureground`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

# Idle threads of OpenMP spin by default; where other processes share the cores, that makes training many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


#: What typer answers to Ctrl-C.
INTERRUPTED = 130
OUT_OF_A_RESOURCE = 5


def main() -> None:
    """Run the command line; every error that is meant for people is one line on stderr."""
    signal.signal(signal.SIGTERM, _terminated)
    from figureground.cli import app
    from figureground.errors import FiguregroundError

    try:
        app()
    except FiguregroundError as error:
        if os.environ.get("FIGUREGROUND_DEBUG"):
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write(
                "INTERRUPTED: stopped by a person; what is in the run folder is not a result: go on with --resume\n"
            )
        raise
    except MemoryError:
        sys.stderr.write(
            "OUT_OF_MEMORY: found too little memory; expected room for the models and a batch; "
            "fix: a smaller --batch-size or a larger machine, and --resume\n"
        )
        sys.exit(OUT_OF_A_RESOURCE)
    except Exception as error:  # the last door: exit code 1 would say that a cue was demonstrated
        if os.environ.get("FIGUREGROUND_DEBUG"):
            raise
        from figureground.visible import one_line

        told = one_line(f"BUG {type(error).__name__}: {error}; please report it, with the output of --debug")
        sys.stderr.write(f"{told}\n")
        sys.exit(70)


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.stderr.write(
        "TERMINATED: stopped from outside; what is in the run folder is not a result: go on with --resume\n"
    )
    sys.exit(143)


if __name__ == "__main__":
    main()
