"""``check``: faults, subgroups, units that repeat, and what this n can show."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import figureground as fg
from figureground.reports.checked import check_lines


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
    assert found.faults[["row", "reason"]].values.tolist() == [[5, "image_missing"]]
    assert any(line.startswith("  row 5: image_missing: ") for line in check_lines(found))


def test_without_masks_no_swap_is_possible(frame):
    found = fg.check_inputs(frame)
    assert (found.masked, found.stratum, found.smallest_effect) == (0, None, None)
    assert any("not possible" in line for line in check_lines(found))


def test_the_smallest_effect_follows_the_number_of_units(audit_manifest):
    found = fg.check_inputs(audit_manifest)
    assert found.stratum == "environment"
    assert found.levels == {"grass": 60, "gravel": 60}
    assert found.smallest_effect == pytest.approx(2.80 * 0.5 / 120**0.5)
