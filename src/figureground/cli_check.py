"""``figureground check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from figureground.file_options import reads_files
from figureground.options import (
    WEIGHTS,
    AllowGlobal,
    AllowNonfinite,
    AttributeTable,
    Bicubic,
    By,
    Channels,
    ClassNames,
    ColumnMap,
    Crop,
    DataOrWeights,
    Dedupe,
    Environment,
    Expect,
    ExpectPredictions,
    ExpectSha,
    JoinOn,
    KindOf,
    Layer,
    LayoutOf,
    Mean,
    MethodOption,
    Methods,
    ModelArgs,
    ModelClass,
    NoLabels,
    NumberOf,
    OutputKey,
    OwnTransforms,
    PythonPath,
    Resize,
    Root,
    SplitName,
    Std,
    TrainingTable,
    TrustModel,
    UncertainLabels,
    WeightsFile,
    as_arguments,
    as_groups,
    as_list,
    as_mapping,
    as_preprocess,
    as_uncertain,
    fit_lines,
)

if TYPE_CHECKING:
    pass


@reads_files
def check(
    data: DataOrWeights,
    model: Annotated[
        str | None, typer.Option("--model", help="Model whose probes are run as well, as for `audit`.")
    ] = None,
    column: ColumnMap = None,
    attributes: AttributeTable = None,
    on: JoinOn = None,
    dedupe: Dedupe = False,
    no_labels: NoLabels = False,
    train: TrainingTable = None,
    by: By = None,
    environment: Environment = None,
    root: Root = None,
    split: SplitName = None,
    cue: Annotated[
        list[str] | None,
        typer.Option(
            "--cue", help="Cues to plan for, separated by commas. Repeatable. Default: all that can be tested."
        ),
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML or JSON file of thresholds.")] = None,
    uncertain: UncertainLabels = None,
    target: NumberOf = None,
    model_class: ModelClass = None,
    model_arg: ModelArgs = None,
    weights: WeightsFile = None,
    expect_sha256: ExpectSha = None,
    trust_model: TrustModel = None,
    allow_global: AllowGlobal = None,
    allow_nonfinite: AllowNonfinite = False,
    python_path: PythonPath = None,
    classes: ClassNames = None,
    kind: KindOf = None,
    output_key: OutputKey = None,
    expect_predictions: ExpectPredictions = None,
    expect: Expect = None,
    resize: Resize = None,
    crop: Crop = None,
    mean: Mean = None,
    std: Std = None,
    bicubic: Bicubic = False,
    transform: OwnTransforms = None,
    channels: Channels = None,
    layer: Layer = None,
    layout: LayoutOf = None,
    methods: Methods = None,
    method_option: MethodOption = None,
    full: Annotated[bool, typer.Option("--full", help="Decode every picture, not at most 2,000 of them.")] = False,
    *,
    files: dict[str, Any],
) -> None:
    """Say what is wrong with the inputs, and what this n can and cannot show."""
    if data.suffix in WEIGHTS:
        _recognised(data, allow_global or [])
        return
    from figureground.inputs import check_inputs
    from figureground.reports.checked import check_lines

    found = check_inputs(
        data,
        model,
        columns=as_mapping(column),
        attributes=attributes,
        on=on,
        dedupe=dedupe,
        labels=not no_labels,
        train=train,
        by=as_groups(by),
        environment=environment,
        root=root,
        split=split,
        cues=as_list(cue),
        policy=policy,
        uncertain=as_uncertain(uncertain),
        target=target,
        model_class=model_class,
        model_args=as_arguments(model_arg),
        weights=weights,
        expect_sha256=expect_sha256,
        trust_model=trust_model,
        allow_globals=allow_global or (),
        allow_nonfinite=allow_nonfinite,
        python_path=python_path or (),
        output_key=output_key,
        expect_predictions=expect_predictions,
        expect=expect,
        classes=as_list(classes),
        kind=kind,  # type: ignore[arg-type]  # a name that is none is refused by the library
        transform=as_preprocess(resize, crop, mean, std, bicubic, channels, transform),
        layer=layer,
        layout=layout,  # type: ignore[arg-type]  # as for kind
        methods=as_list(methods),
        method_options=as_arguments(method_option, "--method-option"),
        full=full,
        **files,
    )
    for line in check_lines(found):
        typer.echo(line)
    failed = any(probe.status == "failed" for probe in found.probes)
    raise typer.Exit(3 if found.quarantined or failed else 0)


def _recognised(file: Path, allow_globals: list[str]) -> None:
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
    for line in fit_lines(file, found):
        typer.echo(line)
