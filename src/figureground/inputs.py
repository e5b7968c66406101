"""What is wrong with the inputs, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from figureground.audit.declared.config import AuditConfig, Policy, check_cues, check_looking, declare, load_policy
from figureground.audit.method_choice import method_choice
from figureground.given import GivenOptions, parted, spelled_out
from figureground.said import asked_model, recorded_answers

if TYPE_CHECKING:
    from figureground.audit.checks.checked import Checked
    from figureground.audit.classify.recognising import Fit
    from figureground.audit.declared.config import Layout
    from figureground.audit.declared.task import Kind
    from figureground.datasets.findings import Uncertain
    from figureground.datasets.transforms import Preprocess


@spelled_out
def check_inputs(
    data: Any,
    model: Any | None = None,
    *,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    attributes: Any | None = None,
    on: str | None = None,
    dedupe: bool = False,
    labels: bool = True,
    train: Any | None = None,
    normalized: tuple[Sequence[float], Sequence[float]] | None = None,
    by: Sequence[str] | None = None,
    environment: str | None = None,
    transform: Preprocess | Any | None = None,
    root: str | Path | None = None,
    split: str | None = None,
    cues: Sequence[str] | None = None,
    policy: Policy | dict[str, Any] | str | Path | None = None,
    kind: Kind | None = None,
    target: str | Callable[[Any], Any] | None = None,
    uncertain: Uncertain | None = None,
    output_key: str | None = None,
    expect_predictions: Any | None = None,
    expect: str | None = None,
    layer: str | None = None,
    layout: Layout | None = None,
    methods: Sequence[Any] | None = None,
    method_options: Mapping[str, Any] | None = None,
    full: bool = False,
    **options: Unpack[GivenOptions],
) -> Checked:
    """What is wrong with the inputs, and what this n can and cannot show; computes nothing lasting.

    Parameters are those of :func:`run_audit`. Without a model the labels are taken as they are; with one, its probes
    are run on the first usable rows. ``reach`` of the result says, by cue and subgroup, which states this n can reach
    under the policy. Of more than 2,000 rows so many are decoded, and the files of the others are looked up; ``full``
    decodes all, as ``expect_predictions`` does. Without ``labels`` every picture is shown to the model once, and with
    ``train`` every picture is compared with those that the model was trained on, however many there are.
    """
    from figureground.audit.checks.checking import check
    from figureground.datasets.joining import Attributes
    from figureground.datasets.normalized import Normalized

    origin, decoding = parted(options)
    choice = method_choice(methods, layer, layout, method_options, origin["python_path"])
    declared = declare(load_policy(policy), thresholds={}, uncertain=uncertain)
    said = {"classes": classes, "transform": transform, "kind": kind, "output_key": output_key, "target": target}
    subject = None
    if model is not None:  # data alone are checked without torch
        subject = asked_model(model, origin, **said).subject(declared)
    mapping = dict(columns or {}) | ({"environment": environment} if environment else {})
    folder = None if root is None else Path(root)
    check_cues(tuple(cues or ()), "cues")
    return check(
        data,
        subject,
        classes=classes,
        columns=mapping,
        by=by,
        root=folder,
        split=split,
        cues=cues,
        policy=declared,
        recorded=None if expect_predictions is expect is None else recorded_answers(expect_predictions, expect),
        decoding=decoding,
        looking=check_looking(AuditConfig(**choice.settings)),
        own=choice.own,
        full=full,
        attributes=Attributes.read(attributes, on),
        normalized=Normalized.of(normalized),
        dedupe=dedupe,
        labels=labels,
        train=train,
    )


def recognise_weights(weights: str | Path, *, allow_globals: Sequence[str] = ()) -> list[Fit]:
    """The architectures of torchvision and timm whose tensors a file of weights has, by name and shape, all of them.

    Parameters
    ----------
    weights : path
        ``.safetensors``, or what ``torch.save`` or Lightning wrote. Nothing in it is executed.
    allow_globals : sequence of str
        As for :func:`run_audit`.

    Returns
    -------
    list of Fit
        ``spec`` for ``model_class``, the number of ``outputs``, and the ``prefix`` that would be taken off every name.

    Raises
    ------
    SubjectError, IntegrityError
        The file is absent, damaged or dangerous, or holds no weights.
    """
    from figureground.audit.classify.recognising import recognise

    return recognise(weights, tuple(allow_globals))
