"""Mean maps: averaged as block means, each image counting the same; against Captum where a model is at hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import Saliency

from figureground.audit.judge.grouping import Group
from figureground.audit.judge.mean_cells import LEAST, OF_ALL, OF_ONE, mean_cells, within
from figureground.audit.measure.mean_maps import shares


def test_a_small_map_is_the_mean_of_its_blocks() -> None:
    maps = torch.rand(3, 128, 192, generator=torch.Generator().manual_seed(0))
    small = shares(maps)
    assert {one.shape for one in small if one is not None} == {(43, 64)}
    even = shares(maps[:, :, :128])
    expected = maps[:, :, :128].double().numpy().reshape(3, 64, 2, 64, 2).mean(axis=(2, 4))
    for one, whole in zip(even, expected, strict=True):
        np.testing.assert_allclose(one, whole / whole.sum(), rtol=1e-12)


def test_an_empty_map_and_one_that_is_not_finite_are_none() -> None:
    maps = torch.ones(3, 8, 8)
    maps[1] = 0
    maps[2, 0, 0] = float("nan")
    found = shares(maps)
    assert [one is None for one in found] == [False, True, True]
    assert found[0] is not None
    assert found[0].sum() == pytest.approx(1)


def rows_of(n: int, units: int | None = None) -> pd.DataFrame:
    index = np.arange(n)
    cluster = [f"c{at % (units or n)}" for at in index]
    return pd.DataFrame({"row_id": index, "cluster": cluster, "label": [f"l{at % 2}" for at in index]})


def groups_of(rows: pd.DataFrame, levels: int, origin: str = "default", name: str = "site") -> Group:
    values = pd.Series([f"s{at % levels}" for at in range(len(rows))], index=rows.index)
    return Group(name, origin, tuple(sorted(values.unique())), values)


def test_every_subgroup_of_ten_has_a_sample_of_its_own_rows() -> None:
    rows = rows_of(400)
    group = groups_of(rows, 3)
    cells = mean_cells(rows, [group], ["l0", "l1"], seed=0)
    sizes = cells.groupby(["attribute", "level", "label"]).size()
    assert len(sizes) == 12
    assert set(sizes) == {sizes.iloc[0]}
    assert LEAST <= sizes.iloc[0] <= OF_ONE
    assert cells["row_id"].nunique() <= OF_ALL
    for line in cells[cells["attribute"] == "site"].itertuples():
        assert group.values[line.row_id] == line.level
    assert cells.equals(mean_cells(rows, [group], ["l0", "l1"], seed=0))
    assert not cells.equals(mean_cells(rows, [group], ["l0", "l1"], seed=1))


def test_small_subgroups_few_people_and_later_questions_have_none() -> None:
    rows = rows_of(60)
    small = groups_of(rows, 20, name="many")
    later, crossing = groups_of(rows, 2, "exploratory", "later"), groups_of(rows, 2, name="a*b")
    assert set(mean_cells(rows, [small, later, crossing], ["l0", "l1"], 0)["attribute"]) == {"(all)"}
    assert mean_cells(rows_of(60, units=9), [], ["l0", "l1"], 0).empty


def test_more_subgroups_than_images_are_cut_off_and_costly_explanations_take_fewer() -> None:
    rows = rows_of(2000)
    cells = mean_cells(rows, [groups_of(rows, 60)], ["l0", "l1"], 0)
    assert cells["row_id"].nunique() <= OF_ALL
    assert set(cells["attribute"]) == {"(all)", "site"}
    fewer = within(cells, 25)
    assert 0 < fewer["row_id"].nunique() <= 25
    assert within(cells, 2).empty
    assert within(cells.iloc[:0], 100).empty


def test_the_mean_of_a_run_is_the_mean_of_captums_maps(shortcut_run, shortcut_model, audit_manifest) -> None:
    from figureground.datasets.sources import open_source

    maps = shortcut_run.mean_maps
    line = maps[(maps["attribute"] == "(all)") & (maps["label"] == "(all)") & (maps["method"] == "saliency")].iloc[0]
    paths = shortcut_run.examples.set_index("row_id")["path"]
    source = open_source(audit_manifest, classes=shortcut_model.classes)
    at = {str(path): position for position, path in enumerate(source.table()["image"])}
    preprocess = shortcut_model.preprocess
    images = torch.stack([preprocess.image(source.pixels(at[paths[row]]).image) for row in line["row_ids"]])
    inputs, module = preprocess.normalize(images), shortcut_model.eval()
    target = module(inputs).argmax(1)
    found = Saliency(module).attribute(inputs.requires_grad_(), target=target).amax(1)
    expected = np.mean([one for one in shares(found) if one is not None], axis=0)
    np.testing.assert_allclose(np.array(line["values"]), expected.ravel(), rtol=1e-3, atol=1e-7)
    assert line["n"] == len(line["row_ids"])
