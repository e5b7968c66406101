"""The order of an audit. Nothing else knows it.

declare -> take in -> probe -> explain and measure -> check the maps -> change the cues -> judge -> picture -> write
-> seal
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from torch import Tensor
from torch.utils.data import default_collate

from figureground.audit.checks.probing import Probed, probed
from figureground.audit.checks.reconciling import Reconcile, Recorded, not_reconciled
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.clauses.mapping import clause_map
from figureground.audit.commitment import Commitment
from figureground.audit.declared.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.declared.cues import PLACES, default_cues
from figureground.audit.declared.outputs import declared_task
from figureground.audit.declared.task import Task
from figureground.audit.document import audit_json as document
from figureground.audit.document.supplied import Party
from figureground.audit.exits import with_exit_code
from figureground.audit.explain.choosing import SINGLE_PASS_COST, Explaining
from figureground.audit.explain.explanation import Explainer
from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.own import OwnMethod
from figureground.audit.judge.evidenced import Evidenced, Judgement
from figureground.audit.judge.judging import judge_run
from figureground.audit.judge.mean_cells import OF_ALL, within
from figureground.audit.judge.stored import measured
from figureground.audit.keeping import clock, tables
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.hands import gather, shared_reading
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.base import measure_images
from figureground.audit.measure.cue_pictures import cue_pictures
from figureground.audit.measure.mean_maps import MeanMaps
from figureground.audit.measure.pictures import Painter
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.measure.trust.checks import MapChecks, MapReport
from figureground.audit.measure.trust.limits import FEW_PASSES, Limits
from figureground.audit.progress import Progress, silent
from figureground.audit.rejudge import MEASURED
from figureground.audit.rows.settling import settled
from figureground.audit.rows.training_data import TrainingData
from figureground.audit.stages.causal import CausalStage, Caused
from figureground.audit.stages.faster import PROBE_ROWS, Faster, faster
from figureground.audit.stages.resuming import check_data, declare, declared_of, memory_of
from figureground.audit.stages.sampling import recorded
from figureground.audit.stages.taking_in import TakeIn
from figureground.datasets.datamodule import ExampleDataset, RowReader, rows_of
from figureground.datasets.intake import Examples
from figureground.datasets.sources import Source
from figureground.errors import UsageError

_SOFTWARE = (
    "figureground",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "captum",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pillow",
    "scikit-learn",
)


@dataclass(frozen=True)
class Pipeline:
    """One audit.

    Attributes
    ----------
    subject : Subject
        The audited model.
    source : Source
        The rows.
    config : AuditConfig
    policy : Policy
    progress : Progress
    timer : callable
        Seconds from any origin, for the time expected.
    recorded : Recorded or None
        Answers that the model gave in use, which its answers here must be.
    workers : int
        Processes that read files before anything is computed; 0: this one.
    training : TrainingData or None
        What the model was trained on, to be compared with the rows of the audit.
    supplied_by : mapping of str to str or None
        By input, who supplied it.
    own : tuple of OwnMethod
        Attribution methods of the caller's, which the config names.
    """

    subject: Subject = field(repr=False)
    source: Source = field(repr=False)
    config: AuditConfig
    policy: Policy
    progress: Progress = silent
    timer: Callable[[], float] = perf_counter
    recorded: Recorded | None = None
    workers: int = 0
    training: TrainingData | None = None
    supplied_by: Mapping[str, Party | None] = field(default_factory=dict)
    own: tuple[OwnMethod, ...] = field(default=(), repr=False)

    @property
    def task(self) -> Task:
        """What the logits mean, and how the policy reads labels."""
        return declared_task(self.subject.task, self.policy)

    @cached_property
    def declared(self) -> dict[str, Any]:
        """What the run is of, and known again by: see :func:`~figureground.audit.stages.resuming.declared_of`."""
        return declared_of(self.subject, self.config, self.policy, self._origin(), self.source.table(), software())

    def __call__(self, folder: RunFolder) -> AuditResult:
        """Run everything and seal the folder."""
        started = clock.stamp()
        self._declare(folder)
        examples = self._take_in(folder)
        folder.write_table("examples.parquet", examples.stored, tables.EXAMPLES)
        check_data(folder)
        overlap = None if self.training is None else self.training.compare(self.source, examples, self.progress)
        reader = self._reader(examples)
        with evaluating(self.subject.module):
            sample = self._sample(examples, reader)
            seen = probed(self.subject, sample, self.config, self.own)
            wanted = self.config.optimise and not seen.explaining.as_given
            fast = faster(seen.subject, seen.explaining.layer, sample, wanted)
            return replace(self, subject=seen.subject)._measure(folder, examples, reader, seen, overlap, started, fast)

    def _measure(
        self,
        folder: RunFolder,
        examples: Examples,
        reader: RowReader,
        seen: Probed,
        overlap: document.TrainingOverlap | None,
        started: str,
        fast: Faster,
    ) -> AuditResult:
        with evaluating(self.subject.module):
            explainer, layer = seen.explaining.explainer, seen.explaining.layer
            probes = [*seen.checks, self._reconcile(examples)]
            dataset = ExampleDataset(rows_of(examples.usable), reader)
            measure_images(fast.subject, explainer, dataset, folder, self.config.batch_size, self.progress)
            gather(folder)
            examples = settled(examples, read_table(folder.path, "predictions"))
            folder.write_table("examples.parquet", examples.stored, tables.EXAMPLES)
            each = seen.explaining.cost(*reader(rows_of(examples.usable.head(1))[0])["image"].shape[-2:])
            maps = self._check_maps(seen.explaining, examples, reader)
            cues = self.config.cues or default_cues(examples.regions)
            caused = CausalStage(fast.subject, self.config, self.policy, self.task, cues, self.progress)(
                examples, reader, folder
            )
            gather(folder, last=True)
            costs = [
                _cost("explanations", len(dataset), each * len(dataset)),
                _cost("checks of the maps", len(dataset), maps.cost),
                *caused.costs,
            ]
            checks = [*probes, *maps.checks, *caused.checks]
            judgement = self._judge(folder, examples, reader, cues, checks, overlap)
            self._write_tables(folder, judgement)
            drawing = replace(self, subject=fast.subject)
            gallery = drawing._picture(folder, explainer, reader, examples, judgement, caused)
            averaged = drawing._average(folder, explainer, reader, examples, judgement, each)
            costs.append(_cost("mean maps", averaged, each * averaged))
        folder.write_table("gallery.parquet", gallery, tables.GALLERY)
        cost = document.Cost(
            per_image=sum(stage.forward_equivalents for stage in costs) / max(len(dataset), 1),
            images=len(dataset),
            stages=costs,
        )
        self._write_document(folder, judgement, layer, started, cost, fast.what)
        folder.seal()
        return AuditResult(folder.path)

    def _declare(self, folder: RunFolder) -> None:
        declare(folder, self.declared)
        folder.write_json("config.json", self.config.model_dump(mode="json"))
        decisions = self.policy.model_dump(mode="json", include={"decision"})
        folder.write_json("policy.json", {**self.policy.declared, **decisions, "sha256": self.policy.sha256})

    def _take_in(self, folder: RunFolder) -> Examples:
        take_in = TakeIn(
            self.subject,
            self.source,
            self.config,
            self.policy,
            self.progress,
            self.timer,
            shared_reading(folder, self.workers),
            memory_of(folder),
            self.own,
        )
        examples = take_in()
        if len(examples.sizes()) > 1 and not self.subject.preprocess.one_size:
            raise _several_sizes(examples, self.source.where)
        return examples

    def _reader(self, examples: Examples) -> RowReader:
        soft = self.source.decoding.mask_mode == "soft"
        return RowReader(self.source, self.subject.preprocess, self.subject.classes, examples.regions, soft)

    def _sample(self, examples: Examples, reader: RowReader) -> Tensor:
        rows = rows_of(examples.usable.head(PROBE_ROWS))
        images = default_collate([reader(row) for row in rows])["image"]
        return self.subject.preprocess.normalize(images)

    def _reconcile(self, examples: Examples) -> document.TrustCheck:
        if self.recorded is None:
            return not_reconciled()
        with self.progress("Comparing with recorded answers", 1) as advance:
            seed, target = self.config.seed, self.policy.target
            found = Reconcile(self.subject, self.source, self.recorded, target, seed)(examples)
            advance(1)
        return found

    def _check_maps(self, explaining: Explaining, examples: Examples, reader: RowReader) -> MapReport:
        """Each method; those with passes of their own on fewer rows, and apart, so that they change no other check."""
        rows = rows_of(examples.usable)
        size = reader(rows[0])["image"].shape[-2:]
        with self.progress("Checking the maps", 1) as advance:
            first, *others = (self._map_checks(part, size) for part in explaining.parts)
            report = first(rows, reader)
            for checks in others:
                report = report.joined(replace(checks, beside=True)(rows, reader))
            advance(1)
        return report.with_pairs()

    def _map_checks(self, explaining: Explaining, size: Sequence[int]) -> MapChecks:
        cost = explaining.cost(size[0], size[1])
        limits = Limits() if cost == SINGLE_PASS_COST else FEW_PASSES
        return MapChecks(self.subject, explaining.explainer, explaining.layer, self.config.seed, limits, cost=cost)

    def _judge(
        self,
        folder: RunFolder,
        examples: Examples,
        reader: RowReader,
        cues: Sequence[str],
        checks: Sequence[document.TrustCheck],
        overlap: document.TrainingOverlap | None = None,
    ) -> Judgement:
        with self.progress("Judging", 1) as advance:
            evidence = Evidenced(
                examples=read_table(folder.path, "examples"),
                attributions=read_table(folder.path, "attributions"),
                predictions=read_table(folder.path, "predictions"),
                strata=read_table(folder.path, "strata"),
                scores=read_table(folder.path, "scores"),
                attributes=examples.attributes,
                clusters_given=examples.clusters_given,
                sample=recorded(examples, self.config, self.policy),
                levels=examples.levels,
                task=self.task,
                cues=tuple(cues),
                config=self.config,
                policy=self.policy,
                checks=checks,
                source=self._origin() | _seen(examples, overlap),
                preprocessing_source=self.subject.preprocessing_source,
                regions=examples.regions,
                grey=self.subject.preprocess.channels == 1,
                areas=_areas(examples, reader),
                today=clock.today(),
            )
            folder.write_json(MEASURED, measured(evidence))  # so that it can be judged again without the model
            found = judge_run(evidence)
            advance(1)
        return found

    def _write_tables(self, folder: RunFolder, judgement: Judgement) -> None:
        folder.write_table("subgroups.parquet", judgement.subgroups, tables.SUBGROUPS)
        folder.write_table("tests.parquet", judgement.tests, tables.TESTS)

    def _picture(
        self,
        folder: RunFolder,
        explainer: Explainer,
        reader: RowReader,
        examples: Examples,
        judgement: Judgement,
        caused: Caused,
    ) -> pd.DataFrame:
        if not self.config.images:
            return pd.DataFrame()
        painter = Painter(
            self.subject,
            explainer,
            reader,
            {row.row_id: row for row in rows_of(examples.usable)},
            folder,
            self.config.seed,
            judgement.pictured,
        )
        total = len(judgement.tiles) + len(judgement.swaps)
        lines: list[dict[str, Any]] = []
        with self.progress("Drawing the gallery", total) as advance:
            if len(judgement.swaps):
                lines += cue_pictures(painter, judgement.swaps, caused.plans)
                advance(len(judgement.swaps))
            lines += painter.tiles(judgement.tiles)
            advance(len(judgement.tiles))
        return pd.DataFrame(lines, dtype=object)  # a null among row ids would turn them into floats

    def _average(
        self,
        folder: RunFolder,
        explainer: Explainer,
        reader: RowReader,
        examples: Examples,
        judgement: Judgement,
        cost: float,
    ) -> int:
        """Mean maps by label and subgroup, for whoever may not see pictures; returns how many images they took."""
        cells = within(judgement.averaged, OF_ALL * SINGLE_PASS_COST / cost)
        rows = {row.row_id: row for row in rows_of(examples.usable)}
        images = int(cells["row_id"].nunique()) if len(cells) else 0
        with self.progress("Averaging maps", images) as advance:
            found = MeanMaps(self.subject, explainer, reader, judgement.pictured)(rows, cells, advance)
        folder.write_table("mean_maps.parquet", found, tables.MEAN_MAPS)
        return images

    def _origin(self) -> dict[str, Any]:
        path, joined = Path(self.source.where), getattr(self.source, "joined", None)
        return {
            "joined": None if joined is None else dict(joined),
            "source": self.source.kind,
            "reading": getattr(self.source, "reading", None),
            "manifest_sha256": file_sha256(path) if self.source.kind == "manifest" else None,
            "decoding": {"exif": self.source.decoding.exif, **self.source.decoding.declared},
        }

    def _write_document(
        self,
        folder: RunFolder,
        judgement: Judgement,
        layer: CamLayer | None,
        started: str,
        cost: document.Cost,
        optimisation: document.Optimisation,
    ) -> None:
        subject = document.Subject(
            model_sha256=self.subject.sha256,
            architecture=self.subject.architecture,
            classes=list(self.subject.classes),
            preprocessing=self.subject.preprocess.to_dict(),
            preprocessing_source=self.subject.preprocessing_source,
            access=self.subject.access,
            **_looked_at(layer, self.config),
            code_executed=self.subject.code_executed,
            kind=self.subject.kind,
            spec=self.subject.spec,
            prefix_removed=self.subject.prefix_removed,
            allowed_globals=list(self.subject.allowed_globals),
            nonfinite=list(self.subject.nonfinite),
            target=self.config.target,
            thresholds=dict(self.subject.thresholds),
            optimisation=optimisation,
        )
        # Nothing of when or where enters the identity: the same inputs give the same id. That a copy was asked for is
        # among the settings.
        identity = canonical_sha256(
            [
                subject.model_dump(mode="json", exclude={"optimisation"}),
                judgement.data.sha256,
                self.config.model_dump(mode="json"),
                self.policy.sha256,
                software(),
            ]
        )
        whole = document.AuditDocument(
            audit=document.Audit(
                id=identity[:16],
                started=started,
                ended=clock.stamp(),
                seed=self.config.seed,
                nonce=self.config.nonce,
                commitment=Commitment(self.policy.sha256, self.subject.sha256, judgement.data.manifest_sha256).sha256,
                tool=document.Tool(name="figureground", version=software()["figureground"]),
                cost=cost,
                supplied_by=dict(self.supplied_by),
            ),
            subject=subject,
            policy={**self.policy.declared, "sha256": self.policy.sha256},
            software=software(),
            assets=_assets(folder),
            clause_map=[],
            human_inputs=_human_inputs(),
            **judgement.parts(),
        )
        whole = whole.model_copy(update={"clause_map": clause_map(whole)})
        folder.write_json("audit.json", with_exit_code(whole, self.policy).model_dump(mode="json"))


def _seen(examples: Examples, overlap: document.TrainingOverlap | None) -> dict[str, Any]:
    """What was found on the rows that were read, for the description of the data."""
    shared = None if overlap is None else overlap.model_dump(mode="json")
    return {"masks_inverted": examples.masks_inverted, "overlap": shared}


def _looked_at(layer: CamLayer | None, config: AuditConfig) -> dict[str, Any]:
    """Where Grad-CAM looks, for the document; nothing where it was left out."""
    if layer is None:
        return {"target_layer": None, "layer_source": None}
    return {
        "target_layer": layer.name,
        "layer_source": "named" if config.layer else "automatic",
        "layer_layout": layer.layout,
        "layer_calls": layer.calls,
    }


def _areas(examples: Examples, reader: RowReader) -> dict[str, float]:
    """Share of the picture that each built-in place covers, at the model's input size."""
    _, height, width = reader(rows_of(examples.usable.head(1))[0])["image"].shape
    masks = {"border": border_frame(height, width), **corners(height, width)}
    return {name: float(masks[name].mean()) for name in PLACES}


def _cost(stage: str, images: int, spent: float) -> document.StageCost:
    return document.StageCost(stage=stage, images=images, forward_equivalents=float(spent))


def software() -> dict[str, str]:
    """Versions of everything that computes a number, by package name."""
    found = {name: importlib.metadata.version(name) for name in _SOFTWARE}
    return {"python": platform.python_version(), **found}


def _assets(folder: RunFolder) -> list[document.Asset]:
    files = sorted((folder.path / "assets").glob("*.webp"))
    return [
        document.Asset(sha256=file.stem, media="image/webp", bytes=file.stat().st_size, role="gallery")
        for file in files
    ]


def _human_inputs() -> list[document.HumanInput]:
    return [document.HumanInput(field=name, value=None, by=None, at=None) for name in document.HUMAN_FIELDS.values()]


def _several_sizes(examples: Examples, where: str) -> UsageError:
    sizes = [f"{w}x{h} ({n})" for (h, w), n in examples.sizes().items()]
    return UsageError(
        "IMAGE_SIZE",
        where,
        found=f"{len(sizes)} sizes: {', '.join(sizes[:4])}",
        expected="one size, or a model that says how to resize",
        fix="give transform=Preprocess(resize=..., crop=...)",
    )
