"""Fuzz the table of the data: CSV and Parquet, from bytes to the ledger of rows.

    python benchmarks/fuzz/manifest.py -max_total_time=600

The first byte says which of the two the rest is.
"""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path

import pandas as pd

from figureground.audit.judge.grouping import group_rows
from figureground.datasets.findings import label_columns
from figureground.datasets.intake import Intake
from figureground.datasets.known_rows import attribute_columns
from figureground.datasets.sources import open_source

_ROWS = "image,label,mask,environment,site,cluster,split\na.png,cat,m.png,snow,NA,p1,test\nb.png,dog,,sand,,p2,train\n"
_FINDINGS = "image,label:a,label:b,mask:a,region:tag\nx.png,1,0,m.png,\ny.png,-1,,,t.png\n"


def target(data: bytes, folder: Path) -> None:
    """Read a table and take in its rows, none of whose files exist."""
    path = folder / ("manifest.parquet" if data[:1] == b"P" else "manifest.csv")
    path.write_bytes(data[1:])
    source = open_source(path, classes=("cat", "dog"))
    table = source.table()
    several = bool(label_columns(table))
    intake = Intake(label_columns(table) or ("cat", "dog"), several=several, uncertain="exclude")
    rows = intake.candidates(table, source.where)
    group_rows(rows, attribute_columns(table), None)
    intake(source, table)


def seeds() -> dict[str, bytes]:
    """Tables as people's tools write them."""
    texts = {
        "plain": _ROWS.encode(),
        "bom": b"\xef\xbb\xbf" + _ROWS.encode(),
        "semicolons": _ROWS.replace(",", ";").encode(),
        "tabs": _ROWS.replace(",", "\t").replace("\n", "\r\n").encode(),
        "cp1252": _ROWS.replace("snow", "Schnee und Kälte").encode("cp1252"),
        "utf16": _ROWS.encode("utf-16"),
        "quotes": b'image,label\n"a ""b"".png","cat\nand dog"\n',
        "findings": _FINDINGS.encode(),
        "ragged": b"image,label\na.png\n",
        "nul": b"image,label\na\0.png,cat\n",
    }
    stored = io.BytesIO()
    pd.read_csv(io.StringIO(_ROWS), keep_default_na=False).assign(age=[7, None], seen=[True, False]).to_parquet(stored)
    return {name: b"C" + text for name, text in texts.items()} | {"parquet": b"P" + stored.getvalue()}


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("running.py")))["run"](target, seeds(), sys.argv)
