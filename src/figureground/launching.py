"""Who computes an audit: one process, one part of several, or ranks that Lightning's Trainer starts or finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from figureground.errors import UsageError

if TYPE_CHECKING:
    from figureground.audit.dividing.parts import Part
    from figureground.audit.keeping.hands import Hands
    from figureground.audit.keeping.result import AuditResult
    from figureground.audit.keeping.run_folder import RunFolder

_P = ParamSpec("_P")
_R = TypeVar("_R", bound="AuditResult")
#: Arguments that ask for ranks; they go to Lightning's Trainer under these names.
RANKS = ("devices", "num_nodes", "strategy", "accelerator")


def on_ranks(result: Callable[[Path], _R]) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Run a verb on the ranks that its arguments ask for.

    The first rank runs it; the others compute what it asks of them, and return ``result`` of its folder at the end.
    """

    def over(verb: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(verb)
        def led(*args: _P.args, **options: _P.kwargs) -> _R:
            asked: dict[str, Any] = {name: options[name] for name in RANKS if options.get(name) is not None}
            if not asked:
                return verb(*args, **options)
            _check_alone(options)
            from figureground.audit.measure.ranks import Asked, assembled

            with assembled(Asked(**asked)) as ranks:
                found = verb(*args, **options) if ranks.rank == 0 else result(ranks.serve())
                ranks.ended(found.path)
                return found

        return led

    return over


def _check_alone(options: Any) -> None:
    if options.get("shard") is not None:
        raise UsageError(
            "SHARD",
            "shard",
            found="a part of a run on several ranks",
            expected="--shard or --devices",
            fix="give each machine a part, or let all of them be ranks of one run",
        )


def part_of(shard: tuple[int, int] | None, out: object, time: str | None) -> Part | None:
    """The part that is asked for; None for a whole run. Raises :class:`UsageError` where there can be no parts."""
    from figureground.audit.dividing.parts import Part

    if shard is None:
        return None
    if out is None or time is not None:
        raise UsageError(
            "SHARD",
            "out" if out is None else "time",
            found="no folder" if out is None else f"--time {time}, in which another machine would measure more or less",
            expected="a folder that all parts know" if out is None else "a number of images that all parts agree on",
            fix="-o RUN" if out is None else "--max-images N or --all",
        )
    return Part.of(Path(str(out)), shard)


def hands_of(part: Part | None) -> Hands | None:
    """Who computes with this process."""
    from figureground.audit.measure.ranks import current

    return part or current()


def handed(hands: Hands | None, make: Callable[[], RunFolder]) -> Callable[[], RunFolder]:
    """A way to make a folder, whose shards are computed by these hands."""
    return lambda: replace(make(), hands=hands)


def is_first() -> bool:
    """Whether this process speaks for the run: it is alone, or the first rank."""
    from torch import distributed

    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
