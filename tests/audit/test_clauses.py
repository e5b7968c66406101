"""The map of provisions: its rows, and what it says of a run."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from figureground.audit.clauses.mapping import KINDS, clause_map, pack
from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import AuditDocument
from figureground.reports.catalogue import load


@pytest.fixture
def document(shortcut_run) -> AuditDocument:
    return shortcut_run.document


def by_id(document: AuditDocument):
    return {clause.id: clause for clause in clause_map(document)}


def test_every_row_has_its_words_and_asks_for_known_kinds() -> None:
    words, rows = load("en"), pack().provisions
    assert len({row.id for row in rows}) == len(rows) > 30
    for row in rows:
        assert set(row.evidence) <= set(KINDS)
        assert row.source
        assert words.say(f"clause.asks.{row.id}")
        assert words.say(f"clause.name.{row.id}") == row.provision
        assert words.say(f"clause.instrument.{row.id.partition('_')[0]}") == row.instrument
        assert words.say(f"clause.people.{row.id}")
    assert {"EU AI Act", "GDPR", "NIST AI RMF 1.0"} == {row.instrument for row in rows}
    assert all(words.say(f"clause.evidence.{kind}") for kind in KINDS)


def test_every_row_says_where_its_text_was_read() -> None:
    sources = {row.id: row.source for row in pack().provisions}
    assert {row.verified for row in pack().provisions} == {"read"}
    assert "2026/1744" in sources["ai_4a"]
    assert all("4.5.2016" in source for name, source in sources.items() if name.startswith("gdpr"))
    assert pack().stale_from - pack().as_of == timedelta(days=180)


def test_a_run_is_recorded_with_what_it_has_and_what_it_has_not(document: AuditDocument) -> None:
    assert document.clause_map == clause_map(document)
    found = by_id(document)
    assert found["ai_13_3_b_v"].state == "available"
    assert found["ai_86"].state == "human_input_required"
    assert found["ai_86"].evidence == []
    # No thresholds were declared: those of the tool are nobody's choice.
    assert found["nist_map_1_5"].missing == ["criteria"]
    assert found["ai_9_6_8"].state == "partial"
    for clause in found.values():
        held = [kind for kind in clause.evidence if not KINDS[kind](document)]
        assert held == []
        assert not set(clause.evidence) & set(clause.missing)


def test_declared_thresholds_count_until_somebody_changes_them(document: AuditDocument) -> None:
    declared = Policy(delta_material=0.2)
    changed = document.model_copy(update={"policy": {**document.policy, "sha256": declared.sha256}})
    assert by_id(changed)["ai_9_6_8"].state == "available"


def test_without_labels_nothing_is_said_of_performance(document: AuditDocument) -> None:
    blind = document.model_copy(update={"data": document.data.model_copy(update={"labelled": False})})
    found = by_id(blind)
    assert found["ai_13_3_b_v"].state == "not_applicable"
    assert "performance" in found["ai_13_3_b_ii"].missing


def test_where_nothing_was_tested_no_intervention_is_claimed(document: AuditDocument) -> None:
    untested = [cue.model_copy(update={"status": "not_tested", "estimate": None}) for cue in document.verdict.cues]
    blind = document.model_copy(update={"verdict": document.verdict.model_copy(update={"cues": untested})})
    assert all("interventions" not in clause.evidence for clause in clause_map(blind))
    assert by_id(blind)["ai_10_2_g"].state == "human_input_required"


def test_no_row_says_that_anything_is_met() -> None:
    words = load("en")
    said = " ".join(words.say(f"clause.{part}.{row.id}") for row in pack().provisions for part in ("asks", "people"))
    assert not re.search(r"\b(complian\w*|conform\w*|certif\w*|approved|guarantee\w*|met)\b", said, re.IGNORECASE)


@pytest.mark.parametrize("check", ["placebo", "assay_background", "false_alarms"])
def test_what_asks_the_tests_themselves_bears_on_their_effectiveness(document: AuditDocument, check: str) -> None:
    asked = document.trust[0].model_copy(update={"check": check, "status": "passed"})
    for status, state in (("passed", "available"), ("failed", "available"), ("not_run", "partial")):
        told = document.trust[:0] + [one for one in document.trust if one.check.startswith("randomised_weights")]
        told.append(asked.model_copy(update={"status": status}))
        found = by_id(document.model_copy(update={"trust": told}))["nist_measure_2_13"]
        assert ("controls" in found.evidence) == (status != "not_run")
        assert found.state == state
