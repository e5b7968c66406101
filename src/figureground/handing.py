"""What is handed over: an edition of a run as a folder, and people taken out of a run; the evidence, then its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figureground.audit.document_handed import EditionName


def bundle_run(
    run: str | Path,
    *,
    out: str | Path,
    edition: EditionName = "regulator",
    key_file: str | Path | None = None,
    lang: str = "en",
    overwrite: bool = False,
) -> Path:
    """Write an edition of a finished run as a folder that ``sha256sum -c SHA256SUMS`` checks.

    Parameters
    ----------
    run : path
        A finished run; it is checked against its seal, read, and left alone.
    out : path
        The folder to write, new or empty.
    edition : {"internal", "regulator", "public"}
        Internal: with pictures and every cell. Regulator: no pictures, small cells hidden, a line for each image where
        that lets nobody count one. Public: no lines at all. In all of them paths, and columns that make no subgroups,
        are gone, and rows and clusters have pseudonyms.
    key_file : path, optional
        The owner's key of 32 bytes, in hexadecimal; made, for its owner alone, where there is no such file. Two bundles
        under one key can be compared row by row. Without it a key is made and forgotten.
    lang : str
        Language of the report.
    overwrite : bool
        Whether an earlier bundle in ``out`` is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        The run did not finish, the edition is unknown, the folder is not empty, or the key file holds no key.
    IntegrityError
        The run is not as it was sealed, is a bundle itself, or others may read the key.
    """
    from figureground.audit.bundle.keys import Key
    from figureground.audit.bundle.making import Edit, check_edition, list_files
    from figureground.audit.result import AuditResult
    from figureground.audit.run_folder import RunFolder, check_seal
    from figureground.reports import html

    run, out = Path(run), Path(out)
    check_edition(run, out, edition, None if key_file is None else Path(key_file))
    check_seal(run)
    key = Key.forgotten() if key_file is None else Key.of_file(Path(key_file))
    edit = Edit(AuditResult(run), edition, key)
    with RunFolder.opened(out, overwrite=overwrite, keep=(run,)) as folder:
        edit.write(folder)
        html.render_report(AuditResult(out), lang=lang)
        list_files(folder, edit)
    return out
