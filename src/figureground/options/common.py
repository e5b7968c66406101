"""Options that stand by themselves, and the arguments that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_TABLES = "Manifest (CSV or Parquet), a folder that holds manifest.csv, or one of Hugging Face's save_to_disk"
Data = Annotated[Path, typer.Argument(help=f"{_TABLES}.")]
DataOrWeights = Annotated[
    Path, typer.Argument(help=f"{_TABLES}; or a file of weights, whose architecture is looked for.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="Subgroups: columns, numbers cut at edges, and crossings, for example site,age:18,40,65,site*sex. "
        "Repeatable.",
    ),
]
Environment = Annotated[
    str | None, typer.Option("--environment", help="Column that says which background, site or scanner an image has.")
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", help="Operating threshold of a finding, or of the second class: NAME=0.3. Repeatable."),
]
UncertainLabels = Annotated[
    str | None,
    typer.Option("--uncertain", help="What an uncertain label (-1) counts as: exclude, positive or negative."),
]
NumberOf = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="MODULE:FUNCTION",
        help="Function that makes one number of each output; the policy's [target] says what it means. Imported, and "
        "so executed.",
    ),
]
LayoutOf = Annotated[
    str | None,
    typer.Option(
        "--layout",
        help="How the output of that layer is read: NCHW (channels first), NHWC (last) or tokens (one for each patch).",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--methods",
        help="Attribution methods, as docs/methods.md lists them, or MODULE:CLASS of your own, which is imported, and "
        "so executed. Default: saliency,gradcam; saliency alone for an MLP.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of every random draw.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the same folder.")]
RunToWrite = Annotated[Path, typer.Option("--out", "-o", help="Run folder to write, new or empty.")]
FinishedRun = Annotated[Path, typer.Argument(help="Finished run folder; it is read and left alone.")]
Lang = Annotated[
    str, typer.Option("--lang", help="Languages of the report: en, fr, or both as en,fr. They influence no number.")
]
