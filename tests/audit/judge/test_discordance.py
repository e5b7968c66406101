"""Maps and causal test that disagree are a finding of their own, told in the report, whatever the other states are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from figureground.audit.judge.decisions import apply_decisions
from figureground.audit.keeping.result import AuditResult
from figureground.reports.html import render_html


@pytest.fixture(scope="module", autouse=True)
def fewer_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 199)
        yield


@pytest.fixture
def run(make, evidence_from, sealed, tmp_path):
    """A run whose maps are this much denser on the background than on the object, in log units."""

    def build(reliance, density):
        examples, predictions, _ = make(reliance=reliance, n=102)
        found = evidence_from(examples, predictions)
        ldr = found.attributions["ldr"] - found.attributions["ldr"].mean()
        found = replace(found, attributions=found.attributions.assign(ldr=ldr + density))
        return AuditResult(sealed(tmp_path / "run", found))

    return build


@pytest.mark.parametrize(
    ("reliance", "density", "key", "words"),
    [
        (0.0, 1.0, "discordant_looks", "Looks, does not use"),
        (0.7, -1.0, "discordant_uses", "Uses, not visible"),
    ],
)
def test_a_disagreement_is_a_finding_with_an_id_of_its_own_and_is_told(run, reliance, density, key, words):
    result = run(reliance, density)
    (told,) = [finding for finding in result.findings if finding.id == "cue-background-maps"]
    assert (told.message.key, told.status, told.cue) == (key, None, "background")
    page = render_html(result)
    assert ">cue-background-maps<" in page
    assert words in page


@pytest.mark.parametrize(("reliance", "density"), [(0.0, -1.0), (0.7, 1.0), (0.0, 0.0)])
def test_where_they_agree_or_the_maps_say_nothing_there_is_none(run, reliance, density):
    assert "cue-background-maps" not in {finding.id for finding in run(reliance, density).findings}


def test_a_decision_about_the_disagreement_marks_it_and_not_the_cue(run):
    from datetime import date

    from figureground.audit.declared.config import DecisionEntry

    entry = DecisionEntry(
        finding="cue-background-maps", decision="disputed", reason="r", by="A", expires=date(2027, 1, 31)
    )
    marked = {item.id: item.decision for item in apply_decisions(run(0.7, -1.0).findings, [entry], date(2026, 12, 1))}
    assert marked["cue-background-maps"].active
    assert marked["cue-background"] is None
