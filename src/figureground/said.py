"""What a caller says of a model, in one piece: for the functions of the front door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figureground.audit.checks.reconciling import Recorded
    from figureground.audit.classify.asking import AskedModel
    from figureground.given import OriginOptions


def asked_model(
    model: Any,
    origin: OriginOptions,
    **more: Any,
) -> AskedModel:
    """The model with everything that was said of it."""
    from figureground.audit.classify.asking import AskedModel
    from figureground.audit.classify.origins import Origin

    file, arguments = origin["weights"], origin["model_args"]
    found = Origin(
        model_class=origin["model_class"],
        arguments=dict(arguments or {}),
        weights=None if file is None else Path(file),
        sha256=origin["expect_sha256"],
        trusted=origin["trust_model"],
        allow_globals=tuple(origin["allow_globals"]),
        allow_nonfinite=origin["allow_nonfinite"],
        python_path=tuple(map(Path, origin["python_path"])),
    )
    return AskedModel(model, origin=found, **more)


def recorded_answers(given: Any | None, expect: str | None = None) -> Recorded | None:
    """Recorded answers, or the accuracy that stands in place of them; None where neither was given."""
    from figureground.audit.checks.reconciling import Recorded
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
