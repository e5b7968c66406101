"""``check``: faults, subgroups, units that repeat, and what this n can show."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import stats

import figureground as fg
from figureground.audit.declared.config import Policy
from figureground.audit.judge.intervals import min_detectable
from figureground.audit.judge.reach import Reach
from figureground.errors import UsageError
from figureground.reports.checked import check_lines, reach_lines


@pytest.fixture
def frame(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for index in range(60):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        rows.append(
            {
                "image": str(tmp_path / f"{index}.png"),
                "label": "ab"[index % 2],
                "patient": f"p{index // 2}",
                "dose": f"{index / 7:.2f}",
            }
        )
    return pd.DataFrame(rows)


def test_a_column_that_could_be_the_unit_is_asked_about(frame):
    found = fg.check_inputs(frame)
    assert found.repeating == {"patient": 30}
    assert any("--column cluster=patient" in line for line in check_lines(found))


def test_a_mapped_cluster_is_not_asked_about(frame):
    found = fg.check_inputs(frame, columns={"cluster": "patient"})
    assert found.repeating == {}
    assert found.clusters == 30


def test_faults_are_told_with_row_and_reason(frame):
    frame.loc[3, "image"] = frame.loc[3, "image"].replace("3.png", "gone.png")
    found = fg.check_inputs(frame)
    assert (found.given, found.ok, found.quarantined) == (60, 59, 1)
    assert found.faults[["row", "reason"]].values.tolist() == [[5, "missing_file"]]
    assert any(line.startswith("  row 5: missing_file: ") for line in check_lines(found))


def test_without_masks_no_swap_is_possible(frame):
    found = fg.check_inputs(frame)
    assert (found.masked, found.stratum, found.smallest_effect) == (0, None, None)
    assert any("not possible" in line for line in check_lines(found))


def test_the_smallest_effect_follows_the_number_of_units(audit_manifest):
    found = fg.check_inputs(audit_manifest)
    assert found.stratum == "environment"
    assert found.levels == {"grass": 60, "gravel": 60}
    assert found.smallest_effect == pytest.approx(2.80 * 0.5 / 120**0.5)


@pytest.fixture
def sited(frame, tmp_path):
    """The same pictures with masks, two environments, and a small site."""
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 2:5] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    index = np.arange(60)
    site = np.where(index < 50, "A", "B")
    return frame.assign(mask=str(tmp_path / "mask.png"), environment=np.array(["x", "y"])[index // 2 % 2], site=site)


def row_of(found, cue, attribute="(all)", level="(all)"):
    reach = found.reach.set_index(["cue", "attribute", "level"])
    return reach.loc[(cue, attribute, level)]


def test_what_n_can_reach_follows_the_judges_formulas(sited):
    found = fg.check_inputs(sited, by=["site"], cues=["background", "border"], policy={"delta_negligible": 0.08})
    whole = row_of(found, "background")
    assert (whole["n_clusters"], whole["tested"], whole["obstacle"]) == (60, 60, None)
    assert whole["demonstrable_from"] == pytest.approx(0.10 + min_detectable(0.5 / 60**0.5, 59))
    t = stats.t(59).ppf([0.95, 0.9]).sum()
    assert whole["certifiable"] == pytest.approx(t * 0.5 / 60**0.5)
    assert whole["to_clear"] == fewest(0.5, 0.08)
    assert whole["more_to_clear"] == whole["to_clear"] - 60
    assert (whole["demonstrable"], whole["clearable"]) == (True, False)
    small = row_of(found, "background", "site", "B")
    assert (small["n_clusters"], small["demonstrable"], small["more_to_demonstrate"]) == (10, False, 10)
    assert len(found.reach) == 2 * 3


def fewest(spread, margin):
    """Smallest n by brute force over the textbook formula."""
    return next(n for n in range(20, 5000) if stats.t(n - 1).ppf([0.95, 0.9]).sum() * spread / np.sqrt(n) <= margin)


def test_the_words_say_how_many_more(sited):
    found = fg.check_inputs(sited, by=["site"], cues=["background", "object_size", "tint"])
    lines = list(check_lines(found))
    background = next(line for line in lines if line.startswith("background: "))
    assert "60 independent units with masks: can be demonstrated from an effect of about" in background
    assert "cannot be cleared: needs 799 more independent units with masks" in background
    assert any("2 of 2 subgroups cannot be cleared, the nearest being site A: needs 809 more" in line for line in lines)
    assert any("1 of 2 carry no verdict at all" in line for line in lines)


def test_without_masks_or_environments_the_reason_stands_instead_of_an_n(frame):
    found = fg.check_inputs(frame, cues=["background", "border", "tint"])
    reasons = found.reach[found.reach["attribute"] == "(all)"].set_index("cue")["obstacle"]
    assert reasons.to_dict() == {"background": "no_masks", "border": None, "tint": "needs_environment"}
    assert any("cannot be tested: without object masks" in line for line in check_lines(found))
    assert not found.reach.loc[found.reach["cue"] == "background", "demonstrable"].any()


def test_a_large_set_is_limited_by_the_subsample_of_the_policy():
    n = 4000
    examples = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "cluster": [f"p{i}" for i in range(n)],
            "label": np.array(["a", "b"])[np.arange(n) % 2],
            "environment": np.array(["x", "y"])[np.arange(n) // 2 % 2],
            "object_area": 0.3,
            "status": "ok",
        }
    )
    strata = pd.DataFrame({"row_id": np.arange(n), "stratum": examples["environment"], "source": "environment"})
    reach = Reach(Policy(), examples, strata)(["background", "object_size", "place"], ()).set_index("cue")
    assert (reach["n_clusters"] == n).all()
    assert reach["tested"].to_dict() == {"background": n, "object_size": 500, "place": 120}
    assert reach["clearable"].to_dict() == {"background": True, "object_size": False, "place": False}
    assert reach["limited_by"].to_dict() == {"background": None, "object_size": "secondary_rows", "place": "grid_rows"}
    lines = list(reach_lines(reach.reset_index()))
    assert lines[0].endswith("and can be cleared")
    assert "secondary_rows of the policy would have to allow 859 units" in lines[1]


def test_data_without_labels_is_checked_under_the_models_own_answers(audit_manifest):
    frame = pd.read_csv(audit_manifest, dtype=str).head(12)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    bare = frame.drop(columns=["label", "environment"])
    found = fg.check_inputs(bare, model, labels=False, root=audit_manifest.parent, classes=["a", "b"])
    assert (found.ok, found.labelled, found.stratum) == (12, False, None)
    assert any(line.startswith("labels: ") for line in check_lines(found))
    with pytest.raises(UsageError, match="a column of labels"):
        fg.check_inputs(frame, model, labels=False, root=audit_manifest.parent, classes=["a", "b"])
    with pytest.raises(UsageError, match="no labels, and no model"):
        fg.check_inputs(bare, labels=False, root=audit_manifest.parent)


def test_what_the_training_data_shares_is_told_before_the_audit(audit_manifest):
    frame = pd.read_csv(audit_manifest, dtype=str)
    frame = frame.assign(image=[str(audit_manifest.parent / name) for name in frame["image"]]).drop(columns=["mask"])
    first, second = frame.head(8).assign(split="test"), frame.iloc[5:20].assign(split="train")
    found = fg.check_inputs(first, train=second, root=audit_manifest.parent)
    assert (found.overlap.rows, found.overlap.training_rows, found.overlap.equal) == (8, 15, 3)
    assert any(line.startswith("training data: Of 8 rows") for line in check_lines(found))
    assert fg.check_inputs(first, root=audit_manifest.parent).overlap is None
