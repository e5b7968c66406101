"""Judge a sealed run again: other subgroups, another policy, a decision. Needs no model and no torch.

What was measured is copied as it was sealed; what was judged is computed anew. Whatever differs from what was
declared before the first image was seen is a finding of its own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit import document, tables
from figureground.audit.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.cues import PLACES, REGION
from figureground.audit.document import Finding, Message, TrustCheck
from figureground.audit.judge.decisions import apply_decisions, today
from figureground.audit.judge.grouping import check_declared
from figureground.audit.judge.judging import Evidenced, Judgement, judge_run
from figureground.audit.judge.summary import NOT_RUN
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.recipients import has_environment
from figureground.audit.result import AuditResult
from figureground.audit.run_folder import RunFolder, check_seal, read_seal
from figureground.audit.task import LABEL_PREFIX, Task
from figureground.datasets.columns import REGION_PREFIX, ROLES
from figureground.errors import UsageError

#: Where a run that was judged again says what it was judged from, and what had been declared at first.
ORIGIN = "origin.json"
#: Files that are written anew; all other sealed files are copied.
_JUDGED = ("config.json", "policy.json", "subgroups.parquet", "tests.parquet", "audit.json", ORIGIN)
#: Fields that decide what is measured: a stored run cannot answer for other values.
_MEASURED = ("passes", "max_donor_reuse", "secondary_rows", "grid_rows")
#: Checks that judging makes itself.
_OWN_CHECKS = ("fragility", "replication", *(name for name, _ in NOT_RUN))
_OWN_PREFIXES = ("maps_not_empty_", "contrast_check", "assay", "placebo")
#: Packages that compute a number when judging.
_SOFTWARE = ("figureground", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Declared:
    """What had been declared before the first image was seen."""

    policy: dict[str, Any]
    config: dict[str, Any]


@dataclass(frozen=True)
class Rejudge:
    """Judges a finished run again.

    Attributes
    ----------
    by : tuple of str or None
        Other subgroups; None: those of the run.
    policy : Policy or None
        Another policy, decisions included; None: that of the run.
    """

    by: tuple[str, ...] | None = None
    policy: Policy | None = None

    def __call__(self, run: Path, out: Path, *, overwrite: bool = False) -> AuditResult:
        """Write and seal a new run folder.

        Raises
        ------
        IntegrityError
            A file of the run is not as it was sealed.
        UsageError
            The run did not finish, the folder is not empty, a subgroup names no column, or the policy differs in
            what is measured.
        """
        seal = check_seal(run)
        old = AuditResult(run)
        before = _Stored.read(run)
        config = before.config if self.by is None else before.config.model_copy(update={"by": self.by})
        policy = self.policy or before.policy
        _check_measured(before.policy, policy)
        check_declared(_columns(old.examples), config.by or policy.subgroups)
        folder = RunFolder.create(out, overwrite=overwrite, keep=(run,))
        _copy_evidence(run, folder)
        folder.write_json("config.json", config.model_dump(mode="json"))
        decisions = policy.model_dump(mode="json", include={"decision"})
        folder.write_json("policy.json", {**policy.declared, **decisions, "sha256": policy.sha256})
        folder.write_json(ORIGIN, before.origin(seal, old.document.audit.id))
        found = judge_run(evidence_of(old, config, policy))
        found = exploratory(found, {group.attribute for group in old.document.data.groups})
        found = replace(found, findings=_findings(found.findings, before.declared, config, policy))
        folder.write_table("subgroups.parquet", found.subgroups, tables.SUBGROUPS)
        folder.write_table("tests.parquet", found.tests, tables.TESTS)
        folder.write_json("audit.json", _document(old, found, config, policy).model_dump(mode="json"))
        folder.seal()
        return AuditResult(folder.path)


def evidence_of(run: AuditResult, config: AuditConfig, policy: Policy) -> Evidenced:
    """What judging needs, from a sealed run and other settings."""
    whole, read = run.document, run.table
    predictions, examples = run.predictions, run.examples
    return Evidenced(
        examples=examples,
        attributions=run.attributions,
        predictions=predictions,
        strata=read("strata"),
        scores=read("scores"),
        attributes=_attributes(examples),
        clusters_given=whole.data.clusters_given,
        task=_task(whole, examples, policy),
        cues=tuple(dict.fromkeys(cue.cue for cue in whole.verdict.cues)),
        config=config,
        policy=policy,
        checks=_measured_checks(whole.trust),
        source={"source": whole.data.source, "manifest_sha256": whole.data.manifest_sha256},
        preprocessing_source=whole.subject.preprocessing_source,
        regions=_regions(run.attributions, predictions),
        grey=len(whole.subject.preprocessing.get("mean", ())) == 1,
        areas=_areas(run.attributions),
        sampling=whole.data.sampling,
    )
