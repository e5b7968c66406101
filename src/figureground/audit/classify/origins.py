"""A module from a path or a name: our own checkpoint, or an architecture that is given the weights of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from figureground.audit.classify.archive import check_file
from figureground.audit.classify.blueprints import Blueprint, preset_of
from figureground.audit.classify.checkpoint import load_checkpoint
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.named_code import importable
from figureground.audit.classify.opaque import is_program, load_program
from figureground.audit.classify.pretrained import is_pretrained, load_pretrained
from figureground.audit.classify.weights import Weights, check_sha256, fit_weights, nonfinite_names, read_weights
from figureground.audit.keeping.files import file_sha256
from figureground.errors import UsageError


@dataclass(frozen=True)
class Origin:
    """What a caller says of a file of weights.

    Attributes
    ----------
    model_class : str or None
        What the weights are of: ``torchvision:NAME``, ``timm:NAME``, ``package.module:Class`` or ``file.py:Class``.
    arguments : mapping
        For that class.
    weights : Path or None
        The file, where the model is given by name.
    sha256 : str or None
        Of the file, where it must be this one.
    trusted : str or None
        SHA-256 of a file whose program may be run: see
        :func:`~figureground.audit.classify.opaque.load_program`.
    allow_globals : tuple of str
        Classes that objects in the file may be of.
    allow_nonfinite : bool
        Whether weights may be NaN or infinite.
    python_path : tuple of Path
        Folders in which code that is named is looked for as well.
    """

    model_class: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    sha256: str | None = None
    trusted: str | None = None
    allow_globals: tuple[str, ...] = ()
    allow_nonfinite: bool = False
    python_path: tuple[Path, ...] = ()


NO_WEIGHTS = Weights({}, {}, "")
#: Nothing was said.
UNSAID = Origin()


@dataclass(frozen=True, eq=False)
class Built:
    """A module, and how it came about: see :class:`~figureground.audit.classify.subject.Subject`."""

    module: nn.Module
    code_executed: bool
    spec: str | None = None
    prefix_removed: str = ""
    preset: Any = None
    sha256: str | None = None
    preset_source: Literal["model", "assumed"] = "assumed"
    classes: tuple[str, ...] | None = None
    allowed_globals: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()


def load_module(spec: str | Path, *, outputs: int | None, origin: Origin) -> Built:
    """The module; raises what reading, building and fitting raise."""
    if origin.model_class is None and is_program(Path(spec)):
        return _program(Path(spec), origin)
    with importable(origin.python_path):
        return _loaded(spec, outputs, origin)


def _loaded(spec: str | Path, outputs: int | None, origin: Origin) -> Built:
    by_name = not Path(spec).exists() and ":" in str(spec)
    if by_name and origin.model_class is not None:
        raise _twice(str(spec), origin.model_class)
    if not by_name and origin.weights is not None:
        raise _twice(str(spec), str(origin.weights))
    if not by_name and origin.model_class is None and is_pretrained(Path(spec)):
        return _pretrained(Path(spec), origin)
    if not by_name and origin.model_class is None:
        return _own(Path(spec), origin)
    blueprint = Blueprint(str(spec) if by_name else str(origin.model_class), origin.arguments)
    file = origin.weights if by_name else Path(spec)
    if blueprint.of_a_library and file is None:
        raise _no_weights(blueprint)
    if blueprint.of_a_library and outputs is None:
        raise _no_classes(blueprint)
    return _fitted(blueprint, file, outputs or 0, origin)


def _program(path: Path, origin: Origin) -> Built:
    if origin.weights is not None:
        raise _twice(str(path), str(origin.weights))
    check_file(path, zipped=False)
    check_sha256(path, origin.sha256)
    module = load_program(path, origin.trusted)
    # A graph of known operations runs nobody's code.
    return Built(module, path.suffix != ".onnx", spec=f"{path.suffix.lstrip('.')} program", sha256=file_sha256(path))


def _own(path: Path, origin: Origin) -> Built:
    check_sha256(path, origin.sha256)
    allow = origin.allow_globals
    classifier = load_checkpoint(path, allow_globals=allow, allow_nonfinite=origin.allow_nonfinite)
    return Built(
        classifier,
        # A subclass brings its own forward, and an allowed class the module that it is in.
        code_executed=type(classifier) is not Classifier or bool(allow),
        allowed_globals=allow,
        nonfinite=nonfinite_names(classifier.state_dict()),
    )


def _pretrained(folder: Path, origin: Origin) -> Built:
    found = load_pretrained(folder, expect_sha256=origin.sha256, allow_nonfinite=origin.allow_nonfinite)
    return Built(
        found.module,
        code_executed=False,
        spec=f"transformers:{found.name}",
        preset=found.preprocess,
        preset_source="model",
        classes=found.classes,
        nonfinite=found.nonfinite,
    )


def _fitted(blueprint: Blueprint, file: Path | None, outputs: int, origin: Origin) -> Built:
    """The weights are read first: what is damaged or dangerous is refused before anybody's code is run."""
    weights = NO_WEIGHTS if file is None else _read(file, origin)
    module = blueprint.build(outputs, weights.hyper_parameters)
    prefix = "" if file is None else fit_weights(module, weights)
    return Built(
        module.eval(),
        code_executed=not blueprint.of_a_library or bool(weights.allowed),
        spec=blueprint.described,
        prefix_removed=prefix,
        preset=preset_of(blueprint.spec),
        allowed_globals=weights.allowed,
        nonfinite=weights.nonfinite,
    )


def _read(file: Path, origin: Origin) -> Weights:
    return read_weights(
        file,
        expect_sha256=origin.sha256,
        allow_globals=origin.allow_globals,
        allow_nonfinite=origin.allow_nonfinite,
    )


def _twice(spec: str, other: str) -> UsageError:
    return UsageError(
        "MODEL_SPEC",
        spec,
        found=f"{other} beside it",
        expected="a file of weights with --model-class, or an architecture with --weights",
        fix="leave one of them out",
    )


def _no_weights(blueprint: Blueprint) -> UsageError:
    return UsageError(
        "MODEL_WEIGHTS",
        blueprint.spec,
        found="no weights",
        expected="the file that the trained weights are in; nothing is downloaded",
        fix="--weights FILE",
    )


def _no_classes(blueprint: Blueprint) -> UsageError:
    return UsageError(
        "CLASSES",
        blueprint.spec,
        found="no names of classes",
        expected="the names in the order of the model's outputs",
        fix="--classes a,b,c (in Python: classes=[...])",
    )
