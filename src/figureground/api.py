"""The front door for Python: the same verbs as the command line, word for word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Unpack

from figureground.audit.declared.config import (
    CASES,
    AuditConfig,
    Policy,
    check_cases,
    check_cues,
    check_looking,
    load_policy,
)
from figureground.audit.keeping import result as results
from figureground.audit.method_choice import method_choice
from figureground.audit.progress import Progress, silent
from figureground.given import GivenOptions, parted, spelled_out
from figureground.launching import handed, hands_of, on_ranks, part_of
from figureground.rendering import load_run, own_report, render_formats, render_report
from figureground.said import asked_model, recorded_answers

if TYPE_CHECKING:
    from figureground.audit.declared.config import Layout
    from figureground.audit.declared.task import Kind
    from figureground.audit.keeping.run_folder import RunFolder
    from figureground.datasets.transforms import Preprocess
    from figureground.reports.showing import RowView

#: A run begins anew this often where files vanish while it goes on; then the data are not fit to be audited.
MAX_RESTARTS = 2


class AuditResult(results.AuditResult):
    """A finished run that can also be looked at.

    Examples
    --------
    ``result.verdict.status``, ``result.findings``, ``result.subgroups`` (a DataFrame), ``result.show(row_id)``.
    """

    def show(self, row_id: int) -> RowView:
        """One row: its stored pictures if any, its measures and its predictions."""
        from figureground.reports.showing import show_row

        return show_row(self, row_id)

    def _repr_html_(self) -> str:
        from figureground.reports.showing import result_card

        return result_card(self)


@on_ranks(AuditResult)
@spelled_out
def run_audit(
    model: Any,
    data: Any,
    *,
    classes: Sequence[str] | None = None,
    kind: Kind | None = None,
    target: str | Callable[[Any], Any] | None = None,
    output_key: str | None = None,
    expect_predictions: Any | None = None,
    expect: str | None = None,
    columns: Mapping[str, str] | None = None,
    attributes: Any | None = None,
    on: str | None = None,
    dedupe: bool = False,
    labels: bool = True,
    normalized: tuple[Sequence[float], Sequence[float]] | None = None,
    train: Any | None = None,
    supplied_by: Mapping[str, str] | None = None,
    by: Sequence[str] | None = None,
    cues: Sequence[str] | None = None,
    environment: str | None = None,
    transform: Preprocess | Any | None = None,
    policy: Policy | dict[str, Any] | str | Path | None = None,
    out: str | Path | None = None,
    root: str | Path | None = None,
    split: str | None = None,
    layer: str | None = None,
    layout: Layout | None = None,
    methods: Sequence[Any] | None = None,
    method_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    nonce: str | None = None,
    batch_size: int = 64,
    max_images: int | None = None,
    time: str | None = None,
    all: bool = False,
    images: bool = True,
    cases: int = CASES,
    optimise: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    workers: int = 0,
    shard: tuple[int, int] | None = None,
    devices: int | None = None,  # noqa: ARG001  (for on_ranks)
    num_nodes: int | None = None,  # noqa: ARG001  (for on_ranks)
    strategy: str | None = None,  # noqa: ARG001  (for on_ranks)
    accelerator: str | None = None,  # noqa: ARG001  (for on_ranks)
    report: bool = True,
    lang: str | Sequence[str] = "en",
    progress: Progress = silent,
    **options: Unpack[GivenOptions],
) -> AuditResult:
    """Audit a classifier: where it looks, and whether its answer follows when a cue is changed.

    Parameters
    ----------
    model : torch.nn.Module, LightningModule, path or str
        In memory, giving logits ``[B, K]`` for normalised ``[B, C, H, W]``, or a function that does; a checkpoint of
        ``figureground train``; a file of weights, with ``model_class``; an ONNX file, or one of TorchScript or ``.pt2``
        with ``trust_model``; or ``torchvision:NAME``, ``timm:NAME`` or ``package.module:factory``.
    data : path, DataFrame, map-style Dataset, LightningDataModule or Hugging Face dataset
        Images with labels, and masks where there are any; see :func:`figureground.datasets.sources.open_source`.
    classes : sequence of str, optional
        Class names in the order of the logits. Needed where the model does not carry them; never taken from the data.
    kind : {"multiclass", "binary", "multilabel"}, optional
        What the logits mean: one for each class, a single one for the second of two classes, or one for each finding
        that may be present (then the data has a column ``label:NAME`` for each). Default: what the model says of
        itself, else ``multiclass``.
    target : str or callable, optional
        For a number instead of a class: from the model's output for B images to a float tensor ``[B]``, as a function
        or as ``package.module:function``. What the number means, and which effect matters, stands in the policy's
        ``target``; labels are numbers then, and ``classes`` and ``kind`` are not given.
    model_class, model_args : str and mapping, optional
        What a file of weights is of: one of the names above, or ``package.module:Class`` or ``file.py:Class``, which
        is imported; and arguments for it. Weights fit whole, by name and shape, or are refused.
    weights : path, optional
        The file of weights for a model that is given by name: ``.safetensors``, or what ``torch.save`` or Lightning
        wrote. Nothing in it is executed, and nothing is downloaded.
    expect_sha256 : str, optional
        Of the file of weights; another file is refused.
    trust_model : str, optional
        SHA-256 of a file of TorchScript or ``.pt2``, which can hold any code; without it such a file is refused.
    allow_globals : sequence of str
        Classes by their full names that objects in that file may be of. They are imported, and so executed; the report
        lists them.
    allow_nonfinite : bool
        Whether weights may be NaN or infinite; the report names them.
    python_path : sequence of paths
        Folders in which code that is named is looked for, after all others.
    output_key : str, optional
        Where in the output the logits are, for a model that gives a mapping, a tuple or a dataclass: ``"logits"``,
        ``"0"``, or several joined by dots.
    expect_predictions : path or DataFrame, optional
        Answers that the model gave in use: ``predicted`` (the name of a class, or the number) by ``key``, ``path`` or
        ``image``. Where the audited model gives others, nothing is audited, and the preprocessings that would fit
        better are told.
    expect : str, optional
        In place of recorded answers: ``"accuracy=0.93±0.01"``, what the model is known to score on this data.
    columns : mapping, optional
        ``{role: column name}`` for ``image``, ``label``, ``mask``, ``environment``, ``split``, ``cluster``, ``key``.
    attributes, on : path or DataFrame, and str, optional
        A table of what is known of each patient, site or device, and the column that it shares with the data. Keys
        are strings, and each has one entry; rows without one are ``(missing)`` there, and counted.
    dedupe : bool
        Whether rows that repeat another one in every cell are left out and counted; otherwise they are refused.
    labels : bool
        False: the data has none. Then groups go by the class that the model predicts, the levels of the causal test
        come from ``environment`` or from the model's answers to backgrounds alone, and accuracy is not available.
    normalized : (sequence of float, sequence of float), optional
        Mean and standard deviation by channel, where a Dataset yields normalised tensors: they are undone, because
        cues are changed in pictures. Such tensors are refused where nobody says so.
    train : as data, optional
        What the model was trained on (rows with split ``train``, or all where there are no splits): units, pictures
        and near-duplicates that both have are counted. Without it leakage is not tested.
    supplied_by : mapping of str to {"client", "auditor", "tool"}, optional
        Who supplied each input: ``model``, ``data``, ``labels``, ``masks``, ``attributes``, ``train``, ``policy``,
        ``predictions``.
    by : sequence of str, optional
        Subgroups: attribute columns, numbers cut at edges as ``"age:18,40,65"``, crossings as ``"site*sex"``.
        Default: every column with 2 to 20 levels.
    cues : sequence of str, optional
        What the model might lean on, see :mod:`figureground.audit.declared.cues`; by default every cue that the data
        allows to test.
    environment : str, optional
        The column that says which background, site or scanner an image has: the strata of the causal test.
    transform : Preprocess, torchvision preset, OwnTransform, callable or str, optional
        What the model expects of its input, where it does not say so itself. A function of image and mask, or its name
        ``"package.module:fn"``, gives tensors in [0, 1]; one that normalises is declared as :class:`OwnTransform`.
    policy : Policy, dict or path, optional
        Thresholds and consequences, declared and hashed before the first image is read.
    out : path, optional
        The run folder, new or empty. Default: a new temporary folder.
    root : path, optional
        Nothing outside it is opened. Default: the manifest's folder.
    layer : str, optional
        Module that Grad-CAM looks at, as in ``model.named_modules()``. Default: the last one that gives a map.
    layout : {"NCHW", "NHWC", "tokens"}, optional
        How the output of that layer is read: channels first (the default where it is named), channels last, or one
        token for each patch.
    methods : sequence, optional
        ``("saliency", "gradcam")`` by default; ``("saliency",)`` for a network that has no map. Further methods by
        name, see ``docs/methods.md``, and the caller's own: ``package.module:Class``, or an object or class like
        :class:`~figureground.audit.explain.own.OwnMethod`.
    method_options : mapping, optional
        Settings of the methods, such as ``{"steps": 64}``; see
        :class:`~figureground.audit.methods.options.MethodOptions`.
    split, seed, batch_size, images, overwrite
        As on the command line.
    nonce : str, optional
        An auditor's word, told after :func:`figureground.seal_policy`: with the commitment it gives the seed.
    max_images, time, all
        By default a seeded sample of whole clusters, as large as the policy's power asks for, where the data has
        clearly more; at most so many images; as many as a warm-up says can be measured in a time such as ``"2h"``; or
        every image.
    cases : int
        How many images are shown with their maps: so many of the worst, and as many at random; at most 500. More than
        12 are drawn at 160 pixels instead of 224.
    optimise : bool
        Whether a faster copy of the model is run: batch normalisation folded into convolutions, weights channels last.
        Its answers and maps are the model's to rounding, which is looked at on the first images; where they are not,
        the model itself is run. False: the model itself in any case.
    resume : bool
        Go on with a run that was begun in ``out`` and stopped; it must be the same model, data and settings. The
        tables are those of a run that was never stopped. Where nothing was begun, the run begins; where it has
        finished, it is returned, its pictures not read again.
    workers : int
        Processes that read the files at the door. A file that crashes its decoder is then set aside and named, where it
        would end the run otherwise. Data that cannot be handed over, as a Dataset of a notebook, are read in this one.
    shard : (int, int), optional
        ``(i, n)``, i from 1: measure part i of n in ``<out>.parts``, and go on with it where it was begun. Where it can
        do no more for now, ``PartDone`` is raised and says what is next; see :func:`figureground.merge_parts`.
    devices, num_nodes, strategy, accelerator : optional
        Arguments of Lightning's Trainer: ranks on each machine, machines, ``"ddp"``, and what to compute on. Every rank
        runs the same script, as in training; the first one audits, all compute, and all return the result. None of
        them: this process alone, whatever launched it.
    report : bool
        Whether the report is written as well.
    lang : str or sequence of str
        Languages of the report, as ``"en,fr"``. They influence no number.
    progress : Progress
        Told how far the work is.
    **options
        ``model_class`` to ``python_path``, as above; and what is declared about files of pictures and masks: ``exif``,
        ``alpha_bg``, ``frame``, ``range``, ``mask_mode``, ``mask_threshold``, ``mask_object``, ``mask_ids``,
        ``mask_ignore``, ``mask_polarity`` and ``keep_going``; see :class:`figureground.datasets.decoding.Decoding`.

    Returns
    -------
    AuditResult
        Verdict, findings and tables, read from the run folder.

    Raises
    ------
    figureground.errors.FiguregroundError
        With what was found, what was expected and what to do.
    """
    part = part_of(shard, out, time)
    from figureground.audit.commitment import Commitment, seeded
    from figureground.audit.declared.outputs import declared_task
    from figureground.audit.document.supplied import supplied
    from figureground.audit.keeping.files import file_sha256
    from figureground.audit.keeping.run_folder import RunFolder
    from figureground.audit.pipeline import Pipeline
    from figureground.audit.rows.training_data import TrainingData
    from figureground.audit.stages.resuming import finished
    from figureground.audit.stages.sampling import check_asked
    from figureground.audit.stages.unlabelled import PredictedLabels
    from figureground.datasets.joining import Attributes
    from figureground.datasets.normalized import Normalized
    from figureground.datasets.sources import open_source
    from figureground.reports.catalogue import asked_languages

    langs = asked_languages(lang)
    origin, decoding = parted(options)
    chosen = None if cues is None else tuple(cues)
    check_cues(chosen or (), "cues")
    said = {"classes": classes, "transform": transform, "kind": kind, "output_key": output_key, "target": target}
    asked = asked_model(model, origin, **said)
    mapping = dict(columns or {}) | ({"environment": environment} if environment else {})
    choice = method_choice(methods, layer, layout, method_options, origin["python_path"])
    config = AuditConfig(
        seed=seed,
        cues=chosen,
        by=None if by is None else tuple(by),
        columns=mapping,
        environment=environment,
        split=split,
        **choice.settings,
        on=on,
        dedupe=dedupe,
        labels=labels,
        target=asked.target_name,
        batch_size=batch_size,
        max_images=max_images,
        time=time,
        all=all,
        images=images,
        cases=check_cases(cases),
        optimise=optimise,
        decoding=decoding.declared,
    )
    check_asked(check_looking(config))
    declared = load_policy(policy)
    if by is not None:  # hashed with the thresholds, before the first image
        declared = declared.model_copy(update={"subgroups": tuple(by)})
    subject = asked.subject(declared)
    if choice.own:
        subject = replace(subject, code_executed=True)
    subject = replace(subject, thresholds=declared_task(subject.task, declared).thresholds)
    names = () if subject.task.scalar else subject.classes
    source = open_source(
        data,
        classes=names,
        columns=mapping,
        root=None if root is None else Path(root),
        decoding=decoding,
        attributes=Attributes.read(attributes, on),
        normalized=Normalized.of(normalized),
        labelled=labels,
    )
    manifest = file_sha256(Path(source.where)) if nonce is not None and source.kind == "manifest" else None
    config = seeded(config, nonce, Commitment(declared.sha256, subject.sha256, manifest))
    source = source if labels else PredictedLabels.of(source, subject, progress)
    recorded = recorded_answers(expect_predictions, expect)
    training = TrainingData.read(train, data, names, mapping)
    own = None if load_policy(policy) == Policy() else policy
    optional = {"attributes": attributes, "train": train, "policy": own, "predictions": expect_predictions}
    own_labels = ["labels"] if labels else []
    given = ["model", "data", *own_labels, "masks", *(name for name, value in optional.items() if value is not None)]
    suppliers = supplied(supplied_by or {}, given)
    files = (model, origin["weights"], data, attributes, train)
    inputs = tuple(Path(path) for path in files if isinstance(path, str | Path))
    written = Path(mkdtemp(prefix="figureground-")) if out is None else Path(out)
    place, hands = (written if part is None else part.path), hands_of(part)
    goes_on = resume or (part is not None and not overwrite)
    with RunFolder.opened(place, overwrite=overwrite, resume=goes_on, keep=inputs) as folder:
        pipeline = Pipeline(
            subject,
            source,
            config,
            declared,
            progress,
            recorded=recorded,
            workers=workers,
            training=training,
            supplied_by=suppliers,
            own=choice.own,
        )
        done = finished(written, pipeline.declared) if goes_on else None
        anew = handed(hands, partial(RunFolder.create, place, overwrite=True, keep=inputs))
        found = done or _completed(pipeline, handed(hands, lambda: folder)(), anew)
        if report:
            with progress("Rendering the report", 1) as advance:
                own_report(found, langs)
                advance(1)
    return AuditResult(found.path)


def _completed(
    pipeline: Callable[[RunFolder], results.AuditResult], folder: RunFolder, anew: Callable[[], RunFolder]
) -> results.AuditResult:
    """The run; begun anew where a file vanished while it went on, so that its row is set aside and counted."""
    from figureground.datasets.datamodule import RowLost

    for begun in range(MAX_RESTARTS + 1):
        try:
            return pipeline(folder if begun == 0 else anew())
        except RowLost:
            if begun == MAX_RESTARTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def judge_again(
    run: str | Path,
    *,
    out: str | Path | None = None,
    by: Sequence[str] | None = None,
    policy: Policy | dict[str, Any] | str | Path | None = None,
    repeat: Sequence[str | Path] = (),
    overwrite: bool = False,
    report: bool = True,
    lang: str | Sequence[str] = "en",
) -> AuditResult:
    """Ask the stored numbers of a run something new; needs neither the model nor torch.

    Parameters
    ----------
    run : path
        A finished run; it is read, checked against its seal and left alone.
    out : path, optional
        The new run folder, new or empty. Default: a new temporary folder.
    by : sequence of str, optional
        Further subgroups, crossings as ``"site*sex"``. They are marked exploratory; those of the run stay.
    policy : Policy, dict or path, optional
        Thresholds, consequences, decisions. Default: those that the run was judged under. Every declared field that
        differs from what was hashed before the first image is listed as a deviation; decisions are none.
    repeat : sequence of paths
        Finished runs on other images, or of another training, judged under the same thresholds. A cue that is
        demonstrated in both, in the same direction, reaches evidence level 4.
    overwrite : bool
        Whether an earlier run in ``out`` is replaced.
    report : bool
        Whether the report is written as well.
    lang : str or sequence of str
        Languages of the report, as ``"en,fr"``.

    Raises
    ------
    figureground.errors.FiguregroundError
        The run is not as it was sealed, a subgroup names no column, or the policy asks for what was not measured.
    """
    from figureground.audit.rejudge import Rejudge
    from figureground.reports.catalogue import asked_languages

    langs = asked_languages(lang)
    declared = None if policy is None else load_policy(policy)
    target = Path(mkdtemp(prefix="figureground-")) if out is None else Path(out)
    others = tuple(Path(other) for other in repeat)
    found = Rejudge(by=tuple(by or ()), policy=declared, repeats=others)(Path(run), target, overwrite=overwrite)
    if report:
        own_report(found, langs)
    return AuditResult(found.path)


__all__ = ["AuditResult", "judge_again", "load_run", "render_formats", "render_report", "run_audit"]
