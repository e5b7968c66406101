"""One self-describing file per classifier, written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
import pickle
import platform
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from figureground.audit.classify.module import Classifier
from figureground.errors import FiguregroundError, IntegrityError, SubjectError

FORMAT = "figureground-classifier/1"
_KEY = "figureground"
#: What torch raises over an archive whose records do not fit together.
_MALFORMED = (RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError, AssertionError)
_DESCRIBED = ("architecture", "classes", "preprocess", "kind", "thresholds")
_FROM_PYTHON = "load the model in Python and audit the module itself: fg.run_audit(module, ...)"
_ZIP_MAGIC, _PICKLE_MAGIC = b"PK", b"\x80"
#: What people have in place of a checkpoint, by how it begins.
_IMPOSTORS = {
    b"version https://git-lfs": ("a Git LFS pointer", "run `git lfs pull`"),
    b"<": ("an HTML or XML page", "download the file itself"),
}


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


def load_checkpoint(path: str | Path) -> Classifier:
    """Read a classifier that :func:`save_checkpoint` wrote; nothing in the file is executed.

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
    _check_file(path)
    _check_archive(path)
    content = _read(path)
    return _restored(content, _description(content, path), path)


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


def _check_file(path: Path) -> None:
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.ckpt"))[:3]
        found = "a folder" if path.is_dir() else "no such file"
        fix = f"this folder has {', '.join(near)}" if near else "check the path"
        raise SubjectError("CKPT_PATH", str(path), found=found, expected="a checkpoint file", fix=fix)
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if start.startswith(_PICKLE_MAGIC):
        raise IntegrityError(
            "CKPT_PICKLE",
            str(path),
            found="a bare pickle, which runs code when it is read",
            expected="a checkpoint of `figureground train`",
            fix=_FROM_PYTHON,
        )
    if not start.startswith(_ZIP_MAGIC):
        found, fix = _impostor(start)
        raise SubjectError("CKPT_FORMAT", str(path), found=found, expected="a checkpoint file", fix=fix)


def _impostor(start: bytes) -> tuple[str, str]:
    for magic, told in _IMPOSTORS.items():
        if start.startswith(magic):
            return told
    return ("an empty file" if not start else "a file that is no torch archive"), _FROM_PYTHON


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # torch stores without compression; anything else can grow without bound when it is read.
            if any(m.compress_type != zipfile.ZIP_STORED for m in members):
                raise _oversized(path, "compressed members")
            if sum(m.file_size for m in members) > path.stat().st_size:
                raise _oversized(path, "members larger than the file")
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise _damaged(path, f"{path.stat().st_size} bytes of a truncated archive") from error
    if damaged is not None:
        raise _damaged(path, f"a wrong checksum in {damaged}")
    if not any(m.filename.endswith("/data.pkl") for m in members):
        raise _foreign(path, "an archive that torch.save did not write")
    if any(m.filename.endswith("/constants.pkl") for m in members):
        raise _foreign(path, "a TorchScript archive")


def _read(path: Path) -> Any:
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        if unsafe:
            raise IntegrityError(
                "CKPT_PICKLE",
                str(path),
                found=f"pickled code: {', '.join(sorted(unsafe)[:5])}",
                expected="tensors and plain types only",
                fix=f"if you trust its author, {_FROM_PYTHON}",
            )
        # Spelled out: an environment variable can switch the default off.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's own message advises to execute the file, so it is not passed on.
        raise IntegrityError(
            "CKPT_PICKLE",
            str(path),
            found="content that the restricted unpickler refuses",
            expected="tensors and plain types only",
            fix=_FROM_PYTHON,
        ) from None
    except _MALFORMED as error:
        raise _damaged(path, f"content that torch cannot read ({type(error).__name__})") from None


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
        raise _damaged(path, f"no {' and no '.join(sorted(missing))}")
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
        raise _damaged(path, "a description that differs from the hyper-parameters")
    try:
        with torch.random.fork_rng(devices=[]):
            return Classifier(**hyper_parameters)
    except (TypeError, ValueError, AttributeError, RuntimeError, FiguregroundError) as error:
        raise _damaged(path, f"a description that makes no classifier ({error})") from error


def _check_weights(wanted: Mapping[str, Tensor], given: Any, path: Path) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(value, Tensor) for value in given.values()):
        raise _damaged(path, "a state_dict that is no mapping of tensors")
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
            expected="finite weights that fit the architecture",
            fix="save the checkpoint again",
        )


def _fault(name: str, wanted: Tensor, given: Tensor) -> str:
    if given.shape != wanted.shape:
        return f"{name} is {list(given.shape)} in place of {list(wanted.shape)}"
    return "" if bool(torch.isfinite(given).all()) else f"{name} is not finite"


def _foreign(path: Path, found: str) -> SubjectError:
    return SubjectError(
        "CKPT_FOREIGN",
        str(path),
        found=found,
        expected=f"a checkpoint in the format {FORMAT}",
        fix=_FROM_PYTHON,
    )


def _damaged(path: Path, found: str) -> SubjectError:
    return SubjectError(
        "CKPT_DAMAGED",
        str(path),
        found=found,
        expected="a whole checkpoint",
        fix="copy or save the file again",
    )


def _oversized(path: Path, found: str) -> IntegrityError:
    return IntegrityError(
        "CKPT_ARCHIVE",
        str(path),
        found=found,
        expected="stored members that fit the file",
        fix="save it again with torch.save",
    )
