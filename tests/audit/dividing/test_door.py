"""Rows read by several: each block once, whole, and back as it was found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.dividing.door import file_of, in_blocks, read_readings, write_readings
from figureground.audit.keeping.journal import Journal, shard_name
from figureground.audit.keeping.run_folder import RunFolder
from figureground.datasets.reading import CRASHED
from figureground.datasets.readings import READ, Readings

OK = {
    "status": "ok",
    "reason": None,
    "detail": None,
    "sha256": "a" * 64,
    "object_area": 1 / 3,
    "width": 64,
    "height": 48,
    "mask_status": "ok",
    "read_notes": "exif;icc",
    "border": 0.1 + 0.2,
}


@given(st.lists(st.integers(1, 5), max_size=6), st.randoms(use_true_random=False))
def test_blocks_are_given_once_and_in_order(sizes, rng):
    blocks, at = {}, 0
    for number, size in enumerate(sizes):
        blocks[2 * number] = tuple(range(at, at + 3 * size, 3))
        at += 3 * size
    rows = [(position, {"status": str(position)}) for block in blocks.values() for position in block]
    rng.shuffle(rows)
    found = list(in_blocks(rows, blocks))
    assert sorted(block for block, _ in found) == sorted(blocks)
    assert {block: tuple(position for position, _ in given) for block, given in found} == blocks
    assert all(row["status"] == str(position) for _, given in found for position, row in given)


def test_what_was_found_comes_back_exactly(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    rows = [(3, OK), (4, CRASHED), (9, OK | {"object_area": None, "border": None, "detail": "é"}), (2**40, OK)]
    rows.reverse()
    write_readings(folder, folder.journal, 7, rows)
    back, given = Readings(), Readings()
    for position, found in read_readings(folder, 7):
        back.add(position, found)
    for position, found in rows:
        given.add(position, found)
    assert back == given
    assert set(back.columns) == set(READ)
    assert Journal.read(folder.path).done(shard_name("door", 7)).files.keys() == {file_of(7)}
