"""The suite and the background on tiny pictures: which pixel comes from whom, and what a model sees of it.

Recipients' figures, donors' grounds and donors' objects are painted in colours of their own, so that every
pixel of a composite tells where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.observations import observe
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw
from figureground.audit.measure.streaming import shard_ranges
from figureground.audit.measure.suite import CueStep, Suite, TupleDataset, tuples_of, widen
from figureground.audit.measure.transfers.background import MIN_VISIBLE, BackgroundTransfer, dilation_radius
from figureground.audit.measure.transfers.registry import transfer_for
from figureground.audit.progress import silent
from figureground.audit.rows.strata import StrataDraw, by_environment
from figureground.datasets import compose
from figureground.datasets.datamodule import rows_of
from figureground.datasets.transforms import Preprocess

SIDE = 16
GROUND = {"grass": 0.3, "gravel": 0.7}
FIGURE = {"cat": 0.1, "dog": 0.2}
LEVELS = ("grass", "gravel")


def boxes(at, size=5):
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    mask[at[0] : at[0] + size, at[1] : at[1] + size] = 1
    return mask


def scene(label, level, at, noise=None):
    """Figure in red, ground in green; figures have no green and grounds no red."""
    mask = boxes(at)
    image = torch.zeros(3, SIDE, SIDE)
    image[0] = torch.where(mask == 1, FIGURE[label], 0.0)
    image[1] = torch.where(mask == 1, 0.0, GROUND[level])
    if noise is not None:
        image[1] += torch.where(mask == 1, 0.0, noise)
    return image, mask


@pytest.fixture
def items():
    """One batch of two recipients with textured donors whose objects are the only blue there is."""
    rng = torch.Generator().manual_seed(1)

    def noise():
        return 0.1 * torch.rand(SIDE, SIDE, generator=rng)

    recipients = [scene("cat", "grass", (5, 5), noise()), scene("dog", "gravel", (4, 6), noise())]
    donors, masks = [], []
    for places in [((0, 0), (2, 10), (9, 1)), ((1, 1), (10, 10), (0, 8))]:
        drawn = [scene("cat", level, at, noise()) for level, at in zip((*LEVELS, "grass"), places, strict=True)]
        for image, mask in drawn:
            image[2] = (mask == 1).float()  # a donor's object is blue
        donors.append(torch.stack([image for image, _ in drawn]))
        masks.append(torch.stack([mask for _, mask in drawn]))
    return {
        "row_id": torch.tensor([11, 12]),
        "image": torch.stack([image for image, _ in recipients]),
        "mask": torch.stack([mask for _, mask in recipients]),
        "has_mask": torch.tensor([True, True]),
        "regions": {},
        "donor_regions": {},
        "donor_has_mask": torch.ones(2, 3, dtype=torch.bool),
        "half": torch.tensor([0, 1]),
        "at": torch.tensor([0, 1]),
        "donor_images": torch.stack(donors),
        "donor_masks": torch.stack(masks),
        "donor_ids": torch.tensor([[1, 2, 3], [4, 5, 6]]),
        "pass": torch.tensor([0, 1]),
        "own_level": torch.tensor([0, 1]),
    }


ARMS = [("swap", 0), ("swap", 1), ("swap", 2), ("control", 0), ("control", 1), ("reference", None)]


def arms_of(items):
    """Composites of all arms; swap 2 is the second donor of the own level."""
    transfer, tuples = BackgroundTransfer(), tuples_of(items, seed=0)
    made = {(kind, arm): getattr(transfer, kind)(tuples, arm) for kind, arm in ARMS[:-1]}
    return made | {("reference", None): transfer.reference(tuples)}


def deep(mask):
    """Pixels of the figure whose neighbours are figure too: the edge lets the background through."""
    return ~compose.dilate(~mask, 1)


def union(items):
    radius = dilation_radius(items["image"])
    grown = [compose.dilate(mask != 0, radius) for mask in items["donor_masks"].unbind(1)]
    return torch.stack(grown).any(dim=0)


@pytest.mark.parametrize("arm", [0, 1, 2])
def test_figure_of_the_recipient_ground_of_the_donor(items, arm):
    made = arms_of(items)["swap", arm].images
    figure, hole = items["mask"] == 1, union(items)
    inside = deep(figure)[:, None].expand_as(made)
    assert torch.equal(made[inside], items["image"][inside])
    outside = (~figure & ~hole)[:, None].expand_as(made)
    assert outside.any()
    assert torch.equal(made[outside], items["donor_images"][:, arm][outside])


def test_the_edge_is_a_mixture_of_figure_and_new_ground_only(items):
    made = arms_of(items)["swap", 1].images
    edge = (items["mask"] == 1) & ~deep(items["mask"] == 1)
    red, green = made[:, 0][edge], made[:, 1][edge]
    full = items["image"][:, 0][edge]
    assert ((red > 0) & (red < full)).all()
    assert (green > 0).all()  # the figure has no green, so what there is came from the new ground


def test_no_pixel_of_a_donors_object_is_ever_visible(items):
    for key, arm in arms_of(items).items():
        assert arm.images[:, 2].max() == 0, key


def test_all_swap_arms_have_the_same_hole(items):
    """With one donor picture but different masks the arms are identical: only the union can be filled."""
    picture = torch.rand(2, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    arms = arms_of(items | {"donor_images": picture.expand(2, 3, -1, -1, -1)})
    assert torch.equal(arms["swap", 0].images, arms["swap", 1].images)
    assert torch.equal(arms["swap", 0].images, arms["swap", 2].images)
    # the control shows one picture with the arms' own holes, which differ
    assert not torch.equal(arms["control", 0].images, arms["control", 1].images)


def test_the_common_background_is_that_of_the_second_donor_in_every_arm(items):
    radius = dilation_radius(items["image"])
    for index in range(2):
        made = arms_of(items)["control", index].images
        hole = compose.dilate(items["donor_masks"][:, index] != 0, radius) | compose.dilate(
            items["donor_masks"][:, -1] != 0, radius
        )
        outside = (~hole & (items["mask"] != 1))[:, None].expand_as(made)
        assert torch.equal(made[outside], items["donor_images"][:, -1][outside])


def test_the_reference_has_its_own_ground_flipped_and_its_figure_in_place(items):
    made = arms_of(items)["reference", None].images
    figure = items["mask"] == 1
    hole = compose.dilate(items["mask"] != 0, dilation_radius(items["image"])).flip(-1)
    inside = deep(figure)[:, None].expand_as(made)
    assert torch.equal(made[inside], items["image"][inside])
    outside = (~figure & ~hole)[:, None].expand_as(made)
    assert torch.equal(made[outside], items["image"].flip(-1)[outside])
    assert (made[:, 0][~figure] == 0).all()  # no mirrored ghost of the figure


def test_ignored_pixels_of_a_donor_are_filled_and_of_the_recipient_replaced(items):
    items["mask"][0, 0, 15] = 255
    items["image"][0, 2, 0, 15] = 1.0
    items["donor_masks"][1, 0, 15, 0] = 255
    items["donor_images"][1, 0, 2, 15, 0] = 1.0
    for arm in arms_of(items).values():
        assert arm.images[:, 2].max() == 0


def test_a_donor_without_a_mask_makes_no_test(items):
    items["donor_has_mask"][1, 1] = False
    assert arms_of(items)["swap", 0].status == ("ok", "mask_absent")


class GroundReader(nn.Module):
    """Says what the green of the ground says, and sees no figure: green is 0 there."""

    classes = ("cat", "dog")

    def forward(self, x):
        green = x[:, 1].sum(dim=(1, 2)) / (x[:, 1] > 0).sum(dim=(1, 2)).clamp(min=1)
        return torch.stack([0.52 - green, green - 0.52], dim=1)


class FigureReader(nn.Module):
    """Says what the red of the figure says; grounds have none."""

    classes = ("cat", "dog")

    def forward(self, x):
        red = x[:, 0].amax(dim=(1, 2))
        return torch.stack([0.15 - red, red - 0.15], dim=1)


def step_rows(module, items):
    subject = as_subject(module, transform=Preprocess())
    transfers = {("background", None): BackgroundTransfer()}
    return CueStep(subject, transfers, LEVELS, 0, None)(module, items)["predictions"]


def test_a_reader_of_the_ground_follows_it_and_a_reader_of_the_figure_never(items):
    ground, figure = step_rows(GroundReader(), items), step_rows(FigureReader(), items)
    swap = ground[ground["intervention"] == "swap"]
    assert swap["predicted"].astype(int).tolist() == [0, 0, 1, 1]
    assert swap["arm"].tolist() == ["grass", "grass", "gravel", "gravel"]
    assert swap["donor_row_id"].astype(int).tolist() == [1, 4, 2, 5]
    answers = figure.groupby("row_id")["predicted"].agg(set)
    assert answers.to_dict() == {11: {0}, 12: {1}}
    logits = figure.assign(first=[row[0] for row in figure["logits"]])
    assert logits.groupby("row_id")["first"].nunique().tolist() == [1, 1]  # exactly the same, not nearly


def test_rows_name_arm_pass_and_level(items):
    rows = step_rows(FigureReader(), items)
    assert rows[rows["intervention"] == "same_level"]["arm"].tolist() == ["grass", "gravel"]
    reference = rows[rows["intervention"] == "reference"]
    assert reference["row_id"].tolist() == [11]  # on the first pass only: it has no donor
    assert reference["donor_row_id"].isna().all()
    assert set(rows["cue"]) == {"background"}
    assert rows["held"].isna().all()
    assert rows["part"].isna().all()


def test_without_visible_background_there_is_no_answer(items):
    items["mask"][0] = 1
    items["mask"][0, 0, 0] = 0
    rows = step_rows(GroundReader(), items)
    gone = rows[(rows["row_id"] == 11) & (rows["intervention"] == "swap")]
    assert set(gone["status"]) == set(gone["reason"]) == {"no_visible_background"}
    assert gone["predicted"].isna().all()
    assert (rows[rows["row_id"] == 12]["status"] == "ok").all()
    assert MIN_VISIBLE > 1 / SIDE**2


@pytest.mark.parametrize(("height", "width", "expected"), [(16, 16, 1), (50, 90, 1), (51, 90, 2), (224, 224, 5)])
def test_masks_grow_by_two_hundredths_of_the_shorter_side(height, width, expected):
    assert dilation_radius(torch.zeros(1, 3, height, width)) == expected


# -- through Lightning, with a run folder


@dataclass(frozen=True)
class Scenes:
    """Reads rows from memory."""

    pictures: dict[int, tuple[torch.Tensor, torch.Tensor]]

    def __call__(self, row):
        image, mask = self.pictures[row.row_id]
        there = torch.tensor(True)
        return {"row_id": torch.tensor(row.row_id), "image": image, "mask": mask, "has_mask": there, "regions": {}}


def world(n, per_cluster=2, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "position": np.arange(n),
            "label": rng.choice(["cat", "dog"], n),
            "environment": rng.choice(LEVELS, n),
            "split": "test",
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "object_area": 25 / SIDE**2,
            "status": "ok",
        }
    )
    draw = torch.Generator().manual_seed(seed)
    pictures = {
        row.row_id: scene(
            row.label,
            row.environment,
            tuple(rng.integers(0, 11, 2)),
            0.02 * torch.rand(SIDE, SIDE, generator=draw),
        )
        for row in frame.itertuples()
    }
    return frame, pictures


def lenders(frame):
    """Rows with their level and half, as a plan is drawn from them."""
    rows = by_environment(frame)
    return rows.merge(StrataDraw(500, 0)(rows, "environment"), on=["row_id", "stratum"])


def streamed(tmp_path, module, frame, pictures, cues=("background",), **draw):
    folder = RunFolder.create(tmp_path / "run")
    subject = as_subject(module, transform=Preprocess())
    plan = DonorDraw(**draw)(lenders(frame))
    suite = Suite(subject, rows_of(frame), Scenes(pictures), folder, 64, 0, silent, 20)
    transfers = {(cue, None): transfer_for(cue, height=SIDE, width=SIDE) for cue in cues}
    spent = suite("background", plan, transfers, {}, {}, "Swapping")
    rows = read_table(folder.path, "predictions")
    assert spent == (rows["status"] == "ok").sum()
    return folder, plan, rows


def test_streamed_effects_are_one_and_exactly_zero(tmp_path):
    frame, pictures = world(60)
    for name, module, expected in (("g", GroundReader(), 1.0), ("f", FigureReader(), 0.0)):
        _, plan, rows = streamed(tmp_path / name, module, frame, pictures, passes=2)
        assert set(rows["status"]) == {"ok"}
        assert len(rows) == len(plan) // 3 * 5 + plan["row_id"].nunique()
        observed = observe(frame, rows, lenders(frame).drop(columns=["cluster", "label"]), ("cat", "dog"), "background")
        assert observed.levels == LEVELS
        assert len(observed) == len(plan) // 3
        effect = Hypothesis(1, arm=1, reference=0).values(observed, "decision")
        assert effect.mean() == expected
        # the donors that the judge finds are those of the plan
        wide = widen(plan).set_index(["row_id", "pass"]).loc[list(zip(observed.row_id, observed.number, strict=True))]
        clusters = frame.set_index("row_id")["cluster"]
        assert observed.donor[:, 0].tolist() == clusters.loc[wide["grass"]].tolist()
        assert observed.donor[:, 1].tolist() == clusters.loc[wide["gravel"]].tolist()


def test_one_stream_serves_many_cues_and_a_grid_is_scanned_on_some_tuples_only(tmp_path):
    frame, pictures = world(60)
    cues = ("background", "border", "corner_top_left", "brightness", "object_size", "object_patch", "place")
    _, plan, rows = streamed(tmp_path, GroundReader(), frame, pictures, cues, passes=1)
    assert set(rows["cue"]) == set(cues)
    tuples = plan["row_id"].nunique()
    swaps = rows[rows["intervention"] == "swap"]
    counts = swaps.groupby("cue").size()
    assert (counts[["background", "border", "brightness", "object_size"]] == 2 * tuples).all()
    assert counts["object_patch"] == 9 * 2 * tuples
    assert counts["place"] == 64 * 2 * 20
    assert set(swaps.loc[swaps["cue"] == "place", "part"]) == {f"r{i}c{j}" for i in range(8) for j in range(8)}
    again = streamed(tmp_path / "again", GroundReader(), frame, pictures, cues, passes=1)[2]
    pd.testing.assert_frame_equal(rows, again)


def test_shards_hold_at_most_512_recipients_and_batches_do_not_matter(tmp_path):
    frame, pictures = world(520, per_cluster=1)
    folder, plan, rows = streamed(tmp_path, FigureReader(), frame, pictures, passes=1)
    files = sorted(path.name for path in (folder.path / "predictions").iterdir())
    assert files == ["part-background-00000.parquet", "part-background-00001.parquet"]
    parts = [set(pd.read_parquet(folder.path / "predictions" / name)["row_id"]) for name in files]
    ids = frame["row_id"].tolist()
    assert parts[0] == set(ids[:512]) & set(plan["row_id"])
    assert parts[1] == set(ids[512:]) & set(plan["row_id"])
    assert set(rows["row_id"]) == set(plan["row_id"])
    assert str(rows["donor_row_id"].dtype) == "Int64"  # 63-bit ids survive their nulls


def test_the_dataset_gives_donors_in_the_order_of_the_levels():
    frame, pictures = world(40)
    plan = widen(DonorDraw(passes=1)(lenders(frame)))
    dataset = TupleDataset(plan, {row.row_id: row for row in rows_of(frame)}, Scenes(pictures), LEVELS)
    environment = frame.set_index("row_id")["environment"]
    for index in range(len(dataset)):
        item = dataset[index]
        own = LEVELS[int(item["own_level"])]
        assert environment[int(item["row_id"])] == own
        assert [environment[int(donor)] for donor in item["donor_ids"]] == [*LEVELS, own]
        for at, donor in enumerate(item["donor_ids"].tolist()):
            assert torch.equal(item["donor_images"][at], pictures[donor][0])
            assert torch.equal(item["donor_masks"][at], pictures[donor][1])
    assert SAME_LEVEL in plan


def test_batches_never_cross_a_shard():
    shard_of = [0] * 5 + [1] * 2 + [3] * 4
    batches, shards = shard_ranges(shard_of, 3)
    assert [index for batch in batches for index in batch] == list(range(11))
    assert all({shard_of[index] for index in batch} == {shard} for batch, shard in zip(batches, shards, strict=True))
    assert max(map(len, batches)) == 3
    assert shard_ranges([], 3) == ([], [])
    assert tables.PREDICTIONS.names[0] == "row_id"
