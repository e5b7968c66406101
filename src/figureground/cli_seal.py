"""``figureground policy seal``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.options.common import By, NumberOf
from figureground.options.groups import Given, Some, takes_groups
from figureground.options.model import Outputs, Weights
from figureground.options.texts import as_groups


@takes_groups
def seal(
    model: Annotated[str, typer.Argument(help="The model, as in `figureground audit`.")],
    data: Annotated[Path, typer.Argument(help="The manifest.")],
    *,
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML or JSON file of the policy.")] = None,
    by: By = None,
    outputs: Annotated[Given, Some(Outputs, without=("output_key",))],
    target: NumberOf = None,
    weights: Annotated[Given, Some(Weights, without=("expect_sha256", "allow_global", "allow_nonfinite"))],
) -> None:
    """Print a commitment over policy, model and manifest, to be told before the run; measures and writes nothing."""
    from figureground.sealing import seal_policy

    found = seal_policy(model, data, policy=policy, by=as_groups(by), target=target, **(outputs | weights))
    for name in ("policy", "model", "manifest"):
        typer.echo(f"{name} SHA-256: {getattr(found, name)}", err=True)
    typer.echo(f"{found.sha256}")
