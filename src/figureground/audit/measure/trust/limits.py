"""The limits of the checks on the maps, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the checks ask for. They are conventions, stated beside every value, and no laws of nature.

    Attributes
    ----------
    rows : int
        Rows that are looked at, at most.
    min_rows : int
        With fewer images nothing is compared over images: ``not_run``.
    max_degenerate : float
        Share of blank, constant or non-finite maps above which every check of the method fails.
    reinitialisations : int
        Fresh networks.
    noisy_copies : int
        Copies of an image that a smoothed map averages, the one without noise among them.
    max_correlation : float
        Upper bound of the mean absolute rank correlation with the maps of fresh networks. A map that ignores the
        weights has 1; saliency and Grad-CAM of small trained networks had 0.2 to 0.4.
    max_similarity : float
        Upper bound of the mean structural similarity of the smoothed maps. A map that ignores the weights has 1;
        the same networks had 0.15 to 0.45.
    max_difference : float
        Largest difference between two runs, relative to the largest value of the map. Rounding stays far below.
    min_agreement : float
        Least mean rank correlation of two methods' maps, and of their density ratios over images.
    """

    rows: int = 64
    min_rows: int = 8
    max_degenerate: float = 0.10
    reinitialisations: int = 5
    noisy_copies: int = 4
    max_correlation: float = 0.6
    max_similarity: float = 0.7
    max_difference: float = 1e-3
    min_agreement: float = 0.2


#: For maps that cost many forward passes each: fewer images and copies. Not fewer networks, since an interval over two
#: says nothing.
FEW_PASSES = Limits(rows=16, noisy_copies=2)
