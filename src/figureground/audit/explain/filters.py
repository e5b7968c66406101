"""The filters of the first convolution, and what of them its stride cannot carry."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from figureground.audit.document.sheets import Filters, Map
from figureground.audit.explain.layers import model_dtype

#: Frequencies at which spectra are taken, in each direction.
_POINTS = 64
#: Cycles per pixel from which a frequency counts as high: the upper half of what pixels can carry.
HIGH = 0.25


def first_filters(module: nn.Module, inputs: Tensor) -> Filters | None:
    """Filters of the convolution that runs first; None where none runs, or it does not look at pixels.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    inputs : Tensor
        Normalised float ``[B, C, H, W]``.
    """
    ran: list[str] = []
    with ExitStack() as hooks, torch.no_grad():
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Conv2d):
                handle = layer.register_forward_pre_hook(lambda _layer, _given, name=name: ran.append(name))
                hooks.callback(handle.remove)
        module(inputs.detach().clone().to(model_dtype(module)))
    if not ran:
        return None
    first = module.get_submodule(ran[0])
    if not isinstance(first, nn.Conv2d) or first.in_channels != inputs.shape[1] or first.groups != 1:
        return None
    weights = first.weight.detach().float().cpu().numpy()
    stride = (int(first.stride[0]), int(first.stride[1]))
    return Filters(ran[0], weights, stride, *spectrum_shares(weights, stride))


def spectrum_shares(weights: Map, stride: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How much of each filter's energy lies where its stride folds it, and how much is of high frequency.

    Parameters
    ----------
    weights : ndarray
        ``[O, I, k, l]``.
    stride : (int, int)
        Of the rows and of the columns.

    Returns
    -------
    folded : ndarray
        float64 ``[O]`` in [0, 1]: share of the energy at frequencies above ``1 / (2 * stride)`` cycles per pixel, in
        either direction. Sampled at that stride they appear as lower ones (Nyquist and Shannon). Zeiler and Fergus
        found such aliasing in the second layer of AlexNet, whose first has stride 4, and chose stride 2 (ECCV 2014).
    high : ndarray
        float64 ``[O]`` in [0, 1]: share above 0.25 cycles per pixel in either direction. In the same network they saw
        first filters of very high and very low frequencies, and little between.

    Notes
    -----
    The energy is the squared modulus of the discrete Fourier transform, the filter laid into zeros, summed over the
    input's channels; a filter of zeros has shares of 0.
    """
    points = max(_POINTS, *weights.shape[-2:])
    energy = (np.abs(np.fft.fft2(weights.astype(np.float64), s=(points, points))) ** 2).sum(axis=1)
    frequency = np.abs(np.fft.fftfreq(points))
    rows, columns = frequency[:, None], frequency[None, :]
    folded = (rows > 0.5 / stride[0]) | (columns > 0.5 / stride[1])
    high = (rows > HIGH) | (columns > HIGH)
    total = energy.sum(axis=(1, 2))
    safe = np.where(total > 0, total, 1.0)
    return (energy * folded).sum(axis=(1, 2)) / safe, (energy * high).sum(axis=(1, 2)) / safe
