"""Tokens and channels as maps: which cell is which, for whatever stands before the patches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.audit.forward.layouts import MAX_LEADING_TOKENS, as_map, cells_of, layout_of

sides = st.integers(2, 20)


@settings(max_examples=40)
@given(rows=sides, columns=sides, patch=st.integers(2, 32), leading=st.integers(0, MAX_LEADING_TOKENS), data=st.data())
def test_tokens_become_the_grid_of_their_patches(
    rows: int, columns: int, patch: int, leading: int, data: st.DataObject
) -> None:
    """Known for certain with fewer tokens before the patches than the grid has cells on its shorter side."""
    leading = min(leading, min(rows, columns) - 1)
    # A margin that no patch fills is left out by patch embeddings.
    margins = (data.draw(st.integers(0, patch - 1)), data.draw(st.integers(0, patch - 1)))
    size = (rows * patch + margins[0], columns * patch + margins[1])
    tokens = torch.arange(leading + rows * columns, dtype=torch.float32)[None, :, None].expand(-1, -1, 3)
    assert cells_of(tokens.shape, size, "tokens") == (rows, columns)
    found = as_map(tokens, size, "tokens")
    assert found.shape == (1, 3, rows, columns)
    expected = leading + torch.arange(rows)[:, None] * columns + torch.arange(columns)
    assert torch.equal(found[0, 0], expected.float())


@settings(max_examples=40)
@given(rows=sides, columns=sides, stride=st.integers(1, 32), channels=st.integers(1, 64))
def test_a_map_of_one_stride_is_a_map_in_its_own_layout(rows: int, columns: int, stride: int, channels: int) -> None:
    size = (rows * stride, columns * stride)
    output = torch.rand(2, channels, rows, columns)
    last = output.permute(0, 2, 3, 1)
    assert cells_of(output.shape, size, "NCHW") == cells_of(last.shape, size, "NHWC") == (rows, columns)
    assert torch.equal(as_map(last, size, "NHWC"), as_map(output, size, "NCHW"))
    assert layout_of(output.shape, size) == "NCHW"


@pytest.mark.parametrize(
    ("shape", "size", "layout"),
    [
        ((1, 8, 8, 16), (64, 64), "NHWC"),  # twice as wide, or as high as wide: the image is square
        ((1, 8, 8, 16), (64, 128), "NCHW"),
        ((1, 7, 7, 768), (224, 224), "NHWC"),
        ((1, 64, 49, 64), (224, 224), None),  # windows by cells
        ((1, 197, 768), (224, 224), "tokens"),
        ((1, 201, 768), (224, 224), "tokens"),
        ((1, 512, 1, 1), (224, 224), None),
        ((1, 8, 3, 1), (224, 224), None),
        ((4, 10), (224, 224), None),
    ],
)
def test_how_a_shape_is_read(shape: tuple[int, ...], size: tuple[int, int], layout: str | None) -> None:
    assert layout_of(shape, size) == layout
