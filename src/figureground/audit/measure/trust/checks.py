"""Whether an audit may rest on its maps: the sanity checks of every attribution method on a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import torch

from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.document import audit_json as document
from figureground.audit.explain.explanation import Explainer
from figureground.audit.explain.layers import CamLayer
from figureground.audit.measure.trust.against import NAME as RANDOMISED
from figureground.audit.measure.trust.agreement import NAME as AGREEMENT
from figureground.audit.measure.trust.layers import NAME as SECOND_LAYER
from figureground.audit.measure.trust.limits import Limits
from figureground.audit.measure.trust.lines import Outcome, as_table, not_run
from figureground.audit.measure.trust.maps import EXPLAIN_COST, Mapper
from figureground.audit.measure.trust.masks import NAME as MASKS
from figureground.audit.measure.trust.pairs import Method, pair_measures
from figureground.audit.measure.trust.repeatability import NAME as REPEATABILITY
from figureground.audit.measure.trust.sample import choose_rows, read_sample
from figureground.audit.measure.trust.study import CAM, Study
from figureground.datasets.datamodule import Row, RowReader

#: Methods whose checks are listed as not run where there is no row to learn them from.
METHODS = ("saliency", CAM)
#: A method that fails one of these says nothing about the model; other failures limit what can be read off it.
DISQUALIFYING = (RANDOMISED, REPEATABILITY)
_NO_ROWS = "no rows"


@dataclass(frozen=True, eq=False)
class MapReport:
    """What the checks found.

    Attributes
    ----------
    checks : list of TrustCheck
        ``randomised_weights_<method>``, ``repeatability_<method>``, ``agreement``, ``mask_sensitivity_<method>`` and
        ``second_layer``. ``n`` counts images.
    failed_methods : tuple of str
        Methods whose maps hardly change with the weights, do not repeat, or are degenerate.
    method_limits : dict of str to tuple of str
        By method all its failed checks, those that only limit it included; a failed ``agreement`` counts for no
        single method. Methods without a failure have no entry.
    table : pandas.DataFrame
        One row per method and measure: ``method, check, value, ci_low, ci_high, n, threshold, status, reason``, with
        ``status`` also ``reference`` for figures without pass or fail.
    cost : float
        Forward-equivalents spent in total; a forward pass of one image is 1, with its backward pass 3.
    maps : mapping of str to Method
        By method, what :meth:`with_pairs` compares.
    """

    checks: list[document.TrustCheck]
    failed_methods: tuple[str, ...]
    method_limits: dict[str, tuple[str, ...]]
    table: pd.DataFrame = field(repr=False)
    cost: float
    maps: Mapping[str, Method] = field(default_factory=dict, repr=False)

    def joined(self, other: MapReport) -> MapReport:
        """Both, of different methods."""
        return MapReport(
            checks=[*self.checks, *other.checks],
            failed_methods=(*self.failed_methods, *other.failed_methods),
            method_limits=self.method_limits | other.method_limits,
            table=pd.concat([self.table, other.table], ignore_index=True),
            cost=self.cost + other.cost,
            maps={**self.maps, **other.maps},
        )

    def with_pairs(self) -> MapReport:
        """The rank correlation of every pair of methods, as numbers of the check ``agreement``."""
        found = pair_measures(self.maps)
        told = [one.model_copy(update={"measures": found}) if one.check == AGREEMENT else one for one in self.checks]
        return replace(self, checks=told, maps={})


@dataclass(frozen=True)
class MapChecks:
    """Check the maps of a subject on at most 64 rows.

    Each method is compared with itself under fresh weights (Adebayo et al., "Sanity checks for saliency maps",
    NeurIPS 2018, in the smooth and efficient form of Hedström et al. 2023), with itself run again, and with the
    other method; its density ratio is recomputed with the mask eroded and dilated, and Grad-CAM's at an earlier
    layer. Passing means that nothing spoke against the method, not that its maps are right.

    The caller's module keeps its weights, modes, hooks and generators; equal seeds give equal reports, whatever the
    order of the rows.

    Attributes
    ----------
    subject : Subject
    explainer : Explainer
        The one that the audit uses. A second layer needs a ``SinglePass``.
    layer : CamLayer or None
        Where Grad-CAM looks; None where it is left out.
    seed : int
    limits : Limits
    batch_size : int
        Images explained at once.
    cost : float
        Forward-equivalents of one explained image.
    beside : bool
        Whether the methods stand beside others that are checked on their own: then each is compared with itself only.
    """

    subject: Subject
    explainer: Explainer
    layer: CamLayer | None
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    batch_size: int = 32
    cost: float = EXPLAIN_COST
    beside: bool = False

    def __call__(self, rows: Sequence[Row], reader: RowReader) -> MapReport:
        """Check the maps of a seeded choice of ``rows``.

        Raises
        ------
        SubjectError
            The explainer cannot explain this model at all.
        """
        chosen = choose_rows(rows, self.limits.rows, self.seed)
        if not chosen:
            return _report(_without_rows(METHODS if self.layer else METHODS[:1]), 0.0)
        sample, module = read_sample(chosen, reader, self.subject.preprocess), self.subject.module
        mapper = Mapper(self.explainer, self.batch_size, self.cost)
        # Callers may be inside inference mode, where no gradient can be had.
        with torch.inference_mode(False), evaluating(module):
            first = mapper(module, sample.inputs.clone())
            study = Study(module, sample, first, mapper, self.layer, self.seed, self.limits)
            outcomes = study.of_methods() if self.beside else study.outcomes()
            maps = study.compared()
        return replace(_report(outcomes, mapper.spent), maps=maps)


def _without_rows(methods: Sequence[str]) -> list[Outcome]:
    names = [(name, method) for name in (RANDOMISED, REPEATABILITY, MASKS) for method in methods]
    found = [Outcome(f"{name}_{method}", method, (not_run(method, name, _NO_ROWS),)) for name, method in names]
    return [*found, *(Outcome(name, "", (not_run("", name, _NO_ROWS),)) for name in (AGREEMENT, SECOND_LAYER))]


def _report(outcomes: Sequence[Outcome], cost: float) -> MapReport:
    decided = [outcome for outcome in outcomes if outcome.check != "references"]
    checks = [outcome.as_trust_check() for outcome in decided]
    limits: dict[str, list[str]] = {}
    for outcome, check in zip(decided, checks, strict=True):
        if outcome.method and check.status == "failed":
            limits.setdefault(outcome.method, []).append(check.check)
    failed = [m for m, names in limits.items() if any(name.startswith(DISQUALIFYING) for name in names)]
    return MapReport(
        checks=checks,
        failed_methods=tuple(failed),
        method_limits={method: tuple(names) for method, names in limits.items()},
        table=as_table([line for outcome in outcomes for line in outcome.lines]),
        cost=cost,
    )
