"""What a sheet says of one decision, and of the inside of a network: values that are shown without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Fill = Literal["mean", "blurred"]
#: Methods that show what a network responds to and fail when its weights are randomised (Adebayo et al., NeurIPS 2018;
#: Nie et al., ICML 2018): pictures to look at, and no evidence.
ILLUSTRATIONS = ("deconvolution", "guided_backprop", "guided_gradcam")


@dataclass(frozen=True)
class Answer:
    """A class, or a finding, with its probability in [0, 1]."""

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class MapShown:
    """One attribution map of one picture.

    Attributes
    ----------
    method : str
    values : ndarray
        float32 ``[H, W]``, non-negative, at the size of the model's input.
    cells : ndarray
        float32 ``[h, w]``, non-negative, at the resolution that the map was computed at.
    layer : str
        Where it looks.
    illustration : bool
        Whether the method is no evidence.
    """

    method: str
    values: Map = field(repr=False)
    cells: Map = field(repr=False)
    layer: str
    illustration: bool = False


@dataclass(frozen=True)
class Agreement:
    """How far two maps of one picture agree.

    Attributes
    ----------
    first, second : str
    rank_correlation : float or None
        Spearman's, in [-1, 1]; None where one of the maps is constant.
    overlap : float or None
        Share of the strongest tenth of the cells that both maps have, in [0, 1]; 0.1 is expected by chance.
    n : int
        Cells compared: those of the coarser map.
    """

    first: str
    second: str
    rank_correlation: float | None
    overlap: float | None
    n: int


@dataclass(frozen=True, eq=False)
class Flip:
    """The smallest covering found that changes the answer.

    Attributes
    ----------
    area : float
        Share of the picture that is covered, in (0, 1].
    covered : ndarray
        bool ``[H, W]``.
    answer : Answer
        What the model says instead.
    """

    area: float
    covered: npt.NDArray[np.bool_] = field(repr=False)
    answer: Answer


@dataclass(frozen=True, eq=False)
class Covering:
    """What was seen when parts of the picture were covered.

    Attributes
    ----------
    fill : {"mean", "blurred"}
        What stands in place of the covered pixels.
    falls : ndarray
        float32 ``[h, w]``: how far the answer's lead falls, in logits, when this cell alone is covered.
    changing : int
        Cells that change the answer when each alone is covered.
    tried : int
        Coverings tried, single cells included.
    flip : Flip or None
        None where none of them changed the answer.
    """

    fill: Fill
    falls: Map = field(repr=False)
    changing: int
    tried: int
    flip: Flip | None


@dataclass(frozen=True, eq=False)
class PartShown:
    """The answer when only the object, or only the background, is shown."""

    part: Literal["object", "background"]
    fill: Fill
    answer: Answer
    changed: bool
    picture: Pixels = field(repr=False)


@dataclass(frozen=True, eq=False)
class Sheet:
    """One decision.

    Attributes
    ----------
    name, sha256 : str
        Of the file.
    picture : ndarray
        uint8 ``[H, W, 3]``: what the model is shown.
    several : bool
        Whether each answer stands on its own (findings), so that probabilities do not add up to 1.
    answer : Answer
        What the model says; of findings, what it says of the one that is explained.
    answers : tuple of Answer
        The most probable ones.
    explained : str
        The class or finding whose logit the maps explain.
    """

    name: str
    sha256: str
    picture: Pixels = field(repr=False)
    several: bool
    answer: Answer
    answers: tuple[Answer, ...]
    explained: str
    maps: tuple[MapShown, ...]
    agreements: tuple[Agreement, ...]
    coverings: tuple[Covering, ...]
    parts: tuple[PartShown, ...] = ()
    mask: npt.NDArray[np.bool_] | None = field(default=None, repr=False)
    mask_status: str = "mask_absent"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """Whose decisions they are."""

    architecture: str
    sha256: str | None
    classes: tuple[str, ...]
    access: str
    preprocessing_source: str


@dataclass(frozen=True)
class SetAside:
    """A picture without a sheet, and why."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of the first convolution.

    Attributes
    ----------
    layer : str
    weights : ndarray
        float32 ``[O, I, k, l]``.
    stride : (int, int)
    folded, high : ndarray
        float64 ``[O]`` in [0, 1]: see :func:`~figureground.audit.explain.filters.spectrum_shares`.
    """

    layer: str
    weights: Map = field(repr=False)
    stride: tuple[int, int]
    folded: npt.NDArray[np.float64] = field(repr=False)
    high: npt.NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Patch:
    """Where a channel answers most strongly in one picture.

    Attributes
    ----------
    name : str
        Of the file.
    activation : float
    box : (int, int, int, int)
        Top, left, bottom, right of what the unit can see, in pixels of the model's input; the last two excluded.
    picture : ndarray
        uint8 ``[h, w, 3]``, the picture within the box.
    projection : ndarray
        float32 ``[C, h, w]``, signed: the unit's deconvolution within the box.
    """

    name: str
    activation: float
    box: tuple[int, int, int, int]
    picture: Pixels = field(repr=False)
    projection: Map = field(repr=False)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Channels of a layer for one picture: ``maps`` is float32 ``[n, h, w]``, strongest first, of ``channels``."""

    name: str
    channels: tuple[int, ...]
    maps: Map = field(repr=False)
    of: int


@dataclass(frozen=True)
class Strongest:
    """A layer over a data set.

    Attributes
    ----------
    n, set_aside : int
        Pictures seen, and those that could not be read.
    dead : tuple of int
        Channels whose value was the same in every place of every picture.
    patches : tuple of Patch
        Of the channel, strongest first, one for each picture at most; empty where no channel was named.
    rectifiers, switches : int
        ReLUs and max poolings of the network. Without the ones, projections are plain gradients; without the others,
        they hardly depend on the picture.
    """

    n: int
    set_aside: int
    channels: int
    dead: tuple[int, ...]
    patches: tuple[Patch, ...] = ()
    rectifiers: int = 0
    switches: int = 0


@dataclass(frozen=True)
class Inside:
    """What was seen inside a network."""

    layer: str
    channel: int | None
    filters: Filters | None
    features: tuple[FeatureMaps, ...]
    strongest: Strongest | None
