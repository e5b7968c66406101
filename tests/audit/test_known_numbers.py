"""A number as the answer, with a known reliance: the effect in its own unit, the sentences, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

import figureground as fg
from figureground.api import judge_again, run_audit
from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import read_table
from figureground.cli import app
from figureground.datasets.columns import NUMBER
from figureground.errors import UsageError
from figureground.inputs import check_inputs
from figureground.reports.checked import check_lines
from figureground.reports.closing import closing_lines

#: Whole audits: too long for the fast suite.
pytestmark = pytest.mark.slow
CUT, YEARS = 60.0, 4.0
AGE = {"name": "age", "unit": "years", "cut": CUT, "material": 5, "negligible": 2}
POLICY = {"target": AGE, "consequence": {"background": "high"}}


def age(logits):
    """Four years for every unit of the log-odds of the second class."""
    return CUT + YEARS * (logits[:, 1] - logits[:, 0])


def aged(manifest, classes):
    """The pictures of the fixture with an age for each: older where the label is the second class."""
    frame = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    rng = np.random.default_rng(0)
    offset = np.where(frame["label"] == classes[1], 1.0, -1.0) * rng.uniform(1, 20, len(frame))
    frame["label"] = [f"{CUT + value:.1f}" for value in offset]
    frame.loc[0, "label"], frame.loc[1, "label"] = "", "old"
    return frame


@pytest.fixture(scope="module")
def frame(audit_manifest, shortcut_model):
    return aged(audit_manifest, shortcut_model.classes)


@pytest.fixture(scope="module")
def run(shortcut_model, frame, audit_manifest, tmp_path_factory):
    """The audit of a model whose age follows the background."""
    return run_audit(
        shortcut_model,
        frame,
        root=audit_manifest.parent,
        target=age,
        policy=POLICY,
        cues=["background", "tint"],
        out=tmp_path_factory.mktemp("age") / "run",
    )


def page_of(found):
    text = (found.path / "report.en.html").read_text(encoding="utf-8")
    return re.sub(r"<style.*?</style>", "", text, flags=re.S)


def test_the_background_is_demonstrated_in_years(run):
    cue = run.verdict.cues[0]
    assert (cue.cue, cue.status, cue.scale) == ("background", "demonstrated", "native")
    assert cue.ci_low > AGE["material"]
    assert cue.times_material == pytest.approx(cue.ci_low / AGE["material"])


def test_the_effect_is_the_mean_difference_of_the_stored_numbers(run):
    cue = run.verdict.cues[0]
    given = read_table(run.path, "predictions")
    swaps = given[(given["cue"] == "background") & (given["intervention"] == "swap") & given["held"].isna()]
    number = pd.Series([pair[1] - pair[0] for pair in swaps["logits"]], index=swaps.index)
    wide = swaps.assign(number=number).pivot(index=["row_id", "pass"], columns="arm", values="number").dropna()
    by_hand = (wide[cue.direction.arm] - wide[cue.direction.reference]).mean()
    assert cue.estimate == pytest.approx(by_hand)


def test_the_effect_agrees_with_the_generator(run, shortcut_model):
    """Pictures composed with the other background from the start: no swap, no hole, no mask."""
    planted, said = fg.Planted(association=0.5, split="test", per_label=60), {}
    for arm, place in (("grass", 0), ("gravel", 1)):
        pictures = np.stack([planted.pair(index)[place] for index in range(len(planted.scenes))])
        images = torch.from_numpy(pictures).float().div(255)[:, None].expand(-1, 3, -1, -1)
        with torch.no_grad():
            said[arm] = age(shortcut_model(shortcut_model.preprocess.normalize(images))).numpy()
    cue = run.verdict.cues[0]
    truth = (said[cue.direction.arm] - said[cue.direction.reference]).mean()
    assert truth > AGE["material"]
    # A composite with filled holes is not the scene itself, and differs from it in either direction.
    assert cue.estimate == pytest.approx(truth, rel=0.5)


def test_errors_against_scipy_on_the_stored_numbers(run):
    examples = read_table(run.path, "examples").query("status == 'ok'")
    given = read_table(run.path, "predictions").query("intervention == 'none'").set_index("row_id")
    said = np.array([CUT + pair[1] - pair[0] for pair in given["logits"].reindex(examples["row_id"])])
    true = examples[NUMBER].astype(float).to_numpy()
    whole = run.subgroups.query("attribute == '(all)' and label == '(all)'").set_index("measure")["estimate"]
    assert whole["mean_absolute_error"] == pytest.approx(np.abs(said - true).mean(), abs=1e-4)
    assert whole["bias"] == pytest.approx((said - true).mean(), abs=1e-4)
    assert whole["rank_correlation"] == pytest.approx(stats.spearmanr(said, true).statistic, abs=1e-6)
    assert not {"brier", "calibration_error", "auprc"} & set(run.subgroups["measure"])


def test_rows_without_a_number_are_set_aside_and_counted(run):
    data = run.document.data
    assert (data.given, data.ok, data.quarantined) == (120, 118, 2)
    assert data.quarantined_by_reason == {"label_missing": 1, "label_unknown": 1}


def test_the_document_says_whose_code_made_the_number(run):
    subject = run.document.subject
    assert (subject.kind, subject.code_executed) == ("scalar", True)
    assert subject.target.endswith(":age")
    assert json.loads((run.path / "config.json").read_text())["target"] == subject.target
    assert run.document.policy["target"]["unit"] == "years"


def test_the_page_speaks_in_years_and_of_no_probability(run):
    page, words = page_of(run), " ".join(closing_lines(run))
    assert "The answer is a number: age (years)." in page
    assert "an answer counts as changed where it moves by as much" in page
    cue = run.verdict.cues[0]
    assert f"pulls up: age is {cue.estimate:.3g} years higher on {cue.direction.arm}" in page
    assert f"age is {cue.estimate:.3g} years higher on {cue.direction.arm}" in words
    assert "Mean absolute error" in page
    body = page.split('id="glossary"')[0]
    assert not re.search(r"lost most probability|lowest probability|Brier|odds ratio|percentage points", body)


def test_the_pair_on_the_first_sheet_is_in_years_and_as_the_model_was_asked(run):
    swaps = run.gallery[run.gallery["rule"].str.startswith("swap_")]
    given = run.predictions[(run.predictions["intervention"] == "swap") & run.predictions["held"].isna()]
    asked = given[given["pass"] == 0].set_index(["row_id", "cue", "arm"])["logits"]
    cut = run.document.policy["target"]["cut"]
    for row in swaps[swaps["panel"] != "original"].itertuples():
        z = asked.loc[(row.row_id, row.cue, row.caption_level)]
        assert row.number == pytest.approx(z[1] - z[0] + cut, rel=1e-4, abs=1e-3)
    first = swaps[(swaps["rule"] == "swap_changed") & (swaps["rank"] == 1) & (swaps["cue"] == "background")]
    moved = first.set_index("panel")["number"]
    assert abs(moved["other_level"] - moved["original"]) >= AGE["material"]
    cover = page_of(run).split("</header>")[0]
    assert "Only the background changed" in cover
    assert re.search(r'alt="Only the background changed: [^"]* years', cover)


def test_changed_answers_are_those_that_move_by_what_matters(run):
    given = read_table(run.path, "predictions")
    own = given[given["intervention"] == "none"].set_index("row_id")["logits"].map(lambda z: z[1] - z[0])
    back = given[(given["cue"] == "background") & (given["intervention"] == "reference")].set_index("row_id")["logits"]
    moved = (back.map(lambda z: z[1] - z[0]) - own.reindex(back.index)).abs() >= AGE["material"]
    rows = run.tests.query("cue == 'background' and test == 'reference_fragility'")
    assert rows["estimate"].iloc[0] == pytest.approx(moved.mean())


def test_another_material_effect_is_judged_again_and_another_number_is_not(run, tmp_path):
    more = {**POLICY, "target": AGE | {"material": 500.0, "negligible": 400.0}}
    again = judge_again(run.path, out=tmp_path / "again", policy=more, report=False)
    assert again.verdict.cues[0].status != "demonstrated"
    assert [deviation.field for deviation in again.document.deviations] == ["target"]
    for other, code in (({"cut": 61.0}, "TARGET"), ({"values": {"old": 70.0}}, "JUDGE_MEASURED")):
        with pytest.raises(UsageError) as refused:
            judge_again(run.path, out=tmp_path / code, policy={**POLICY, "target": AGE | other})
        assert refused.value.code == code
    with pytest.raises(UsageError, match=r"no \[target\]"):
        judge_again(run.path, out=tmp_path / "none", policy={})


def test_a_model_that_does_not_follow_the_background_is_not_blamed(balanced_model, audit_manifest, tmp_path):
    found = run_audit(
        balanced_model,
        aged(audit_manifest, balanced_model.classes),
        root=audit_manifest.parent,
        target=age,
        policy=POLICY,
        cues=["background"],
        out=tmp_path / "run",
        images=False,
        report=False,
    )
    cue = found.verdict.cues[0]
    assert cue.status != "demonstrated"
    assert cue.scale == "native"


def test_grades_with_words_for_labels_from_the_command_line(
    shortcut_model, frame, audit_manifest, tmp_path, monkeypatch
):
    """An ordinal answer: the expected grade of a classifier of grades, read by a function of the user's own."""
    (tmp_path / "reading_grades.py").write_text("def expected(logits):\n    return logits.softmax(1)[:, 1] * 2 + 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = frame.assign(label=np.where(frame["label"].isin(["", "old"]), "", frame["label"]))
    words["label"] = [cell and ("severe" if float(cell) >= CUT else "mild") for cell in words["label"]]
    words.to_csv(audit_manifest.parent / "grades.csv", index=False)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[target]\nname = "grade"\ncut = 2\nmaterial = 0.3\nnegligible = 0.1\nvalues = {mild = 1, severe = 3}\n'
    )
    checkpoint = tmp_path / "model.ckpt"
    save_checkpoint(shortcut_model, checkpoint)
    target = ["--target", "reading_grades:expected", "--policy", str(policy)]
    data = str(audit_manifest.parent / "grades.csv")
    checked = CliRunner().invoke(app, ["check", data, "--model", str(checkpoint), *target])
    assert "or more, if the number spreads as much" in checked.output
    out = tmp_path / "run"
    command = ["audit", str(checkpoint), data, "-o", str(out), *target, "--cue", "background", "--no-images"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 1, found.output
    result = AuditResult(out)
    assert result.verdict.cues[0].status == "demonstrated"
    assert result.verdict.cues[0].estimate < 2
    assert result.document.subject.target == "reading_grades:expected"
    assert result.document.subject.classes == ["grade below 2", "grade 2 or more"]


def test_a_check_without_a_model_reads_labels_as_numbers(frame, audit_manifest):
    found = check_inputs(frame, root=audit_manifest.parent, policy=POLICY)
    assert (found.ok, found.quarantined) == (118, 2)
    assert any("years or more" in line for line in check_lines(found))


def test_a_number_that_the_policy_does_not_declare_is_refused_before_anything_is_read(shortcut_model, tmp_path):
    with pytest.raises(UsageError, match=r"no \[target\]"):
        run_audit(shortcut_model, tmp_path / "nowhere.csv", target=age)
    with pytest.raises(UsageError, match="the model's answer is no number"):
        run_audit(shortcut_model, tmp_path / "nowhere.csv", policy=POLICY)


def test_every_closing_line_about_an_effect_names_its_cue(run):
    lines = closing_lines(run)
    assert any(line.startswith("background: age is ") for line in lines)
    assert all("tint" in line.lower() or "background" in line.lower() for line in lines if "implanted" in line)
