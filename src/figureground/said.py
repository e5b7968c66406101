"""What a caller says of a model, in one piece: for the functions of the front door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figureground.audit.classify.asking import AskedModel
    from figureground.audit.reconciling import Recorded


def asked_model(
    model: Any,
    model_class: str | None,
    model_args: Mapping[str, Any] | None,
    weights: str | Path | None,
    hashes: tuple[str | None, str | None],
    allowed: tuple[Sequence[str], bool, Sequence[str | Path]],
    **more: Any,
) -> AskedModel:
    """The model with everything that was said of it."""
    from figureground.audit.classify.asking import AskedModel
    from figureground.audit.classify.origins import Origin

    file = None if weights is None else Path(weights)
    names, nonfinite, folders = allowed
    loading = (*hashes, tuple(names), nonfinite, tuple(map(Path, folders)))
    return AskedModel(model, origin=Origin(model_class, dict(model_args or {}), file, *loading), **more)


def recorded_answers(given: Any | None, expect: str | None = None) -> Recorded | None:
    """Recorded answers, or the accuracy that stands in place of them; None where neither was given."""
    from figureground.audit.reconciling import Recorded
    from figureground.errors import UsageError

    if given is not None and expect is not None:
        raise UsageError(
            "RECORDED",
            "expect",
            found="recorded answers beside it",
            expected="one of the two",
            fix="leave --expect out: answers say more than how many of them are right",
        )
    if expect is not None:
        return Recorded.scoring(expect)
    return None if given is None else Recorded.read(given)
