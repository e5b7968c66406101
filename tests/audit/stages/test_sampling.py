"""How large a sample is, and what a run says of it."""

import numpy as np
import pandas as pd
import pytest

from figureground.api import run_audit
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.stages.sampling import SamplePlan, check_asked, needed_units, seconds_of
from figureground.errors import UsageError


def table(n, levels=("grass", "gravel"), site=(0.98, 0.02)):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"row_id": np.arange(n), "cluster": [f"p{i}" for i in range(n)], "masked": True})
    return frame.assign(
        label=rng.choice(["cat", "dog"], n),
        environment=rng.choice(levels, n) if levels else None,
        site=rng.choice(["A", "B"], n, p=site),
    )


def plan(**asked):
    return SamplePlan(AuditConfig(**asked), Policy(), ("site",))


def test_the_demo_is_used_whole_and_a_large_table_is_not():
    assert plan()(table(800)).weight.eq(1.0).all()
    large = table(20_000)
    drawn = plan()(large).weight.notna()
    assert needed_units(large, Policy()) == 859 <= drawn.sum() < 1100
    assert (drawn & (large["site"] == "B")).sum() >= 20
    assert plan(all=True)(large).weight.eq(1.0).all()
    assert plan(max_images=100)(large).weight.notna().sum() == 100


def test_more_comparisons_need_more_units():
    two, four = table(100), table(100, levels=("a", "b", "c", "d"))
    assert needed_units(four, Policy()) > needed_units(two, Policy())
    assert needed_units(table(100, levels=()), Policy()) == needed_units(two, Policy())
    assert needed_units(two, Policy(delta_negligible=0.08)) < needed_units(two, Policy())


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200), ("90m", 5400), ("30s", 30), (" 1.5 h ", 5400)])
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "0s", "-1m", "2 days", "1h30m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="--time 2h"):
        seconds_of(text)


def test_only_one_way_to_say_how_much():
    with pytest.raises(UsageError, match="--max-images and --all"):
        check_asked(AuditConfig(max_images=5, all=True))
    with pytest.raises(UsageError, match="TIME"):
        check_asked(AuditConfig(time="soon"))


@pytest.fixture(scope="module")
def sampled_run(shortcut_model, audit_manifest, tmp_path_factory):
    out = tmp_path_factory.mktemp("sampled") / "run"
    return run_audit(shortcut_model, audit_manifest, out=out, cues=["background"], max_images=70, images=False)


@pytest.mark.slow
def test_a_sampled_run_closes_its_ledger_and_says_how_it_was_drawn(sampled_run):
    data = sampled_run.document.data
    assert (data.given, data.ok, data.filtered) == (120, 70, 50)
    assert data.filtered_by_reason == {"sampled_out": 50}
    examples = sampled_run.examples
    assert examples["weight"].sum() == pytest.approx(120)
    assert examples["weight"].isna().eq(examples["reason"] == "sampled_out").all()
    sample = data.sample
    assert (sample.rule, sample.asked, sample.rows, sample.rows_drawn) == ("max_images", "70", 120, 70)
    assert sum(line.drawn * line.weight for line in sample.strata) == pytest.approx(120)
    page = (sampled_run.path / "report.en.html").read_text()
    assert "because at most 70 images were asked for" in page
    assert "Independent units given and drawn, by stratum" in page


def test_the_ledger_closes_in_every_subgroup(sampled_run):
    examples = sampled_run.examples
    for _, part in examples.groupby(["label", "environment"]):
        counts = part["status"].value_counts()
        assert counts["ok"] + counts["filtered"] == len(part)
        assert counts["ok"] > 0


def test_a_run_on_everything_weighs_all_the_same(shortcut_run):
    assert shortcut_run.examples["weight"].eq(1.0).all()
    assert shortcut_run.document.data.sample.rule == "small"
    page = (shortcut_run.path / "report.en.html").read_text()
    assert "All 120 independent units (120 rows) were looked at, because" in page
