"""Two findings of 2 and 20 %, masks on 15 % of the rows and none at one site of four, repeated patients: a whole run.

A small multi-label model is trained on data in which a tag in the corner goes with the opacity, and is audited on data
in which it does not. What the report says is recomputed from the run's tables.
"""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from figureground.api import run_audit
from figureground.audit.classify.checkpoint import load_checkpoint
from figureground.audit.classify.train import TrainConfig
from figureground.audit.declared.task import named
from figureground.audit.keeping.run_folder import read_table
from figureground.datasets.planted_findings import PlantedFindings
from figureground.training import train_classifier

CUES = ("background", "corner_top_left", "sharpness")
THRESHOLD = {"nodule": 0.3}
POLICY = {"uncertain": "exclude", "background_findings": ["opacity"], "passes": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("findings")


@pytest.fixture(scope="module")
def model(folder):
    train = PlantedFindings(0.95, "train", prevalence={"opacity": 0.3, "nodule": 0.12}, masked=0, repeats=1)
    manifest = train.write(folder / "train")
    settings = TrainConfig(epochs=5, patience=5)
    out = folder / "model.ckpt"
    train_classifier(manifest, out=out, uncertain="exclude", thresholds=THRESHOLD, config=settings)
    return out


@pytest.fixture(scope="module")
def run(folder, model):
    manifest = PlantedFindings(0.5, "test").write(folder / "test")
    return run_audit(model, manifest, out=folder / "run", cues=CUES, policy=POLICY, all=True)


@pytest.fixture(scope="module")
def page(run):
    stored = (run.path / "report.en.html").read_text(encoding="utf-8")
    return re.sub(r"<(style|script).*?</\1>", "", stored, flags=re.S)


@pytest.fixture(scope="module")
def text(page):
    celled = re.sub(r"</t[dh]>", " | ", page)
    plain = html.unescape(re.sub(r"<[^>]+>", "\n", celled))
    return re.sub(r"\s+", " ", plain)


def answers(run, finding):
    """Logit of a finding for every unchanged image, and its label: 1, 0 or NaN."""
    index = run.document.subject.classes.index(finding)
    base = run.predictions.query("intervention == 'none'").set_index("row_id")["logits"]
    cells = run.examples.set_index("row_id")[f"label:{finding}"]
    label = cells.map({"1": 1.0, "0": 0.0})
    return pd.DataFrame({"z": [pair[index] for pair in base.reindex(cells.index)], "label": label}, index=cells.index)


@pytest.mark.slow
def test_the_checkpoint_says_what_it_is(model):
    loaded = load_checkpoint(model)
    assert (loaded.kind, loaded.classes, loaded.thresholds) == ("multilabel", ("opacity", "nodule"), THRESHOLD)


@pytest.mark.slow
def test_no_row_is_set_aside_and_the_ledger_closes(run):
    data = run.document.data
    assert (data.given, data.ok, data.quarantined, data.filtered) == (1600, 1600, 0, 0)
    assert data.with_mask == round(0.15 * data.given) == run.examples["object_area"].notna().sum()
    assert data.n_clusters == run.examples["cluster"].nunique() == 800
    by_site = run.examples.groupby("environment")["object_area"].apply(lambda area: area.notna().sum())
    assert by_site["site D"] == 0
    assert (by_site.drop("site D") > 0).all()


@pytest.mark.slow
def test_prevalences_and_thresholds_are_those_of_the_tables(run, text):
    for item, wanted in zip(run.document.data.findings, (0.20, 0.02), strict=True):
        cells = run.examples[f"label:{item.finding}"].value_counts()
        assert (item.present, item.absent) == (cells["1"], cells["0"])
        assert (item.uncertain, item.unknown) == (cells.get("-1", 0), cells.get("", 0))
        assert item.prevalence.estimate == pytest.approx(cells["1"] / (cells["1"] + cells["0"]))
        assert item.prevalence.estimate == pytest.approx(wanted, abs=0.005)
        assert item.threshold == THRESHOLD.get(item.finding, 0.5)
        share = f"{100 * item.prevalence.estimate:.1f} |"
        assert (
            f"{item.finding} | {item.present:,} | {item.absent:,} | {item.uncertain} | {item.unknown} | {share}" in text
        )
    assert "240 of 1,600 used images have an object mask" in text or "240 of 1,600 images have object masks" in text
    assert "uncertain ones are left out of the finding" in text


@pytest.mark.slow
def test_decisions_are_made_at_the_operating_threshold(run):
    performance = {part.finding: part for part in (run.document.performance, *run.document.performance.others)}
    for finding, part in performance.items():
        rows = answers(run, finding).dropna()
        called = expit(rows["z"]) >= THRESHOLD.get(finding, 0.5)
        assert part.overall.n == len(rows)
        assert part.overall.estimate == pytest.approx(float((called == (rows["label"] == 1)).mean()))


@pytest.mark.slow
def test_states_are_those_of_the_plan(run):
    cues = {(cue.finding, cue.cue): cue for cue in run.verdict.cues}
    assert set(cues) == {(finding, cue) for finding in ("opacity", "nodule") for cue in CUES}
    assert cues["opacity", "corner_top_left"].status == "demonstrated"
    assert cues["nodule", "corner_top_left"].status != "demonstrated"
    assert cues["nodule", "corner_top_left"].scale == "log_odds"
    assert cues["nodule", "background"].status == "not_tested"
    assert cues["nodule", "background"].reasons[0].key == "masks_not_of_finding"
    assert cues["opacity", "background"].status in ("suspected", "inconclusive", "not_detected")  # the tag lies within


@pytest.mark.slow
def test_effects_are_those_of_the_predictions_with_and_without_the_finding(run):
    (cue,) = (cue for cue in run.verdict.cues if (cue.finding, cue.cue) == ("opacity", "corner_top_left"))
    label = answers(run, "opacity")["label"]
    swaps = run.predictions.query("cue == 'corner_top_left' and intervention == 'swap'")
    swaps = swaps[swaps["held"].isna() & swaps["row_id"].isin(label.dropna().index)]
    called = swaps.assign(called=[float(pair[0] >= 0) for pair in swaps["logits"]])
    wide = called.pivot(index="row_id", columns="arm", values="called").dropna()
    difference = wide[cue.direction.arm] - wide[cue.direction.reference]
    assert cue.direction.class_name == "opacity"
    assert cue.n == len(wide)
    assert cue.estimate == pytest.approx(difference.mean())
    for part, value in ((cue.on_positives, 1), (cue.on_negatives, 0)):
        chosen = difference[label.reindex(difference.index) == value]
        assert (part.n, part.estimate) == (len(chosen), pytest.approx(chosen.mean()))


@pytest.mark.fault("B5")
@pytest.mark.slow
def test_maps_explain_each_finding_where_it_is_present_or_called(run):
    for finding in ("opacity", "nodule"):
        rows = answers(run, finding)
        called = expit(rows["z"]) >= THRESHOLD.get(finding, 0.5)
        wanted = set(rows.index[called | (rows["label"] == 1)])
        maps = run.attributions[run.attributions["target"] == finding]
        assert set(maps["row_id"]) == wanted


@pytest.mark.slow
def test_the_report_tells_findings_apart_and_says_nothing_that_is_not_so(run, text):
    assert "small-cnn, 2 findings, 1,600 images" in text
    assert "6 questions (cues asked of each of 2 findings)" in text
    assert "opacity: Relies on top left corner: shown by intervention" in text
    assert "Relies on background" not in text
    assert "nodule: Relies on" not in text
    assert (
        "nodule: Background: Not tested: the masks are not declared to say what is background to this finding" in text
    )
    assert "site D (not tested: no object mask)" in text
    assert "No test by intervention is stored in this run" not in text
    for cue in run.verdict.cues:
        if cue.estimate is not None and cue.scale == "log_odds":
            ratio = f"{np.exp(cue.estimate):.4g}"
            assert f"odds ratio {ratio}" in text
    known = {check.finding for check in run.document.trust}
    assert known == {None, "opacity", "nodule"}


@pytest.mark.slow
def test_each_finding_has_a_part_of_its_own_in_every_section(page):
    for section in ("who", "where", "matter"):
        inside = page.split(f'<section id="{section}"')[1].split('<section id="')[0]
        parts = re.findall(r"<h3>(opacity|nodule)</h3>", inside)
        assert parts == ["opacity", "nodule"]


@pytest.mark.slow
def test_a_stored_run_is_judged_again_without_its_model(run, folder):
    from figureground.audit.rejudge import Rejudge

    again = Rejudge(policy=None)(run.path, folder / "again")
    assert again.verdict == run.verdict
    kept = json.loads((run.path / "measured.json").read_text())
    assert kept["task"]["kind"] == "multilabel"
    pd.testing.assert_frame_equal(read_table(run.path, "tests"), read_table(again.path, "tests"))


@pytest.mark.slow
def test_pictures_of_every_cue_are_what_the_model_was_asked(run):
    swaps = run.gallery[run.gallery["rule"].str.startswith("swap_")]
    told = {(cue.cue, cue.finding) for cue in run.verdict.cues if cue.status in ("demonstrated", "suspected")}
    assert ("corner_top_left", "opacity") in told  # changed on the rows that need no mask
    assert told == set(zip(swaps["cue"], swaps["finding"], strict=True)) >= {("background", "opacity")}
    asked = run.predictions[(run.predictions["intervention"] == "swap") & run.predictions["held"].isna()]
    asked = asked[asked["pass"] == 0].set_index(["row_id", "cue", "arm"])
    composed = swaps[swaps["panel"] != "original"]
    for row in composed.itertuples():
        stored = asked.loc[(row.row_id, row.cue, row.caption_level)]
        z = stored["logits"][run.document.subject.classes.index(row.finding)]
        chance = expit(-z) if row.predicted == named(row.finding, False) else expit(z)
        assert row.probability == pytest.approx(chance, abs=1e-4)
        assert row.donor_row_id == stored["donor_row_id"]
    changed = composed[(composed["rule"] == "swap_changed")].groupby(["cue", "finding", "row_id"])["predicted"]
    assert (changed.nunique() == 2).all()
