"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from figureground.cli_check import check
from figureground.cli_compare import compare
from figureground.cli_explain import explain
from figureground.cli_handing import bundle, purge
from figureground.cli_manifest import build
from figureground.cli_merge import merge
from figureground.cli_seal import seal
from figureground.cli_system import SystemFile, system
from figureground.file_options import reads_files
from figureground.options import (
    Accelerator,
    AllowGlobal,
    AllowNonfinite,
    AttributeTable,
    Bicubic,
    By,
    Cases,
    Channels,
    ClassNames,
    ColumnMap,
    Crop,
    Data,
    Dedupe,
    Devices,
    Environment,
    Expect,
    ExpectPredictions,
    ExpectSha,
    JoinOn,
    KindOf,
    Lang,
    Layer,
    LayoutOf,
    Mean,
    MethodOption,
    Methods,
    ModelArgs,
    ModelClass,
    NoLabels,
    Nonce,
    NumberOf,
    NumNodes,
    OutputKey,
    OwnTransforms,
    PythonPath,
    Resize,
    Root,
    Seed,
    ShardOf,
    SplitName,
    Std,
    Strategy,
    SuppliedBy,
    Thresholds,
    TrainingTable,
    TrustModel,
    UncertainLabels,
    WeightsFile,
    as_arguments,
    as_groups,
    as_list,
    as_mapping,
    as_preprocess,
    as_shard,
    as_suppliers,
    as_thresholds,
    as_uncertain,
)
from figureground.progress_bars import bars
from figureground.visible import one_line

app = typer.Typer(
    name="figureground",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Is your classifier looking at the figure, or at the ground?",
    epilog="Exit codes: 0 done · 1 a cue is demonstrated · 2 usage or manifest · "
    "3 a required cue could not be assessed, or too many rows were set aside · "
    "4 model or data unusable · 5 memory or disk did not suffice: go on with --resume · "
    "6 refused for security or integrity · 70 a bug of ours.",
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Is your classifier looking at the figure, or at the ground?"""
    if debug:
        os.environ["FIGUREGROUND_DEBUG"] = "1"
    if version:
        from figureground import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for data, models and run folders.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
) -> None:
    """Train two classifiers on the embedded data, audit both, write both reports."""
    from figureground.demo import Demo

    found = Demo(out, seed, progress=bars, say=typer.echo, bar=sys.stderr.isatty())()
    if not found.as_expected:
        typer.echo("the demo did not find what was planted: this is a bug, please report it", err=True)
        raise typer.Exit(70)


app.command()(check)
app.command()(explain)
app.command(name="manifest")(build)
app.command()(merge)
app.command()(compare)
app.command()(bundle)
app.command()(purge)


@app.command()
@reads_files
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write.")],
    arch: Annotated[
        str, typer.Option("--arch", help="small-cnn, or any torchvision classification model.")
    ] = "small-cnn",
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Most passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2)] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", min=1, help="Epochs without a lower validation loss.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=8, help="Resize to this many pixels, square. Default: as stored.")
    ] = None,
    seed: Seed = 0,
    column: ColumnMap = None,
    attributes: AttributeTable = None,
    on: JoinOn = None,
    dedupe: Dedupe = False,
    root: Root = None,
    split: SplitName = None,
    uncertain: UncertainLabels = None,
    threshold: Thresholds = None,
    *,
    files: dict[str, Any],
) -> None:
    """Train a Lightning classifier and write a self-describing checkpoint."""
    from figureground.audit.classify.train import TrainConfig
    from figureground.datasets.transforms import Preprocess
    from figureground.training import train_classifier

    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "patience": patience}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    config = TrainConfig(architecture=arch, seed=seed, **settings)
    half = (0.5, 0.5, 0.5)
    preprocess = Preprocess(resize=None if size is None else (size, size), mean=half, std=half)
    classifier = train_classifier(
        data,
        out=out,
        columns=as_mapping(column),
        attributes=attributes,
        on=on,
        dedupe=dedupe,
        root=root,
        split=split,
        preprocess=preprocess,
        uncertain=as_uncertain(uncertain),
        thresholds=as_thresholds(threshold),
        config=config,
        progress=True,
        **files,
    )
    typer.echo(one_line(f"{arch} for {', '.join(classifier.classes)}: {out}"))


@app.command()
@reads_files
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
    by: By = None,
    cue: Annotated[
        list[str] | None,
        typer.Option("--cue", help="Cues to test, separated by commas. Repeatable. Default: all that the data allows."),
    ] = None,
    environment: Environment = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML or JSON file of thresholds and consequences.")
    ] = None,
    column: ColumnMap = None,
    attributes: AttributeTable = None,
    on: JoinOn = None,
    dedupe: Dedupe = False,
    no_labels: NoLabels = False,
    train: TrainingTable = None,
    supplied_by: SuppliedBy = None,
    root: Root = None,
    split: SplitName = None,
    threshold: Thresholds = None,
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
    seed: Seed = 0,
    nonce: Nonce = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 64,
    max_images: Annotated[
        int | None,
        typer.Option(
            "--max-images",
            min=1,
            help="At most so many, in whole clusters. Default: as many as the policy's power asks for.",
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="As many images as can be measured in this time: 30s, 90m, 2h.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every image, however many there are.")] = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="Store no pictures.")] = False,
    cases: Cases = 12,
    no_optimise: Annotated[
        bool, typer.Option("--no-optimise", help="Run the model as it is, and not a faster copy of it.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the same folder.")] = False,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Processes that read the files; one that crashes a decoder is then set aside."
        ),
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the same run in the same folder, where one was stopped.")
    ] = False,
    shard: ShardOf = None,
    devices: Devices = None,
    num_nodes: NumNodes = None,
    strategy: Strategy = None,
    accelerator: Accelerator = None,
    lang: Lang = "en",
    *,
    files: dict[str, Any],
) -> None:
    """Measure, test, judge, report."""
    from figureground.api import run_audit
    from figureground.audit.config import declare, load_policy
    from figureground.audit.exits import exit_code
    from figureground.launching import is_first
    from figureground.reports.closing import closing_lines

    declared = declare(load_policy(policy), thresholds=as_thresholds(threshold), uncertain=uncertain)
    result = run_audit(
        model,
        data,
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
        columns=as_mapping(column),
        attributes=attributes,
        on=on,
        dedupe=dedupe,
        labels=not no_labels,
        train=train,
        supplied_by=as_suppliers(supplied_by),
        by=as_groups(by),
        cues=as_list(cue),
        environment=environment,
        policy=declared,
        out=out,
        root=root,
        split=split,
        layer=layer,
        layout=layout,  # type: ignore[arg-type]  # as for kind
        methods=as_list(methods),
        method_options=as_arguments(method_option, "--method-option"),
        seed=seed,
        nonce=nonce,
        batch_size=batch_size,
        max_images=max_images,
        time=time,
        all=every,
        images=not no_images,
        cases=cases,
        optimise=not no_optimise,
        overwrite=overwrite,
        resume=resume,
        workers=workers,
        shard=as_shard(shard),
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        accelerator=accelerator,
        lang=lang,
        progress=bars,
        **files,
    )
    if not is_first():  # the first rank says what was found, and answers for it
        raise typer.Exit
    for line in closing_lines(result):
        typer.echo(line)
    _told(out, lang)
    raise typer.Exit(exit_code(result.document, declared))


@app.command()
def judge(
    run: Annotated[Path, typer.Argument(help="Finished run folder; it is read and left alone.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write, new or empty.")],
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Further subgroups, marked exploratory, for example site,site*sex. Repeatable."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="TOML or JSON file: thresholds, consequences, decisions. Default: the run's."),
    ] = None,
    repeat: Annotated[
        list[Path] | None,
        typer.Option("--repeat", help="Run on other images or of another training, for evidence level 4. Repeatable."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the same folder.")] = False,
    lang: Lang = "en",
) -> None:
    """Ask the stored numbers of a run something new; needs no model."""
    from figureground.api import judge_again
    from figureground.audit.config import load_policy
    from figureground.audit.exits import exit_code
    from figureground.reports.closing import closing_lines

    result = judge_again(
        run, out=out, by=as_groups(by), policy=policy, repeat=repeat or (), overwrite=overwrite, lang=lang
    )
    for line in closing_lines(result):
        typer.echo(line)
    _told(out, lang)
    raise typer.Exit(exit_code(result.document, load_policy(out / "policy.json")))


policies = typer.Typer(no_args_is_help=True, help="Write a policy file, or say what one may hold.")
app.add_typer(policies, name="policy")
app.add_typer(system, name="system")


@policies.command()
def init(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("policy.toml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
) -> None:
    """Write a policy with every field, its default, unit and meaning, to be edited before the audit."""
    from figureground.audit.policy_file import write_policy

    typer.echo(f"policy: {write_policy(out, overwrite=overwrite)}")


@policies.command()
def schema() -> None:
    """Print the JSON Schema of a policy."""
    import json

    from figureground.audit.policy_file import policy_schema

    typer.echo(json.dumps(policy_schema(), indent=1, ensure_ascii=False))


policies.command()(seal)


def _told(folder: Path, lang: str, *, written: Path | None = None) -> None:
    """Where the report lies in each language; ``written`` is the first of them."""
    from figureground.reports.catalogue import asked_languages
    from figureground.reports.size import large

    first, *others = asked_languages(lang)
    # Too large for one file, it lies in a folder of its own.
    own = next((at for at in (folder, folder / "renders") if (at / f"report.{first}.html").is_file()), folder)
    found = written or own / f"report.{first}.html"
    for path in [found, *(found.parent / f"report.{name}.html" for name in others)]:
        typer.echo(f"report: {path}")
        if path.is_file() and (told := large(path)):
            typer.echo(told, err=True)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Finished run folder, or a bundle.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write, or folder of other formats. Default: in the run folder."),
    ] = None,
    lang: Lang = "en",
    layout: Annotated[
        str,
        typer.Option(
            "--layout", help="single: one file; folder: style and pictures beside the page, as Jenkins wants."
        ),
    ] = "single",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Some of html, json, junit, csv, card, docx, pdf, separated by commas."),
    ] = None,
    system: SystemFile = None,
) -> None:
    """Render the report of a finished run again, or in other formats; measures nothing."""
    from figureground.api import render_formats, render_report

    chosen = as_list(formats)
    if chosen and layout != "single":
        raise typer.BadParameter("the layout is of the report alone: render it without --format", param_hint="--layout")
    if chosen:
        for file in render_formats(run, chosen, out=out, lang=lang, system=system):
            typer.echo(f"{file}")
        return
    written = render_report(run, out=out, lang=lang, layout=layout, system=system)  # type: ignore[arg-type]  # refused by name
    _told(run, lang, written=written)


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    commitment: Annotated[
        str | None, typer.Option("--commitment", help="What `policy seal` printed before the run, or a file of it.")
    ] = None,
) -> None:
    """Say whether a folder is a finished run whose evidence is as it was sealed."""
    from figureground.audit.verifying import verify as verified

    found = verified(run)
    if found.listed:
        typer.echo(f"{run}: {found.listed} files as listed in SHA256SUMS")
    typer.echo(f"{run}: {found.sealed} files as sealed; SHA-256 of the seal {found.seal}")
    if found.rendered:
        typer.echo(f"{run}: {len(found.rendered)} files outside the seal are as they were rendered")
    for name in found.unknown:
        typer.echo(f"{run}: {name} is outside the seal, and no hash of it was noted: render it again to be sure")
    for name in found.gone:
        typer.echo(f"{run}: {name} was rendered, and is not there any more")
    if commitment is not None:
        from figureground.audit.commitment import check_commitment

        typer.echo(f"{run}: {check_commitment(run, commitment)}")
