from __future__ import annotations

import numpy as np

from understudy.core.face.mask import polygon_mask
from understudy.types import Polygon


def square(low: float, high: float, includes: bool = True) -> Polygon:
    return Polygon(
        np.array([[low, low], [high, low], [high, high], [low, high]], np.float32), includes
    )


def test_what_includes_comes_first_and_what_excludes_takes_away() -> None:
    matte = polygon_mask(
        [square(14.5, 18.5, includes=False), square(4.5, 20.5), square(30.5, 40.5)], (64, 48)
    )
    assert matte.shape == (48, 64) and matte.dtype == np.float32
    assert (
        matte[10, 10] == matte[35, 35] == 1 and matte[16, 16] == matte[2, 2] == matte[25, 25] == 0
    )


def test_without_one_that_includes_all_counts_that_is_not_excluded() -> None:
    matte = polygon_mask([square(4.5, 20.5, includes=False)], (32, 32))
    assert matte[10, 10] == 0 and matte[25, 25] == 1
    assert polygon_mask([], (32, 32)).min() == 1


def test_an_edge_holds_the_share_of_a_pixel_that_it_covers() -> None:
    # Column 8 ends at 8.5, so a quarter of it lies within; the excluded half of column 12 is taken
    # off.
    matte = polygon_mask([square(8.25, 20.5), square(12, 16, includes=False)], (32, 32))
    assert abs(matte[10, 8] - 0.25) < 0.07 and abs(matte[14, 12] - 0.5) < 0.07 and matte[10, 9] == 1
