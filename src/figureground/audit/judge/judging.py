"""The order of judging: tables in, verdict out. Needs no model and no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import BACKGROUND, GLOBALS, apart, cue_spec
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import STATE_ORDER, Message, TrustCheck
from figureground.audit.judge import summary
from figureground.audit.judge.again import unheld
from figureground.audit.judge.answers import Answers, answers_of, number_answers
from figureground.audit.judge.asked import asked_findings
from figureground.audit.judge.assaying import Assayed, assay_cues
from figureground.audit.judge.class_order import suspected_order
from figureground.audit.judge.competence import competence
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.contrasts import (
    Contrasted,
    contrast_each,
    explained_by,
    failing,
    fires,
    holm_over,
    yielding,
)
from figureground.audit.judge.cue_pairs import CuesOf, cue_pairs
from figureground.audit.judge.datasheet import data_sheet
from figureground.audit.judge.decisions import apply_decisions
from figureground.audit.judge.evidence import Evidence, Setting
from figureground.audit.judge.evidenced import Evidenced, Judgement
from figureground.audit.judge.gallery import GalleryRules
from figureground.audit.judge.group_answers import LABELLED, AnswerTable
from figureground.audit.judge.group_tests import GroupTests, not_compared
from figureground.audit.judge.grouping import Group, Grouping
from figureground.audit.judge.looking import look_at
from figureground.audit.judge.mask_coverage import mask_coverage, without_masks
from figureground.audit.judge.masks import masks_disagree
from figureground.audit.judge.mean_cells import mean_cells
from figureground.audit.judge.measures import PerformanceTable
from figureground.audit.judge.next_steps import with_commands
from figureground.audit.judge.observations import SwapObservations, observe
from figureground.audit.judge.performance import performance, performance_gap, scored, without_labels
from figureground.audit.judge.plain import plain_tests
from figureground.audit.judge.plain_doses import DoseJudge, DoseResponse
from figureground.audit.judge.plain_untested import plain_untested
from figureground.audit.judge.relabelled import Relabelled
from figureground.audit.judge.relabelled import check as check_alarms
from figureground.audit.judge.reliability import reliability
from figureground.audit.judge.repeat import with_repeats
from figureground.audit.judge.resampled import check_shares
from figureground.audit.judge.subgroups import SubgroupTable
from figureground.audit.judge.untested import why_not
from figureground.audit.judge.verdict import CueJudge, overall
from figureground.audit.judge.views import View, views
from figureground.audit.judge.worst_group import averages, worst_bound
from figureground.audit.methods.reported import reported_in


@dataclass(frozen=True)
class _Viewed:
    """One view of the run (all of it, or one finding) with its contrasts, and why some could not be computed."""

    view: View
    rows: pd.DataFrame = field(repr=False)
    found: dict[str, Contrasted] = field(repr=False)
    assayed: dict[str, Assayed] = field(repr=False)
    doses: dict[str, DoseResponse] = field(repr=False)
    failed: dict[str, str] = field(default_factory=dict)


def judge_run(run: Evidenced) -> Judgement:
    """Judge stored tables."""
    seen = [_viewed(run, view) for view in views(run.examples, run.predictions, run.task, run.policy.rare_share)]
    p = holm_over({(at, cue): item for at, one in enumerate(seen) for cue, item in one.found.items()})
    failed = summary.failed_methods(_all_checks(run), _methods(run))
    parts = [_ViewJudge(run, one, {cue: p[at, cue] for cue in one.found}, failed)() for at, one in enumerate(seen)]
    first = parts[0]
    verdict = overall([cue for part in parts for cue in part.cues], run.policy.required_cues)
    grouping = run.grouping(run.examples)
    data = data_sheet(
        run.examples,
        _all_rows(run, seen),
        grouping,
        run.config,
        run.clusters_given,
        dict(run.source),
        run.policy,
        run.stratum_source,
        () if run.task.several else run.task.classes,
    ).model_copy(update={"sample": run.sample, **_by_finding(run, seen, grouping)})
    contrasts, rows = {one.view.finding: _background(one) for one in seen}, _all_rows(run, seen)
    measured = first.performance.model_copy(update={"others": [part.performance for part in parts[1:]]})
    one_label = run.config.labels and not (run.task.several or run.task.scalar)
    ordered = suspected_order(measured, run.task.classes, run.policy) if one_label else None
    listed = summary.findings(verdict, measured, data, run.preprocessing_source, contrasts, run.policy, failed, ordered)
    listed += summary.about_policy(run.again.deviations if run.again else ())
    rules = GalleryRules(tiles=run.config.cases, seed=run.config.seed, target=run.policy.target)
    further = {
        one.view.finding: [
            *(check for item in one.assayed.values() for check in item.checks),
            check_shares(part.subgroups),
            check_alarms(part.performance.false_alarms),
        ]
        for one, part in zip(seen, parts, strict=True)
    }
    shown = _foremost(seen, parts)
    background = shown.found.get(BACKGROUND)
    return Judgement(
        subgroups=pd.concat([part.subgroups for part in parts], ignore_index=True),
        tests=pd.concat([part.tests for part in parts], ignore_index=True),
        verdict=verdict,
        performance=measured,
        data=data,
        trust=summary.trust(run.checks, contrasts, _degenerate(run.attributions), run.policy, further),
        findings=apply_decisions(listed, run.policy.decision, run.today),
        not_tested=[
            *summary.not_tested(verdict),
            *summary.leakage_untested(data),
            *not_compared(grouping.groups),
            *plain_untested(run.examples, run.predictions, run.cues),
            *without_masks(rows, grouping.groups),
        ],
        levels=background.observed.levels if background else (),
        swaps=cue_pairs(
            [CuesOf(one.view.finding, one.found, part.cues) for one, part in zip(seen, parts, strict=True)],
            shown.view.finding,
            rules,
        ),
        tiles=rules.tiles_of(shown.rows, shown.view.predictions, shown.view.classes),
        pictured=shown.view.finding,
        averaged=mean_cells(shown.rows, run.grouping(shown.view.examples).groups, shown.view.classes, run.config.seed),
    )


def _viewed(run: Evidenced, view: View) -> _Viewed:
    rows = scored(view.examples, view.predictions, view.classes)
    if not run.config.labels:  # a model agrees with itself: that is no accuracy
        rows = rows.assign(correct=np.nan)
    found, failed = contrast_each(
        view.examples,
        view.predictions,
        run.strata,
        view.classes,
        view.testable(run.cues),
        run.policy,
        run.config.seed,
        view.scale,
        clusters=view.clusters,
    )
    dosed = DoseJudge(view.examples, view.predictions, run.strata, view.classes, run.policy)
    assayed: dict[str, Assayed] = {}
    doses: dict[str, DoseResponse] = {}
    for cue, item in found.items():
        with failing(cue, failed):
            assayed |= assay_cues({cue: item}, run.scores, run.strata, view.examples, run.policy, run.config.seed)
            doses |= dosed({cue: item})
    found = {cue: item for cue, item in found.items() if cue not in failed}
    return _Viewed(view, rows, found, assayed, doses, failed)


@dataclass(frozen=True)
class _ViewVerdicts:
    cues: list[document.CueVerdict]
    subgroups: pd.DataFrame
    tests: pd.DataFrame
    performance: document.Performance


@dataclass(frozen=True)
class _ViewJudge:
    """Everything about one view."""

    run: Evidenced
    seen: _Viewed
    p_adjusted: Mapping[str, float]
    failed: tuple[str, ...]

    def __call__(self) -> _ViewVerdicts:
        run, seen, finding = self.run, self.seen, self.seen.view.finding
        groups = run.grouping(seen.view.examples).groups
        explained, held_rows = self._explained()
        yields = yielding(explained, seen.found, run.policy.explains)
        direction = self._gap_direction()
        gap = performance_gap(seen.rows, direction, run.policy, run.config.seed)
        setting = self._setting(gap)
        cues = [self._judged(cue, setting, explained, yields) for cue in run.cues]
        cues += [_not_run(run.policy, cue, finding) for cue in run.policy.required_cues if cue not in run.cues]
        cues = [_finished(with_repeats(cue, run.again.repeats if run.again else (), run.policy)) for cue in cues]
        followed = {cue: item for cue, item in seen.found.items() if cue == BACKGROUND or item.contrast.effect.low > 0}
        labels = sorted(set(seen.view.examples["label"]) & set(seen.view.classes))
        maps = seen.view.attributions(run.attributions)
        table = SubgroupTable(run.policy, maps, followed)(seen.rows, groups, labels)
        answers = self._answers()
        further = PerformanceTable(run.policy, run.config.seed)(seen.rows, groups, answers)
        beside = self._beside(followed, groups, labels)
        if not run.config.labels:
            table, further = without_labels(table, ("accuracy",)), without_labels(further, tuple(further["measure"]))
            beside = without_labels(beside, LABELLED) if len(beside) else beside
        tests = [item.contrast.tests for item in seen.found.values()]
        tests += [pd.DataFrame([*held_rows, gap, *(r for a in seen.assayed.values() for r in a.rows)])]
        tests += self._described()
        compared = GroupTests(run.policy, run.config.seed, maps, followed)
        tests += [compared(seen.rows, groups)]
        measured = performance(table, seen.rows, groups, seen.view.classes)
        worst = {
            "finding": finding,
            "classes": list(seen.view.classes),
            "positive": answers.positive,
            # A bound over all groups must not move because somebody asks for more of them later.
            "worst_bound": worst_bound(
                seen.rows,
                [group for group in groups if group.origin != "exploratory"],
                labels,
                run.policy,
                run.config.seed,
            ),
            "averages": averages(seen.rows, groups, run.policy),
            "reliability": reliability(seen.rows, groups, answers, further, run.policy) if run.config.labels else [],
            "false_alarms": Relabelled(run.policy, run.config.seed)(seen.rows, groups, compared.values(seen.rows)),
        }
        return _ViewVerdicts(
            cues=cues,
            subgroups=pd.concat([table, further, beside], ignore_index=True).assign(finding=finding),
            tests=pd.concat(tests, ignore_index=True).assign(finding=finding),
            performance=measured.model_copy(update=worst),
        )

    def _beside(self, followed: Mapping[str, Contrasted], groups: Sequence[Group], labels: list[str]) -> pd.DataFrame:
        view, config = self.seen.view, self.run.config
        crossed = ("environment", config.environment or config.columns.get("environment") or "environment")
        table = AnswerTable(self.run.policy, followed, crossed)
        return table(self.seen.rows, groups, labels, view.examples, view.predictions, view.classes)

    def _answers(self) -> Answers:
        seen, target = self.seen, self.run.policy.target
        if target is not None:
            return number_answers(seen.rows, seen.view.predictions, seen.view.classes, target)
        return answers_of(seen.rows, seen.view.predictions, seen.view.classes, self._cut())

    def _cut(self) -> float:
        """Log-odds of the operating threshold, taken off the logits in a view."""
        task = self.run.task
        asked = self.seen.view.finding or (task.findings[0] if task.findings else None)
        return 0.0 if asked is None else task.offset(asked)

    def _described(self) -> list[pd.DataFrame]:
        """Plain interventions, doses and places: beside the verdicts, never instead."""
        view = self.seen.view
        rows = plain_tests(view.examples, view.predictions, view.classes, self.run.policy)
        rows += [row for found in self.seen.doses.values() for row in found.tests]
        return [pd.DataFrame(rows)] if rows else []

    def _explained(self) -> tuple[dict[str, list[document.Explained]], list[dict[str, Any]]]:
        view, explained, rows = self.seen.view, {}, []
        held_pairs = view.predictions.loc[view.predictions["held"].notna(), ["cue", "held"]].drop_duplicates()
        for cue, item in self.seen.found.items():
            names = sorted(held_pairs.loc[held_pairs["cue"] == cue, "held"])
            others = {
                name: observed
                for name in names
                if all(one in self.seen.found for one in apart(name))
                and all(fires(self.seen.found[one].contrast, self.run.policy) for one in apart(name))
                and (observed := self._observe_held(cue, name)) is not None
            }
            explained[cue], more = explained_by(item, others, self.run.policy)
            rows += more
        return explained, rows

    def _observe_held(self, cue: str, held: str) -> SwapObservations | None:
        view, strata = self.seen.view, self.run.strata
        return observe(view.examples, view.predictions, strata, view.classes, cue, held=held, clusters=view.clusters)

    def _gap_direction(self) -> document.Direction | None:
        """The direction of the background's effect; without one, of the largest effect of any cue."""
        found = self.seen.found
        if not found or self.run.stratum_source != "environment":
            return None
        cue = BACKGROUND if BACKGROUND in found else max(found, key=lambda name: found[name].contrast.effect.estimate)
        return direction_of(found[cue])

    def _setting(self, gap: Mapping[str, Any]) -> Setting:
        able, estimated = competence(self.seen.rows, self.seen.view), gap.get("ci_low")
        # A gap asks for an explanation only as long as no cue is found that could be one.
        found = any(fires(item.contrast, self.run.policy) for item in self.seen.found.values())
        return Setting(
            finding=self.seen.view.finding,
            n_classes=len(self.seen.view.classes),
            accuracy=able.overall,
            majority=able.guess,
            aligned_accuracy=able.aligned,
            strata=self.run.stratum_source or "label",
            clusters_given=self.run.clusters_given,
            gap=None if found or estimated is None or not np.isfinite(estimated) else float(estimated),
            failed_methods=self.failed,
            measure=able.measure,
        )

    def _judged(self, cue: str, *known: Any) -> document.CueVerdict:
        failed = dict(self.seen.failed)
        if cue not in failed:
            with failing(cue, failed):
                return self._cue(cue, *known)
        return CueJudge(self.run.policy, cue).failed(failed[cue], self.seen.view.finding)

    def _cue(
        self,
        cue: str,
        setting: Setting,
        explained: Mapping[str, list[document.Explained]],
        yields: Mapping[str, list[document.Explained]],
    ) -> document.CueVerdict:
        run, item, judge = self.run, self.seen.found.get(cue), CueJudge(self.run.policy, cue)
        if item is None and cue not in self.seen.view.testable([cue]):
            return judge.not_tested("masks_not_of_finding", "next_declare_masks", setting.finding)
        if item is None:
            reason = why_not(cue, run.examples, run.strata, run.regions, run.grey, run.checks, run.policy.min_clusters)
            state = judge.inconclusive if reason.inconclusive else judge.not_tested
            return state(
                reason.key, Message(key=reason.next_step, args=dict(reason.step_args)), setting.finding, **reason.args
            )
        assayed = self.seen.assayed[cue]
        evidence = Evidence(
            contrast=item.contrast,
            direction=direction_of(item),
            p_adjusted=self.p_adjusted[cue],
            check=assayed.check,
            assay=assayed.assay,
            placebo_p=assayed.placebo_p,
            explained=explained[cue],
            yields_to=yields[cue],
            look=look_at(
                cue,
                self.seen.view.attributions(run.attributions),
                self.seen.rows,
                self.failed,
                dict(run.areas),
                1 - run.policy.alpha,
            ),
            subsampled=not cue_spec(cue).primary and not bool(run.strata["subsample"].all()),
            masks_disagree=masks_disagree(item, run.examples, run.policy),
            whole_picture=cue in GLOBALS and not bool(self.seen.rows["object_area"].notna().all()),
            unheld=() if run.again is None else unheld(cue, self.seen.found, self.seen.view.predictions, run.policy),
            doses=self.seen.doses.get(cue),
        )
        return judge(evidence, setting)


def _finished(cue: document.CueVerdict) -> document.CueVerdict:
    """The verdict with steps that can be run; what is demonstrated once is to be repeated."""
    once = cue.status == "demonstrated" and cue.evidence_level != "L4"
    steps = [*cue.next_step, *([Message(key="next_repeat")] if once else [])]
    return cue.model_copy(update={"next_step": [with_commands(step) for step in steps]})


def _not_run(policy: Policy, cue: str, finding: str | None) -> document.CueVerdict:
    """A cue that the policy requires and that this run did not test: it stands in the verdict all the same."""
    step = Message(key="next_audit_cue", args={"cue": cue})
    return CueJudge(policy, cue).not_tested("cue_not_run", step, finding)


def direction_of(item: Contrasted) -> document.Direction:
    """The primary effect in names: which level pulls to which class."""
    names = item.contrast.primary.names(item.observed)
    return document.Direction(
        class_name=str(names["class_name"]), arm=str(names["arm"]), reference=str(names["reference"])
    )


def _all_checks(run: Evidenced) -> list[TrustCheck]:
    return summary.trust(run.checks, {}, _degenerate(run.attributions), run.policy, {})


def _background(seen: _Viewed) -> Contrast | None:
    item = seen.found.get(BACKGROUND)
    return item.contrast if item else None


def _foremost(seen: Sequence[_Viewed], parts: Sequence[_ViewVerdicts]) -> _Viewed:
    """The view whose verdict is the worst, the first of them: pictures are drawn of one finding."""
    worst = [min((STATE_ORDER.index(cue.status) for cue in part.cues), default=len(STATE_ORDER)) for part in parts]
    return seen[worst.index(min(worst))]


def _all_rows(run: Evidenced, seen: Sequence[_Viewed]) -> pd.DataFrame:
    """Usable rows with ``correct``; of several findings all of them, whichever labels are known, and none is scored."""
    if not run.task.several:
        return seen[0].rows
    return run.examples[run.examples["status"] == "ok"].assign(predicted=None, correct=np.nan)


def _by_finding(run: Evidenced, seen: Sequence[_Viewed], grouping: Grouping) -> dict[str, Any]:
    """What the data sheet says finding by finding."""
    known = run.config.labels
    asked = list(asked_findings(run.examples, [one.view for one in seen], run.task, run.policy)) if known else []
    found: dict[str, Any] = {"findings": asked}
    if run.task.several:
        found["mask_coverage"] = [
            line.model_copy(update={"finding": one.view.finding})
            for one in seen
            for line in mask_coverage(one.rows, grouping.groups, run.policy)
        ]
    return found


def _methods(run: Evidenced) -> tuple[str, ...]:
    return tuple(method for method, _ in reported_in(run.attributions))


def _degenerate(attributions: pd.DataFrame) -> dict[str, tuple[float, int]]:
    found = {}
    for method, sign in reported_in(attributions):
        status = attributions.loc[(attributions["method"] == method) & (attributions["sign"] == sign), "status"]
        if len(status):
            found[method] = (float((status == "degenerate").mean()), len(status))
    return found
