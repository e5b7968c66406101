"""Torch archives and safetensors, looked at before they are read, and read without executing anything."""

from __future__ import annotations

import _compat_pickle
import pickle
import struct
import zipfile
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from figureground.audit.classify.named_code import load_class
from figureground.audit.classify.releases import check_releases
from figureground.errors import IntegrityError, SubjectError

#: What torch raises over an archive whose records do not fit together.
_MALFORMED = (
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    OSError,
    MemoryError,
    struct.error,
)
#: What zipfile raises over one whose directory is not as it was written; offsets into nowhere are an OSError.
_TORN = (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError, struct.error)
_FROM_PYTHON = "load the model in Python and audit the module itself: fg.run_audit(module, ...)"
#: The number that torch wrote first, as a pickle of it begins.
_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_ZIP_MAGIC, _PICKLE_MAGIC = b"PK", b"\x80"
#: What people have in place of a checkpoint, by how it begins.
_IMPOSTORS = {
    b"version https://git-lfs": ("a Git LFS pointer", "run `git lfs pull`"),
    b"<": ("an HTML or XML page", "download the file itself"),
}
#: Files that a model may be in.
SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
#: Modules that a network has no use for, and an attacker has.
_OUTSIDE = frozenset(
    [
        "_io",
        "_posixsubprocess",
        "asyncio",
        "bdb",
        "builtins",
        "code",
        "codeop",
        "ctypes",
        "importlib",
        "io",
        "logging",
        "marshal",
        "multiprocessing",
        "nt",
        "os",
        "pdb",
        "pickle",
        "pkgutil",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "tarfile",
        "tempfile",
        "threading",
        "timeit",
        "urllib",
        "webbrowser",
        "zipfile",
    ]
)
#: Classes of a network: who pickled them has pickled the network itself.
_MODULES = ("torch.nn.modules.", "torchvision.models.", "timm.")


def read_archive(path: Path, allow: Sequence[str] = ()) -> Any:
    """What ``torch.save`` wrote, plain types and tensors on the CPU only.

    Parameters
    ----------
    path : Path
    allow : sequence of str
        Classes by their full names that may be made as well. They are imported, and so their module is executed;
        those that reach outside the process are refused all the same.

    Raises
    ------
    SubjectError
        The file is absent, damaged, no archive of tensors, or holds a class that is not allowed.
    IntegrityError
        The file holds pickled code, or declares more content than it has; or an installed release would run it.
    """
    check_file(path)
    check_releases(path)
    _check_archive(path)
    return _read(path, allow)


def check_file(path: Path, *, zipped: bool = True) -> None:
    """Refuse what is no file, an impostor, or, where an archive is wanted, none; nothing but its start is read."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SubjectError("CKPT_PATH", str(path), found=found, expected="a checkpoint file", fix=_nearby(path))
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if start.startswith(_LEGACY_MAGIC):
        raise IntegrityError(
            "CKPT_LEGACY",
            str(path),
            found="the format of torch before 1.6: bare pickles, whose parts have no checksums",
            expected="an archive, or .safetensors",
            fix="save it again where you trust its origin: "
            f"torch.save(torch.load({path.name!r}, map_location='cpu', weights_only=True), 'again.pt')",
        )
    if start.startswith(_PICKLE_MAGIC):
        raise IntegrityError(
            "CKPT_PICKLE",
            str(path),
            found="a bare pickle, which runs code when it is read",
            expected="a checkpoint of `figureground train`",
            fix=_FROM_PYTHON,
        )
    told = next((told for magic, told in _IMPOSTORS.items() if start.startswith(magic)), None)
    if told is not None or not start or (zipped and not start.startswith(_ZIP_MAGIC)):
        found, fix = told or ("an empty file" if not start else "a file that is no torch archive", _FROM_PYTHON)
        raise SubjectError("CKPT_FORMAT", str(path), found=found, expected="a checkpoint file", fix=fix)


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # torch stores without compression; anything else can grow without bound when it is read.
            if any(m.compress_type != zipfile.ZIP_STORED for m in members):
                raise _oversized(path, "compressed members")
            if sum(m.file_size for m in members) > path.stat().st_size:
                raise _oversized(path, "members larger than the file")
            wrong = archive.testzip()
    except _TORN as error:
        raise damaged(path, f"{path.stat().st_size} bytes of a truncated archive") from error
    if wrong is not None:
        raise damaged(path, f"a wrong checksum in {wrong}")
    if not any(m.filename.endswith("/data.pkl") for m in members):
        raise _no_tensors(path, "an archive that torch.save did not write")
    if any(m.filename.endswith("/constants.pkl") for m in members):
        raise _no_tensors(path, "a TorchScript archive")


def _read(path: Path, allow: Sequence[str]) -> Any:
    try:
        unsafe = map(_of_today, torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
        classes = _allowed(path, sorted(unsafe), allow)
        # Spelled out: an environment variable can switch the default off.
        with torch.serialization.safe_globals(classes):
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
        raise damaged(path, f"content that torch cannot read ({type(error).__name__})") from None


def _allowed(path: Path, unsafe: Sequence[str], allow: Sequence[str]) -> list[Any]:
    """The classes that may be made, imported; raises where the file holds anything else."""
    if any(map(_reaches_out, unsafe)):
        raise IntegrityError(
            "CKPT_PICKLE",
            str(path),
            found=f"pickled code: {', '.join(unsafe[:5])}",
            expected="tensors and plain types only",
            fix=f"if you trust its author, {_FROM_PYTHON}",
        )
    if any(name.startswith(_MODULES) for name in unsafe):
        raise _whole_module(path)
    strangers = sorted(set(unsafe) - set(allow))
    if strangers:
        raise SubjectError(
            "CKPT_GLOBALS",
            str(path),
            found=f"objects of {', '.join(strangers)}",
            expected="tensors and plain types only",
            fix=f"where these are known and harmless: {' '.join(f'--allow-global {name}' for name in strangers)}",
        )
    return [load_class(name) for name in unsafe]


def _of_today(name: str) -> str:
    """The name that Python reads for one that a pickle of the second protocol writes, such as ``commands.Popen``."""
    module, _, attribute = name.rpartition(".")
    module, attribute = _compat_pickle.NAME_MAPPING.get((module, attribute), (module, attribute))
    return f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{attribute}"


def _reaches_out(name: str) -> bool:
    return name.split(".")[0] in _OUTSIDE


def _nearby(path: Path) -> str:
    """The files whose names come nearest, of those that a model may be in."""
    folder = path if path.is_dir() else path.parent
    names = sorted(file.name for file in folder.glob("*") if file.suffix in SUFFIXES) if folder.is_dir() else []
    near = get_close_matches(path.name, names, n=3, cutoff=0.5) or names[:3]
    return f"did you mean {' or '.join(near)} in this folder?" if near else "check the path"


def _whole_module(path: Path) -> SubjectError:
    return SubjectError(
        "CKPT_MODULE",
        str(path),
        found="a pickled network, which is code and not only weights",
        expected="its weights: torch.save(model.state_dict(), path), or a .safetensors file",
        fix="save the state_dict and give --model-class; or " + _FROM_PYTHON,
    )


def _no_tensors(path: Path, found: str) -> SubjectError:
    return SubjectError(
        "CKPT_FORMAT", str(path), found=found, expected="an archive that torch.save wrote", fix=_FROM_PYTHON
    )


def damaged(path: Path, found: str) -> SubjectError:
    """The error for a file that is not as it was written."""
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
