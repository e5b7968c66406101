"""Weights of somebody else's model: read without executing anything, and fitted to a module whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from figureground.audit.classify.archive import check_file, damaged, read_archive
from figureground.errors import IntegrityError, SubjectError

#: Under which key training code keeps the weights, in the order in which they are looked for.
_KEYS = ("state_dict", "model_state_dict", "model", "net", "module")
#: Prefixes that wrappers put before every name, and taken off only where all names then fit.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
_SHOWN = 5
#: A hyper-parameter by which Lightning would call whatever it names.
_INSTANTIATOR = "_instantiator"


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    Attributes
    ----------
    tensors : mapping of str to Tensor
        On the CPU.
    hyper_parameters : mapping
        Those that a Lightning checkpoint keeps, plain types only; empty otherwise.
    where : str
        The file, for errors.
    allowed : tuple of str
        Classes that the file holds objects of, and that the caller has allowed.
    nonfinite : tuple of str
        Tensors with values that are not finite; none unless the caller has allowed them.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    hyper_parameters: Mapping[str, Any]
    where: str
    allowed: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()


def read_weights(
    path: str | Path,
    *,
    expect_sha256: str | None = None,
    allow_globals: Sequence[str] = (),
    allow_nonfinite: bool = False,
) -> Weights:
    """Weights from ``.safetensors``, or from what ``torch.save`` or Lightning wrote.

    Parameters
    ----------
    path : path
    expect_sha256 : str, optional
        Of the file, in hexadecimal.
    allow_globals : sequence of str
        As for :func:`~figureground.audit.classify.archive.read_archive`.
    allow_nonfinite : bool
        Whether weights that are NaN or infinite are taken, for research on models that have them.

    Raises
    ------
    SubjectError
        The file is absent, damaged, or holds no weights, or some that are not finite.
    IntegrityError
        It holds code, or is another file than was expected.
    """
    path = Path(path)
    check_sha256(path, expect_sha256)
    plain = path.suffix == ".safetensors"
    content = _safetensors(path) if plain else read_archive(path, allow_globals)
    tensors = _tensors(content, path)
    _check_dense(tensors, path)
    _check_stored(tensors, path)
    bad = nonfinite_names(tensors)
    if bad and not allow_nonfinite:
        raise not_finite(bad, path)
    allowed = () if plain else tuple(allow_globals)
    return Weights(tensors, _hyper_parameters(content, path), str(path), allowed, bad)


def fit_weights(module: nn.Module, weights: Weights) -> str:
    """Load weights into a module; returns the prefix that was taken off every name, mostly none.

    Raises
    ------
    SubjectError
        Names or shapes differ; those that are missing, unknown or of another shape are told.
    """
    wanted = module.state_dict()
    prefix = next((p for p in prefixes(weights.tensors) if _named(weights.tensors, p) == set(wanted)), "")
    given = {name.removeprefix(prefix): tensor for name, tensor in weights.tensors.items()}
    faults = _faults(wanted, given)
    if faults:
        rest = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise SubjectError(
            "WEIGHTS_FIT",
            weights.where,
            found="; ".join(faults[:_SHOWN]) + rest,
            expected=f"the {len(wanted)} tensors of {type(module).__name__}, by name and shape",
            fix="name the architecture that was trained, with its number of classes and its arguments (--model-arg)",
        )
    module.load_state_dict(given, strict=True)
    return prefix


def prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """No prefix, and all chains of wrappers' prefixes that every name begins with."""
    found = [""]
    for prefix in found:
        found += [prefix + more for more in PREFIXES if all(name.startswith(prefix + more) for name in tensors)]
    return found


def _named(tensors: Mapping[str, Tensor], prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in tensors}


def _faults(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    found = [
        f"{name} is {list(given[name].shape)} in place of {list(wanted[name].shape)}"
        for name in sorted(wanted.keys() & given.keys())
        if given[name].shape != wanted[name].shape
    ]
    found += [f"{name} is missing" for name in sorted(wanted.keys() - given.keys())]
    return found + [f"{name} is unknown" for name in sorted(given.keys() - wanted.keys())]


def _safetensors(path: Path) -> dict[str, Tensor]:
    check_file(path, zipped=False)
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise damaged(path, f"content that is no safetensors ({error})") from error


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of tensors in what was read: itself, or under one of the usual keys."""
    inside = [content[key] for key in _KEYS if isinstance(content, Mapping) and key in content]
    for found in (*inside, content):
        if isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values()):
            return {str(name): value for name, value in found.items()}
    kind = type(content).__name__
    held = f"a {kind} with {', '.join(map(str, list(content)[:8]))}" if isinstance(content, Mapping) else f"a {kind}"
    raise SubjectError(
        "WEIGHTS",
        str(path),
        found=held,
        expected=f"tensors by name, or such a mapping under {', '.join(_KEYS[:3])}",
        fix="save the weights alone: torch.save(model.state_dict(), path)",
    )


def _hyper_parameters(content: Any, path: Path) -> dict[str, Any]:
    kept = content.get("hyper_parameters", {}) if isinstance(content, Mapping) else {}
    if not isinstance(kept, Mapping):
        return {}
    if _INSTANTIATOR in kept:
        raise IntegrityError(
            "CKPT_INSTANTIATOR",
            str(path),
            found=f"{_INSTANTIATOR}: {kept[_INSTANTIATOR]!r}, by which Lightning would call what it names",
            expected="hyper-parameters that call nothing",
            fix="save the weights alone: torch.save(model.state_dict(), path)",
        )
    return {str(name): value for name, value in kept.items()}


def _check_dense(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse sparse and quantised tensors, and those that stand for others and hold no values."""
    bad = [name for name, value in tensors.items() if not _is_dense(value)]
    if bad:
        raise SubjectError(
            "WEIGHTS_DENSE",
            str(path),
            found=f"{_listed(bad)} sparse, quantised, packed or without values",
            expected="plain tensors that hold every value",
            fix="save the weights of the network before it is quantised, pruned to sparse tensors or emptied",
        )


def _is_dense(value: Tensor) -> bool:
    plain = value.layout is torch.strided and not value.is_quantized and value.device.type == "cpu"
    try:
        torch.empty(1, dtype=value.dtype).float()
    except (NotImplementedError, RuntimeError):  # several values packed into a byte
        return False
    return plain


def _check_stored(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are larger than what is stored of them: a few bytes could stand for any amount of memory."""
    for name, value in tensors.items():
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            found = f"{name} of shape {list(value.shape)} on {value.untyped_storage().nbytes()} bytes"
            fix = "save its own copy: tensor.clone()"
            raise IntegrityError("CKPT_EXPANDED", str(path), found=found, expected="tensors stored whole", fix=fix)


def nonfinite_names(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of the tensors with a value that is NaN or infinite."""
    return tuple(name for name, value in tensors.items() if not _is_finite(value))


def _is_finite(value: Tensor) -> bool:
    # Not every type of 8 bits can be asked, but each fits into 32.
    asked = value.float() if value.is_floating_point() and value.element_size() == 1 else value
    return bool(torch.isfinite(asked).all())


def not_finite(names: Sequence[str], path: Path) -> SubjectError:
    """The error for weights that are NaN or infinite."""
    return SubjectError(
        "WEIGHTS_FINITE",
        str(path),
        found=f"values that are not finite in {_listed(names)}",
        expected="finite weights",
        fix="training has diverged: take an earlier checkpoint, or for research --allow-nonfinite",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def check_sha256(path: Path, expected: str | None) -> None:
    """Refuse another file than the one that was expected, before anything in it is read; None expects none."""
    if expected is None or not path.is_file():  # what is not there is told by those who read it
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise IntegrityError(
            "WEIGHTS_SHA256",
            str(path),
            found=found,
            expected=expected.lower(),
            fix="this is another file: find the one that was meant, or correct the hash",
        )
