"""Models that are known by their answers alone, or without their layers: functions, TorchScript, ``.pt2``, ONNX.

They go through the whole causal suite, which needs forward passes only. Where a gradient can be had, saliency is
measured; where it cannot, occlusion is. Grad-CAM needs a layer to look at and is not measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.classify.archive import damaged
from figureground.audit.keeping.files import file_sha256
from figureground.errors import IntegrityError, SubjectError, UsageError

#: Files that hold a program and not only weights.
PROGRAMS = (".pt2", ".onnx")


class Answering(nn.Module):
    """A function as a module: ``[B, C, H, W]`` in, whatever it gives out.

    Parameters
    ----------
    answer : callable
    name : str
        Told as the architecture.
    batch : int or None
        How many images it takes at once, where that is fixed; fewer are filled up with copies of the last.
    """

    def __init__(self, answer: Callable[[Tensor], Any], name: str, batch: int | None = None) -> None:
        super().__init__()
        self._answer, self.name, self.batch = [answer], name, batch  # in a list: no submodule, so no mode to change

    def forward(self, images: Tensor) -> Any:
        """What the function gives."""
        (answer,) = self._answer
        if self.batch is None:
            return answer(images)
        return torch.cat([self._filled(answer, part) for part in torch.split(images, self.batch)])

    def _filled(self, answer: Callable[[Tensor], Any], part: Tensor) -> Tensor:
        missing = int(self.batch or 0) - len(part)
        given = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
        found: Tensor = answer(given)
        return found[: len(part)]


def is_program(path: Path) -> bool:
    """Whether a file holds a program: ONNX, ``.pt2``, or a TorchScript archive."""
    return path.suffix in PROGRAMS or _is_torchscript(path)


def load_program(path: Path, trusted: str | None) -> nn.Module:
    """The program in a file.

    Parameters
    ----------
    path : Path
    trusted : str or None
        SHA-256 of a file whose author the caller trusts. TorchScript and ``.pt2`` files can hold code that runs when
        they are read, so that they are read only where this is theirs. ONNX files hold a graph of known operations.

    Raises
    ------
    IntegrityError
        The file would have to be trusted, and is not.
    SubjectError
        It cannot be read.
    UsageError
        ONNX Runtime is not installed.
    """
    if path.suffix == ".onnx":
        return _onnx(path)
    digest = file_sha256(path)
    if trusted is None or trusted.lower() != digest:
        raise _not_trusted(path, digest, trusted)
    return _exported(path) if path.suffix == ".pt2" else _torchscript(path)


def _is_torchscript(path: Path) -> bool:
    import zipfile

    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _torchscript(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*torch.jit")  # of TorchScript itself: what people have is audited
            program: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise damaged(path, f"a TorchScript archive that torch cannot read ({type(error).__name__})") from None
    return program.eval()


def _exported(path: Path) -> nn.Module:
    try:
        program = torch.export.load(path)
    except Exception as error:  # the reader raises whatever the content makes it raise
        raise damaged(path, f"an exported program that torch cannot read ({type(error).__name__})") from None
    module = program.module()
    return Answering(module, f"exported program {path.name}", _fixed_batch(program))


def _fixed_batch(program: torch.export.ExportedProgram) -> int | None:
    names = set(program.graph_signature.user_inputs)
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    first = shapes[0][0] if shapes else None
    return first if isinstance(first, int) else None


def _onnx(path: Path) -> nn.Module:
    if find_spec("onnxruntime") is None:
        raise UsageError(
            "EXTRA",
            str(path),
            found="an ONNX file, and ONNX Runtime is not installed",
            expected="the extra onnx",
            fix="pip install 'figureground[onnx]'",
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions share no base class
        raise damaged(path, f"a graph that ONNX Runtime cannot read ({type(error).__name__})") from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise _not_one_image(path, [(item.name, item.shape) for item in inputs])
    (given,) = inputs

    def answer(images: Tensor) -> Tensor:
        found = session.run(None, {given.name: images.detach().float().cpu().numpy()})
        return torch.from_numpy(found[0])

    batch = given.shape[0]
    return Answering(answer, f"ONNX graph {path.name}", batch if isinstance(batch, int) else None)


def _not_one_image(path: Path, found: list[tuple[str, Any]]) -> SubjectError:
    return SubjectError(
        "MODEL_INPUT",
        str(path),
        found=", ".join(f"{name} {shape}" for name, shape in found) or "no input",
        expected="one input [B, C, H, W]",
        fix="export the network with images as its only input",
    )


def _not_trusted(path: Path, digest: str, trusted: str | None) -> IntegrityError:
    kind = "an exported program" if path.suffix == ".pt2" else "a TorchScript archive"
    other = "" if trusted is None else f", and --trust-model of another file ({trusted[:12]}...)"
    return IntegrityError(
        "MODEL_PROGRAM",
        str(path),
        found=f"{kind}, which can run code when it is read{other}",
        expected="weights, or a program whose author you trust",
        fix=f"if you do, --trust-model {digest}; better, save the weights and give --model-class",
    )
