"""``figureground check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.options.common import By, DataOrWeights, Environment, NumberOf, UncertainLabels
from figureground.options.data import Beside, OfRows, OfTable
from figureground.options.files import OfFiles
from figureground.options.groups import Given, Some, takes_groups
from figureground.options.input import OfInput
from figureground.options.maps import OfMaps
from figureground.options.model import OfKnown, OfOutputs, OfWeights
from figureground.options.texts import as_groups, as_list, as_uncertain

if TYPE_CHECKING:
    from figureground.audit.classify.recognising import Fit

#: How files of weights end.
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")


@takes_groups
def check(
    data: DataOrWeights,
    *,
    model: Annotated[
        str | None, typer.Option("--model", help="Model whose probes are run as well, as for `audit`.")
    ] = None,
    table: OfTable,
    beside: Annotated[Given, Some(Beside, without=("supplied_by",))],
    by: By = None,
    environment: Environment = None,
    rows: OfRows,
    cue: Annotated[
        list[str] | None,
        typer.Option(
            "--cue", help="Cues to plan for, separated by commas. Repeatable. Default: all that can be tested."
        ),
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML or JSON file of thresholds.")] = None,
    uncertain: UncertainLabels = None,
    target: NumberOf = None,
    weights: OfWeights,
    outputs: OfOutputs,
    known: OfKnown,
    given: OfInput,
    maps: OfMaps,
    full: Annotated[bool, typer.Option("--full", help="Decode every picture, not at most 2,000 of them.")] = False,
    files: OfFiles,
) -> None:
    """Say what is wrong with the inputs, and what this n can and cannot show."""
    if data.suffix in WEIGHTS:
        _recognised(data, weights["allow_globals"])
        return
    from figureground.inputs import check_inputs
    from figureground.reports.checked import check_lines

    found = check_inputs(
        data,
        model,
        by=as_groups(by),
        environment=environment,
        cues=as_list(cue),
        policy=policy,
        uncertain=as_uncertain(uncertain),
        target=target,
        full=full,
        **(table | beside | rows | weights | outputs | known | given | maps | files),
    )
    for line in check_lines(found):
        typer.echo(line)
    failed = any(probe.status == "failed" for probe in found.probes)
    raise typer.Exit(3 if found.quarantined or failed else 0)


def _recognised(file: Path, allow_globals: Sequence[str]) -> None:
    from figureground.errors import SubjectError
    from figureground.inputs import recognise_weights

    found = recognise_weights(file, allow_globals=allow_globals)
    if not found:
        raise SubjectError(
            "WEIGHTS_ARCHITECTURE",
            str(file),
            found="tensors that no architecture of torchvision or timm has, all of them",
            expected="one that fits whole, by name and shape; timm is an extra: pip install 'figureground[timm]'",
            fix="name its class with --model-class; a checkpoint of `figureground train` needs none",
        )
    for line in _fit_lines(file, found):
        typer.echo(line)


def _fit_lines(file: Path, found: Sequence[Fit]) -> Iterator[str]:
    """What fits a file of weights, with the command that audits it."""
    for fit in found:
        taken = f", after {fit.prefix!r} is taken off every name" if fit.prefix else ""
        ends = [f"NAME{at}" for at in range(fit.outputs)]
        names = ",".join(ends if len(ends) <= 3 else [ends[0], "...", ends[-1]])
        yield f"{fit.spec} fits whole, with {fit.outputs} outputs{taken}:"
        yield f"  figureground audit {file} DATA -o RUN --model-class {fit.spec} --classes {names}"
