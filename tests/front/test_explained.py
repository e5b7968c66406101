"""Sheets of single decisions: from files to pages, for models of every kind."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import figureground as fg
from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.classify.module import Classifier
from figureground.cli import app
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, IntegrityError, UsageError

EVIL = '<img src=x onerror=alert(1)>"&'
GREY = Preprocess(mean=(0.0,), std=(1.0,))


def network(channels=3, outputs=3):
    torch.manual_seed(4)
    layers = [
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, outputs)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four pictures, one with a name that is HTML, one mask, one broken file."""
    base, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name in ("a.png", "b.png", "<b>c&.png", "d.png"):
        Image.fromarray(draw.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(base / name)
    mask = np.zeros((24, 32), np.uint8)
    mask[6:18, 8:20] = 255
    Image.fromarray(mask).save(base / "a_mask.png")
    (base / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return base


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    """Sheets of two pictures and the inside, of a model whose classes are HTML."""
    out = tmp_path_factory.mktemp("sheets") / "out"
    (folder / "over").mkdir()
    for name in ("a.png", "b.png", "<b>c&.png", "d.png", "broken.png"):
        (folder / "over" / name).write_bytes((folder / name).read_bytes())
    return fg.explain(
        network(),
        [folder / "a.png", folder / "<b>c&.png", folder / "broken.png"],
        out=out,
        classes=[EVIL, "two", "three"],
        layer="4",
        channel=2,
        top=3,
        over=folder / "over",
    )


class Tags(HTMLParser):
    """Tags, attributes and text of a page; malformed nesting raises."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_each_picture_has_a_page_and_a_picture_and_the_broken_one_is_named(written):
    names = [file.name for file in written.files]
    assert names == ["sheet-1.en.html", "sheet-1.png", "sheet-2.en.html", "sheet-2.png", "inside.en.html", "inside.png"]
    assert [(lost.name, lost.reason) for lost in written.set_aside] == [("broken.png", "image_unreadable")]
    for file in written.files[1::2]:
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300


def test_no_name_becomes_a_tag_and_nothing_runs_or_loads(written):
    for file in written.files[::2]:
        text = file.read_text(encoding="utf-8")
        page = Tags(text)
        assert {"script", "b", "iframe", "object", "link"}.isdisjoint(page.tags)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert all(value.startswith("data:image/webp;base64,") for name, value in page.attributes if name == "src")
        assert "default-src 'none'" in text
        assert "style" not in [name for name, _ in page.attributes]
    assert EVIL in "".join(Tags(written.files[0].read_text(encoding="utf-8")).texts)
    assert "<b>c&.png" in "".join(Tags(written.files[2].read_text(encoding="utf-8")).texts)


def test_the_sheet_has_what_it_owes(written):
    sheet = written.sheets[0]
    assert [shown.method for shown in sheet.maps] == ["saliency", "gradcam", "blurred_cells"]
    assert len(sheet.agreements) == 3
    assert {covering.fill for covering in sheet.coverings} == {"mean", "blurred"}
    assert sum(answer.probability for answer in sheet.answers) == pytest.approx(1)
    text = " ".join(Tags(written.files[0].read_text(encoding="utf-8")).texts)
    assert "raw input for the explanation that a person owes" in text
    assert all(re.search(rf"among {each.tried} tried|{each.tried} coverings", text) for each in sheet.coverings)
    assert "illustration only" not in text


def test_the_answer_is_the_models_own(written, folder):
    pixels = torch.from_numpy(np.asarray(Image.open(folder / "a.png"), dtype=np.float32) / 255).permute(2, 0, 1)
    with torch.no_grad():
        expected = network()(pixels[None])[0].softmax(0)
    assert written.sheets[0].answer.probability == pytest.approx(float(expected.max()), abs=1e-6)
    assert written.sheets[0].answer.name == [EVIL, "two", "three"][int(expected.argmax())]


def test_the_inside_is_that_of_the_layer_and_stamped(written, folder):
    inside = written.inside
    assert (inside.layer, inside.channel, inside.filters.layer) == ("4", 2, "0")
    assert (inside.strongest.n, inside.strongest.set_aside, inside.strongest.channels) == (4, 1, 6)
    peaks = {}
    for name in ("a.png", "b.png", "<b>c&.png", "d.png"):
        pixels = torch.from_numpy(np.asarray(Image.open(folder / name), dtype=np.float32) / 255).permute(2, 0, 1)
        with torch.no_grad():
            peaks[name] = float(network()[:5](pixels[None])[0, 2].max())
    found = [(patch.name, patch.activation) for patch in inside.strongest.patches]
    assert [name for name, _ in found] == sorted(peaks, key=peaks.get, reverse=True)[:3]
    assert [value for _, value in found] == pytest.approx(sorted(peaks.values(), reverse=True)[:3], abs=1e-6)
    for patch in inside.strongest.patches:
        top, left, bottom, right = patch.box
        assert (bottom - top) <= 8 and (right - left) <= 8  # noqa: PT018
        assert patch.picture.shape[:2] == patch.projection.shape[1:] == (bottom - top, right - left)
    assert "Illustration only" in " ".join(Tags(written.files[4].read_text(encoding="utf-8")).texts)


def test_dead_channels_are_named_with_n(folder):
    model = network()
    with torch.no_grad():
        model[3].bias[1] = -1e3
    found = fg.explain(model, folder / "a.png", classes=["a", "b", "c"], layer="4", over=folder / "over")
    assert found.inside.strongest.dead == (1,)
    assert found.inside.strongest.patches == ()


def test_a_mask_shows_each_part_alone(folder):
    found = fg.explain(network(), folder / "a.png", masks=folder / "a_mask.png", classes=["a", "b", "c"])
    sheet = found.sheets[0]
    assert [(part.part, part.fill) for part in sheet.parts][::2] == [("object", "mean"), ("background", "mean")]
    kept = sheet.mask
    np.testing.assert_array_equal(sheet.parts[0].picture[kept], sheet.picture[kept])
    np.testing.assert_array_equal(sheet.parts[2].picture[~kept], sheet.picture[~kept])
    assert found.files == ()


def test_a_model_of_one_channel(folder):
    found = fg.explain(network(1, 2), folder / "a.png", classes=["a", "b"], transform=GREY, layer="0", out=None)
    assert found.inside.filters.weights.shape == (4, 1, 3, 3)
    assert found.sheets[0].picture.shape == (24, 32, 3)


def test_findings_stand_each_on_its_own(folder):
    model = network(outputs=3)
    found = fg.explain(
        model, folder / "a.png", classes=["x", "y", "z"], kind="multilabel", about="y", thresholds={"y": 0.999}
    )
    sheet = found.sheets[0]
    assert sheet.several
    assert (sheet.answer.name, sheet.explained) == ("no y", "y")
    assert len(sheet.answers) == 3


def test_a_model_of_which_only_answers_can_be_had(folder):
    model = network()

    def answers(images):
        with torch.no_grad():
            return model(images)

    found = fg.explain(answers, folder / "a.png", classes=["a", "b", "c"])
    assert [shown.method for shown in found.sheets[0].maps] == ["occlusion", "blurred_cells"]
    assert found.sheets[0].agreements[0].n == 64
    with pytest.raises(UsageError, match=r"LAYER_NONE layer 4: found a model of which its answers"):
        fg.explain(answers, folder / "a.png", classes=["a", "b", "c"], layer="4")


def test_the_orientation_of_a_picture_is_that_of_an_audit(folder, tmp_path):
    image, exif = Image.open(folder / "a.png"), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    sheet = fg.explain(network(), tmp_path / "turned.png", classes=["a", "b", "c"]).sheets[0]
    assert sheet.picture.shape == (32, 24, 3)
    assert "exif_turned" in sheet.notes


def test_more_than_eight_bits_ask_for_their_range(tmp_path):
    deep = (np.arange(24 * 24).reshape(24, 24) * 7).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    known = {"classes": ["a", "b", "c"]}
    with pytest.raises(DataError, match=r"bit_depth.*--range"):
        fg.explain(network(), tmp_path / "deep.png", **known)
    sheet = fg.explain(network(), tmp_path / "deep.png", range=(0, 4095), **known).sheets[0]
    assert int(sheet.picture.max()) == 251


def test_nothing_outside_the_root_is_opened(folder, tmp_path):
    known = {"classes": ["a", "b", "c"], "root": tmp_path}
    with pytest.raises(IntegrityError, match="PATH_ESCAPE"):
        fg.explain(network(), folder / "a.png", **known)
    with pytest.raises(DataError, match="path_escape"):
        fg.explain(network(), folder / "a.png", keep_going=True, **known)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"about": "d"}, "ABOUT about: found 'd'"),
        ({"about": 3}, "its place from 0 to 2"),
        ({"layer": "nothing"}, "LAYER_UNKNOWN"),
        ({"layer": "4", "channel": 6}, "found channel 6; expected 0 to 5"),
        ({"channel": 1}, "found a channel, and no layer"),
        ({"masks": ["a", "b"]}, "1 pictures and 2 masks"),
        ({"methods": ["salience"]}, "did you mean saliency"),
        ({"thresholds": {"a": 0.3}}, "THRESHOLD"),
    ],
)
def test_what_is_off_is_refused(folder, more, message):
    with pytest.raises(UsageError, match=message):
        fg.explain(network(), folder / "a.png", classes=["a", "b", "c"], **more)


def test_a_picture_without_finite_answers_is_set_aside(folder):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, images):
            black = (images == 0).flatten(1).all(1)
            return torch.where(black[:, None], torch.nan, self.inner(images))

    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(folder / "black.png")
    found = fg.explain(Odd(), [folder / "a.png", folder / "black.png"], classes=["a", "b", "c"])
    assert [lost.reason for lost in found.set_aside] == ["nonfinite_logits"]
    assert len(found.sheets) == 1


def test_the_command_line_writes_the_same_and_answers_three(folder, tmp_path):
    torch.manual_seed(0)
    model = Classifier(classes=("cat", "dog"), architecture="small-cnn", preprocess=Preprocess())
    save_checkpoint(model.eval(), tmp_path / "m.ckpt")
    arguments = ["explain", str(tmp_path / "m.ckpt"), str(folder / "a.png"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, str(folder / "broken.png")])
    assert done.exit_code == 3, done.output
    assert "broken.png: set aside: image_unreadable" in done.output
    sheet = fg.explain(tmp_path / "m.ckpt", folder / "a.png").sheets[0]
    assert f"a.png: {sheet.answer.name} ({sheet.answer.probability:.1%})" in done.output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["sheet-1.en.html", "sheet-1.png"]
    again = CliRunner().invoke(app, arguments)
    assert "OUT_EXISTS" in str(again.exception)
    first = (tmp_path / "out" / "sheet-1.en.html").read_bytes()
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    assert (tmp_path / "out" / "sheet-1.en.html").read_bytes() == first
    both = CliRunner().invoke(app, [*arguments, "--overwrite", "--about", "dog", "--target", "0"])
    assert re.findall(r"explained: (\w+)", both.output) == ["dog", "cat"]
    for number, name in ((1, "dog"), (2, "cat")):
        assert f"logit of {name}" in re.sub(r"<[^>]+>", "", (tmp_path / "out" / f"sheet-{number}.en.html").read_text())


def test_several_classes_are_explained_by_name_and_by_place_a_sheet_for_each(folder):
    names = ["northern lapwing", "2", "black tern"]
    found = fg.explain(network(), [folder / "a.png", folder / "b.png"], classes=names, about=["black tern", 0, "2"])
    # A name that is a number is a name first; what is named twice is explained once.
    assert [sheet.explained for sheet in found.sheets] == ["black tern", "northern lapwing", "2"] * 2
    assert [sheet.name for sheet in found.sheets] == ["a.png"] * 3 + ["b.png"] * 3
    alone = fg.explain(network(), folder / "a.png", classes=names, about=2).sheets[0]
    assert np.array_equal(alone.maps[0].cells, found.sheets[0].maps[0].cells)
    assert not np.array_equal(found.sheets[0].maps[0].cells, found.sheets[1].maps[0].cells)


def test_a_class_that_is_misspelt_comes_with_the_nearest_ones(folder):
    with pytest.raises(UsageError, match="did you mean 'northern lapwing'"):
        fg.explain(network(), folder / "a.png", classes=["northern lapwing", "tern", "gull"], about="nothern lapwng")
