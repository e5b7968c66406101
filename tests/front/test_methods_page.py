"""docs/methods.md is what the registry says."""

import re
import runpy
from pathlib import Path

import pytest

from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import SPECS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "methods_table.py"))


def test_the_page_is_up_to_date(script):
    assert script["page"]() == (ROOT / "docs" / "methods.md").read_text(encoding="utf-8"), (
        "run scripts/methods_table.py"
    )


def test_every_method_and_setting_has_its_row_with_every_cell(script):
    lines = script["page"]().splitlines()
    for spec in SPECS:
        (line,) = [line for line in lines if f"`{spec.name}` |" in line and spec.citation in line]
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        assert len(cells) == 10
        assert all(cells)
        assert ("illustration" in cells[6]) is (spec.use == "illustration")
        assert float(re.search(r"\*\*(\d+)", cells[5]).group(1)) == spec.cost(MethodOptions(), 224, 224)
    for name in MethodOptions.model_fields:
        assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1


def test_the_class_on_the_page_works(script):
    import torch

    from figureground.audit.explain.registry import explainer_for

    code = re.search(r"```python\n(.*?)```", script["OWN"], re.DOTALL).group(1)
    made = {"__name__": "page"}
    exec(code, made)  # noqa: S102  (the page's own example)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval()
    own = made["GradientTimesContrast"]
    explained = explainer_for([own], model, sample=torch.rand(1, 3, 4, 4))(model, torch.rand(2, 3, 4, 4))
    assert list(explained.maps) == [("gradient_times_contrast", "positive")]
