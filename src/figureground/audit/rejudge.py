"""Judge a sealed run again: other subgroups, another policy, a decision. Needs no model and no torch.

What was measured is copied as it was sealed; what was judged is computed anew, under a new seal. Whatever differs
from what was declared before the first image was seen is listed.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from figureground.audit.clauses.mapping import clause_map
from figureground.audit.declared.config import AuditConfig, Policy, canonical_sha256, load_policy
from figureground.audit.document import audit_json as document
from figureground.audit.exits import with_exit_code
from figureground.audit.judge.again import Again, check_measured, deviations
from figureground.audit.judge.evidenced import Evidenced, Judgement
from figureground.audit.judge.grouping import check_groups
from figureground.audit.judge.judging import judge_run
from figureground.audit.judge.repeat import check_thresholds, shared_images, what_differs
from figureground.audit.judge.stored import evidence_of
from figureground.audit.keeping import clock, run_folder, tables
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import RunFolder, check_seal, read_seal, read_table
from figureground.audit.rows.recipients import has_environment
from figureground.errors import IntegrityError, UsageError

#: What a run that was judged again knows of the first one; and what judging needs beside the tables.
ORIGIN, MEASURED = "origin.json", "measured.json"
#: Files that are written anew; all other sealed files are copied.
JUDGED = ("policy.json", "subgroups.parquet", "tests.parquet", "audit.json", ORIGIN)
_SOFTWARE = ("figureground", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Stored:
    """A sealed run as it can be judged again.

    Attributes
    ----------
    path : Path
    seal : str
        SHA-256 of its seal, after every file was found as it was sealed.
    """

    path: Path
    seal: str

    @classmethod
    def open(cls, path: Path) -> Stored:
        """The run, whole; raises where it is not as it was sealed, or cannot be judged again."""
        seal = check_seal(path)
        if MEASURED not in read_seal(path):
            raise UsageError(
                "RUN_FORMAT",
                str(path),
                found=f"a run without {MEASURED}",
                expected="a run of this version",
                fix="audit again; an earlier version did not keep what judging needs",
            )
        return cls(path, seal)

    @cached_property
    def document(self) -> document.AuditDocument:
        """Its ``audit.json``."""
        return AuditResult(self.path).document

    @cached_property
    def policy(self) -> Policy:
        """The policy that it was judged under."""
        return load_policy(self.path / "policy.json")

    @cached_property
    def config(self) -> AuditConfig:
        """The settings that it was measured with."""
        return AuditConfig.model_validate(self._json("config.json"))

    @cached_property
    def origin(self) -> dict[str, Any]:
        """The run that was measured: its seal, its id, and the policy that was declared before its first image."""
        if ORIGIN in read_seal(self.path):
            return dict(self._json(ORIGIN))
        own = {"first": self.seal, "first_id": self.document.audit.id, "policy": self.policy.declared}
        return own | {"exploratory": [], "repeats": []}

    @cached_property
    def declared(self) -> Policy:
        """The policy that was hashed before the first image was seen."""
        return load_policy(self.origin["policy"])

    def evidence(self, policy: Policy, again: Again | None) -> Evidenced:
        """What judging needs; the subgroups declared at first stay, whatever the policy says now."""
        kept = policy.model_copy(update={"subgroups": self.declared.subgroups})
        return evidence_of(self.path, self._json(MEASURED), self.config, kept, clock.today(), again)

    def _json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Rejudge:
    """Judges a finished run again.

    Attributes
    ----------
    by : tuple of str
        Columns and crossings to ask for beside those of the run; they are exploratory.
    policy : Policy or None
        Another policy, decisions included; None: the one that the run was judged under.
    repeats : tuple of Path
        Sealed runs on other data or of another training, to see whether a finding is repeated there.
    """

    by: tuple[str, ...] = ()
    policy: Policy | None = None
    repeats: tuple[Path, ...] = ()

    def __call__(self, run: Path, out: Path, *, overwrite: bool = False) -> AuditResult:
        """Write and seal a new run folder.

        Parameters
        ----------
        run : Path
            A sealed run; it is not touched.
        out : Path
            The new run folder, new or empty.
        overwrite : bool
            Whether an earlier run in ``out`` is replaced.

        Raises
        ------
        IntegrityError
            A file of the run is not as it was sealed.
        UsageError
            The run did not finish, the folder is not empty, a subgroup names no column, the policy asks for what was
            not measured, or a run that is to repeat this one is not another one.
        """
        stored = Stored.open(run)
        policy = _with_subgroups(self.policy or stored.policy, stored.declared)
        again = self._again(stored, policy)
        evidence = stored.evidence(policy, again)
        self._check(stored, policy, evidence, again)
        with RunFolder.opened(out, overwrite=overwrite, keep=(run, *self.repeats)) as folder:
            self._write(folder, stored, policy, evidence, again)
        return AuditResult(folder.path)

    def _write(self, folder: RunFolder, stored: Stored, policy: Policy, evidence: Evidenced, again: Again) -> None:
        _copy_evidence(stored, folder)
        others = [other.model_dump(mode="json") for other in again.repeats]
        folder.write_json(ORIGIN, stored.origin | {"exploratory": list(again.exploratory), "repeats": others})
        decisions = policy.model_dump(mode="json", include={"decision"})
        folder.write_json("policy.json", {**policy.declared, **decisions, "sha256": policy.sha256})
        found = judge_run(evidence)
        folder.write_table("subgroups.parquet", found.subgroups, tables.SUBGROUPS)
        folder.write_table("tests.parquet", found.tests, tables.TESTS)
        whole = with_exit_code(_document(stored, found, policy, again), policy)
        folder.write_json("audit.json", whole.model_dump(mode="json"))
        folder.seal()
        _check_copies(stored, folder)

    def _again(self, stored: Stored, policy: Policy) -> Again:
        """New questions of the call and of the policy, after those that were asked before."""
        asked = [*stored.origin["exploratory"], *(policy.subgroups or ()), *self.by]
        first = stored.config.by or stored.declared.subgroups or ()
        later = dict.fromkeys(name for name in asked if name not in first)
        return Again(tuple(later), deviations(stored.declared, policy), self._others(stored, policy))

    def _others(self, stored: Stored, policy: Policy) -> tuple[document.OtherRun, ...]:
        """Runs that were given before and now; each must still have been judged under the same thresholds."""
        before = [document.OtherRun.model_validate(item) for item in stored.origin["repeats"]]
        found = {other.seal: other for other in (*before, *(_other(stored, path) for path in self.repeats))}
        for other in found.values():
            check_thresholds(other, policy, f"repeat:{other.audit_id}")
        return tuple(found.values())

    def _check(self, stored: Stored, policy: Policy, evidence: Evidenced, again: Again) -> None:
        columns = ["environment"] if has_environment(evidence.examples) else []
        check_groups(evidence.examples, [*columns, *evidence.attributes], again.exploratory)
        strata = evidence.strata.merge(evidence.examples[["row_id", "cluster"]], on="row_id")
        check_measured(stored.declared, policy, strata, evidence.checks, "policy")


def _with_subgroups(policy: Policy, declared: Policy) -> Policy:
    """A policy that says nothing about subgroups leaves those that were declared."""
    return policy if policy.subgroups else policy.model_copy(update={"subgroups": declared.subgroups})


def _other(stored: Stored, path: Path) -> document.OtherRun:
    """Another run as far as it is needed; raises where it is no other run, or asks another question."""
    other = Stored.open(path)
    here, there = stored.document, other.document
    if sorted(here.subject.classes) != sorted(there.subject.classes):
        raise UsageError(
            "REPEAT_CLASSES",
            str(path),
            found=f"the classes {', '.join(there.subject.classes)}",
            expected=f"those of the run, {', '.join(here.subject.classes)}",
            fix="give a run of a model for the same classes",
        )
    examples, predictions = (
        (read_table(stored.path, name), read_table(path, name)) for name in ("examples", "predictions")
    )
    differs = what_differs((here.subject.model_sha256, there.subject.model_sha256), examples, predictions)
    if not differs:
        same = len(shared_images(*examples))
        raise UsageError(
            "REPEAT_SAME",
            str(path),
            found=f"the same model, and {same} of {there.data.ok} images that the run has as well",
            expected="other images, or a model that was trained again",
            fix="audit another data set, or another training of the model, and give that run",
        )
    return document.OtherRun(
        seal=other.seal,
        audit_id=there.audit.id,
        model_sha256=there.subject.model_sha256,
        data_sha256=there.data.sha256,
        classes=there.subject.classes,
        differs=[name for name in ("data", "training") if name in differs],
        policy=other.policy.declared,
        cues=there.verdict.cues,
    )


def _copy_evidence(stored: Stored, folder: RunFolder) -> None:
    for name in read_seal(stored.path):
        if name not in JUDGED:
            with folder.publishing(name) as draft:
                shutil.copyfile(stored.path / name, draft)


def _check_copies(stored: Stored, folder: RunFolder) -> None:
    """What was copied must be what was sealed: the first run may have been changed while it was read."""
    before, after = read_seal(stored.path), read_seal(folder.path)
    changed = [name for name, digest in before.items() if name not in JUDGED and after.get(name) != digest]
    if changed:
        (folder.path / run_folder.SEAL).unlink()
        raise IntegrityError(
            "RUN_ALTERED",
            str(stored.path / changed[0]),
            found="a file that changed while it was copied",
            expected="a run that nobody writes into",
            fix="judge again once the run is at rest",
        )


def _document(stored: Stored, found: Judgement, policy: Policy, again: Again) -> document.AuditDocument:
    """The parts that were judged are new; subject, costs, software of the measurement and pictures stay."""
    old, software = stored.document, _software()
    judged = document.Judged(
        at=clock.stamp(),
        of=stored.seal,
        first=stored.origin["first"],
        first_id=stored.origin["first_id"],
        tool=document.Tool(name="figureground", version=software["figureground"]),
        software=software,
        exploratory=list(again.exploratory),
        repeats=[other.seal for other in again.repeats],
    )
    # Nothing of when or where enters the identity, as for a run that was measured.
    identity = canonical_sha256(
        [judged.first_id, policy.model_dump(mode="json"), judged.exploratory, judged.repeats, software],
    )
    parts = old.model_dump(mode="json") | {
        "audit": old.audit.model_copy(update={"id": identity[:16], "judged": judged}),
        "policy": {**policy.declared, "sha256": policy.sha256},
        "deviations": list(again.deviations),
        **found.parts(),
    }
    whole = document.AuditDocument.model_validate(parts)
    return whole.model_copy(update={"clause_map": clause_map(whole)})


def _software() -> dict[str, str]:
    """Versions of what judged, by package name."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in _SOFTWARE}}
