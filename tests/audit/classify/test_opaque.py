"""Models that are programs or functions: read only where they may be, and answering as the network does."""

from __future__ import annotations

import builtins
import warnings

import pytest
import torch

from figureground.audit.classify import opaque
from figureground.audit.classify.opaque import Answering, is_program, load_program
from figureground.audit.classify.origins import Origin
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import as_subject, load_subject
from figureground.audit.keeping.files import file_sha256
from figureground.errors import IntegrityError, SubjectError, UsageError

CLASSES = ("coat", "pullover", "shirt")


@pytest.fixture
def images():
    return torch.rand(5, 3, 32, 32)


@pytest.fixture
def torchscript(classifier, images, tmp_path):
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(classifier.network, images).save(str(path))
    return path


@pytest.fixture
def exported(classifier, images, tmp_path):
    path = tmp_path / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(classifier, (images[:2],)), path)
    return path


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """The mean of each channel, as an ONNX graph whose batch is fixed at 2."""
    from onnx import TensorProto, helper, save

    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [2, 3, 32, 32])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 3])
    pool, flat = (
        helper.make_node("GlobalAveragePool", ["pixels"], ["m"]),
        helper.make_node("Flatten", ["m"], ["logits"]),
    )
    model = helper.make_model(helper.make_graph([pool, flat], "g", [given], [out]), ir_version=10)
    model.opset_import[0].version = 17
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    save(model, path)
    return path


@pytest.mark.fault("A17")
@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_program_is_read_only_where_it_is_trusted(kind, request, monkeypatch):
    path = request.getfixturevalue(kind)
    for loader in (torch.jit, torch.export):
        monkeypatch.setattr(loader, "load", lambda *_, **__: pytest.fail("the file was read"))
    for trusted in (None, "0" * 64):
        with pytest.raises(IntegrityError, match=f"MODEL_PROGRAM.*--trust-model {file_sha256(path)}") as caught:
            load_program(path, trusted)
        assert caught.value.exit_code == 6


@pytest.mark.fault("A17")
@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_program_answers_as_the_network_does(kind, request, classifier, images):
    path = request.getfixturevalue(kind)
    assert is_program(path)
    subject = load_subject(
        path, classes=CLASSES, transform=classifier.preprocess, origin=Origin(trusted=file_sha256(path))
    )
    with torch.no_grad():
        torch.testing.assert_close(subject.module(images), classifier(images), rtol=1e-5, atol=1e-6)
    assert (subject.access, subject.sha256, subject.code_executed) == ("gradients", file_sha256(path), True)
    checks = {check.check: check.status for check in check_auditable(subject, images[:2])}
    assert checks.pop("map_shape") == "not_run"
    assert set(checks.values()) == {"passed"}


def test_a_graph_answers_in_batches_of_its_own_size(graph, images):
    subject = load_subject(graph, classes=CLASSES)
    torch.testing.assert_close(subject.module(images), images.mean((2, 3)), rtol=1e-5, atol=1e-6)
    assert (subject.architecture, subject.sha256, subject.code_executed) == ("onnx program", file_sha256(graph), False)
    assert not subject.module(images.requires_grad_()).requires_grad


def test_a_missing_extra_is_named(graph, monkeypatch):
    monkeypatch.setattr(opaque, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'figureground\[onnx\]'"):
        load_program(graph, None)


@pytest.mark.parametrize(("name", "content"), [("x.onnx", b"no graph"), ("x.pt2", b"PK no program")])
def test_damaged_programs_are_told(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SubjectError, match="CKPT_DAMAGED"):
        load_program(path, file_sha256(path))


def test_a_graph_with_another_input_is_refused(tmp_path):
    from onnx import TensorProto, helper, save

    given = helper.make_tensor_value_info("words", TensorProto.FLOAT, [1, 7])
    out = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 7])
    node = helper.make_node("Identity", ["words"], ["same"])
    model = helper.make_model(helper.make_graph([node], "g", [given], [out]), ir_version=10)
    model.opset_import[0].version = 17
    save(model, tmp_path / "x.onnx")
    with pytest.raises(SubjectError, match=r"MODEL_INPUT.*words \[1, 7\]"):
        load_program(tmp_path / "x.onnx", None)


@pytest.mark.fault("A17")
def test_a_function_is_a_subject_without_an_identity(classifier, images):
    subject = as_subject(lambda x: classifier(x), classes=CLASSES)
    assert (subject.sha256, subject.access, subject.code_executed) == (None, "gradients", True)
    hidden = as_subject(lambda x: classifier(x).detach(), classes=CLASSES)
    seen = {check.check: check for check in check_auditable(subject, images[:2])}
    assert (seen["weights_unchanged"].status, seen["gradient_nonzero"].status) == ("not_run", "passed")
    with pytest.raises(SubjectError, match="MODEL_NO_GRADIENT"):  # seen as one of answers alone by choose_explainer
        check_auditable(hidden, images[:2])
    for model in (builtins.dict, 7, None):
        with pytest.raises(SubjectError, match="MODEL_TYPE"):
            as_subject(model, classes=CLASSES)


def test_fewer_images_than_the_batch_are_filled_up():
    seen = []

    def answer(x):
        seen.append(len(x))
        return x.flatten(1)

    module = Answering(answer, "f", batch=4)
    images = torch.rand(6, 1, 2, 2)
    assert torch.equal(module(images), images.flatten(1))
    assert seen == [4, 4]
