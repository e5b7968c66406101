"""Filters, and a channel over a data set, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from figureground.audit.explain.filters import first_filters, spectrum_shares
from figureground.audit.explain.strongest import Surveyed


def waves(frequency: float, size: int = 11) -> np.ndarray:
    return np.cos(2 * np.pi * frequency * np.arange(size))[None, None, None, :].repeat(size, 2).astype(np.float32)


def test_a_wave_that_the_stride_cannot_carry_is_folded():
    slow, fast = waves(0.05), waves(0.2)
    folded, high = spectrum_shares(np.concatenate([slow, fast]), (4, 4))  # carries up to 0.125 cycles per pixel
    assert folded[0] < 0.2 < 0.8 < folded[1]
    assert high.max() < 0.2
    assert spectrum_shares(waves(0.45), (2, 2))[1][0] > 0.8


def test_a_stride_of_one_folds_nothing_and_zeros_have_no_share():
    draw = np.random.default_rng(0).standard_normal((3, 3, 5, 4)).astype(np.float32)
    assert spectrum_shares(draw, (1, 1))[0].tolist() == [0, 0, 0]
    assert [each.tolist() for each in spectrum_shares(np.zeros((1, 3, 5, 5), np.float32), (2, 2))] == [[0], [0]]


def test_an_impulse_has_the_share_of_the_frequencies_themselves():
    impulse = np.zeros((1, 1, 3, 3), np.float32)
    impulse[0, 0, 1, 1] = 1
    at = np.abs(np.fft.fftfreq(64))
    expected = 1 - (at <= 0.25).mean() ** 2
    folded, high = spectrum_shares(impulse, (2, 2))
    assert (folded[0], high[0]) == (pytest.approx(expected), pytest.approx(expected))


def test_the_convolution_that_runs_first_is_shown_whatever_its_name():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 2, 3), nn.Conv2d(1, 4, 5, stride=2)

        def forward(self, images):
            return self.a(self.b(images)).mean((2, 3))

    found = first_filters(Swapped().eval(), torch.rand(1, 1, 20, 20))
    assert found is not None
    assert (found.layer, found.stride, found.weights.shape) == ("b", (2, 2), (4, 1, 5, 5))
    assert first_filters(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2)) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 4))
def test_the_strongest_do_not_depend_on_batches(peaks, top, batch):
    values = torch.zeros(len(peaks), 2, 3, 4)
    for at, peak in enumerate(peaks):
        values[at, 1, at % 3, at % 4] = peak
    seen = Surveyed(1, top)
    for start in range(0, len(peaks), batch):
        part = values[start : start + batch]
        seen.add(part, [(start + at, str(start + at), torch.zeros(1)) for at in range(len(part))])
        assert len(seen.heap) <= top
    expected = sorted(range(len(peaks)), key=lambda at: (-peaks[at], at))[:top]
    assert [int(spot.name) for spot in seen.spots()] == expected
    assert [spot.activation for spot in seen.spots()] == [peaks[at] for at in expected]
    assert all(spot.cell == (int(spot.name) % 3, int(spot.name) % 4) for spot in seen.spots() if spot.activation)
    assert seen.n == len(peaks)
    assert seen.dead == ((0, 1) if not any(peaks) else (0,))
