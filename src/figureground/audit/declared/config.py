"""What is declared before the first image is seen: the policy and the settings of a run."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from figureground.audit.declared.cues import DEFAULT_CUES, REGION, is_known
from figureground.audit.declared.target import Target
from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import BY_NAME, EVIDENCE
from figureground.datasets.findings import Uncertain
from figureground.errors import UsageError

#: Where nobody names any. Both come from the same forward and backward pass.
METHODS = ("saliency", "gradcam")
#: Images of each rule of the gallery, the worst and those at random: where nobody says how many, and at most.
CASES, MAX_CASES = 12, 500
Layout = Literal["NCHW", "NHWC", "tokens"]
#: In the order in which they are tried where nobody names one.
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
Severity = Literal["critical", "high", "moderate", "low"]
#: Fields of a policy that say what is measured: a stored run can answer for its own values only.
MEASURED_FIELDS = ("passes", "max_donor_reuse", "secondary_rows", "plain_rows", "grid_rows")


class _Frozen(BaseModel):
    # What is declared is hashed as JSON, which has no word for infinity and for what is no number.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DecisionEntry(_Frozen):
    """What a person decided about a finding, by the finding's id.

    Decisions are no part of what was declared before the run: adding one changes no hash and no number.
    """

    finding: str = Field(description="id of the finding, as the report shows it")
    decision: Literal["accepted", "disputed", "legitimate"]
    reason: str = Field(min_length=1, description="why")
    by: str = Field(min_length=1, description="who decided")
    expires: date = Field(description="last day on which the decision holds")


class Policy(_Frozen):
    """Thresholds and consequences, declared by the people who answer for the model.

    Effects on the decision scale are shares of images, in [0, 1], by which a class is predicted more often under one
    level of a cue than under another. Effects on the log-odds scale are natural logarithms of odds ratios; they judge
    findings that are too rare for decisions to move.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5, description="chance of a false alarm over all cues together [probability]")
    power: float = Field(
        0.80, gt=0.5, lt=1, description="chance wanted of finding an effect of the material size [probability]"
    )
    delta_material: float = Field(
        0.10, gt=0, lt=1, description="decision scale: an effect this large matters [share of images]"
    )
    delta_negligible: float = Field(
        0.05, gt=0, lt=1, description="decision scale: an effect this small does not [share of images]"
    )
    delta_material_log_odds: float = Field(
        0.69, gt=0, description="log-odds scale: an effect this large matters; ln 2, the odds double [log odds ratio]"
    )
    delta_negligible_log_odds: float = Field(
        0.41, gt=0, description="log-odds scale: an effect this small does not; ln 1.5 [log odds ratio]"
    )
    rare_share: float = Field(
        0.10, ge=0, le=0.5, description="findings rarer than this are judged on the log-odds scale [share of images]"
    )
    min_clusters: int = Field(
        20, ge=2, description="fewer independent units than this carry no verdict [independent units]"
    )
    min_class_share: float = Field(
        0.02, ge=0, lt=1, description="every class must be predicted at least this often [share of images]"
    )
    max_fragility: float = Field(
        0.10, ge=0, le=1, description="answers that may change when nothing of the cue does [share of answers]"
    )
    min_accuracy_margin: float = Field(
        0.10, ge=0, lt=1, description="a competent model is this much above always naming the majority [accuracy]"
    )
    min_contrast: float = Field(
        0.70, ge=0.5, le=1, description="at this AUROC levels can be told apart by the cue [AUROC]"
    )
    explains: float = Field(
        0.80, gt=0.5, le=1, description="at this share of an effect another cue explains it [share of the effect]"
    )
    assay_effects: tuple[float, ...] = Field(
        (0.05, 0.10, 0.20), description="sizes of the implanted reliance [share of images]"
    )
    assay_redraws: int = Field(100, ge=20, description="redraws of the units, for each implanted size [count]")
    placebo_draws: int = Field(200, ge=50, description="permutations of the arms [count]")
    max_degenerate: float = Field(0.10, ge=0, le=1, description="maps of a method that may be empty [share of maps]")
    max_bad: float = Field(0.01, ge=0, le=1, description="rows that may be set aside as unusable [share of rows]")
    passes: int = Field(3, ge=1, le=20, description="donors drawn for each image for the background [count]")
    max_donor_reuse: int = Field(5, ge=1, description="how often a donor may serve in one half, arm and pass [count]")
    secondary_rows: int = Field(
        500, ge=20, description="images on which the cues beyond the background are tested [images]"
    )
    plain_rows: int = Field(200, ge=20, description="images for plain interventions, and for doses and places [images]")
    grid_rows: int = Field(120, ge=20, description="images on which the grid is scanned [images]")
    required_cues: tuple[str, ...] = Field(
        ("background",), description="cues without which the audit is not complete [names of cues]"
    )
    uncertain: Uncertain | None = Field(
        None,
        description="what an uncertain label (-1) of a finding counts as, needed where one occurs; none: not declared "
        "[exclude, positive or negative]",
        examples=["exclude"],
    )
    thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="operating threshold of each finding, or of the second of two classes [probability, by name]",
        examples=[{"effusion": 0.3}],
    )
    background_findings: tuple[str, ...] = Field(
        (),
        description="findings for which what lies outside the shared mask is background [names of findings]",
        examples=[["effusion"]],
    )
    target: Target | None = Field(
        None,
        description="what the number means that `--target` makes of an output; none: classes or findings [table]",
    )
    subgroups: tuple[str, ...] | None = Field(
        None,
        description="attributes, and crossings such as site*sex; none: by rule [names of columns]",
        examples=[["site", "site*sex"]],
    )
    consequence: dict[str, Severity] = Field(
        default_factory=dict,
        description="how bad reliance on each cue would be [critical, high, moderate or low, by name of a cue]",
        examples=[{"background": "high"}],
    )
    default_consequence: Severity | None = Field(
        None,
        description="the same for cues that are not listed; none: not declared [critical, high, moderate or low]",
        examples=["moderate"],
    )
    severity_lower: float = Field(
        1.5,
        ge=1,
        description="a lower bound below this makes the finding one class less severe than its consequence "
        "[times the material effect]",
    )
    severity_raise: float = Field(
        3.0,
        gt=1,
        description="a lower bound from this on makes it one class more severe [times the material effect]",
    )
    fail_on: Severity = Field(
        "low",
        description="demonstrated cues of this severity or worse give exit code 1 [critical, high, moderate or low]",
    )
    decision: tuple[DecisionEntry, ...] = Field(
        (), description="what people decided about findings; no part of what is declared before the run [entries]"
    )

    @property
    def declared(self) -> dict[str, Any]:
        """Everything that is declared before the run, as plain JSON values: all but the decisions."""
        # Without a number it is not mentioned, so that the hashes of such policies stay what they were.
        return self.model_dump(mode="json", exclude={"decision", *(() if self.target else ("target",))})

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON of :attr:`declared`."""
        return canonical_sha256(self.declared)


class AuditConfig(_Frozen):
    """The settings of one run that can change a number, and nothing else (no output path, no host)."""

    seed: int = Field(0, ge=0, lt=2**63)
    nonce: str | None = Field(None, description="the auditor's word that gave the seed; None: nobody's")
    cues: tuple[str, ...] | None = Field(None, description="None: every cue that the data allows to test")
    by: tuple[str, ...] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    environment: str | None = None
    split: str | None = None
    on: str | None = Field(None, description="column by which a table of attributes was joined to the data")
    labels: bool = Field(True, description="whether the data has labels; false: the model's own answers stand for them")
    dedupe: bool = Field(False, description="whether rows that repeat another one in every cell are left out")
    layer: str | None = None
    layout: Layout | None = Field(None, description="how the output of the layer is read; None: by its shape")
    methods: tuple[str, ...] = Field(METHODS, description="attribution methods; saliency is always among them")
    own_methods: dict[str, str] = Field(
        default_factory=dict, description="the caller's own methods: by name, where each is defined and its settings"
    )
    method_options: MethodOptions = Field(default_factory=MethodOptions, description="settings of the methods")
    target: str | None = Field(None, description="package.module:function that makes one number of each output")
    batch_size: int = Field(64, ge=1)
    max_images: int | None = Field(None, ge=1, description="at most so many images, in whole clusters")
    time: str | None = Field(None, description="as many images as can be measured in this time, such as 2h")
    all: bool = Field(False, description="every image; by default as many as the policy's power asks for")
    images: bool = True
    cases: int = Field(
        CASES,
        ge=1,
        le=MAX_CASES,
        description="images stored with their maps: so many worst ones, and as many at random",
    )
    optimise: bool = Field(
        True, description="whether a faster copy of the model is run; false: the model as it was given"
    )
    decoding: dict[str, Any] = Field(
        default_factory=dict, description="what was declared about files of pictures and masks"
    )


def check_looking(config: AuditConfig) -> AuditConfig:
    """The settings, after it was seen that what they say of Grad-CAM is asked for."""
    if "saliency" not in config.methods:
        found, fix = ", ".join(config.methods) or "none", "--methods saliency,gradcam"
        raise UsageError("METHODS", "methods", found=found, expected="saliency, alone or with others", fix=fix)
    for name in config.methods:
        if BY_NAME[name].use == "illustration":
            raise _illustration(name)
    said = [name for name in ("layer", "layout") if getattr(config, name) is not None]
    if said and "gradcam" not in config.methods:
        raise UsageError(
            "METHODS",
            "methods",
            found=f"a {said[0]}, and Grad-CAM left out",
            expected=f"a {said[0]} for Grad-CAM",
            fix="--methods saliency,gradcam, or no " + " and no ".join(f"--{name}" for name in said),
        )
    return config


def looking(
    methods: Sequence[str] | None = None, layer: str | None = None, layout: str | None = None
) -> dict[str, Any]:
    """What a caller says of the maps, as fields of the settings; names that are none are refused."""
    wanted = ("layout", (layout,) if layout else (), LAYOUTS)
    for name, given, known in (("methods", methods or (), tuple(BY_NAME)), wanted):
        for word in given:
            if word not in known:
                expected, near = f"one of {', '.join(known)}", get_close_matches(word, known, n=1)
                fix = f"did you mean {near[0]}?" if near else "name one of these"
                raise UsageError(name.upper(), name, found=repr(word), expected=expected, fix=fix)
    return {"layer": layer, "layout": layout, **({} if methods is None else {"methods": _in_order(methods)})}


def _in_order(methods: Sequence[str]) -> tuple[str, ...]:
    """Each once; with HiResCAM also Grad-CAM, which looks at the same layer and has its checks."""
    named = {*methods, *(("gradcam",) if "hirescam" in methods else ())}
    return tuple(name for name in BY_NAME if name in named)


def _illustration(name: str) -> UsageError:
    return UsageError(
        "METHOD_ILLUSTRATION",
        f"method {name}",
        found="a method for illustration: its maps hardly change with the weights of the upper layers",
        expected=f"some of {', '.join(EVIDENCE)}",
        fix="leave it out of --methods; figureground explain shows it",
    )


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


def declare(policy: Policy, *, thresholds: Mapping[str, float], uncertain: str | None) -> Policy:
    """A policy with what was declared beside it, on the command line; that goes before what the file says."""
    given: dict[str, Any] = {"thresholds": {**policy.thresholds, **thresholds}} if thresholds else {}
    given |= {"uncertain": uncertain} if uncertain else {}
    return _validate(policy.model_dump() | given, "policy") if given else policy


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of fields with values")
    except (OSError, ValueError, RecursionError) as error:
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
        raise _refused(error.errors()[0], where) from error


def _refused(first: Any, where: str) -> UsageError:
    """The first fault in a person's words; an unknown field comes with the nearest known one."""
    *path, name = map(str, first["loc"] or ("(all of it)",))
    unknown, known = first["type"] == "extra_forbidden", _fields_at(path)
    near = get_close_matches(name, known, n=1) if unknown else []
    listed = f"fields are: {', '.join(known)}"
    return UsageError(
        "POLICY_FIELD",
        f"{where}:{'.'.join([*path, name])}",
        found=f"the unknown field {name!r}" if unknown else repr(first.get("input")),
        expected="a field of the policy" if unknown else str(first["msg"]),
        fix=f"did you mean {near[0]!r}? {listed}" if near else listed,
    )


def _fields_at(path: Sequence[str]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {"decision": DecisionEntry, "target": Target}
    return list(parts.get(path[0] if path else "", Policy).model_fields)


def _consistent(policy: Policy, where: str) -> Policy:
    _check_smaller(policy, "delta_negligible", "delta_material", where)
    _check_smaller(policy, "delta_negligible_log_odds", "delta_material_log_odds", where)
    _check_smaller(policy, "severity_lower", "severity_raise", where)
    if policy.target is not None:
        _check_smaller(policy.target, "negligible", "material", f"{where}:target")
    check_cues(policy.required_cues, f"{where}:required_cues")
    # A consequence under a misspelt name would leave its cue without one, in silence.
    check_cues(tuple(policy.consequence), f"{where}:consequence")
    return policy


def _check_smaller(part: BaseModel, small: str, large: str, where: str) -> None:
    if getattr(part, small) >= getattr(part, large):
        raise UsageError(
            "POLICY_FIELD",
            f"{where}:{small}",
            found=f"{getattr(part, small)}",
            expected=f"less than {large} ({getattr(part, large)})",
            fix=f"declare {small} smaller than {large}",
        )


def check_cases(cases: int) -> int:
    """The number of cases, after it was seen that so many can be stored."""
    if not 1 <= cases <= MAX_CASES:
        found, fix = str(cases), f"--cases {CASES}, or --no-images for none"
        raise UsageError("CASES", "cases", found=found, expected=f"a number from 1 to {MAX_CASES}", fix=fix)
    return cases


def check_cues(cues: tuple[str, ...], where: str) -> None:
    """Refuse cues that have no causal test, by name."""
    for cue in cues:
        if not is_known(cue):
            raise UsageError(
                "CUE_UNKNOWN",
                where,
                found=repr(cue),
                expected=f"some of {', '.join(DEFAULT_CUES)}, {REGION}NAME",
                fix=f"{_nearest(cue)}correct the name; cues without a causal test cannot be judged",
            )


def _nearest(cue: str) -> str:
    near = get_close_matches(cue, DEFAULT_CUES, n=1)
    return f"did you mean {near[0]!r}? " if near else ""
