"""What is declared before the first image is seen: the policy and the settings of a run."""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from figureground.audit.cues import DEFAULT_CUES, REGION, is_known
from figureground.errors import UsageError

Severity = Literal["critical", "high", "moderate", "low"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionEntry(_Frozen):
    """What a person decided about a finding, by the finding's id.

    Decisions are no part of what was declared before the run: adding one changes no hash and no number.
    """

    finding: str
    decision: Literal["accepted", "disputed", "legitimate"]
    reason: str = Field(min_length=1)
    by: str = Field(min_length=1)
    expires: date


class Policy(_Frozen):
    """Thresholds and consequences, declared by the people who answer for the model.

    Effects on the decision scale are shares of images, in [0, 1], by which a class is predicted more often under one
    level of a cue than under another. Effects on the log-odds scale are natural logarithms of odds ratios; they judge
    findings that are too rare for decisions to move.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5, description="chance of a false alarm over all required cues together")
    power: float = Field(0.80, gt=0.5, lt=1, description="chance wanted of finding an effect of the material size")
    delta_material: float = Field(0.10, gt=0, lt=1, description="decision scale: an effect this large matters")
    delta_negligible: float = Field(0.05, gt=0, lt=1, description="decision scale: an effect this small does not")
    delta_material_log_odds: float = Field(0.69, gt=0, description="log-odds scale: ln 2, the odds double")
    delta_negligible_log_odds: float = Field(0.41, gt=0, description="log-odds scale: ln 1.5")
    rare_share: float = Field(0.10, ge=0, le=0.5, description="findings rarer than this are judged on log-odds")
    min_clusters: int = Field(20, ge=2, description="fewer independent units than this carry no verdict")
    min_class_share: float = Field(0.02, ge=0, lt=1, description="every class must be predicted at least this often")
    max_fragility: float = Field(0.10, ge=0, le=1, description="answers that may change when nothing of the cue does")
    min_accuracy_margin: float = Field(
        0.10, ge=0, lt=1, description="a competent model is this much above the majority"
    )
    min_contrast: float = Field(0.70, ge=0.5, le=1, description="AUROC at which levels can be told from their pictures")
    explains: float = Field(0.80, gt=0.5, le=1, description="share of an effect at which another cue explains it")
    assay_effects: tuple[float, ...] = Field((0.05, 0.10, 0.20), description="sizes of the implanted reliance")
    assay_redraws: int = Field(100, ge=20, description="redraws of the units, per implanted size")
    placebo_draws: int = Field(200, ge=50, description="permutations of the arms")
    max_degenerate: float = Field(0.10, ge=0, le=1, description="maps of a method that may be empty")
    max_bad: float = Field(0.01, ge=0, le=1, description="rows that may be set aside as unusable")
    passes: int = Field(3, ge=1, le=20, description="donors drawn per image for the background")
    max_donor_reuse: int = Field(5, ge=1, description="how often a donor may serve, per half, arm and pass")
    secondary_rows: int = Field(500, ge=20, description="images on which the cues beyond the background are tested")
    grid_rows: int = Field(120, ge=20, description="images on which the grid is scanned")
    required_cues: tuple[str, ...] = Field(("background",), description="cues without which the audit is not complete")
    subgroups: tuple[str, ...] | None = Field(None, description="attributes and crossings such as site*sex")
    consequence: dict[str, Severity] = Field(default_factory=dict, description="declared severity of each cue")
    default_consequence: Severity | None = Field(None, description="severity of the cues that are not listed")
    fail_on: Severity = Field("low", description="demonstrated cues of this severity or worse give exit code 1")
    decision: tuple[DecisionEntry, ...] = Field((), description="what people decided about findings")

    @property
    def declared(self) -> dict[str, Any]:
        """Everything that is declared before the run, as plain JSON values: all but the decisions."""
        return self.model_dump(mode="json", exclude={"decision"})

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON of :attr:`declared`."""
        return canonical_sha256(self.declared)


class AuditConfig(_Frozen):
    """The settings of one run that can change a number, and nothing else (no output path, no host)."""

    seed: int = Field(0, ge=0, lt=2**63)
    cues: tuple[str, ...] | None = Field(None, description="None: every cue that the data allows to test")
    by: tuple[str, ...] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    environment: str | None = None
    split: str | None = None
    layer: str | None = None
    batch_size: int = Field(64, ge=1)
    max_images: int | None = Field(None, ge=1)
    images: bool = True


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys, no spaces and no NaN: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_sha256(value: Any) -> str:
    """SHA-256 of :func:`canonical_json`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def load_policy(policy: Policy | dict[str, Any] | str | Path | None) -> Policy:
    """One :class:`Policy` from what a caller gave: nothing, a policy, a mapping, or a TOML or JSON file."""
    if isinstance(policy, Policy):
        return _consistent(policy, "policy")
    if isinstance(policy, str | Path):
        return _validate(_read(Path(policy)), str(policy))
    return _validate(policy or {}, "policy")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of fields with values")
    except (OSError, ValueError) as error:
        raise UsageError(
            "POLICY_FILE",
            str(path),
            found=str(error),
            expected="a TOML or JSON file of policy fields",
            fix=f"use some of: {', '.join(Policy.model_fields)}",
        ) from error
    # A run's own policy.json carries its hash; it can be given back as it is.
    return {name: value for name, value in found.items() if name != "sha256"}


def _validate(fields: dict[str, Any], where: str) -> Policy:
    try:
        return _consistent(Policy.model_validate(fields), where)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise UsageError(
            "POLICY_FIELD",
            f"{where}:{name}",
            found=repr(first.get("input")),
            expected=first["msg"],
            fix=f"fields are: {', '.join(Policy.model_fields)}",
        ) from error


def _consistent(policy: Policy, where: str) -> Policy:
    for small, large in (
        ("delta_negligible", "delta_material"),
        ("delta_negligible_log_odds", "delta_material_log_odds"),
    ):
        if getattr(policy, small) >= getattr(policy, large):
            raise UsageError(
                "POLICY_FIELD",
                f"{where}:{small}",
                found=f"{getattr(policy, small)}",
                expected=f"less than {large} ({getattr(policy, large)})",
                fix="declare a negligible effect that is smaller than a material one",
            )
    check_cues(policy.required_cues, f"{where}:required_cues")
    return policy


def check_cues(cues: tuple[str, ...], where: str) -> None:
    """Refuse cues that have no causal test, by name."""
    for cue in cues:
        if not is_known(cue):
            raise UsageError(
                "CUE_UNKNOWN",
                where,
                found=repr(cue),
                expected=f"some of {', '.join(DEFAULT_CUES)}, {REGION}NAME",
                fix="correct the name; cues without a causal test cannot be judged",
            )
