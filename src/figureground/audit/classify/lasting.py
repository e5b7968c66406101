"""What a forward pass leaves behind: hooks, weights, and tensors that somebody keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from figureground.audit.classify.outcomes import result
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.forward.errors import REGISTRIES, hook_named, hooks_of
from figureground.errors import SubjectError

#: Passes after which a module that keeps the last output is told apart from one that keeps them all.
PASSES = 3


def hook_counts(module: nn.Module) -> dict[str, int]:
    """Number of hooks on each submodule."""
    return {
        name: sum(len(getattr(submodule, registry)) for registry in REGISTRIES)
        for name, submodule in module.named_modules()
    }


def hooks_restored(before: dict[str, int], module: nn.Module) -> TrustCheck:
    """Whether every submodule has as many hooks as before."""
    after = hook_counts(module)
    changed = [name or "the model" for name in after if after[name] != before.get(name)]
    reason = f"the number of hooks changed on {', '.join(changed[:5])}"
    return result("hooks_restored", not changed, reason, len(after), len(changed), 0)


def nothing_kept(module: nn.Module, sample: Tensor) -> TrustCheck:
    """Whether the outputs of all submodules are given back after a pass; the model is run :data:`PASSES` times.

    Raises
    ------
    SubjectError
        More than one output of a module lives on: each pass would cost memory until there is none. The user's hooks on
        it are named, since they are what keeps outputs as a rule.
    """
    seen: dict[str, list[StorageWeakRef]] = {}
    with _watched(module, seen), torch.no_grad():
        for _ in range(PASSES):
            module(sample[:1].clone())
    kept = {name: _alive(refs) for name, refs in seen.items()}
    growing = [name for name, alive in kept.items() if alive > 1]
    if growing:
        raise _leak(module, growing, kept)
    return result("nothing_kept", True, n=PASSES, value=0, threshold=0)


@contextmanager
def _watched(module: nn.Module, seen: dict[str, list[StorageWeakRef]]) -> Iterator[None]:
    def note(name: str, _module: nn.Module, _arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            # A hook may keep a detached alias: what both share is the storage.
            seen.setdefault(name, []).append(StorageWeakRef(output.untyped_storage()))  # type: ignore[no-untyped-call]

    # A program takes no hooks, and keeps no outputs either.
    watched = [(name, part) for name, part in module.named_modules() if not isinstance(part, torch.jit.ScriptModule)]
    handles = [part.register_forward_hook(partial(note, name)) for name, part in watched]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _alive(refs: list[StorageWeakRef]) -> int:
    """Different storages that live on; a module that gives the same buffer each time counts once."""
    return len({ref.cdata for ref in refs if not ref.expired()})  # type: ignore[no-untyped-call]


def _leak(module: nn.Module, growing: list[str], kept: dict[str, int]) -> SubjectError:
    named = dict(module.named_modules())
    hooks = [hook_named(hook, name) for name in growing for hook in hooks_of(named[name])]
    who = ", ".join(hooks[:3]) or f"{growing[0] or 'the model'} itself"
    # A container gives what its last part gives, so the number of one module is that of the pass.
    most = max(kept[name] for name in growing)
    return SubjectError(
        "MODEL_LEAK",
        "model",
        found=f"outputs that are kept after the pass, {most} after {PASSES} passes of one image, by {who}",
        expected="a pass that keeps nothing: memory would grow with every image",
        fix="remove the hook, or let it keep copies of what it needs only",
    )
