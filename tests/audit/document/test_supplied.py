"""Who supplied what: declared by input, and never taken for granted."""

import pytest

from figureground.audit.document.supplied import INPUTS, supplied
from figureground.errors import UsageError
from figureground.options.texts import as_suppliers


def test_every_input_that_was_given_is_listed():
    given = ["model", "data", "labels", "train", "policy"]
    found = supplied({"data": "client", "policy": "auditor"}, given)
    assert found == {"model": None, "data": "client", "labels": None, "train": None, "policy": "auditor"}
    assert supplied({}, [name for name in INPUTS if name != "policy"])["policy"] == "tool"


@pytest.mark.parametrize(
    ("name", "party", "said"),
    [("date", "client", "date=client"), ("data", "vendor", "data=vendor"), ("train", "client", "was not given")],
)
def test_what_is_no_input_or_party_is_refused(name, party, said):
    with pytest.raises(UsageError, match="SUPPLIED_BY") as caught:
        supplied({name: party}, ["model", "data"])
    assert said in caught.value.found


def test_the_command_line_takes_pairs():
    assert as_suppliers(["data=client, model=tool", "policy=auditor"]) == {
        "data": "client",
        "model": "tool",
        "policy": "auditor",
    }
