"""What is handed over: an edition of a run as a folder, with its report; and people taken out of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figureground.audit.document.handed import EditionName
    from figureground.audit.keeping.verifying import Verified


def bundle_run(
    run: str | Path,
    *,
    out: str | Path,
    edition: EditionName = "regulator",
    key_file: str | Path | None = None,
    lang: str = "en",
    overwrite: bool = False,
    report: bool = True,
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
    report : bool
        Whether the report is written as well.

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
    from figureground.audit.keeping.result import AuditResult
    from figureground.audit.keeping.run_folder import RunFolder, check_seal
    from figureground.rendering import own_report

    run, out = Path(run), Path(out)
    check_edition(run, out, edition, None if key_file is None else Path(key_file))
    check_seal(run)
    key = Key.forgotten() if key_file is None else Key.of_file(Path(key_file))
    edit = Edit(AuditResult(run), edition, key)
    with RunFolder.opened(out, overwrite=overwrite, keep=(run,)) as folder:
        edit.write(folder)
        if report:
            own_report(AuditResult(out), lang)
        list_files(folder, edit)
    return out


def purge_rows(
    run: str | Path,
    *,
    rows: str | Path | Sequence[str | int] | None = None,
    clusters: str | Path | Sequence[str] | None = None,
) -> int:
    """Take people out of a finished run, in place: their rows, what was measured of or with them, their pictures.

    What is left is judged again and sealed anew, and the reports in the folder are rendered again; it says how many
    rows went, and when. Copies that were handed over, and backups, are not touched.

    Parameters
    ----------
    run : path
        A finished run.
    rows : str, path or sequence, optional
        Ids or paths as in ``examples.parquet``: a sequence, a text separated by commas, or a file with one a line.
    clusters : str, path or sequence, optional
        Independent units (patients) by their name, with all of their rows.

    Returns
    -------
    int
        How many rows went.

    Raises
    ------
    UsageError
        A name is not in the run, or the run did not finish, or is of a version that cannot be judged again.
    IntegrityError
        The run is not as it was sealed, or holds files that are not its own.
    """
    from figureground.audit.bundle.purging import Asked, Purge, named_in
    from figureground.audit.keeping.result import AuditResult
    from figureground.audit.rejudge import Stored
    from figureground.rendering import own_report

    stored = Stored.open(Path(run))
    gone = Purge(stored, Asked(named_in(rows), named_in(clusters))(stored))()
    own_report(AuditResult(Path(run)))
    return gone


def verify_run(run: str | Path) -> Verified:
    """Check a finished run, or a bundle, whole; offline, and without its model.

    Parameters
    ----------
    run : path

    Returns
    -------
    Verified
        The SHA-256 of the seal, how many files are as sealed and as listed, and what lies outside the seal.

    Raises
    ------
    UsageError
        The run did not finish.
    IntegrityError
        A file is missing, was added, was changed, or is a link.
    """
    from figureground.audit.keeping.verifying import verify

    return verify(Path(run))
