"""A folder of DICOM files: tags as attributes, ages as years, and no patient named anywhere."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from typer.testing import CliRunner

from figureground.cli import app
from figureground.datasets import dicom_folder
from figureground.datasets.building import build_manifest
from figureground.datasets.dicom_folder import as_years, hashed
from figureground.errors import ManifestError, UsageError

TAGS = ["Manufacturer", "PatientSex", "PatientAge"]


def write(path: Path, patient: str = "P-17", picture: bool = True, **tags) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientID, data.PatientName = patient, "Doe^Jane"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that are not as they should be are what is tested
        for name, value in tags.items():
            setattr(data, name, value)
    if picture:
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = 4, 5, 8, 8, 7
        data.SamplesPerPixel, data.PixelRepresentation, data.PhotometricInterpretation = 1, 0, "MONOCHROME2"
        data.PixelData = np.arange(20, dtype=np.uint8).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, data, enforce_file_format=True)


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")  # of writing what no age is
def test_tags_become_columns_and_patients_hashes(tmp_path):
    write(tmp_path / "x" / "1.dcm", Manufacturer="Acme", PatientSex="F", PatientAge="045Y")
    write(tmp_path / "x" / "2", Manufacturer="Acme", PatientAge="006M")
    write(tmp_path / "y" / "P-18.dcm", patient="P-18", PatientSex="M", PatientAge="old")
    write(tmp_path / "y" / "4.dcm", patient="")
    write(tmp_path / "y" / "report.dcm", picture=False)
    (tmp_path / "y" / "notes.txt").write_text("nothing")
    built = build_manifest(tmp_path, tmp_path / "m.csv", tags=TAGS)
    frame = built.frame.set_index("image")
    assert frame.columns.tolist() == ["cluster", *TAGS]
    assert frame.loc["x/1.dcm", TAGS].tolist() == ["Acme", "F", "45"]
    assert frame.loc["x/2", "PatientAge"] == "0.5"
    assert frame.loc["y/P-18.dcm", TAGS].tolist() == ["", "M", ""]
    assert frame.loc["x/1.dcm", "cluster"] == frame.loc["x/2", "cluster"] != frame.loc["y/P-18.dcm", "cluster"]
    assert frame.loc["y/4.dcm", "cluster"] == ""
    assert built.left_out == {
        "DICOM files without a picture": 1,
        "files that are no DICOM": 1,
        "paths that hold the identifier of a patient": 1,
    }
    text = (tmp_path / "m.csv").read_text()
    assert not any(name in text for name in ("P-17", "Doe", "Jane"))


def test_the_same_salt_gives_the_same_hash_and_another_does_not(tmp_path):
    write(tmp_path / "1.dcm")
    one, two, other = (
        build_manifest(tmp_path, tmp_path / "m.csv", tags=[], salt=salt, overwrite=True).frame["cluster"].item()
        for salt in (b"a", b"a", None)
    )
    assert one == two == hashed("P-17 ", b"a") != other
    assert len(one) == 16


def test_labels_come_from_folders_only_where_a_map_names_them(tmp_path):
    write(tmp_path / "1" / "a.dcm")
    write(tmp_path / "2" / "b.dcm")
    assert "label" not in build_manifest(tmp_path, tmp_path / "m.csv", tags=[]).frame
    built = build_manifest(tmp_path, tmp_path / "m.csv", tags=[], class_map={"1": "sick", "2": "well"}, overwrite=True)
    assert built.frame["label"].tolist() == ["sick", "well"]


@pytest.mark.parametrize(
    "tag", ["PatientName", "PatientID", "PatientBirthDate", "ReferringPhysicianName", "PatientAeg"]
)
def test_tags_that_name_a_person_or_nothing_are_refused(tmp_path, tag):
    write(tmp_path / "1.dcm")
    with pytest.raises(UsageError, match="DICOM_TAG"):
        build_manifest(tmp_path, tmp_path / "m.csv", tags=[tag])


def test_a_folder_without_dicom_and_a_missing_extra_are_told(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ManifestError, match="1 files that are no DICOM"):
        build_manifest(tmp_path, tmp_path / "m.csv", tags=[])

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(dicom_folder.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'figureground\[medical\]'"):
        build_manifest(tmp_path, tmp_path / "m.csv", tags=[])


@pytest.mark.parametrize(("text", "years"), [("045Y", "45"), ("018M", "1.5"), ("052W", "1"), ("Y", ""), ("4Y5", "")])
def test_ages_are_years(text, years):
    assert as_years(text) == years


def test_the_command_takes_tags_and_a_salt(tmp_path):
    write(tmp_path / "d" / "1.dcm", PatientAge="030Y")
    (tmp_path / "salt").write_bytes(b"a")
    said = CliRunner().invoke(
        app,
        ["manifest", str(tmp_path / "d"), "-o", str(tmp_path / "m.csv"), "--tags", "PatientSex,PatientAge",
         "--salt", str(tmp_path / "salt")],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert (tmp_path / "m.csv").read_text().splitlines()[1] == f"d/1.dcm,{hashed('P-17', b'a')},,30"
