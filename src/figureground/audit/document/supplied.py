"""Who supplied what went into an audit: the client, the auditor, or the tool itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from figureground.errors import UsageError

Party = Literal["client", "auditor", "tool"]
#: Everything that can be given to an audit, in the order in which it is shown.
INPUTS = ("model", "data", "labels", "masks", "attributes", "train", "policy", "predictions")


def supplied(declared: Mapping[str, str], given: Sequence[str]) -> dict[str, Party | None]:
    """By input that was given, who supplied it; None where nobody declared that.

    Parameters
    ----------
    declared : mapping of str to str
        ``{"data": "client"}``.
    given : sequence of str
        Those of :data:`INPUTS` that this audit has. A policy that nobody gave is the tool's own.

    Raises
    ------
    UsageError
        ``SUPPLIED_BY``: no such input or party, or an input that was not given.

    Examples
    --------
    >>> supplied({"data": "client"}, ["model", "data"])
    {'model': None, 'data': 'client', 'policy': 'tool'}
    """
    for name, party in declared.items():
        _check(name, party, given)
    own: dict[str, str] = {} if "policy" in given else {"policy": "tool"}
    known = {**own, **declared}
    return {name: known.get(name) for name in INPUTS if name in given or name in known}  # type: ignore[misc]


def _check(name: str, party: str, given: Sequence[str]) -> None:
    parties = get_args(Party)
    if name in given and party in parties:
        return
    raise UsageError(
        "SUPPLIED_BY",
        f"supplied_by:{name}",
        found=f"{name}={party}" if name in given or name not in INPUTS else f"{name}, which this audit was not given",
        expected=f"one of {', '.join(given)}, and one of {', '.join(parties)}",
        fix="--supplied-by data=client",
    )
