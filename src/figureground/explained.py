"""Sheets of single decisions, and the inside of a network, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from figureground.audit.declared.config import AuditConfig, Policy, declare, looking
from figureground.audit.progress import Progress, silent
from figureground.errors import DataError, UsageError
from figureground.given import GivenOptions, parted, spelled_out
from figureground.said import asked_model

if TYPE_CHECKING:
    from figureground.audit.declared.config import Layout
    from figureground.audit.declared.task import Kind
    from figureground.audit.document.sheets import Inside, ModelFacts, SetAside, Sheet
    from figureground.datasets.transforms import Preprocess


@dataclass(frozen=True)
class Explained:
    """What was explained, and where it was written.

    Attributes
    ----------
    sheets : tuple of Sheet
        For each picture that could be read, in the order in which they were named, one for each class asked about.
    set_aside : tuple of SetAside
        Pictures without a sheet, and why.
    inside : Inside or None
        Where a layer was named.
    model : ModelFacts
    files : tuple of Path
        Pages and pictures that were written.
    """

    sheets: tuple[Sheet, ...] = field(repr=False)
    set_aside: tuple[SetAside, ...]
    inside: Inside | None = field(repr=False)
    model: ModelFacts
    files: tuple[Path, ...] = ()


@spelled_out
def explain(
    model: Any,
    images: Sequence[str | Path] | str | Path,
    *,
    out: str | Path | None = None,
    masks: Sequence[str | Path] | str | Path = (),
    about: Sequence[str | int] | str | int | None = None,
    methods: Sequence[str] | None = None,
    cam_layer: str | None = None,
    layout: Layout | None = None,
    layer: str | None = None,
    channel: int | None = None,
    top: int = 9,
    over: Any | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | Path | None = None,
    classes: Sequence[str] | None = None,
    kind: Kind | None = None,
    thresholds: Mapping[str, float] | None = None,
    transform: Preprocess | Any | None = None,
    output_key: str | None = None,
    lang: str = "en",
    overwrite: bool = False,
    progress: Progress = silent,
    **options: Unpack[GivenOptions],
) -> Explained:
    """A sheet for each single decision; with ``layer``, what is seen inside the network as well.

    A sheet says what the model answers and how surely, where it looks by two maps or more, how far they agree, which
    coverings of the picture changed the answer, and what it cannot say. It is raw input for the explanation that a
    person owes another.

    Parameters
    ----------
    model, classes, kind, transform, model_class, model_args, weights, expect_sha256, trust_model, allow_globals, \
allow_nonfinite, python_path, output_key
        As for :func:`figureground.run_audit`.
    images : path, or sequence of paths
        Files, read as an audit reads them.
    out : path, optional
        Folder for ``sheet-N.<lang>.html`` and ``sheet-N.png``, and ``inside.<lang>.html`` and ``inside.png``; new or
        empty. Default: nothing is written.
    masks : path, or sequence of paths
        None, or one for each picture: then the object alone and the background alone are shown to the model too.
    about : str, int, or sequence of these, optional
        Class or finding that the maps explain, by name or by its place among the outputs, from 0; of several, each
        picture has a sheet for each. Default: the predicted class, or the most probable finding.
    methods : sequence of str, optional
        ``("saliency", "gradcam")`` by default, as far as they can be had of the model.
    cam_layer, layout : str, optional
        Where Grad-CAM looks, and how the output of that layer, or of ``layer``, is read.
    layer : str, optional
        Layer to look at from inside: its feature maps for each picture.
    channel : int, optional
        Of that layer, from 0. With ``over``, its strongest patches are shown.
    top : int
        How many.
    over : path, DataFrame or folder, optional
        Pictures over which dead channels and strongest patches are looked for; labels are not needed.
    columns : mapping of str to str, optional
        Of ``over``, as for :func:`figureground.run_audit`.
    root : path, optional
        Nothing outside it is opened. Default: the folder that holds the pictures; for ``over``, that of its manifest.
    thresholds : mapping of str to float, optional
        Operating thresholds of findings, or of the second of two classes.
    lang : str
        Language of the pages.
    overwrite : bool
        Whether files of the same names in ``out`` are replaced.
    progress : Progress
        Told how far the work is.
    **options
        ``model_class`` to ``python_path``, and what is declared about files of pictures and masks, as for
        :func:`figureground.run_audit`.

    Raises
    ------
    figureground.errors.FiguregroundError
        With what was found, what was expected and what to do. A picture that cannot be read is set aside and named;
        :class:`~figureground.errors.DataError` is raised where none can.
    """
    from figureground.audit.decisions.order import Asked, explained
    from figureground.datasets.singles import open_pictures, open_singles

    _check_inside(layer, channel, top, over)
    folder = None if out is None else _folder(Path(out), overwrite)
    said = {"classes": classes, "transform": transform, "kind": kind, "output_key": output_key}
    policy = declare(Policy(), thresholds=thresholds or {}, uncertain=None)
    (origin, decoding), base = parted(options), None if root is None else Path(root)
    source = open_singles(_several(images), _several(masks), base, decoding)
    survey = None if over is None else open_pictures(over, base, decoding, columns)
    subject = asked_model(model, origin, **said).subject(policy)
    config = AuditConfig(**looking(methods, cam_layer, layout))
    found = explained(
        subject, policy, source, Asked(config, _named(about), layer, layout, channel, top), survey, progress
    )
    if not found.sheets:
        raise _none_left(found.set_aside)
    facts, inside = found.model, found.inside
    written = () if folder is None else _written(folder, found.sheets, inside, facts, lang)
    return Explained(found.sheets, found.set_aside, inside, facts, written)


def _named(about: Sequence[str | int] | str | int | None) -> tuple[str | int, ...]:
    if about is None:
        return ()
    return (about,) if isinstance(about, str | int) else tuple(about)


def _several(paths: Sequence[str | Path] | str | Path) -> tuple[str | Path, ...]:
    return (paths,) if isinstance(paths, str | Path) else tuple(paths)


def _check_inside(layer: str | None, channel: int | None, top: int, over: Any | None) -> None:
    beside = "a channel" if channel is not None else "data to look over" if over is not None else ""
    if layer is None and beside:
        fix = "name the layer with --layer, or leave it out"
        raise UsageError("LAYER", "layer", found=f"{beside}, and no layer", expected="the layer that is meant", fix=fix)
    if top < 1:
        raise UsageError("TOP", "top", found=str(top), expected="1 or more", fix="say how many patches are shown")


def _folder(out: Path, overwrite: bool) -> Path:
    if out.exists() and (out.is_symlink() or not out.is_dir() or (any(out.iterdir()) and not overwrite)):
        raise UsageError(
            "OUT_EXISTS",
            str(out),
            found="a link, a file, or a folder that is not empty",
            expected="a new or empty folder",
            fix="name another folder, or replace sheets of the same names with --overwrite",
        )
    return out


def _none_left(set_aside: Sequence[SetAside]) -> DataError:
    first = set_aside[0]
    return DataError(
        "NOTHING_USABLE",
        first.name,
        found=f"{first.reason}: {first.detail}",
        expected=f"one picture of {len(set_aside)} that can be read",
        fix="mend the files, or declare how they are to be read",
    )


def _written(
    folder: Path, sheets: Sequence[Sheet], inside: Inside | None, model: ModelFacts, lang: str
) -> tuple[Path, ...]:
    from figureground.audit.keeping.files import published
    from figureground.reports.decision import figure, html

    pages: dict[str, bytes] = {}
    for at, sheet in enumerate(sheets, start=1):
        pages[f"sheet-{at}.{lang}.html"] = html.sheet_html(sheet, model, lang).encode()
        pages[f"sheet-{at}.png"] = figure.sheet_png(sheet, model, lang)
    if inside is not None:
        pages[f"inside.{lang}.html"] = html.inside_html(inside, model, lang).encode()
        pages["inside.png"] = figure.inside_png(inside, model, lang)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in pages.items():
        with published(folder / name) as draft:
            draft.write_bytes(content)
    return tuple(folder / name for name in pages)
