"""The rows of a LightningDataModule: its test dataset, else its predict dataset."""

from __future__ import annotations

import sys
from typing import Any

from figureground.errors import UsageError

#: Who holds a data module has imported its library; the other one need not be installed.
_LIBRARIES = ("pytorch_lightning", "lightning.pytorch")
#: In this order; the second of each is the stage that ``setup`` is called for.
_LOADERS = (("test_dataloader", "test"), ("predict_dataloader", "predict"))


def is_datamodule(data: Any) -> bool:
    """Whether something is a LightningDataModule of ``pytorch_lightning`` or of ``lightning.pytorch``."""
    return any(isinstance(data, base) for base in _bases())


def dataset_of(datamodule: Any) -> Any:
    """The map-style dataset behind the test loader of a data module, or behind its predict loader where it has none.

    ``setup`` is called for that stage. ``prepare_data`` is not, because it may download. The rows are those of the
    dataset: a sampler, the batches and hooks of transfer play no part.

    Raises
    ------
    UsageError
        ``DATAMODULE``: it has neither loader, or several datasets behind one.
    """
    found = next((pair for pair in _LOADERS if _overridden(datamodule, pair[0])), None)
    if found is None:
        raise _unfit(datamodule, "neither a test_dataloader nor a predict_dataloader", "define one of them")
    name, stage = found
    datamodule.setup(stage)
    loader = getattr(datamodule, name)()
    if isinstance(loader, list | tuple | dict):
        loaders = list(loader.values()) if isinstance(loader, dict) else list(loader)
        if len(loaders) != 1:
            raise _unfit(datamodule, f"{len(loaders)} loaders of {name}", "give one of their datasets itself")
        loader = loaders[0]
    dataset = getattr(loader, "dataset", loader)
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise _unfit(datamodule, f"{name} gives {type(dataset).__name__}, which has no rows by number", "make it so")
    return dataset


def _bases() -> list[type]:
    modules = [sys.modules[name] for name in _LIBRARIES if name in sys.modules]
    return [module.LightningDataModule for module in modules if hasattr(module, "LightningDataModule")]


def _overridden(datamodule: Any, name: str) -> bool:
    own = getattr(type(datamodule), name)
    return all(own is not getattr(base, name) for base in _bases())


def _unfit(datamodule: Any, found: str, fix: str) -> UsageError:
    return UsageError(
        "DATAMODULE",
        type(datamodule).__name__,
        found=found,
        expected="one map-style dataset behind test_dataloader or predict_dataloader",
        fix=fix,
    )
