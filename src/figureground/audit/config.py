"""What is declared before the first image is seen: the policy and the settings of a run."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from figureground.errors import UsageError

Severity = Literal["critical", "high", "moderate", "low"]

#: Cues with a causal test in this version.
KNOWN_CUES: tuple[str, ...] = ("background",)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Frozen):
    """Thresholds and consequences, declared by the people who answer for the model.

    All effects are on the decision scale: the share of images, in [0, 1], by which a class is predicted more
    often under one level of a cue than under another.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5)
    delta_material: float = Field(0.10, gt=0, lt=1)
    delta_negligible: float = Field(0.05, gt=0, lt=1)
    min_clusters: int = Field(20, ge=2)
    min_class_share: float = Field(0.02, ge=0, lt=1)
    max_fragility: float = Field(0.10, ge=0, le=1)
    min_accuracy_margin: float = Field(0.10, ge=0, lt=1)
    max_bad: float = Field(0.01, ge=0, le=1)
    passes: int = Field(3, ge=1, le=20)
    max_donor_reuse: int = Field(5, ge=1)
    required_cues: tuple[str, ...] = ("background",)
    consequence: dict[str, Severity] = Field(default_factory=dict)
    default_consequence: Severity = "moderate"
    fail_on: Severity = "low"

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON of all fields."""
        return canonical_sha256(self.model_dump(mode="json"))


class AuditConfig(_Frozen):
    """The settings of one run that can change a number, and nothing else (no output path, no host)."""

    seed: int = Field(0, ge=0, lt=2**63)
    cues: tuple[str, ...] = ("background",)
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
    if policy.delta_negligible >= policy.delta_material:
        raise UsageError(
            "POLICY_FIELD",
            f"{where}:delta_negligible",
            found=f"{policy.delta_negligible}",
            expected=f"less than delta_material ({policy.delta_material})",
            fix="declare a negligible effect that is smaller than a material one",
        )
    check_cues(policy.required_cues, f"{where}:required_cues")
    return policy


def check_cues(cues: tuple[str, ...], where: str) -> None:
    """Refuse cues that have no causal test in this version, by name."""
    for cue in cues:
        if cue not in KNOWN_CUES:
            raise UsageError(
                "CUE_UNKNOWN",
                where,
                found=repr(cue),
                expected=f"one of {', '.join(KNOWN_CUES)}",
                fix="remove it; cues without a causal test in this version cannot be judged",
            )
