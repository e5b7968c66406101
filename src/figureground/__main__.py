"""``python -m figureground`` and the ``figureground`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; every error that is meant for people is one line on stderr."""
    from figureground.cli import app
    from figureground.errors import FiguregroundError

    try:
        app()
    except FiguregroundError as error:
        if os.environ.get("FIGUREGROUND_DEBUG"):
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("INTERRUPTED: stopped by a person; what is in the run folder is not a result\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
