"""Coverings: on models whose answer hangs on known pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from figureground.audit.declared.task import Task
from figureground.audit.explain.covering import Coverer, filled, grid_of, pixels
from figureground.audit.explain.decisions import Decisions
from figureground.datasets.transforms import Preprocess


class Counting(nn.Module):
    """Says the second class where more than ``limit`` of the named cells of an 8 x 8 grid are bright."""

    def __init__(self, cells: list[tuple[int, int]], limit: float) -> None:
        super().__init__()
        self.cells, self.limit, self.calls = cells, limit, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += len(images)
        means = nn.functional.adaptive_avg_pool2d(images, 8).mean(1)
        bright = torch.stack([means[:, row, column] for row, column in self.cells], 1)
        count = (bright / 0.9).clamp(0, 1).sum(1)
        return torch.stack([torch.zeros_like(count), count - self.limit], 1)


def bright(cells: list[tuple[int, int]]) -> Tensor:
    image = torch.zeros(3, 32, 40)
    for row, column in cells:
        image[:, 4 * row : 4 * row + 4, 5 * column : 5 * column + 5] = 0.9
    return image


def coverer(model: nn.Module, classes: tuple[str, ...] = ("no", "yes"), **more) -> Coverer:
    return Coverer(model.eval(), Preprocess(), Decisions(Task("multiclass", classes)), **more)


CELLS = [(0, 0), (2, 5), (6, 6), (7, 1)]


def test_one_cell_that_decides_is_found_and_is_the_smallest():
    found = coverer(Counting(CELLS, 3.5)).cover(bright(CELLS), "mean")
    assert found.changing == 4
    assert found.tried == 64
    assert found.flip is not None
    assert found.flip.area == pytest.approx(1 / 64)
    assert found.flip.answer.name == "no"
    assert int(found.flip.covered.sum()) == 20


def test_several_cells_are_found_and_no_more_than_needed():
    model = Counting(CELLS, 1.5)
    found = coverer(model).cover(bright(CELLS), "mean")
    assert found.changing == 0
    assert found.flip is not None
    assert found.flip.area == pytest.approx(3 / 64)
    # One pass for the answer itself, one for what the flip says; every other pass is a covering that was counted.
    assert model.calls == found.tried + 2


def test_what_is_not_found_is_said_with_the_number_tried():
    found = coverer(Counting(CELLS, -100.0)).cover(bright(CELLS), "blurred")
    assert found.flip is None
    assert found.tried == 64 + 63
    assert found.changing == 0


def test_falls_are_falls_of_the_lead_and_lie_where_the_cells_do():
    found = coverer(Counting(CELLS, 1.5)).cover(bright(CELLS), "mean")
    strongest = np.argsort(-found.falls.ravel(), kind="stable")[:4]
    assert sorted((int(at) // 8, int(at) % 8) for at in strongest) == sorted(CELLS)
    covered = bright(CELLS)
    mean = covered.mean((1, 2))
    covered[:, 0:4, 0:5] = mean[:, None, None]
    model = Counting(CELLS, 1.5)
    before, after = model(bright(CELLS)[None])[0], model(covered[None])[0]
    assert found.falls[0, 0] == pytest.approx(float((before[1] - before[0]) - (after[1] - after[0])), abs=1e-5)


def test_an_answer_that_is_no_number_changes_nothing():
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            whole = images.flatten(1).std(1) > 0.2
            return torch.where(whole[:, None], torch.tensor([1.0, 0.0]), torch.tensor([float("nan"), 0.0]))

    image = torch.zeros(3, 16, 16)
    image[:, :8] = 1
    found = coverer(Broken()).cover(image, "mean")
    assert found.flip is None


def test_tiny_pictures_have_a_cell_for_each_pixel():
    grid = grid_of(torch.zeros(1, 3, 5), 8)
    assert grid.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    assert int(grid_of(torch.zeros(1, 17, 30), 8).max()) == 63


def test_the_fill_of_a_hidden_part_tells_nothing_of_it():
    image, kept = torch.zeros(3, 6, 6), torch.zeros(6, 6, dtype=torch.bool)
    image[:, :3] = 1
    kept[3:] = True
    assert filled(image, "mean", kept).max() == 0
    assert filled(image, "mean").unique().tolist() == [0.5]


def test_parts_of_the_picture_are_asked_alone():
    model, mask = Counting(CELLS, 3.5), torch.zeros(32, 40, dtype=torch.uint8)
    mask[:16] = 1
    mask[16:, 35:] = 255
    found = coverer(model).parts(bright(CELLS), mask)
    assert [(part.part, part.fill) for part in found] == [
        ("object", "mean"),
        ("object", "blurred"),
        ("background", "mean"),
        ("background", "blurred"),
    ]
    assert all(part.changed and part.answer.name == "no" for part in found)
    alone = coverer(Counting([(0, 0), (2, 5)], 1.5)).parts(bright(CELLS), mask)
    assert [part.changed for part in alone] == [False, False, True, True]


def test_decisions_of_findings_go_by_their_threshold():
    task = Task("multilabel", ("a", "b"), {"b": 0.8})
    logits = torch.tensor([[3.0, 1.0], [3.0, 2.0]])
    read = Decisions(task, 1)
    assert read.answers(logits).tolist() == [0, 1]
    assert read.said(logits[0]).name == "no b"
    assert read.said(logits[0]).probability == pytest.approx(1 - 1 / (1 + np.exp(-1)), abs=1e-6)
    assert [each.name for each in read.most_probable(logits[0], 5)] == ["a", "b"]
    assert read.lead(logits, 0).tolist() == pytest.approx([np.log(4) - 1, np.log(4) - 2])


def test_two_classes_go_by_the_threshold_of_the_second():
    read = Decisions(Task("multiclass", ("no", "yes"), {"yes": 0.9}))
    logits = torch.tensor([[0.0, 2.0], [0.0, 3.0]])
    assert read.answers(logits).tolist() == [0, 1]
    assert read.said(logits[0]).probability == pytest.approx(1 / (1 + np.exp(2)))


def test_grey_pictures_become_three_equal_channels():
    assert pixels(torch.full((1, 2, 3), 0.5)).tolist() == np.full((2, 3, 3), 128).tolist()
