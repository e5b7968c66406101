"""The model under audit, whatever it came as: module, classes, preprocessing, and a hash of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from figureground.audit.classify.module import Classifier
from figureground.audit.classify.named_code import importable, load_named, name_of
from figureground.audit.classify.opaque import Answering
from figureground.audit.classify.origins import UNSAID, Built, Origin, load_module
from figureground.audit.classify.readout import OneNumber, Picked, TwoClasses
from figureground.audit.declared.target import Target
from figureground.audit.declared.task import DECLARED_KINDS, Kind, Task, check_thresholds
from figureground.audit.methods.reported import Access
from figureground.datasets.transforms import Preprocess
from figureground.errors import SubjectError, UsageError
from figureground.visible import is_text

PreprocessingSource = Literal["model", "argument", "assumed"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with what is needed to audit it.

    Attributes
    ----------
    module : nn.Module
        Gives logits ``[B, K]`` for normalised float ``[B, C, H, W]``. It is the caller's own object.
    classes : tuple of str
        Names in the order of the logits.
    preprocess : Preprocess
        What an image goes through before the module.
    preprocessing_source : {"model", "argument", "assumed"}
        Who said so.
    architecture : str
        Name of the architecture, what was built by name, or the module's class.
    sha256 : str or None
        :func:`weights_sha256` of the module; of a program in a file, that of the file; None for a function, which
        has no weights to compare.
    code_executed : bool
        Whether code other than this package's and its libraries' runs in an audit.
    kind : {"multiclass", "binary", "multilabel", "scalar"}
        One of several classes, one of two from a single logit, several findings that may each be present, or a number.
    thresholds : mapping of str to float
        Operating thresholds that the model brings; a policy's go before them.
    cut : float or None
        Of a scalar: the number from which it counts as high.
    access : {"layers", "gradients", "answers"}
        What can be had of the model: its layers, or the gradients of its answers, or no more than its answers.
    spec : str or None
        What was built and given the weights of a file; None for a model in memory or a checkpoint of our own.
    allowed_globals : tuple of str
        Classes that objects in the file were allowed to be of.
    nonfinite : tuple of str
        Weights that are NaN or infinite, and were allowed to be.
    prefix_removed : str
        What stood before the name of every weight in the file, and was taken off because all names then fit.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess
    preprocessing_source: PreprocessingSource
    architecture: str
    sha256: str | None
    code_executed: bool
    kind: Kind = "multiclass"
    thresholds: Mapping[str, float] = field(default_factory=dict)
    cut: float | None = None
    access: Access = "layers"
    spec: str | None = None
    prefix_removed: str = ""
    allowed_globals: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What the logits mean."""
        return Task(self.kind, self.classes, self.thresholds)


def as_subject(
    model: Any,
    *,
    classes: Sequence[str] | None = None,
    transform: Any = None,
    kind: Kind | None = None,
    output_key: str | None = None,
) -> Subject:
    """Wrap a model that is in memory.

    Parameters
    ----------
    model : nn.Module or callable
        Any module, LightningModules of either package included. ``DataParallel`` and ``torch.compile``
        wrappers are taken off, since both lose hooks. A function ``[B, C, H, W] -> [B, K]`` is known by its answers.
    classes : sequence of str, optional
        Names in the order of the logits. By default the model's own ``classes`` or ``class_names``, and never
        the data's: a class that is absent from the data would shift all later ones.
    transform : Preprocess or torchvision preset, optional
        By default the model's own where it is a :class:`Classifier`; else pixels in [0, 1] and no resizing
        are assumed, and the subject says so.
    kind : {"multiclass", "binary", "multilabel"}, optional
        What the logits mean: one for each class, a single one that speaks for the second of two classes, or one for
        each finding. By default the model's own where it is a :class:`Classifier`, else ``multiclass``.
    output_key : str, optional
        Where in the output the logits are: see :class:`~figureground.audit.classify.readout.Picked`.

    Raises
    ------
    SubjectError
        The model is no module.
    UsageError
        The classes or the preprocessing are unknown, or contradict the model's own.
    """
    module = _unwrapped(model)
    preprocess, source = _preprocessing(module, transform)
    meant = _kind_of(module, kind)
    names, thresholds = _classes(module, classes, meant), getattr(module, "thresholds", {})
    if isinstance(module, Classifier):
        check_thresholds(thresholds, Task(meant, names), "model")
    read = module if output_key is None else Picked(module, output_key)
    return Subject(
        # What a single logit says is said by two; all that follows then knows classes only.
        module=TwoClasses(read) if meant == "binary" else read,
        classes=names,
        preprocess=preprocess,
        preprocessing_source=source,
        architecture=_architecture(module),
        sha256=_identity(module),
        access=access_of(module),
        # A subclass brings its own forward.
        code_executed=type(module) is not Classifier,
        kind=meant,
        thresholds=dict(thresholds) if isinstance(module, Classifier) else {},
    )


def load_subject(
    spec: str | Path,
    *,
    classes: Sequence[str] | None = None,
    transform: Any = None,
    kind: Kind | None = None,
    output_key: str | None = None,
    origin: Origin = UNSAID,
) -> Subject:
    """The subject in a file, or built by name and given the weights of a file; other arguments as for
    :func:`as_subject`.

    Parameters
    ----------
    spec : str or path
        A checkpoint of ``figureground train``; a folder that ``transformers`` saved an image classifier in; a file of
        weights, whose class ``origin`` names; or ``torchvision:NAME``, ``timm:NAME``, ``package.module:factory``.
    origin : Origin, optional
        What a file of weights is of.

    Raises
    ------
    SubjectError, IntegrityError
        As for :func:`~figureground.audit.classify.checkpoint.load_checkpoint` and
        :func:`~figureground.audit.classify.weights.read_weights`.
    UsageError
        Nothing is known by that name, or the weights of a library's architecture are missing.
    """
    built = load_module(spec, outputs=_outputs(classes, kind), origin=origin)
    given = built.preset if transform is None else transform
    names = _agreed(classes, built.classes)
    subject = as_subject(built.module, classes=names, transform=given, kind=kind, output_key=output_key)
    assumed = transform is None and given is not None
    source: PreprocessingSource = built.preset_source if assumed else subject.preprocessing_source
    return replace(
        subject,
        preprocessing_source=source,
        architecture=built.spec or subject.architecture,
        code_executed=built.code_executed,
        spec=built.spec,
        prefix_removed=built.prefix_removed,
        sha256=built.sha256 or subject.sha256,
        allowed_globals=built.allowed_globals,
        nonfinite=built.nonfinite,
    )


def _outputs(classes: Sequence[str] | None, kind: Kind | None) -> int | None:
    """How many logits a model for these classes has; None where nobody has said."""
    return None if classes is None else 1 if kind == "binary" else len(classes)


def as_number(
    model: Any,
    read: str | Callable[[Any], Tensor],
    declared: Target,
    *,
    transform: Any = None,
    output_key: str | None = None,
    origin: Origin = UNSAID,
    outputs: int | None = None,
) -> Subject:
    """Wrap a model whose output is made one number per image.

    Parameters
    ----------
    model : nn.Module or path
        With any output that ``read`` understands; or what :func:`load_subject` takes.
    read : str or callable
        ``package.module:function``, which is imported, or the function itself: from the output for B images to a float
        tensor ``[B]``.
    declared : Target
        What the number means; the classes are the sides of its cut.
    transform : Preprocess or torchvision preset, optional
        As for :func:`as_subject`.
    output_key : str, optional
        What ``read`` is given of the output; by default all of it.
    origin : Origin, optional
        As for :func:`load_subject`.
    outputs : int, optional
        Of an architecture of a library, how many outputs it has.

    Raises
    ------
    SubjectError
        The model is no module, or cannot be loaded.
    UsageError
        The function cannot be imported.
    """
    built = _built(model, outputs, origin)
    module = _unwrapped(built.module)
    with importable(origin.python_path):
        function = load_named(read) if isinstance(read, str) else read
    preprocess, source = _preprocessing(module, transform)
    picked = module if output_key is None else Picked(module, output_key)
    return Subject(
        module=OneNumber(picked, function, declared.cut, name_of(function)),
        classes=declared.classes,
        preprocess=preprocess,
        preprocessing_source=source,
        architecture=built.spec or _architecture(module),
        sha256=built.sha256 or _identity(module),
        access=access_of(module),
        code_executed=True,
        kind="scalar",
        cut=declared.cut,
        spec=built.spec,
        prefix_removed=built.prefix_removed,
        allowed_globals=built.allowed_globals,
        nonfinite=built.nonfinite,
    )


def _built(model: Any, outputs: int | None, origin: Origin) -> Built:
    if isinstance(model, str | Path):
        return load_module(model, outputs=outputs, origin=origin)
    return Built(model, code_executed=True)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode inside the block; afterwards every submodule is in the mode that it was in.

    Examples
    --------
    >>> model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    >>> with evaluating(model):
    ...     [m.training for m in model]
    [False, False]
    >>> [m.training for m in model]
    [True, False]
    """
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    try:
        module.eval()
        yield module
    finally:
        for submodule, training in modes:
            submodule.training = training


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of the state dict in sorted order of names.

    It is the same for a module in memory and for its checkpoint, whatever the device and the memory layout.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}\0{_dtype_and_shape(value)}\0".encode())
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _dtype_and_shape(value: Any) -> str:
    # A module may keep extra state that is no tensor; its text is all that is comparable about it.
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, Tensor) else repr(value)


def access_of(module: nn.Module) -> Access:
    """What can be had of a module, as far as its type says."""
    return "gradients" if isinstance(module, Answering | torch.jit.ScriptModule) else "layers"


def _identity(module: nn.Module) -> str | None:
    return None if isinstance(module, Answering) else weights_sha256(module)


def _architecture(module: nn.Module) -> str:
    if isinstance(module, Answering):
        return module.name
    return module.architecture if isinstance(module, Classifier) else type(module).__name__


def _unwrapped(model: Any) -> nn.Module:
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, nn.Module):
        return model
    if callable(model) and not isinstance(model, type):
        return Answering(model, name_of(model))
    raise SubjectError(
        "MODEL_TYPE",
        "model",
        found=type(model).__name__,
        expected="a torch.nn.Module, a function or a path to a checkpoint",
        fix="give the network itself, not its class or its weights",
    )


def _kind_of(module: nn.Module, given: Kind | None) -> Kind:
    own: Kind | None = module.kind if isinstance(module, Classifier) else None
    if given is not None and given not in DECLARED_KINDS:
        raise UsageError(
            "KIND", "kind", found=repr(given), expected=f"one of {', '.join(DECLARED_KINDS)}", fix="name one of these"
        )
    if own is not None and given not in (None, own):
        raise UsageError("KIND", "kind", found=given, expected=f"the model's own: {own}", fix="leave the argument out")
    return own or given or "multiclass"


#: How many names each kind of model has: at least, at most, and in words.
_NAMES: dict[Kind, tuple[int, float, str]] = {
    "multiclass": (2, float("inf"), "two or more different names"),
    "binary": (2, 2, "two different names, the second for a high logit"),
    "multilabel": (1, float("inf"), "different names, one for each finding"),
    "scalar": (2, 2, "the two sides of a cut"),
}


def _agreed(given: Sequence[str] | None, own: tuple[str, ...] | None) -> Sequence[str] | None:
    """Names of a model that says its own; others are refused."""
    if given is None or own is None:
        return own if given is None else given
    if tuple(given) != own:
        raise _other_classes(tuple(given), own)
    return own


def _other_classes(names: tuple[str, ...], own: tuple[str, ...]) -> UsageError:
    return UsageError(
        "CLASSES",
        "classes",
        found=", ".join(names),
        expected=f"the model's own: {', '.join(own)}",
        fix="leave the argument out",
    )


def _classes(module: nn.Module, given: Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    own = _own_classes(module)
    names = own if given is None else tuple(given)
    least, most, expected = _NAMES[kind]
    if names is None or isinstance(given, str) or not least <= len(set(names)) == len(names) <= most:
        raise UsageError(
            "CLASSES",
            "classes",
            found="none" if names is None else repr(given or names),
            expected=expected,
            fix="pass classes=[...] in the order of the model's logits",
        )
    if own is not None and names != own:
        raise _other_classes(names, own)
    if not all(map(is_text, names)):
        found = f"{next(name for name in names if not is_text(name))!r}, which holds half of a surrogate pair"
        raise UsageError(
            "CLASSES", "classes", found=found, expected="names that UTF-8 can write", fix="give the class another name"
        )
    return names


def _own_classes(module: nn.Module) -> tuple[str, ...] | None:
    for attribute in ("classes", "class_names"):
        names = getattr(module, attribute, None)
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    return None


def _preprocessing(module: nn.Module, transform: Any) -> tuple[Preprocess, PreprocessingSource]:
    if isinstance(transform, Preprocess):
        return transform, "argument"
    if transform is not None:
        return _from_preset(transform), "argument"
    if isinstance(module, Classifier):
        return module.preprocess, "model"
    return Preprocess(), "assumed"


def _from_preset(transform: Any) -> Preprocess:
    needed = ("resize_size", "crop_size", "mean", "std")
    if all(hasattr(transform, name) for name in (*needed, "interpolation")):
        return Preprocess.from_torchvision(transform)
    raise UsageError(
        "TRANSFORM",
        "transform",
        found=type(transform).__name__,
        expected="a Preprocess, a torchvision preset (weights.transforms()), or a function of image and mask",
        fix="give Preprocess(resize=..., crop=..., mean=..., std=...), or OwnTransform(function=...)",
    )
