"""``figureground audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.cli_lines import tell_run
from figureground.options.common import (
    By,
    Data,
    Environment,
    Lang,
    NumberOf,
    Thresholds,
    UncertainLabels,
)
from figureground.options.data import OfBeside, OfRows, OfTable
from figureground.options.files import OfFiles
from figureground.options.groups import takes_groups
from figureground.options.input import OfInput
from figureground.options.maps import OfMaps
from figureground.options.model import OfKnown, OfOutputs, OfWeights
from figureground.options.running import OfLaunch, OfRun
from figureground.options.texts import as_groups, as_list, as_thresholds
from figureground.progress_bars import bars


@takes_groups
def audit(
    model: Annotated[
        str,
        typer.Argument(
            help="Checkpoint of `figureground train`; a folder that transformers saved; a file of weights with "
            "--model-class; or torchvision:NAME, timm:NAME or package.module:factory with --weights."
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder, new or empty.")],
    *,
    by: By = None,
    cue: Annotated[
        list[str] | None,
        typer.Option("--cue", help="Cues to test, separated by commas. Repeatable. Default: all that the data allows."),
    ] = None,
    environment: Environment = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML or JSON file of thresholds and consequences.")
    ] = None,
    table: OfTable,
    beside: OfBeside,
    rows: OfRows,
    threshold: Thresholds = None,
    uncertain: UncertainLabels = None,
    target: NumberOf = None,
    weights: OfWeights,
    outputs: OfOutputs,
    known: OfKnown,
    given: OfInput,
    maps: OfMaps,
    run: OfRun,
    launch: OfLaunch,
    lang: Lang = "en",
    files: OfFiles,
) -> None:
    """Measure, test, judge, report."""
    from figureground.api import run_audit
    from figureground.audit.declared.config import declare, load_policy
    from figureground.audit.exits import exit_code
    from figureground.launching import is_first

    declared = declare(load_policy(policy), thresholds=as_thresholds(threshold), uncertain=uncertain)
    groups = table | beside | rows | weights | outputs | known | given | maps | run | launch | files
    result = run_audit(
        model,
        data,
        out=out,
        by=as_groups(by),
        cues=as_list(cue),
        environment=environment,
        policy=declared,
        target=target,
        lang=lang,
        progress=bars,
        **groups,
    )
    if not is_first():  # the first rank says what was found, and answers for it
        raise typer.Exit
    tell_run(result, out, lang)
    raise typer.Exit(exit_code(result.document, declared))
