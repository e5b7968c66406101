"""What commands have in common: their options, and how their text becomes values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from figureground.audit.classify.recognising import Fit
    from figureground.datasets.transforms import Preprocess

_TABLES = "Manifest (CSV or Parquet), a folder that holds manifest.csv, or one of Hugging Face's save_to_disk"
Data = Annotated[Path, typer.Argument(help=f"{_TABLES}.")]
DataOrWeights = Annotated[
    Path, typer.Argument(help=f"{_TABLES}; or a file of weights, whose architecture is looked for.")
]
#: How files of weights end.
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
ColumnMap = Annotated[
    list[str] | None, typer.Option("--column", help="Map a column: ROLE=NAME, for example label=diagnosis. Repeatable.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="Subgroups: columns, numbers cut at edges, and crossings, for example site,age:18,40,65,site*sex. "
        "Repeatable.",
    ),
]
AttributeTable = Annotated[
    Path | None,
    typer.Option("--attributes", help="Table (CSV or Parquet) of what is known of each patient, site or device."),
]
JoinOn = Annotated[str | None, typer.Option("--on", help="Column by which --attributes is joined to the data.")]
NoLabels = Annotated[
    bool,
    typer.Option(
        "--no-labels",
        help="The data has none: groups go by what the model predicts, and accuracy is not available.",
    ),
]
Dedupe = Annotated[bool, typer.Option("--dedupe", help="Leave out rows that repeat another one in every cell.")]
TrainingTable = Annotated[
    Path | None,
    typer.Option(
        "--train", help="What the model was trained on: units, pictures and near-duplicates that both have are counted."
    ),
]
SuppliedBy = Annotated[
    list[str] | None,
    typer.Option("--supplied-by", help="Who supplied an input: data=client, policy=auditor, model=tool. Repeatable."),
]
Environment = Annotated[
    str | None, typer.Option("--environment", help="Column that says which background, site or scanner an image has.")
]
Root = Annotated[
    Path | None, typer.Option("--root", help="Data root; nothing outside it is opened. Default: the manifest's folder.")
]
SplitName = Annotated[
    str | None,
    typer.Option(
        "--split", help="Rows of this split. Default: test (audit) or train (train), where the column exists."
    ),
]
Nonce = Annotated[
    str | None,
    typer.Option("--nonce", help="An auditor's word, told after `policy seal`; with the commitment it gives the seed."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of every random draw.")]
Lang = Annotated[
    str, typer.Option("--lang", help="Languages of the report: en, fr, or both as en,fr. They influence no number.")
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", help="Module for Grad-CAM, as in named_modules(). Default: chosen and reported."),
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
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method-option", help="Setting of the methods, such as steps=64 or segments=superpixels. Repeatable."
    ),
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

ClassMap = Annotated[
    list[str] | None,
    typer.Option(
        "--class-map",
        help="Labels by the names of folders: 1=cat,2=dog, or a JSON file. Needed where folders are numbers.",
    ),
]
DicomTags = Annotated[
    list[str] | None,
    typer.Option("--tags", help="Of DICOM: tags that become columns: Manufacturer,PatientSex,PatientAge. Repeatable."),
]
SaltFile = Annotated[
    Path | None,
    typer.Option(
        "--salt",
        help="Of DICOM: file that keys the hashes of patients. Default: random, so that no other table has the same.",
        exists=True,
        dir_okay=False,
    ),
]

_MODELS = "Of the model"
ModelClass = Annotated[
    str | None,
    typer.Option(
        "--model-class",
        help="What a file of weights is of: torchvision:NAME, timm:NAME, package.module:Class or file.py:Class. The "
        "last two are imported, and so executed.",
        rich_help_panel=_MODELS,
    ),
]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option("--model-arg", help="Argument of that class: NAME=VALUE. Repeatable.", rich_help_panel=_MODELS),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", help="File of weights, where MODEL is a name.", rich_help_panel=_MODELS),
]
Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="accuracy=0.93±0.01",
        help="What the model is known to score on this data, where no answers are recorded.",
        rich_help_panel=_MODELS,
    ),
]
ExpectSha = Annotated[
    str | None,
    typer.Option("--expect-sha256", help="Refuse any other file of weights.", rich_help_panel=_MODELS),
]
TrustModel = Annotated[
    str | None,
    typer.Option(
        "--trust-model",
        metavar="SHA256",
        help="Run the program in this very file of TorchScript or .pt2, which can hold any code.",
        rich_help_panel=_MODELS,
    ),
]
AllowGlobal = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-global",
        help="Class that objects in the file of weights may be of, by its full name: pkg.Cfg. It is imported, and so "
        "executed. Repeatable.",
        rich_help_panel=_MODELS,
    ),
]
AllowNonfinite = Annotated[
    bool,
    typer.Option("--allow-nonfinite", help="Take weights that are NaN or infinite.", rich_help_panel=_MODELS),
]
PythonPath = Annotated[
    list[Path] | None,
    typer.Option(
        "--python-path", help="Folder in which code that is named is looked for. Repeatable.", rich_help_panel=_MODELS
    ),
]
ClassNames = Annotated[
    list[str] | None,
    typer.Option(
        "--classes",
        help="Names in the order of the outputs, separated by commas, where the model does not say. Repeatable.",
        rich_help_panel=_MODELS,
    ),
]
KindOf = Annotated[
    str | None,
    typer.Option("--kind", help="What the outputs are: multiclass, binary or multilabel.", rich_help_panel=_MODELS),
]
OutputKey = Annotated[
    str | None,
    typer.Option(
        "--output-key",
        help="Where the logits are in an output that holds several things: logits, 0, or a.b.",
        rich_help_panel=_MODELS,
    ),
]
ExpectPredictions = Annotated[
    Path | None,
    typer.Option(
        "--expect-predictions",
        help="Table of the answers that the model gave in use: predicted, by key, path or image. Others are refused.",
        rich_help_panel=_MODELS,
    ),
]
_INPUT = "Of its input, where the model does not say"
Resize = Annotated[
    str | None,
    typer.Option("--resize", help="Pixels of the shorter side, or HEIGHTxWIDTH.", rich_help_panel=_INPUT),
]
Crop = Annotated[
    str | None,
    typer.Option("--crop", help="Centre crop after that: pixels, or HEIGHTxWIDTH.", rich_help_panel=_INPUT),
]
Mean = Annotated[
    str | None,
    typer.Option("--mean", help="Per channel, in units of [0, 1]: 0.485,0.456,0.406.", rich_help_panel=_INPUT),
]
Std = Annotated[str | None, typer.Option("--std", help="Per channel, in the same units.", rich_help_panel=_INPUT)]
Channels = Annotated[
    str | None, typer.Option("--channels", help="rgb or gray: what pictures are turned into.", rich_help_panel=_INPUT)
]
OwnTransforms = Annotated[
    str | None,
    typer.Option(
        "--transform",
        help="package.module:fn or file.py:fn in place of geometry: fn(image, mask) gives (tensor, mask); or a "
        "transform of torchvision v2, albumentations or MONAI. With --mean and --std where it normalises.",
        rich_help_panel=_INPUT,
    ),
]
Bicubic = Annotated[bool, typer.Option("--bicubic", help="Resize bicubically.", rich_help_panel=_INPUT)]
Cases = Annotated[
    int,
    typer.Option(
        "--cases", min=1, max=500, help="Images shown with their maps: so many of the worst, and as many at random."
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Measure part I of N (from 1) in RUN.parts; started again, it goes on. Then: figureground merge.",
    ),
]
Devices = Annotated[
    int | None, typer.Option("--devices", min=1, help="Ranks on each machine, started by Lightning. Default: none.")
]
NumNodes = Annotated[
    int | None, typer.Option("--num-nodes", min=1, help="Machines, under torchrun or SLURM. Default: this one.")
]
Strategy = Annotated[str | None, typer.Option("--strategy", help="How ranks find each other: ddp.")]
Accelerator = Annotated[
    str | None, typer.Option("--accelerator", help="What each rank computes on, as Lightning calls it: cpu, gpu, auto.")
]


def as_arguments(pairs: list[str] | None, hint: str = "--model-arg") -> dict[str, Any]:
    """``NAME=VALUE`` pairs, values read as JSON where they are, else as text.

    >>> as_arguments(["num_classes=3", "act=relu", "bias=true"])
    {'num_classes': 3, 'act': 'relu', 'bias': True}
    """
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise typer.BadParameter(f"{pair!r}: expected NAME=VALUE", param_hint=hint)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def as_preprocess(
    resize: str | None,
    crop: str | None,
    mean: str | None,
    std: str | None,
    bicubic: bool,
    channels: str | None = None,
    transform: str | None = None,
) -> Preprocess | None:
    """The preprocessing that options describe; None where none was given.

    Without ``--mean`` and ``--std`` the model is given pixels in [0, 1].
    """
    if not (resize or crop or mean or std or bicubic or channels or transform):
        return None
    from figureground.datasets.transforms import Preprocess

    given = {"mean": _numbers(mean, "--mean"), "std": _numbers(std, "--std")}
    plain = {"mean": (0.0,) * _planes(channels), "std": (1.0,) * _planes(channels)} if channels else {}
    known: dict[str, Any] = plain | {name: values for name, values in given.items() if values is not None}
    if channels and any(len(values) != _planes(channels) for values in known.values()):
        raise typer.BadParameter(f"{channels!r} beside another number of values", param_hint="--mean/--std")
    if transform is not None:
        return _own(transform, bool(resize or crop or bicubic), known)
    return Preprocess(
        resize=_size(resize, "--resize"),
        crop=_size(crop, "--crop"),
        interpolation="bicubic" if bicubic else "bilinear",
        **known,
    )


def _own(transform: str, sized: bool, known: dict[str, Any]) -> Preprocess:
    from figureground.datasets.own_transform import OwnTransform

    if sized:
        hint = "--transform"
        raise typer.BadParameter("beside --resize, --crop or --bicubic: it does all of the geometry", param_hint=hint)
    return OwnTransform(spec=transform, **known)


def _planes(channels: str) -> int:
    try:
        return {"rgb": 3, "gray": 1}[channels]
    except KeyError:
        raise typer.BadParameter(f"{channels!r}: expected rgb or gray", param_hint="--channels") from None


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected numbers, separated by commas", param_hint=option) from None


def _size(text: str | None, option: str) -> int | tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 2:
        raise typer.BadParameter(f"{text!r}: expected pixels, as 224 or 224x320", param_hint=option)
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def as_list(texts: list[str] | None) -> list[str] | None:
    """Parts of options that are separated by commas and may be repeated; None where there is none."""
    # An option given twice adds to the first: taking the last alone would drop what was asked for, in silence.
    return None if not texts else [part.strip() for text in texts for part in text.split(",") if part.strip()]


def as_uncertain(given: str | None) -> Any:
    """What an uncertain label counts as."""
    if given not in (None, "exclude", "positive", "negative"):
        raise typer.BadParameter(f"{given!r}: expected exclude, positive or negative", param_hint="--uncertain")
    return given


def as_thresholds(pairs: list[str] | None) -> dict[str, float]:
    """``NAME=0.3`` pairs."""
    found: dict[str, float] = {}
    for pair in pairs or []:
        name, mark, value = pair.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise typer.BadParameter(f"{pair!r}: expected NAME=0.3", param_hint="--threshold")
    return found


def fit_lines(file: Path, found: Sequence[Fit]) -> Iterator[str]:
    """What fits a file of weights, with the command that audits it."""
    for fit in found:
        taken = f", after {fit.prefix!r} is taken off every name" if fit.prefix else ""
        ends = [f"NAME{at}" for at in range(fit.outputs)]
        names = ",".join(ends if len(ends) <= 3 else [ends[0], "...", ends[-1]])
        yield f"{fit.spec} fits whole, with {fit.outputs} outputs{taken}:"
        yield f"  figureground audit {file} DATA -o RUN --model-class {fit.spec} --classes {names}"


def as_class_map(given: list[str] | None) -> dict[str, str] | str | None:
    """``FOLDER=LABEL`` pairs, or the one JSON file that was named."""
    parts = as_list(given)
    if parts is None or (len(parts) == 1 and "=" not in parts[0]):
        return None if parts is None else parts[0]
    pairs = [part.partition("=") for part in parts]
    if not all(mark and name and label for name, mark, label in pairs):
        raise typer.BadParameter(f"{','.join(parts)!r}: expected FOLDER=LABEL", param_hint="--class-map")
    return {name: label for name, _, label in pairs}


def as_groups(texts: list[str] | None) -> list[str] | None:
    """Subgroups, whose edges are separated by commas as they are themselves; None where there is none."""
    from figureground.audit.judge.edges import join_edges

    parts = as_list(texts)
    return None if parts is None else join_edges(parts)


def as_suppliers(pairs: list[str] | None) -> dict[str, str]:
    """``INPUT=PARTY`` pairs, separated by commas or repeated."""
    found: dict[str, str] = {}
    for pair in as_list(pairs) or []:
        name, mark, party = pair.partition("=")
        if not mark:
            raise typer.BadParameter(f"{pair!r}: expected INPUT=PARTY, as data=client", param_hint="--supplied-by")
        found[name.strip()] = party.strip()
    return found


def as_mapping(pairs: list[str] | None) -> dict[str, str]:
    """``ROLE=NAME`` pairs."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        role, mark, name = pair.partition("=")
        if not mark or not role or not name:
            raise typer.BadParameter(
                f"{pair!r}: expected ROLE=NAME, for example label=diagnosis", param_hint="--column"
            )
        found[role] = name
    return found


def as_shard(text: str | None) -> tuple[int, int] | None:
    """``I/N`` as two numbers."""
    if text is None:
        return None
    number, _, total = text.partition("/")
    if not (number.isdecimal() and total.isdecimal()):
        raise typer.BadParameter(f"{text!r}: expected I/N, as 3/64", param_hint="--shard")
    return int(number), int(total)
