"""``figureground explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.options.common import LayoutOf, Methods, Thresholds
from figureground.options.data import Table
from figureground.options.files import OfFiles
from figureground.options.groups import Given, Some, takes_groups
from figureground.options.input import Input
from figureground.options.model import OfOutputs, OfWeights
from figureground.options.texts import as_list, as_thresholds
from figureground.progress_bars import bars
from figureground.visible import one_line

_INSIDE = "Inside the network"


@takes_groups
def explain(
    model: Annotated[str, typer.Argument(help="Checkpoint, file of weights, or name, as for `audit`.")],
    images: Annotated[list[Path], typer.Argument(help="Pictures, one or more.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the sheets, new or empty.")],
    *,
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", help="Mask of the object, one for each picture, in their order. Repeatable."),
    ] = None,
    about: Annotated[
        list[str] | None,
        typer.Option(
            "--about",
            "--target",
            help="Class or finding to explain, by name or by its place from 0. Repeatable: a sheet for each. "
            "Default: what the model predicts.",
        ),
    ] = None,
    methods: Methods = None,
    cam_layer: Annotated[
        str | None,
        typer.Option("--cam-layer", help="Module for Grad-CAM, as in named_modules(). Default: chosen and shown."),
    ] = None,
    layout: LayoutOf = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", help="Layer whose feature maps are shown, by name.", rich_help_panel=_INSIDE),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option("--channel", min=0, help="Channel of it. Default: the strongest.", rich_help_panel=_INSIDE),
    ] = None,
    over: Annotated[
        Path | None,
        typer.Option(
            "--over",
            help="Manifest or folder of pictures: dead channels, and the channel's strongest patches.",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many patches.", rich_help_panel=_INSIDE)] = 9,
    table: Annotated[Given, Some(Table, without=("attributes", "on", "dedupe"))],
    root: Annotated[
        Path | None,
        typer.Option("--root", help="Data root; nothing outside it is opened. Default: the folder of the pictures."),
    ] = None,
    threshold: Thresholds = None,
    weights: OfWeights,
    outputs: OfOutputs,
    given: Annotated[Given, Some(Input, without=("transform",))],
    lang: Annotated[str, typer.Option("--lang", help="Language of the sheets.")] = "en",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace sheets of the same names.")] = False,
    files: OfFiles,
) -> None:
    """Write a sheet for each single decision; with --layer, look inside the network."""
    from figureground.explained import explain as explain_images

    found = explain_images(
        model,
        images,
        out=out,
        masks=mask or (),
        about=about,
        methods=as_list(methods),
        cam_layer=cam_layer,
        layout=layout,  # type: ignore[arg-type]  # a name that is none is refused by the library
        layer=layer,
        channel=channel,
        top=top,
        over=over,
        root=root,
        thresholds=as_thresholds(threshold),
        lang=lang,
        overwrite=overwrite,
        progress=bars,
        **(table | weights | outputs | given | files),
    )
    for sheet in found.sheets:
        why = f"; explained: {sheet.explained}" if about else ""
        typer.echo(one_line(f"{sheet.name}: {sheet.answer.name} ({sheet.answer.probability:.1%}){why}"))
    for lost in found.set_aside:
        typer.echo(one_line(f"{lost.name}: set aside: {lost.reason}: {lost.detail}"), err=True)
    for file in found.files:
        typer.echo(f"{'page' if file.suffix == '.html' else 'picture'}: {file}")
    raise typer.Exit(3 if found.set_aside else 0)
