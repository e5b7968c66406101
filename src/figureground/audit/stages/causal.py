"""The causal stage: choose the levels, draw the donors, change every cue, and hold what might explain an effect.

levels -> plain interventions -> plans -> background on all rows -> the other cues on a subsample -> pairs held
-> doses and places of what moves the model -> tables
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import BACKGROUND, apart, cue_spec
from figureground.audit.declared.task import Task
from figureground.audit.document import audit_json as document
from figureground.audit.judge.contrasts import Contrasted, contrast_each, to_hold
from figureground.audit.judge.effects import material
from figureground.audit.judge.plain_doses import moving
from figureground.audit.judge.untested import obstacle
from figureground.audit.judge.views import views
from figureground.audit.keeping import tables
from figureground.audit.keeping.hands import gather
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.cue_pictures import CuePlan
from figureground.audit.measure.donors import DonorDraw
from figureground.audit.measure.plain.doses import DoseStage
from figureground.audit.measure.plain.interventions import PlainStage
from figureground.audit.measure.plain.sample import plain_sample
from figureground.audit.measure.scores import CueScorer, fit_scores
from figureground.audit.measure.suite import Suite
from figureground.audit.measure.transfers.registry import can_hold, transfer_for
from figureground.audit.measure.transfers.tuples import Transfer
from figureground.audit.progress import Progress
from figureground.audit.rows.strata import StrataDraw, usable_rows
from figureground.audit.stages.levels import Levels, choose_levels
from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.intake import Examples

#: More arms than this would leave no background visible under the union of the donors' masks.
MAX_LEVELS = 20


@dataclass(frozen=True)
class Plans:
    """Who lends to whom, and for which cues.

    Attributes
    ----------
    background : pandas.DataFrame
        All drawn rows with masks, several passes.
    masked, anyone : pandas.DataFrame
        The subsample, one pass: rows with masks only, and all rows.
    shared : bool
        Whether the last two are the same, because all rows have masks.
    """

    background: pd.DataFrame = field(repr=False)
    masked: pd.DataFrame = field(repr=False)
    anyone: pd.DataFrame = field(repr=False)
    shared: bool


@dataclass(frozen=True)
class Caused:
    """What the stage leaves beside the tables ``strata``, ``scores`` and ``predictions``."""

    plans: Mapping[str, CuePlan] = field(repr=False)
    checks: list[document.TrustCheck]
    costs: list[document.StageCost]


@dataclass(frozen=True)
class CausalStage:
    """Runs all causal tests of an audit.

    Attributes
    ----------
    subject : Subject
    config : AuditConfig
    policy : Policy
    task : Task
    cues : tuple of str
        Cues that are to be tested.
    progress : Progress
    """

    subject: Subject = field(repr=False)
    config: AuditConfig
    policy: Policy
    task: Task
    cues: tuple[str, ...]
    progress: Progress

    def __call__(self, examples: Examples, reader: RowReader, folder: RunFolder) -> Caused:
        """Write ``strata``, ``scores`` and the parts of ``predictions``."""
        levels = choose_levels(self.subject, examples, reader, self.policy, self.config)
        strata = StrataDraw(self.policy.secondary_rows, self.config.seed)(levels.rows, levels.source)
        folder.write_table("strata.parquet", strata, tables.STRATA)
        costs = [*levels.costs, self._plain(examples, reader, folder, strata)]
        if not 2 <= strata["stratum"].nunique() <= MAX_LEVELS:
            folder.write_table("scores.parquet", pd.DataFrame(columns=tables.SCORES.names), tables.SCORES)
            return Caused({}, list(levels.checks), costs)
        cues = self._feasible(examples, strata, levels)
        scorers, scores, spent = self._scores(examples, reader, strata, cues)
        folder.write_table("scores.parquet", scores, tables.SCORES)
        plans = self._plans(examples, strata)
        suite = Suite(**self._streams(examples, reader, folder), grid_rows=self.policy.grid_rows)
        run = _Runner(suite, _shape(examples, reader), scorers, _by_cue(scores))
        costs += [_cost("cue scores", len(examples.usable), spent), *run.all(plans, cues)]
        gather(folder)
        seen = self._contrasts(folder, strata, cues)
        costs += run.held(plans, self._pairs(seen))
        costs.append(self._doses(examples, reader, folder, strata, plans, seen))
        used = _used(plans, cues)
        return Caused(used, list(levels.checks), [cost for cost in costs if cost.forward_equivalents > 0])

    def _feasible(self, examples: Examples, strata: pd.DataFrame, levels: Levels) -> tuple[str, ...]:
        """Cues that this data allows to test; the judge says of the others why not."""
        grey = self.subject.preprocess.channels == 1
        return tuple(
            cue
            for cue in self.cues
            if obstacle(cue, examples.stored, strata, examples.regions, grey, levels.checks) is None
        )

    def _scores(
        self, examples: Examples, reader: RowReader, strata: pd.DataFrame, cues: Sequence[str]
    ) -> tuple[Mapping[str, CueScorer], pd.DataFrame, float]:
        with self.progress("Reading the cues", len(strata)) as advance:
            return fit_scores(self.subject, rows_of(examples.usable), reader, strata, cues, self.config.seed, advance)

    def _plans(self, examples: Examples, strata: pd.DataFrame) -> Plans:
        rows = usable_rows(examples.stored).merge(strata, on="row_id")
        masked = rows[rows["masked"]].reset_index(drop=True)
        many = DonorDraw(self.policy.passes, self.policy.max_donor_reuse, self.config.seed)
        once = DonorDraw(1, self.policy.max_donor_reuse, self.config.seed)
        shared = len(masked) == len(rows)
        second = once(masked, masked["subsample"])
        return Plans(many(masked), second, second if shared else once(rows, rows["subsample"]), shared)

    def _contrasts(self, folder: RunFolder, strata: pd.DataFrame, cues: Sequence[str]) -> list[dict[str, Contrasted]]:
        """What every cue has shown so far, once for each view; cues that can show nothing material are left out."""
        examples, predictions = read_table(folder.path, "examples"), read_table(folder.path, "predictions")
        return [
            contrast_each(
                view.examples,
                view.predictions,
                strata,
                view.classes,
                view.testable(cues),
                self.policy,
                self.config.seed,
                view.scale,
                least=material(self.policy, view.scale),
                clusters=view.clusters,
            )[0]
            for view in views(examples, predictions, self.task, self.policy.rare_share)
        ]

    def _pairs(self, seen: Sequence[Mapping[str, Contrasted]]) -> dict[tuple[str, str], str | None]:
        """Which cues are to be held while which others change: those that could explain an effect that was seen.

        With the part of the held cue in which its own effect lies.
        """
        found: dict[tuple[str, str], str | None] = {}
        for contrasts in seen:
            parts = {cue: item.contrast.part for cue, item in contrasts.items()}
            wanted = [pair for pair in to_hold(contrasts, self.policy) if can_hold(*pair)]
            found |= {pair: parts.get(pair[1]) for pair in wanted if pair not in found}
        return found

    def _plain(
        self, examples: Examples, reader: RowReader, folder: RunFolder, strata: pd.DataFrame
    ) -> document.StageCost:
        """Plain interventions, where the background is asked about; they need masks and no levels."""
        rows = self.policy.plain_rows if BACKGROUND in self.cues else 0
        sample = plain_sample(examples.stored, strata, rows, self.config.seed, masked=True)
        return PlainStage(**self._streams(examples, reader, folder))(sample)

    def _streams(self, examples: Examples, reader: RowReader, folder: RunFolder) -> dict[str, Any]:
        """What every stage that streams interventions is given."""
        return {
            "subject": self.subject,
            "rows": rows_of(examples.usable),
            "reader": reader,
            "folder": folder,
            "batch_size": self.config.batch_size,
            "seed": self.config.seed,
            "progress": self.progress,
        }

    def _doses(
        self,
        examples: Examples,
        reader: RowReader,
        folder: RunFolder,
        strata: pd.DataFrame,
        plans: Plans,
        seen: Sequence[Mapping[str, Contrasted]],
    ) -> document.StageCost:
        """Doses and places of the properties that move the model; places where there are masks."""
        arms: dict[str, set[str]] = {}
        for cue, pair in (item for contrasts in seen for item in moving(contrasts, self.policy).items()):
            arms.setdefault(cue, set()).update(pair)
        masks = len(plans.masked) > 0
        plan = plans.masked if masks else plans.anyone
        sample = plain_sample(examples.stored, strata, self.policy.plain_rows, self.config.seed, masked=masks)
        return DoseStage(**self._streams(examples, reader, folder))(
            plan[plan["row_id"].isin(sample["row_id"])],
            {cue: sorted(pair) for cue, pair in arms.items()},
            masks=masks,
        )


@dataclass(frozen=True)
class _Runner:
    """Streams of one audit: which cues go over which plan."""

    suite: Suite
    shape: tuple[int, int]
    scorers: Mapping[str, CueScorer]
    scores: Mapping[str, pd.Series]

    def all(self, plans: Plans, cues: Sequence[str]) -> Iterator[document.StageCost]:
        """Every cue once: the background on all rows, the others on the subsample."""
        first = [cue for cue in cues if cue_spec(cue).primary]
        masked, anyone = _split(cues, plans)
        yield self._stream("background", plans.background, first, "Swapping backgrounds")
        yield self._stream("masked", plans.masked, masked, "Changing the other cues")
        yield self._stream("anyone", plans.anyone, anyone, "Changing cues that need no mask", masks=False)

    def held(self, plans: Plans, pairs: Mapping[tuple[str, str], str | None]) -> list[document.StageCost]:
        """Pairs (cue, held) on the subsample, each with the part of the held cue that is kept."""
        if not pairs:
            return []
        masked, _ = _split([cue for cue, _ in pairs], plans, primary=True)
        needing = {cue for cue, held in pairs if cue in masked or any(cue_spec(one).needs_mask for one in apart(held))}
        parts = {
            "held-masked": (plans.masked, {pair: part for pair, part in pairs.items() if pair[0] in needing}),
            "held-anyone": (plans.anyone, {pair: part for pair, part in pairs.items() if pair[0] not in needing}),
        }
        return [
            self._run(name, plan, chosen, "Holding one cue", {}, masks=name == "held-masked" or plans.shared)
            for name, (plan, chosen) in parts.items()
        ]

    def _stream(
        self, name: str, plan: pd.DataFrame, cues: Sequence[str], title: str, *, masks: bool = True
    ) -> document.StageCost:
        known = {cue: self.scores[cue] for cue in cues if cue in self.scores}
        return self._run(name, plan, {(cue, None): None for cue in cues}, title, known, masks=masks)

    def _run(
        self,
        name: str,
        plan: pd.DataFrame,
        pairs: Mapping[tuple[str, str], str | None] | Mapping[tuple[str, None], None],
        title: str,
        scores: Mapping[str, pd.Series],
        *,
        masks: bool,
    ) -> document.StageCost:
        if plan.empty or not pairs:
            return _cost(name, 0, 0)
        height, width = self.shape
        transfers: dict[tuple[str, str | None], Transfer] = {
            (cue, held): transfer_for(cue, height=height, width=width, held=held, held_part=part)
            for (cue, held), part in pairs.items()
        }
        spent = self.suite(name, plan, transfers, self.scorers, scores, title, masks=masks)
        return _cost(name, plan["row_id"].nunique(), spent)


def _split(cues: Sequence[str], plans: Plans, *, primary: bool = False) -> tuple[list[str], list[str]]:
    """Cues for the plan of masked rows, and those for the plan of all rows.

    The value of a global cue is read on the object, so that nothing of the background enters; where only some rows
    have masks it is read on whole pictures, the same way for all.
    """
    second = [cue for cue in cues if primary or not cue_spec(cue).primary]
    masked = [cue for cue in second if cue_spec(cue).needs_mask or plans.shared or cue == BACKGROUND]
    return masked, [cue for cue in second if cue not in masked]


def _used(plans: Plans, cues: Sequence[str]) -> dict[str, CuePlan]:
    """With which donors each cue was changed."""
    masked, anyone = _split(cues, plans)
    return {
        **{cue: CuePlan(plans.background) for cue in cues if cue_spec(cue).primary},
        **{cue: CuePlan(plans.masked) for cue in masked},
        **{cue: CuePlan(plans.anyone, masks=False) for cue in anyone},
    }


def _by_cue(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Readings of the cues by ``row_id``; those of the model's own features serve the contrast check only."""
    read = scores[scores["features"] == "descriptors"]
    return {str(cue): part.set_index("row_id")["score"].astype(float) for cue, part in read.groupby("cue")}


def _shape(examples: Examples, reader: RowReader) -> tuple[int, int]:
    height, width = reader(rows_of(examples.usable.head(1))[0])["image"].shape[-2:]
    return int(height), int(width)


def _cost(stage: str, images: int, spent: float) -> document.StageCost:
    return document.StageCost(stage=stage, images=images, forward_equivalents=float(spent))
