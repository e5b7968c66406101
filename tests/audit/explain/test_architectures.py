"""Which layer is chosen, and which would be chosen next, in the architectures that people bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.regnet import BlockParams
from torchvision.models.resnet import BasicBlock
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from figureground.audit.explain.layers import CamLayer, check_layer, usable_layers
from figureground.audit.explain.second_choice import second_choice
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.forward.layouts import cells_of
from figureground.errors import UsageError

Built = Callable[[], nn.Module]
Chosen = tuple[str, str, tuple[int, int]]


def named(name: str, **options: Any) -> Built:
    return lambda: models.get_model(name, weights=None, num_classes=3, **options)


def small_vgg() -> nn.Module:
    model = models.VGG(models.vgg.make_layers([8, "M", 8, "M", 8, "M", 8, "M"]), 3, init_weights=False)
    model.classifier = nn.Sequential(nn.Linear(8 * 7 * 7, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3))
    return model


def small_swin(**options: Any) -> nn.Module:
    return models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4], num_classes=3, **options)


#: How it is built, the side of the image, the layer that is chosen, and the second choice: name, layout and cells.
TORCHVISION: dict[str, tuple[Built, int, Chosen, Chosen]] = {
    "ResNet": (
        lambda: models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=3), 64,
        ("layer4", "NCHW", (2, 2)), ("layer3", "NCHW", (4, 4)),
    ),
    "DenseNet": (
        lambda: models.DenseNet(4, (2, 2, 2, 2), 8, num_classes=3), 64,
        ("features", "NCHW", (2, 2)), ("features.denseblock3", "NCHW", (4, 4)),
    ),
    "VGG": (
        lambda: small_vgg(), 64,
        ("features", "NCHW", (4, 4)), ("features.10", "NCHW", (8, 8)),
    ),
    "AlexNet": (named("alexnet"), 96, ("features", "NCHW", (2, 2)), ("features.11", "NCHW", (5, 5))),
    "Inception v3": (
        named("inception_v3", init_weights=False), 128,
        ("Mixed_7c", "NCHW", (2, 2)), ("Mixed_6e", "NCHW", (6, 6)),
    ),
    "GoogLeNet": (
        named("googlenet", init_weights=False), 64,
        ("inception5b", "NCHW", (2, 2)), ("inception4e", "NCHW", (4, 4)),
    ),
    "MobileNet v2": (
        lambda: models.MobileNetV2(3, width_mult=0.25), 64,
        ("features", "NCHW", (2, 2)), ("features.13", "NCHW", (4, 4)),
    ),
    "MobileNet v3": (
        named("mobilenet_v3_small"), 64,
        ("features", "NCHW", (2, 2)), ("features.8", "NCHW", (4, 4)),
    ),
    "EfficientNet": (
        named("efficientnet_b0"), 64,
        ("features", "NCHW", (2, 2)), ("features.5", "NCHW", (4, 4)),
    ),
    "ConvNeXt": (
        lambda: models.ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=3), 64,
        ("features", "NCHW", (8, 8)), ("features.1", "NCHW", (16, 16)),
    ),
    "RegNet": (
        lambda: models.RegNet(BlockParams.from_init_params(4, 8, 8.0, 2.0, 8), num_classes=3), 64,
        ("trunk_output", "NCHW", (4, 4)), ("trunk_output.block2", "NCHW", (8, 8)),
    ),
    "ViT": (
        lambda: models.VisionTransformer(64, 16, 3, 2, 16, 32, num_classes=3), 64,
        ("encoder.layers.encoder_layer_2.ln_1", "tokens", (4, 4)),
        ("encoder.layers.encoder_layer_1.ln_1", "tokens", (4, 4)),
    ),
    "Swin": (small_swin, 64, ("permute", "NCHW", (8, 8)), ("features.1", "NHWC", (16, 16))),
    "Swin v2": (
        lambda: small_swin(block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2), 64,
        ("permute", "NCHW", (8, 8)), ("features.1", "NHWC", (16, 16)),
    ),
    "MaxViT": (
        lambda: models.MaxVit((64, 64), 8, 4, [8, 16], [1, 1], 4, 0.0, num_classes=3), 64,
        ("blocks.1", "NCHW", (8, 8)), ("blocks.0", "NCHW", (16, 16)),
    ),
    "ShuffleNet": (named("shufflenet_v2_x0_5"), 64, ("conv5", "NCHW", (2, 2)), ("stage3", "NCHW", (4, 4))),
    "SqueezeNet": (named("squeezenet1_1"), 64, ("classifier.2", "NCHW", (3, 3)), ("features.7", "NCHW", (7, 7))),
    "MNASNet": (named("mnasnet0_5"), 64, ("layers", "NCHW", (2, 2)), ("layers.11", "NCHW", (4, 4))),
}  # fmt: skip


def awake(model: nn.Module) -> nn.Module:
    """In evaluation mode, with a head that is not at zero, as some libraries leave it."""
    for parameter in model.parameters():
        if parameter.ndim == 2 and not parameter.any():
            nn.init.normal_(parameter)
    return model.eval()


def choices(model: nn.Module, inputs: Tensor) -> tuple[Chosen, Chosen | None]:
    """The layer that is chosen and the second one, with the cells of their maps; both must give maps that differ."""
    found = usable_layers(model, inputs)
    layer, cells = found[-1]
    second = second_choice(model, layer, found)
    told = (layer.name, layer.layout, cells)
    if second is None:
        return told, None
    grid = dict(found)[second]
    maps = [SinglePass.at(each)(model, inputs).native["gradcam"] for each in (layer, second)]
    assert [tuple(map_.shape) for map_ in maps] == [(len(inputs), *cells), (len(inputs), *grid)]
    assert all(float(map_.std()) > 0 for map_ in maps)
    return told, (second.name, second.layout, grid)


@pytest.mark.parametrize("family", TORCHVISION)
def test_the_layers_of_torchvision_at_a_small_size(family: str) -> None:
    built, side, chosen, second = TORCHVISION[family]
    assert choices(awake(built()), torch.randn(2, 3, side, side)) == (chosen, second)


#: At the size that they were made for.
FULL_SIZE = {
    "resnet50": (224, "layer4", "layer3"),
    "densenet121": (224, "features", "features.denseblock3"),
    "vgg16": (224, "features", "features.29"),
    "alexnet": (224, "features", "features.11"),
    "inception_v3": (299, "Mixed_7c", "Mixed_6e"),
    "googlenet": (224, "inception5b", "inception4e"),
    "mobilenet_v2": (224, "features", "features.13"),
    "mobilenet_v3_large": (224, "features", "features.12"),
    "efficientnet_v2_s": (384, "features", "features.5"),
    "convnext_tiny": (224, "features", "features.5"),
    "regnet_y_400mf": (224, "trunk_output", "trunk_output.block3"),
    "vit_b_16": (224, "encoder.layers.encoder_layer_11.ln_1", "encoder.layers.encoder_layer_10.ln_1"),
    "swin_t": (224, "permute", "features.5"),
    "swin_v2_t": (256, "permute", "features.5"),
    "maxvit_t": (224, "blocks.3", "blocks.2"),
    "shufflenet_v2_x1_0": (224, "conv5", "stage3"),
    "squeezenet1_1": (224, "classifier.2", "features.7"),
    "mnasnet1_0": (224, "layers", "layers.11"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_SIZE)
def test_the_layers_of_torchvision_at_full_size(name: str) -> None:
    side, chosen, second = FULL_SIZE[name]
    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    torch.manual_seed(0)
    first, other = choices(awake(named(name, **options)()), torch.randn(1, 3, side, side))
    assert other is not None
    assert (first[0], other[0]) == (chosen, second)


def test_windows_of_maxvit_are_no_map_though_they_are_nearly_square() -> None:
    """Its attention gives 64 windows of 49 cells in the first stage: ``[B, windows, cells, C]``."""
    size = (224, 224)
    assert cells_of((1, 64, 49, 64), size, "NCHW") is None
    assert cells_of((1, 64, 49, 64), size, "NHWC") is None
    # Strides may differ by a factor of two, and padding by a cell.
    assert cells_of((1, 8, 7, 14), size, "NCHW") == (7, 14)
    assert cells_of((1, 8, 3, 2), size, "NCHW") == (3, 2)
    assert cells_of((1, 8, 1, 4), size, "NCHW") is None


def test_a_layer_of_windows_is_refused_with_layers_that_would_do() -> None:
    """timm's Swin runs its attention on windows, stacked along the batch."""
    timm_swin = pytest.importorskip("timm.models.swin_transformer")
    options = {"img_size": 64, "window_size": 4, "embed_dim": 8, "depths": (1, 1), "num_heads": (2, 2)}
    model, inputs = awake(timm_swin.SwinTransformer(**options, num_classes=3)), torch.randn(2, 3, 64, 64)
    assert choices(model, inputs) == (("norm", "NHWC", (8, 8)), ("layers.0", "NHWC", (16, 16)))
    with pytest.raises(
        UsageError, match=r"shape \[16, 16, 8\].*--layer norm --layout NHWC or --layer layers.0"
    ) as told:
        check_layer(model, "layers.0.blocks.0.attn", inputs, "tokens")
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("options", "chosen", "second"),
    [
        ({}, "blocks.2.norm1", "blocks.1.norm1"),
        ({"reg_tokens": 4}, "blocks.2.norm1", "blocks.1.norm1"),
        ({"class_token": False, "global_pool": "avg"}, "blocks", "blocks.1"),
    ],
)
def test_the_tokens_of_timm_whatever_stands_before_the_patches(
    options: dict[str, Any], chosen: str, second: str
) -> None:
    transformer = pytest.importorskip("timm.models.vision_transformer").VisionTransformer
    sizes = {"img_size": (64, 48), "patch_size": 16, "embed_dim": 16, "depth": 3, "num_heads": 2}
    model, inputs = awake(transformer(**sizes, **options, num_classes=3)), torch.randn(2, 3, 64, 48)
    assert choices(model, inputs) == ((chosen, "tokens", (4, 3)), (second, "tokens", (4, 3)))
    # What the map shows is the patches' own tokens: those of the last rows of the layer's output.
    layer, kept = model.get_submodule(chosen), []
    handle = layer.register_forward_hook(lambda _m, _a, output: kept.append(output.detach()))
    explained = SinglePass(chosen, "tokens")(model, inputs)
    handle.remove()
    assert kept[0].shape[1] - 12 == model.num_prefix_tokens
    assert explained.native["gradcam"].shape == (2, 4, 3)


def test_the_distilled_token_of_deit_is_left_out() -> None:
    deit = pytest.importorskip("timm.models.deit").VisionTransformerDistilled
    model = awake(deit(img_size=64, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=3))
    first, second = choices(model, torch.randn(2, 3, 64, 64))
    assert first == ("blocks.1.norm1", "tokens", (4, 4))
    assert second == ("blocks.0.norm1", "tokens", (4, 4))


def test_a_convolutional_network_of_timm() -> None:
    timm = pytest.importorskip("timm")
    model = awake(timm.create_model("test_efficientnet", num_classes=3))
    assert choices(model, torch.randn(2, 3, 96, 96)) == (("bn2", "NCHW", (3, 3)), ("blocks.3", "NCHW", (6, 6)))


class Logits(nn.Module):
    """A model of transformers as an audit reads it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.model(pixel_values=x).logits)


TOKENS = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 64,
    "patch_size": 16, "num_labels": 3,
}  # fmt: skip
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_labels": 3}
WINDOWS = {
    "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4,
    "num_labels": 3,
}  # fmt: skip
TRANSFORMERS: dict[str, tuple[dict[str, Any], Chosen, Chosen]] = {
    "ViT": (
        TOKENS,
        ("model.vit.layers.2.layernorm_before", "tokens", (4, 4)),
        ("model.vit.layers.1.layernorm_before", "tokens", (4, 4)),
    ),
    "DeiT": (
        TOKENS,
        ("model.deit.layers.2.layernorm_before", "tokens", (4, 4)),
        ("model.deit.layers.1.layernorm_before", "tokens", (4, 4)),
    ),
    "Swin": (
        WINDOWS,
        ("model.swin.layernorm", "tokens", (8, 8)),
        ("model.swin.encoder.layers.0.blocks.0.mlp", "tokens", (16, 16)),
    ),
    "ConvNext": (
        STAGES,
        ("model.convnext.encoder.stages.3", "NCHW", (2, 2)),
        ("model.convnext.encoder.stages.2", "NCHW", (4, 4)),
    ),
    "ResNet": (
        {**STAGES, "embedding_size": 8, "layer_type": "basic"},
        ("model.resnet.encoder.stages.3", "NCHW", (2, 2)),
        ("model.resnet.encoder.stages.2", "NCHW", (4, 4)),
    ),
}


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_the_layers_of_transformers(family: str) -> None:
    library = pytest.importorskip("transformers")
    options, chosen, second = TRANSFORMERS[family]
    config = getattr(library, f"{family}Config")(**options)
    model = awake(Logits(getattr(library, f"{family}ForImageClassification")(config)))
    assert choices(model, torch.randn(2, 3, 64, 64)) == (chosen, second)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "chosen", "second"),
    [
        ("vit_small_patch14_reg4_dinov2", 518, "blocks.11.norm1", "blocks.10.norm1"),
        ("deit_tiny_distilled_patch16_224", 224, "blocks.11.norm1", "blocks.10.norm1"),
        ("swin_tiny_patch4_window7_224", 224, "norm", "layers.2"),
        ("convnext_atto", 224, "stages", "stages.2"),
        ("levit_128s", 224, "stages", "stages.1"),
        ("maxvit_rmlp_pico_rw_256", 256, "norm", "stages.2"),
        ("pvt_v2_b0", 224, "stages", "stages.2"),
    ],
)
def test_the_layers_of_timm_at_full_size(name: str, side: int, chosen: str, second: str) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    first, other = choices(awake(timm.create_model(name, num_classes=3)), torch.randn(1, 3, side, side))
    assert other is not None
    assert (first[0], other[0]) == (chosen, second)


def test_a_network_of_one_resolution_and_no_blocks_has_no_second_choice() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), head), torch.rand(1, 3, 8, 8)
    found = usable_layers(model, inputs)
    assert second_choice(model, found[-1][0], found) is None
    assert second_choice(model, CamLayer("2.2"), found) is None


@pytest.mark.parametrize("family", ["ViT", "Swin"])
def test_equal_to_pytorch_grad_cam_on_tokens(family: str) -> None:
    """Gildenblat's package reads tokens by a function of the caller's: here written anew, for these two sizes."""
    GradCAM = pytest.importorskip("pytorch_grad_cam").GradCAM
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model, inputs = awake(TORCHVISION[family][0]()), torch.randn(3, 3, 64, 64)
    name = {"ViT": "encoder.layers.encoder_layer_2.ln_1", "Swin": "norm"}[family]
    layer = check_layer(model, name, inputs, "tokens" if family == "ViT" else "NHWC")

    def reshape(output: Tensor) -> Tensor:
        cells = output[:, 1:, :].reshape(len(output), 4, 4, -1) if family == "ViT" else output
        return cells.permute(0, 3, 1, 2)

    raw: list[Any] = []

    class Recorded(GradCAM):  # type: ignore[misc, valid-type]
        def get_cam_image(self, *arguments: Any, **options: Any) -> Any:
            raw.append(super().get_cam_image(*arguments, **options))
            return raw[-1]

    target = torch.tensor([0, 2, 1])
    with Recorded(model, [model.get_submodule(name)], reshape_transform=reshape) as cam:
        cam(input_tensor=inputs, targets=[targets.ClassifierOutputTarget(int(one)) for one in target])
    found = SinglePass.at(layer)(model, inputs, target).native["gradcam"]
    assert float(found.abs().max()) > 0
    torch.testing.assert_close(found, torch.as_tensor(raw[0], dtype=torch.float32), rtol=1e-4, atol=1e-6)
