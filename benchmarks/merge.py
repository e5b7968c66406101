"""How fast are the parts of a run merged, and in how much memory? On rows made up after those of a run.

    python benchmarks/merge.py                        # 10,000,000 rows in 4 parts, linked and copied
    python benchmarks/merge.py --rows 100000          # a smaller size, to try it

The folder that it works in is removed at the end; 10,000,000 rows with two logits take some 0.6 GB, copied twice that.
Peaks are resident MB of the whole command, Linux only.
"""

from __future__ import annotations

import argparse
import json
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from figureground.audit.dividing.parts import STREAMED
from figureground.audit.dividing.same_run import DECLARED
from figureground.audit.keeping import tables
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.run_folder import RunFolder
from figureground.datasets.columns import SHARD_ROWS

WATCHING = runpy.run_path(str(Path(__file__).with_name("watching.py")))
#: A picture of the donor contrast with two levels and three passes: two swaps, two controls and one of its own level
#: in each pass, and one reference.
ROWS_A_PICTURE = 16
#: The same merge where the disk has no links, as between two machines.
COPIED = "import os; os.link = lambda *_: (_ for _ in ()).throw(OSError()); "
MAIN = "from figureground.__main__ import main; main()"


def shard(rng: np.random.Generator, first: int, pictures: int) -> pa.Table:
    """Rows of one shard of a swap stream, with the entropy of real ones in what takes room: ids, logits, scores."""
    n = pictures * ROWS_A_PICTURE
    ids = np.sort(rng.choice(1 << 40, pictures, replace=False)) + first
    logits = rng.normal(size=(n, 2)).astype(np.float32)
    kinds = np.array(["swap", "swap", "control", "control", "same_level"] * 3 + ["reference"])
    known: dict[str, Any] = {
        "row_id": np.repeat(ids, ROWS_A_PICTURE),
        "cue": pa.repeat("background", n),
        "intervention": np.tile(kinds, pictures),
        "arm": np.where(rng.random(n) < 0.5, "grass", "gravel"),
        "dose": np.ones(n),
        "pass": np.tile(np.repeat([0, 1, 2, 0], [5, 5, 5, 1]), pictures),
        "donor_row_id": rng.choice(ids, n),
        "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), 2),
        "logsumexp": np.logaddexp(logits[:, 0], logits[:, 1]).astype(np.float64),
        "predicted": logits.argmax(axis=1),
        "score": rng.normal(size=n),
        "status": pa.repeat("ok", n),
    }
    columns = [
        pa.array(known[name]).cast(kind) if name in known else pa.nulls(n, kind)
        for name, kind in zip(tables.PREDICTIONS.names, tables.PREDICTIONS.types, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=tables.PREDICTIONS)


def written(beside: Path, rows: int, total: int) -> int:
    """Parts with so many rows between them; bytes of their shards."""
    shards = -(-rows // (SHARD_ROWS * ROWS_A_PICTURE))
    rng, size = np.random.default_rng(0), 0
    folders = [RunFolder.create(beside / f"part-{number}-of-{total}") for number in range(1, total + 1)]
    for folder in folders:
        folder.write_json(DECLARED, {"model sha256": "a"})
        assert folder.journal is not None
        folder.journal.plan("background", range(shards))
        folder.journal.recall(STREAMED, lambda: 1)
    for number in range(shards):
        folder = folders[number % total]
        name = f"predictions/part-background-{number:05d}.parquet"
        pq.write_table(shard(rng, number << 41, SHARD_ROWS), folder.new_file(name), compression="zstd")
        size += (folder.path / name).stat().st_size
        assert folder.journal is not None
        folder.journal.finished(f"background-{number:05d}", {name: file_sha256(folder.path / name)}, 1)
    return size


def merged(parts: Path, out: Path, *, copied: bool) -> dict[str, Any]:
    """What the command took."""
    run = WATCHING["timed"](["-c", (COPIED if copied else "") + MAIN, "merge", str(parts), "-o", str(out)])
    assert run.code == 0, run.said
    rows = ds.dataset(out / "predictions", format="parquet").count_rows()
    shutil.rmtree(out)
    return {
        "rows": rows,
        "seconds": round(run.seconds, 1),
        "processor seconds": round(run.busy, 1),
        "rows a second": round(rows / run.seconds),
        "peak MB": round(run.peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="Where to work; default: the system's folder for such files.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="figureground-merge-", dir=asked.folder) as name:
        parts = Path(name) / "run.parts"
        size = written(parts, asked.rows, asked.parts)
        found = {how: merged(parts, Path(name) / "merged", copied=how == "copied") for how in ("linked", "copied")}
        found["bytes a row"] = round(size / found["linked"]["rows"], 1)
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
