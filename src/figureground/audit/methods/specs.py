"""The attribution methods: what each is called, what its sign means, what it costs and what it may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from figureground.audit.methods.options import MethodOptions

#: What can be had of a model: its layers, or the gradients of its answers, or no more than its answers.
Access = Literal["layers", "gradients", "answers"]
Sign = Literal["positive", "absolute"]
Resolution = Literal["input", "layer", "cells", "segments"]
Use = Literal["evidence", "illustration"]

#: A backward pass costs about as much as so many forward passes.
BACKWARD_COST = 2.0
#: What kind of access holds which others.
_HOLDS: Mapping[Access, tuple[Access, ...]] = {
    "layers": ("layers", "gradients", "answers"),
    "gradients": ("gradients", "answers"),
    "answers": ("answers",),
}


@dataclass(frozen=True)
class Count:
    """So many passes for one image: ``fixed``, and ``factor`` times the value of a parameter."""

    fixed: int = 0
    parameter: str | None = None
    factor: int = 1

    def of(self, options: MethodOptions, height: int, width: int) -> int:
        """The number, for a picture of this size."""
        times = 0 if self.parameter is None else self.factor * options.count(self.parameter, height, width)
        return self.fixed + times

    @property
    def formula(self) -> str:
        """As a person writes it: ``windows + 1``."""
        if self.parameter is None:
            return str(self.fixed)
        times = self.parameter if self.factor == 1 else f"{self.factor} {self.parameter}"
        return f"{times} + {self.fixed}" if self.fixed else times


@dataclass(frozen=True)
class MethodSpec:
    """One attribution method.

    Attributes
    ----------
    name : str
        As in ``--methods`` and in the tables.
    title : str
        As people write it.
    citation : str
        Where it was published.
    signs : tuple of {"positive", "absolute"}
        What is kept of the signed map, the one that is reported first.
    meaning : str
        What a large value of the first says.
    resolution : {"input", "layer", "cells", "segments"}
        Of the map before it is enlarged to the input's.
    forward, backward : Count
        Passes for one image where the method stands alone.
    access : {"layers", "gradients", "answers"}
        The least that must be had of a model.
    works_on : str
        Networks on which it is right; on others it is refused.
    families : tuple of str
        Which of :data:`FAMILIES` those are.
    use : {"evidence", "illustration"}
        Illustrations depend too little on the weights; no audit rests on them.
    shared : bool
        Whether it comes from the forward and backward pass that gives the logits and saliency.
    random : bool
        Whether noise is drawn, from a seed and the picture itself, so that a batch's other pictures do not matter.
    """

    name: str
    title: str
    citation: str
    signs: tuple[Sign, ...]
    meaning: str
    resolution: Resolution
    forward: Count
    backward: Count
    access: Access
    works_on: str
    families: tuple[str, ...]
    use: Use = "evidence"
    shared: bool = False
    random: bool = False

    def cost(self, options: MethodOptions, height: int, width: int) -> float:
        """Forward-equivalents for one image, where the method stands alone."""
        passes = (count.of(options, height, width) for count in (self.forward, self.backward))
        return sum(weight * each for weight, each in zip((1.0, BACKWARD_COST), passes, strict=True))

    def had_of(self, access: Access) -> bool:
        """Whether so much of a model suffices."""
        return self.access in _HOLDS[access]


#: Architectures on which each method is tried in the tests.
FAMILIES = ("ResNet", "DenseNet", "VGG", "MobileNetV2", "ConvNeXt", "Swin", "ViT")
_RELU_NETS = FAMILIES[:3]
_POOLED = ("ResNet", "DenseNet", "MobileNetV2", "Swin")
_ONE = Count(1)
_ANY_GRADIENT = "any network with a gradient"
_CAM_LAYERS = "networks with a layer that keeps places: convolutions, or one token for each patch"
_RELU = "networks of ReLU, as modules or as functions; each run of a ReLU counts"
_SIGNED: tuple[Sign, ...] = ("positive", "absolute")
_UNSIGNED: tuple[Sign, ...] = ("absolute",)
_TOWARDS = "speaks for the class"

SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "saliency", "Saliency", "Simonyan, Vedaldi & Zisserman, ICLR workshop 2014", _UNSIGNED,
        "a small change here moves the logit most, either way", "input", _ONE, _ONE, "gradients", _ANY_GRADIENT,
        FAMILIES, shared=True,
    ),
    MethodSpec(
        "gradcam", "Grad-CAM", "Selvaraju et al., ICCV 2017", _SIGNED,
        _TOWARDS, "layer", _ONE, _ONE, "layers", _CAM_LAYERS, FAMILIES, shared=True,
    ),
    MethodSpec(
        "input_x_gradient", "Input × Gradient", "Shrikumar et al., arXiv:1605.01713, 2016", _SIGNED,
        f"{_TOWARDS}, to first order, against the value 0", "input", _ONE, _ONE, "gradients", _ANY_GRADIENT, FAMILIES,
        shared=True,
    ),
    MethodSpec(
        "hirescam", "HiResCAM", "Draelos & Carin, arXiv:2011.08891, 2020", _SIGNED,
        _TOWARDS, "layer", _ONE, _ONE, "layers", _CAM_LAYERS, FAMILIES, shared=True,
    ),
    MethodSpec(
        "cam", "CAM", "Zhou et al., CVPR 2016", _SIGNED,
        f"{_TOWARDS}; the mean of the signed map and the bias are the logit", "layer", _ONE, Count(), "layers",
        "networks that end in global average pooling and one linear layer", _POOLED,
    ),
    MethodSpec(
        "integrated_gradients", "Integrated Gradients", "Sundararajan, Taly & Yan, ICML 2017", _SIGNED,
        f"{_TOWARDS}; the signed map adds up to the logit less that of the baseline", "input",
        Count(0, "steps"), Count(0, "steps"), "gradients", _ANY_GRADIENT, FAMILIES,
    ),
    MethodSpec(
        "smoothgrad", "SmoothGrad", "Smilkov et al., arXiv:1706.03825, 2017", _UNSIGNED,
        "a small change here moves the logit most, either way, on average over noise", "input",
        Count(0, "samples"), Count(0, "samples"), "gradients", _ANY_GRADIENT, FAMILIES, random=True,
    ),
    MethodSpec(
        "gradient_shap", "Gradient SHAP",
        "Lundberg & Lee, NeurIPS 2017; Erion et al., Nature Machine Intelligence 2021", _SIGNED,
        f"{_TOWARDS}, against the baseline, on average over noise", "input",
        Count(0, "samples"), Count(0, "samples"), "gradients", _ANY_GRADIENT, FAMILIES, random=True,
    ),
    MethodSpec(
        "deeplift", "DeepLift", "Shrikumar, Greenside & Kundaje, ICML 2017", _SIGNED,
        f"{_TOWARDS}; the signed map adds up to the logit less that of the baseline", "input",
        Count(5), Count(2), "layers",
        "networks of ReLU, sigmoid, tanh, softplus and max pooling; no map where contributions miss 1 %", _RELU_NETS,
    ),
    MethodSpec(
        "lrp", "LRP", "Bach et al., PLoS ONE 2015 (epsilon rule)", _SIGNED,
        f"{_TOWARDS}, as relevance handed back layer by layer", "input", Count(3), _ONE, "layers",
        "networks of convolution, linear layer, batch norm, pooling, ReLU, tanh, dropout and sums", _RELU_NETS,
    ),
    MethodSpec(
        "occlusion", "Occlusion", "Zeiler & Fergus, ECCV 2014", ("positive",),
        "the logit falls when this cell is covered", "cells", Count(1, "windows"), Count(), "answers",
        "anything", FAMILIES,
    ),
    MethodSpec(
        "feature_ablation", "Feature Ablation", "Kokhlikyan et al., arXiv:2009.07896, 2020 (Captum)", _SIGNED,
        "the logit falls when this segment is taken away", "segments", Count(1, "segments"), Count(), "answers",
        "anything", FAMILIES,
    ),
    MethodSpec(
        "deconvolution", "Deconvolution", "Zeiler & Fergus, ECCV 2014", _UNSIGNED,
        "a pattern that drives the logit; much the same whatever the weights are", "input", _ONE, _ONE, "layers", _RELU,
        _RELU_NETS, "illustration",
    ),
    MethodSpec(
        "guided_backprop", "Guided Backpropagation", "Springenberg et al., ICLR workshop 2015", _UNSIGNED,
        "a pattern that drives the logit; much the same whatever the weights are", "input", _ONE, _ONE, "layers", _RELU,
        _RELU_NETS, "illustration",
    ),
    MethodSpec(
        "guided_gradcam", "Guided Grad-CAM", "Selvaraju et al., ICCV 2017", _UNSIGNED,
        "a pattern that drives the logit, inside of what Grad-CAM shows", "input", Count(2), Count(2), "layers",
        f"{_RELU}; {_CAM_LAYERS}", _RELU_NETS, "illustration",
    ),
)  # fmt: skip
BY_NAME: Mapping[str, MethodSpec] = {spec.name: spec for spec in SPECS}
#: Methods that an audit may rest on.
EVIDENCE = tuple(spec.name for spec in SPECS if spec.use == "evidence")
ILLUSTRATION = tuple(spec.name for spec in SPECS if spec.use == "illustration")
