from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.measure.regions import border_frame, corners
from figureground.errors import UsageError

SIDES = st.integers(1, 40)


def test_border_is_the_pixels_near_an_edge():
    rows, columns = np.mgrid[:100, :200]
    distance = np.minimum.reduce([rows, columns, 99 - rows, 199 - columns])
    np.testing.assert_array_equal(border_frame(100, 200, 0.03), distance < 3)


def test_corners_have_their_places_and_their_names():
    found = corners(20, 40, 0.25)
    assert list(found) == ["corner_top_left", "corner_top_right", "corner_bottom_left", "corner_bottom_right"]
    for name, region in found.items():
        assert region.sum() == 5 * 10
        assert region[0 if "top" in name else -1, 0 if "left" in name else -1]
    assert not np.any(np.sum(list(found.values()), axis=0) > 1)


@given(SIDES, SIDES, st.floats(0.001, 0.5))
def test_regions_are_there_and_keep_the_symmetry_of_the_frame(height, width, fraction):
    border, found = border_frame(height, width, fraction), corners(height, width, fraction)
    assert border.shape == (height, width)
    assert border.dtype == bool
    assert border[0].all()
    assert border[:, -1].all()
    np.testing.assert_array_equal(border, border[::-1, ::-1])
    np.testing.assert_array_equal(found["corner_top_left"], found["corner_top_right"][:, ::-1])
    np.testing.assert_array_equal(found["corner_top_left"], found["corner_bottom_left"][::-1])
    np.testing.assert_array_equal(found["corner_top_left"], found["corner_bottom_right"][::-1, ::-1])
    assert all(region.any() for region in found.values())


@pytest.mark.parametrize("arguments", [(0, 4, 0.1), (4, 0, 0.1), (4, 4, 0.0), (4, 4, 0.51), (4, 4, float("nan"))])
@pytest.mark.parametrize("function", [border_frame, corners])
def test_impossible_sizes_are_refused(function, arguments):
    with pytest.raises(UsageError, match="REGION_SIZE"):
        function(*arguments)
