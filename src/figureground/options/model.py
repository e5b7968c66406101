"""Options about the model: what a file of weights is of, what its outputs are, and what it is known to answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from figureground.options.groups import Given, OptionGroup, Some, To
from figureground.options.texts import as_arguments, as_list, as_tuple

_option = partial(typer.Option, rich_help_panel="Of the model")


@dataclass(frozen=True)
class Weights(OptionGroup):
    """What a file of weights is of, and what may be executed to read it."""

    model_class: Annotated[
        str | None,
        _option(
            "--model-class",
            help="What a file of weights is of: torchvision:NAME, timm:NAME, package.module:Class or file.py:Class. "
            "The last two are imported, and so executed.",
        ),
    ] = None
    model_arg: Annotated[
        list[str] | None,
        _option("--model-arg", help="Argument of that class: NAME=VALUE. Repeatable."),
        To("model_args", as_arguments),
    ] = None
    weights: Annotated[
        Path | None,
        _option("--weights", help="File of weights, where MODEL is a name."),
    ] = None
    expect_sha256: Annotated[
        str | None,
        _option("--expect-sha256", help="Refuse any other file of weights."),
    ] = None
    trust_model: Annotated[
        str | None,
        _option(
            "--trust-model",
            metavar="SHA256",
            help="Run the program in this very file of TorchScript or .pt2, which can hold any code.",
        ),
    ] = None
    allow_global: Annotated[
        list[str] | None,
        _option(
            "--allow-global",
            help="Class that objects in the file of weights may be of, by its full name: pkg.Cfg. It is imported, and "
            "so executed. Repeatable.",
        ),
        To("allow_globals", as_tuple),
    ] = None
    allow_nonfinite: Annotated[
        bool,
        _option("--allow-nonfinite", help="Take weights that are NaN or infinite."),
    ] = False
    python_path: Annotated[
        list[Path] | None,
        _option("--python-path", help="Folder in which code that is named is looked for. Repeatable."),
        To("python_path", as_tuple),
    ] = None


@dataclass(frozen=True)
class Outputs(OptionGroup):
    """What the outputs are."""

    classes: Annotated[
        list[str] | None,
        _option(
            "--classes",
            help="Names in the order of the outputs, separated by commas, where the model does not say. Repeatable.",
        ),
        To("classes", as_list),
    ] = None
    kind: Annotated[
        str | None,
        _option("--kind", help="What the outputs are: multiclass, binary or multilabel."),
    ] = None
    output_key: Annotated[
        str | None,
        _option("--output-key", help="Where the logits are in an output that holds several things: logits, 0, or a.b."),
    ] = None


@dataclass(frozen=True)
class Known(OptionGroup):
    """What the model is known to answer."""

    expect_predictions: Annotated[
        Path | None,
        _option(
            "--expect-predictions",
            help="Table of the answers that the model gave in use: predicted, by key, path or image. "
            "Others are refused.",
        ),
    ] = None
    expect: Annotated[
        str | None,
        _option(
            "--expect",
            metavar="accuracy=0.93±0.01",
            help="What the model is known to score on this data, where no answers are recorded.",
        ),
    ] = None


OfWeights = Annotated[Given, Some(Weights)]
OfOutputs = Annotated[Given, Some(Outputs)]
OfKnown = Annotated[Given, Some(Known)]
