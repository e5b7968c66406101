"""Row identities: 63 bits, the same on every machine, from nothing but the key."""

import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from figureground.datasets.schema import Batch, row_id

keys = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@given(key=keys, label=keys)
def test_identity_is_the_first_63_bits_of_sha256(key, label):
    digest = hashlib.sha256(f"{key}\0{label}".encode()).hexdigest()
    assert row_id(key, label) == int(digest[:16], 16) // 2
    assert torch.tensor(row_id(key, label)).item() == row_id(key, label)


def test_identity_does_not_change_from_version_to_version():
    assert row_id("images/0001.png") == 1489531419152810943
    assert row_id("a", "", 1) == 7336200083040860443


@given(key=keys, label=keys)
def test_key_label_and_occurrence_all_count(key, label):
    found = {row_id(key, label), row_id(key + "x", label), row_id(key, label + "x"), row_id(key, label, 1)}
    assert len(found) == 4
    assert row_id(key, label, 0) == row_id(key, label)


def test_names_that_are_no_unicode_have_an_identity():
    assert row_id("caf\udce9.png") != row_id("caf.png")


def test_a_batch_without_regions_has_none():
    tensors = torch.zeros(1)
    assert Batch(tensors, tensors, tensors, tensors, tensors).regions == {}
