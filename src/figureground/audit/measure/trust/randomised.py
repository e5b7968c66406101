"""Do the maps change when everything that the model learned is thrown away?"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from figureground.audit.measure.masked_maps import FloatArray
from figureground.audit.measure.trust.maps import FloatMaps, Mapper, Maps, points_somewhere
from figureground.audit.measure.trust.sample import Sample

#: Bins of the histogram whose entropy is the complexity of a map.
BINS = 100
#: Noise of the averaged maps, as a share of the range of an image's values.
NOISE = 0.1
#: Side of the Gaussian window of the similarity index; smaller images have none.
WINDOW = 11
#: What ``copy.deepcopy`` raises for modules that hold what cannot be copied.
_COPY_ERRORS = (RuntimeError, TypeError, NotImplementedError, AttributeError, copy.Error)


@dataclass(frozen=True, eq=False)
class Reinitialised:
    """A copy of a module with fresh weights.

    Attributes
    ----------
    module : nn.Module
    drawn : tuple of str
        Parameters that no ``reset_parameters`` reached: drawn from a normal distribution with the root mean square
        of what they held before.
    changed : bool
        Whether any parameter changed at all.
    """

    module: nn.Module
    drawn: tuple[str, ...]
    changed: bool


def reinitialised(module: nn.Module, seed: int) -> Reinitialised | None:
    """A deep copy with re-initialised parameters and running statistics; None where the module cannot be copied.

    Every submodule that has ``reset_parameters`` is asked to use it, normalisation layers included, which also
    resets their running statistics. A parameter that is the same afterwards although it is not constant was not
    reached (attention weights, parametrised layers, own parameters) and is drawn from a normal distribution. The
    caller's module and the state of the random number generators are left alone; the copy is drawn on the CPU,
    so that the device does not matter.
    """
    # In inference mode the copy would consist of inference tensors, which no gradient can pass through.
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng():
        try:
            fresh = copy.deepcopy(module).cpu()
        except _COPY_ERRORS:
            return None
        before = {name: value.clone() for name, value in fresh.named_parameters()}
        torch.manual_seed(seed)
        for part in fresh.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
        drawn = [name for name, value in fresh.named_parameters() if _untouched(value, before[name])]
        parameters = dict(fresh.named_parameters())
        for name in drawn:
            parameters[name].normal_(0.0, float(before[name].square().mean().sqrt()))
        changed = any(not torch.equal(value, before[name]) for name, value in fresh.named_parameters())
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    return Reinitialised(fresh.to(device), tuple(drawn), changed)


def _untouched(value: Tensor, before: Tensor) -> bool:
    # Constants are how biases and scales begin; that they are what they were proves nothing.
    return value.is_floating_point() and torch.equal(value, before) and bool((value != value.flatten()[:1]).any())


def smoothed(
    mapper: Mapper, module: nn.Module, sample: Sample, plain: Maps, target: Tensor, copies: int, seed: int
) -> Maps:
    """Maps averaged over noisy copies of each image; ``plain`` is the one copy without noise.

    Noise is normal with a tenth of the range of the image's own (normalised) values, seeded by row, so that the
    trained and the fresh networks see the same noise whatever the batches.
    """
    total = dict(plain.primary)
    for number in range(1, copies):
        noisy = mapper(module, _noisy(sample, seed, number), target)
        total = {method: values + noisy.primary[method] for method, values in total.items()}
    return replace(plain, primary={method: values / np.float32(copies) for method, values in total.items()})


def _noisy(sample: Sample, seed: int, number: int) -> Tensor:
    inputs = sample.inputs
    spread = NOISE * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))
    draws = [
        np.random.default_rng(np.random.SeedSequence([seed, row, number])).standard_normal(inputs.shape[1:], np.float32)
        for row in sample.row_id.tolist()
    ]
    return inputs + spread[:, None, None, None] * torch.from_numpy(np.stack(draws))


def complexity(values: FloatMaps) -> FloatArray:
    """Entropy in nats of the histogram of each map ``[N, H, W]`` in 100 equal bins; NaN where a map says nothing."""
    sound = points_somewhere(values)
    return np.array([_entropy(one) if ok else np.nan for one, ok in zip(values, sound, strict=True)])


def _entropy(values: FloatMaps) -> float:
    counts, _ = np.histogram(values, bins=BINS)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def complexity_rise(trained: FloatMaps, fresh: FloatMaps) -> FloatArray:
    """Relative rise of the complexity of each map when the weights are fresh: efficient MPRT, ``[N]``.

    ``(C(fresh) - C(trained)) / C(trained)`` with the entropy of the histogram for C. Zero for a method that does
    not look at the weights. No limit is set on it: the histogram of a rectified map is dominated by its zeros, so the
    rise of Grad-CAM has either sign on networks that are perfectly sensitive to their weights. (A. Hedström,
    L. Weber, S. Lapuschkin, M. Höhne, "Sanity checks revisited: an exploration to repair the model parameter
    randomisation test", XAI in Action workshop, NeurIPS 2023.)
    """
    before, after = complexity(trained), complexity(fresh)
    rise = np.full(before.shape, np.nan)
    np.divide(after - before, before, out=rise, where=before > 0)
    return rise


def similarity(left: FloatMaps, right: FloatMaps) -> FloatArray:
    """Structural similarity of each pair of maps ``[N, H, W]``, smooth MPRT's measure; ``[N]``, at most 1.

    Each map is divided by its root mean square first, because the scale of a map means nothing; the data range is
    that of the pair. Gaussian window of 11 pixels with a deviation of 1.5, the picture reflected at its edges (Wang,
    Bovik, Sheikh & Simoncelli, IEEE TIP 2004). NaN where a map says nothing, or the image is smaller than the window.
    """
    sound = points_somewhere(left) & points_somewhere(right)
    found = np.full(len(left), np.nan)
    if min(left.shape[1:]) < WINDOW or not sound.any():
        return found
    a, b = (_one_square(values[sound]) for values in (left, right))
    low = np.minimum(a.min(axis=(1, 2)), b.min(axis=(1, 2)))[:, None, None]
    span = np.maximum(a.max(axis=(1, 2)), b.max(axis=(1, 2)))[:, None, None] - low
    # Single precision: the window's convolutions are many times faster, and six digits are more than enough here.
    one, two = (torch.from_numpy(values / span)[:, None].float() for values in (a, b))
    index = structural_similarity_index_measure(one, two, data_range=1.0, reduction="none")
    found[sound] = np.asarray(index)
    return found


def _one_square(values: FloatMaps) -> FloatArray:
    precise = values.astype(np.float64)
    peak = precise / np.abs(precise).max(axis=(1, 2), keepdims=True)
    return np.asarray(peak / np.sqrt((peak**2).mean(axis=(1, 2), keepdims=True)))
