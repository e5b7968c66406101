"""Around a verdict: complete findings, checks that say when they did not run, and the untested."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import Data, Estimate, GroupPerformance, Performance, TrustCheck
from figureground.audit.judge import summary
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.verdict import CueJudge, overall
from figureground.reports import catalogue

CUES = ("background", "border", "tint", "place", "object_size", "sharpness")


def estimate(value, status="ok"):
    return Estimate(n=50, n_clusters=50, estimate=value, ci_low=value, ci_high=value, ci_level=0.95, status=status)


WORST = GroupPerformance(attribute="site", level="B", label="cat", accuracy=estimate(0.4))


def performance(worst=WORST):
    return Performance(overall=estimate(0.9), worst_group=worst, by_group=[], left_out=[], confusion=[])


def data(quarantined=0, given=200):
    counts = dict.fromkeys(("ok", "filtered", "with_mask", "n_clusters"), 0)
    return Data(
        source="manifest",
        sha256="0",
        manifest_sha256=None,
        given=given,
        quarantined=quarantined,
        quarantined_by_reason={},
        filtered_by_reason={},
        clusters_given=True,
        split=None,
        environment=None,
        labels={},
        environments={},
        groups=[],
        not_used=[],
        composition=[],
        **counts,
    )


def verdict(*states):
    cues = [
        CueJudge(Policy(), CUES[at])
        .not_tested("one_level", "next_add_environment")
        .model_copy(update={"status": state})
        for at, state in enumerate(states)
    ]
    return overall(cues, [])


def swap(fragility=0.02, lows=(0.1, 0.2)):
    return SimpleNamespace(
        tests=pd.DataFrame(),
        fragility=Interval(fragility, 0, 0.1, 0.95, 60, 60, 0.01, 59),
        replication=tuple(Interval(0.3, low, 0.5, 0.9, 30, 30, 0.1, 29) for low in lows),
    )


def found(states=("inconclusive",), worst=WORST, quarantined=0, source="model", contrast=None, **policy):
    return summary.findings(
        verdict(*states), performance(worst), data(quarantined), source, {None: contrast}, Policy(**policy)
    )


def test_every_cue_is_a_finding_worst_first():
    states = ("not_detected", "suspected", "not_tested", "demonstrated", "inconclusive", "error")
    cues = [finding for finding in found(states) if finding.cue]
    assert [finding.status for finding in cues] == [
        "demonstrated",
        "error",
        "suspected",
        "inconclusive",
        "not_tested",
        "not_detected",
    ]
    assert {finding.cue for finding in cues} == set(CUES)


@pytest.mark.parametrize(
    ("changes", "identity", "key"),
    [
        ({}, "worst-group", "worst_group"),
        ({"contrast": swap(0.11)}, "fragile-compositing", "fragile_compositing"),
        ({"quarantined": 2}, "rows-set-aside", "rows_set_aside"),
        ({"quarantined": 3}, "rows-set-aside", "quarantine_above_limit"),
        ({"source": "assumed"}, "preprocessing-assumed", "preprocessing_assumed"),
    ],
)
def test_facts_are_findings_with_a_sentence(changes, identity, key):
    (finding,) = [finding for finding in found(**changes) if finding.id == identity]
    assert (finding.message.key, finding.cue, finding.status) == (key, None, None)
    assert catalogue.load("en").message(finding.message)


def test_what_is_in_order_is_no_finding():
    assert [finding.id for finding in found(worst=None, contrast=swap(0.10))] == ["cue-background"]
    assert {finding.id for finding in found(contrast=swap(0.2), quarantined=9, source="assumed")} == {
        "cue-background",
        "worst-group",
        "fragile-compositing",
        "rows-set-aside",
        "preprocessing-assumed",
    }


def test_the_worst_group_has_both_sentences():
    (finding,) = [finding for finding in found() if finding.id == "worst-group"]
    assert finding.message.args == {
        "attribute": "site",
        "level": "B",
        "label": "cat",
        "accuracy": 0.4,
        "overall": 0.9,
    }
    said = catalogue.load("en").say("worst_group.with_label", **finding.message.args)
    assert "cat" in said
    assert "90.0" in said


def checks(contrast=None, degenerate=None, probes=()):
    return {
        check.check: check for check in summary.trust(list(probes), {None: contrast}, degenerate or {}, Policy(), {})
    }


def test_what_did_not_run_is_listed_as_such_with_the_reason():
    trust = checks(swap())
    assert not [name for name, check in trust.items() if check.status == "not_run"]
    assert all(check.reason for check in trust.values() if check.status != "passed")
    without = checks(None)
    assert {without[name].status for name in ("fragility", "replication")} == {"not_run"}
    assert all(f"check.{name}" in catalogue.load("en").sentences for name in trust)


def test_probes_are_kept_and_limits_are_those_of_the_policy():
    probe = TrustCheck(check="finite", status="passed", value=1.0, threshold=None, n=4, reason=None)
    trust = checks(swap(0.11, (0.1, -0.01)), {"saliency": (0.10, 80), "gradcam": (0.11, 80)}, [probe])
    assert trust["finite"] == probe
    assert {
        name: trust[name].status
        for name in ("fragility", "replication", "maps_not_empty_saliency", "maps_not_empty_gradcam")
    } == {
        "fragility": "failed",
        "replication": "failed",
        "maps_not_empty_saliency": "passed",
        "maps_not_empty_gradcam": "failed",
    }
    assert (trust["replication"].value, trust["replication"].n) == (-0.01, 30)
    assert checks(swap())["replication"].status == checks(swap(0.10))["fragility"].status == "passed"


def test_what_could_not_be_measured_has_not_passed_and_is_no_nan():
    trust = checks(swap(math.nan, (0.1, math.nan)))
    assert trust["fragility"].status == "not_run"
    assert trust["replication"].status == "failed"
    json.dumps([check.model_dump(mode="json") for check in trust.values()], allow_nan=False)


def test_the_register_of_the_untested():
    register = summary.not_tested(verdict("not_tested", "demonstrated"))
    assert (register[0].subject, register[0].reason) == ("background", "one_level")
    assert [entry.subject for entry in register[1:]] == [subject for subject, _ in summary.UNTESTED_SUBJECTS]
    assert all(entry.reason for entry in register)


def test_maps_that_contradict_the_test_are_a_finding_of_their_own():
    (one,) = verdict("not_detected").cues
    looks = one.model_copy(update={"attribution": document.Message(key="looks_does_not_use")})
    uses = one.model_copy(update={"attribution": document.Message(key="uses_not_visible"), "finding": "mass"})
    for cue, key, identity in (
        (looks, "discordant_looks", "cue-background-maps"),
        (uses, "discordant_uses", "cue-mass-background-maps"),
    ):
        listed = summary.findings(overall([cue], []), performance(None), data(), "model", {}, Policy())
        (said,) = [finding for finding in listed if finding.id == identity]
        assert said.message.key == key
        assert catalogue.load("en").message(said.message)


def test_a_method_that_failed_a_check_is_taken_out():
    def check(name, status):
        return TrustCheck(check=name, status=status, value=None, threshold=None, n=None, reason=None)

    checks = [check("randomised_weights_saliency", "failed"), check("repeatability_gradcam", "passed")]
    assert summary.failed_methods(checks, ["saliency", "gradcam"]) == ("saliency",)
    assert summary.failed_methods([check("maps_not_empty_gradcam", "failed")], ["saliency", "gradcam"]) == ("gradcam",)
    assert summary.failed_methods([check("agreement", "failed")], ["saliency", "gradcam"]) == ()


def test_a_severity_that_nobody_declared_is_said_to_be_missing():
    (one,) = verdict("demonstrated").cues
    cue = one.model_copy(update={"severity": "not_declared"})
    listed = summary.findings(overall([cue], []), performance(None), data(), "model", {}, Policy())
    assert "severity-not-declared" in {finding.id for finding in listed}
