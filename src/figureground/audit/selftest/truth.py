"""What a model really does when a planted cue is set: the intervention on the generator, with nothing composed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from figureground.datasets.planted_cues import LEVELS, PlantedCue
from figureground.datasets.transforms import Preprocess


@dataclass(frozen=True)
class Truth:
    """The largest effect of do(cue) on any class.

    Attributes
    ----------
    estimate : float
        ``max_c |mean over scenes of 1(prediction = c | marked) - 1(prediction = c | plain)|``, in [0, 1].
    standard_error : float
        Over scenes.
    n : int
        Scenes, each shown twice.
    class_index : int
        The class that the level ``arm`` pulls to.
    arm : str
    """

    estimate: float
    standard_error: float
    n: int
    class_index: int
    arm: str


def directional_effect(
    module: nn.Module, preprocess: Preprocess, planted: PlantedCue, cue: int = 0, batch_size: int = 256
) -> Truth:
    """R* of a model: every scene without and with the cue, everything else frozen.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode; logits ``[B, K]`` for normalised images.
    preprocess : Preprocess
    planted : PlantedCue
        Scenes that neither training nor audit has seen; 2,000 or more give a standard error of about 0.01.
    cue : int
        Which of the planted cues.
    batch_size : int
    """
    answers = [
        _answers(module, preprocess, planted, cue, range(start, min(start + batch_size, len(planted.scenes))))
        for start in range(0, len(planted.scenes), batch_size)
    ]
    plain, marked = np.concatenate(answers, axis=1)
    classes = np.unique(np.concatenate([plain, marked]))
    differences = [(marked == c).astype(float) - (plain == c) for c in classes]
    at = int(np.argmax([abs(d.mean()) for d in differences]))
    mean = float(differences[at].mean())
    error = float(differences[at].std(ddof=1) / np.sqrt(len(plain))) if len(plain) > 1 else float("nan")
    return Truth(abs(mean), error, len(plain), int(classes[at]), LEVELS[mean >= 0])


def _answers(module: nn.Module, preprocess: Preprocess, planted: PlantedCue, cue: int, rows: range) -> np.ndarray:
    pictures = np.stack([planted.do(index, cue) for index in rows], axis=1)
    found = []
    for level in pictures:
        images = torch.from_numpy(level).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            found.append(module(preprocess.normalize(images)).argmax(dim=1).numpy())
    return np.stack(found)
