"""``figureground policy seal``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.options import (
    By,
    ClassNames,
    KindOf,
    ModelArgs,
    ModelClass,
    NumberOf,
    PythonPath,
    TrustModel,
    WeightsFile,
    as_arguments,
    as_groups,
    as_list,
)


def seal(
    model: Annotated[str, typer.Argument(help="The model, as in `figureground audit`.")],
    data: Annotated[Path, typer.Argument(help="The manifest.")],
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML or JSON file of the policy.")] = None,
    by: By = None,
    classes: ClassNames = None,
    kind: KindOf = None,
    target: NumberOf = None,
    model_class: ModelClass = None,
    model_arg: ModelArgs = None,
    weights: WeightsFile = None,
    trust_model: TrustModel = None,
    python_path: PythonPath = None,
) -> None:
    """Print a commitment over policy, model and manifest, to be told before the run; measures and writes nothing."""
    from figureground.sealing import seal_policy

    found = seal_policy(
        model,
        data,
        policy=policy,
        by=as_groups(by),
        classes=as_list(classes),
        kind=kind,  # type: ignore[arg-type]  # a name that is none is refused by the library
        target=target,
        model_class=model_class,
        model_args=as_arguments(model_arg),
        weights=weights,
        trust_model=trust_model,
        python_path=python_path or (),
    )
    for name in ("policy", "model", "manifest"):
        typer.echo(f"{name} SHA-256: {getattr(found, name)}", err=True)
    typer.echo(f"{found.sha256}")
