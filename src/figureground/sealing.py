"""A commitment before the run, from Python and for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figureground.audit.commitment import Commitment
from figureground.audit.declared.config import Policy, load_policy
from figureground.audit.keeping.files import file_sha256
from figureground.errors import UsageError
from figureground.given import UNSAID, OriginOptions
from figureground.said import asked_model

if TYPE_CHECKING:
    from figureground.audit.declared.task import Kind


def seal_policy(
    model: Any,
    data: str | Path,
    *,
    policy: Policy | dict[str, Any] | str | Path | None = None,
    by: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    kind: Kind | None = None,
    target: str | None = None,
    model_class: str | None = None,
    model_args: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    trust_model: str | None = None,
    allow_globals: Sequence[str] = (),
    python_path: Sequence[str | Path] = (),
) -> Commitment:
    """What will be audited, as hashes; nothing is measured and nothing is written.

    Parameters
    ----------
    model, data, policy, by, classes, kind, target
        As in :func:`figureground.run_audit`, which must be given the same. ``data`` is a manifest file.
    model_class, model_args, weights, trust_model, allow_globals, python_path
        The same.

    Returns
    -------
    Commitment
        Its ``sha256`` is what is told before the run.
    """
    declared = load_policy(policy)
    if by is not None:
        declared = declared.model_copy(update={"subgroups": tuple(by)})
    manifest = Path(data)
    if not manifest.is_file():
        raise UsageError(
            "COMMITMENT", str(data), found="no file", expected="a manifest", fix="write the data as a manifest first"
        )
    said: dict[str, Any] = {"classes": classes, "kind": kind, "target": target}
    origin: OriginOptions = {
        **UNSAID,
        "model_class": model_class,
        "model_args": model_args,
        "weights": weights,
        "trust_model": trust_model,
        "allow_globals": allow_globals,
        "python_path": python_path,
    }
    asked = asked_model(model, origin, **said)
    found = Commitment(declared.sha256, asked.subject(declared).sha256, file_sha256(manifest))
    found.needed(str(data))
    return found
