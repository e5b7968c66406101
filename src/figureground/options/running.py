"""Options about how an audit runs, and where."""

from __future__ import annotations

from dataclasses import dataclass
from operator import not_
from typing import Annotated

import typer

from figureground.options.common import Overwrite, Seed
from figureground.options.groups import Given, OptionGroup, Some, To
from figureground.options.texts import as_shard


@dataclass(frozen=True)
class Run(OptionGroup):
    """How many images, drawn how, kept or not; and whether the run is a new one."""

    seed: Seed = 0
    nonce: Annotated[
        str | None,
        typer.Option(
            "--nonce", help="An auditor's word, told after `policy seal`; with the commitment it gives the seed."
        ),
    ] = None
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 64
    max_images: Annotated[
        int | None,
        typer.Option(
            "--max-images",
            min=1,
            help="At most so many, in whole clusters. Default: as many as the policy's power asks for.",
        ),
    ] = None
    time: Annotated[
        str | None, typer.Option("--time", help="As many images as can be measured in this time: 30s, 90m, 2h.")
    ] = None
    every: Annotated[bool, typer.Option("--all", help="Every image, however many there are."), To("all")] = False
    no_images: Annotated[bool, typer.Option("--no-images", help="Store no pictures."), To("images", not_)] = False
    cases: Annotated[
        int,
        typer.Option(
            "--cases", min=1, max=500, help="Images shown with their maps: so many of the worst, and as many at random."
        ),
    ] = 12
    no_optimise: Annotated[
        bool,
        typer.Option("--no-optimise", help="Run the model as it is, and not a faster copy of it."),
        To("optimise", not_),
    ] = False
    overwrite: Overwrite = False
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Processes that read the files; one that crashes a decoder is then set aside."
        ),
    ] = 0
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the same run in the same folder, where one was stopped.")
    ] = False


@dataclass(frozen=True)
class Launch(OptionGroup):
    """Parts, ranks and machines."""

    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Measure part I of N (from 1) in RUN.parts; started again, it goes on. Then: figureground merge.",
        ),
        To("shard", as_shard),
    ] = None
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="Ranks on each machine, started by Lightning. Default: none.")
    ] = None
    num_nodes: Annotated[
        int | None, typer.Option("--num-nodes", min=1, help="Machines, under torchrun or SLURM. Default: this one.")
    ] = None
    strategy: Annotated[str | None, typer.Option("--strategy", help="How ranks find each other: ddp.")] = None
    accelerator: Annotated[
        str | None,
        typer.Option("--accelerator", help="What each rank computes on, as Lightning calls it: cpu, gpu, auto."),
    ] = None


OfRun = Annotated[Given, Some(Run)]
OfLaunch = Annotated[Given, Some(Launch)]
