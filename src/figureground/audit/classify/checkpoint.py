"""One self-describing file per classifier, written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from figureground.audit.classify.archive import damaged, read_archive
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.weights import nonfinite_names, not_finite
from figureground.errors import FiguregroundError, SubjectError

FORMAT = "figureground-classifier/1"
_KEY = "figureground"
_DESCRIBED = ("architecture", "classes", "preprocess", "kind", "thresholds")


def save_checkpoint(classifier: Classifier, path: str | Path) -> Path:
    """Write a classifier as one file that describes itself.

    The file holds ``figureground`` (format, architecture, classes, preprocess, kind, thresholds, training, versions),
    ``state_dict``, ``hyper_parameters`` and ``pytorch-lightning_version``: plain types and tensors only, and
    no path of the machine. It is written under a temporary name in the same folder and then renamed.

    Returns
    -------
    Path
        The file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Saved to an open file: given a name, torch would write that name into the archive.
        with temporary.open("wb") as file:
            torch.save(_content(classifier), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_checkpoint(
    path: str | Path, *, allow_globals: Sequence[str] = (), allow_nonfinite: bool = False
) -> Classifier:
    """Read a classifier that :func:`save_checkpoint` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path
    allow_globals, allow_nonfinite
        As for :func:`~figureground.audit.classify.weights.read_weights`.

    Returns
    -------
    Classifier
        On the CPU, in evaluation mode. The global random state is left alone.

    Raises
    ------
    SubjectError
        The file is absent, damaged, not a checkpoint, somebody else's checkpoint, or does not fit its own
        description.
    IntegrityError
        The file holds pickled code, or declares more content than it has.
    """
    path = Path(path)
    content = read_archive(path, allow_globals)
    classifier = _restored(content, _description(content, path), path)
    bad = nonfinite_names(classifier.state_dict())
    if bad and not allow_nonfinite:
        raise not_finite(bad, path)
    return classifier


def _content(classifier: Classifier) -> dict[str, Any]:
    hyper_parameters = dict(classifier.hparams)
    described = {name: hyper_parameters[name] for name in _DESCRIBED if name in hyper_parameters}
    versions = {name: metadata.version(name) for name in ("torch", "torchvision", "pytorch-lightning")}
    return {
        _KEY: {
            "format": FORMAT,
            **described,
            "training": {n: value for n, value in hyper_parameters.items() if n not in described},
            "versions": {**versions, "figureground": _own_version(), "python": platform.python_version()},
        },
        "state_dict": {n: tensor.detach().cpu() for n, tensor in classifier.state_dict().items()},
        "hyper_parameters": hyper_parameters,
        "pytorch-lightning_version": versions["pytorch-lightning"],
    }


def _own_version() -> str:
    try:
        return metadata.version("figureground")
    except metadata.PackageNotFoundError:
        return "source tree"


def _description(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise _foreign(path, f"a {type(content).__name__}")
    described = content.get(_KEY)
    if not isinstance(described, Mapping) or "format" not in described:
        kind = "a Lightning checkpoint" if "pytorch-lightning_version" in content else "a dictionary"
        raise _foreign(path, f"{kind} with the keys {', '.join(map(str, list(content)[:8]))}")
    if described["format"] != FORMAT:
        raise _foreign(path, f"format {described['format']}")
    missing = {"hyper_parameters", "state_dict"} - set(content)
    if missing:
        raise damaged(path, f"no {' and no '.join(sorted(missing))}")
    return dict(described)


def _restored(content: Mapping[str, Any], described: dict[str, Any], path: Path) -> Classifier:
    classifier = _blank(content["hyper_parameters"], described, path)
    _check_weights(classifier.state_dict(), content["state_dict"], path)
    classifier.load_state_dict(content["state_dict"], strict=True)
    classifier.eval()
    return classifier


def _blank(hyper_parameters: Any, described: dict[str, Any], path: Path) -> Classifier:
    if not isinstance(hyper_parameters, Mapping) or any(
        described.get(name) != hyper_parameters.get(name) for name in _DESCRIBED
    ):
        raise damaged(path, "a description that differs from the hyper-parameters")
    try:
        with torch.random.fork_rng(devices=[]):
            return Classifier(**hyper_parameters)
    except (TypeError, ValueError, AttributeError, RuntimeError, FiguregroundError) as error:
        raise damaged(path, f"a description that makes no classifier ({error})") from error


def _check_weights(wanted: Mapping[str, Tensor], given: Any, path: Path) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(value, Tensor) for value in given.values()):
        raise damaged(path, "a state_dict that is no mapping of tensors")
    faults = [f"{name} is missing" for name in wanted.keys() - given.keys()]
    faults += [f"{name} is unknown" for name in given.keys() - wanted.keys()]
    faults += [_fault(name, wanted[name], given[name]) for name in wanted.keys() & given.keys()]
    faults = sorted(filter(None, faults))
    if faults:
        rest = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise SubjectError(
            "CKPT_WEIGHTS",
            str(path),
            found="; ".join(faults[:5]) + rest,
            expected="weights that fit the architecture",
            fix="save the checkpoint again",
        )


def _fault(name: str, wanted: Tensor, given: Tensor) -> str:
    if given.shape != wanted.shape:
        return f"{name} is {list(given.shape)} in place of {list(wanted.shape)}"
    return ""


def _foreign(path: Path, found: str) -> SubjectError:
    return SubjectError(
        "CKPT_FOREIGN",
        str(path),
        found=found,
        expected=f"a checkpoint in the format {FORMAT}",
        fix="say what it is: --model-class package.module:Class, torchvision:NAME or timm:NAME, and --classes a,b",
    )
