"""What can go wrong, and what the command line answers.

::

    FiguregroundError                      exit code
    ├── UsageError                         2   the call, the configuration or the policy is off
    │   └── ManifestError                  2   the table's structure is off: columns, row widths, encoding
    ├── SubjectError                       4   the model cannot be audited; nothing was computed
    ├── DataError                          4   no row is usable; nothing was computed
    ├── ResourceError                      5   memory or disk did not suffice; --resume goes on
    └── IntegrityError                     6   refused: outside the data root, altered evidence, a link

    A stop by a person (Ctrl-C) answers 130, one from outside (SIGTERM) 143, anything else that is not listed 70.

A message has four parts, so that it can be acted on without opening the code:
``CODE where: found X; expected Y; fix: Z``.
"""

from __future__ import annotations

import re

from figureground.visible import one_line

#: Who signs in where, inside an address.
_SIGNED_IN = re.compile(r"(?<=://)[^/\s@]+(?=@)")


class FiguregroundError(Exception):
    """Base of all errors that are told to a person in one line.

    Parameters
    ----------
    code : str
        Short stable identifier in upper case, for example ``"MANIFEST_COLUMN"``.
    where : str
        ``file:row:field`` as far as known.
    found, expected, fix : str
        What was there, what should be there, and what to do.
    """

    exit_code = 70

    def __init__(self, code: str, where: str, *, found: str, expected: str, fix: str) -> None:
        where, found, expected, fix = map(_without_secrets, (where, found, expected, fix))
        self.code, self.where, self.found, self.expected, self.fix = code, where, found, expected, fix
        super().__init__(one_line(f"{code} {where}: found {found}; expected {expected}; fix: {fix}"))

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes hand exceptions over by pickle, which would otherwise call __init__ with one string.
        return _rebuild, (type(self), self.code, self.where, self.found, self.expected, self.fix)


def _without_secrets(text: str) -> str:
    """Errors end up in logs; a password in an address does not."""
    return _SIGNED_IN.sub("***", text)


def _rebuild(
    kind: type[FiguregroundError], code: str, where: str, found: str, expected: str, fix: str
) -> FiguregroundError:
    return kind(code, where, found=found, expected=expected, fix=fix)


class UsageError(FiguregroundError):
    """The call, the configuration or the policy is off."""

    exit_code = 2


class ManifestError(UsageError):
    """The structure of the data table is off: columns, row widths, encoding."""


class SubjectError(FiguregroundError):
    """The model cannot be loaded or audited; nothing was computed."""

    exit_code = 4


class DataError(FiguregroundError):
    """No row of the data is usable; nothing was computed."""

    exit_code = 4


class ResourceError(FiguregroundError):
    """Memory or disk did not suffice; what was done is kept, and the run can be gone on with."""

    exit_code = 5


class FindingError(FiguregroundError):
    """The audit is done, and a finding fails the policy; for callers that asked for an error, as training may."""

    exit_code = 1


class UnassessedError(FiguregroundError):
    """The audit is done, and what the policy requires could not be assessed; for callers that asked for an error."""

    exit_code = 3


class IntegrityError(FiguregroundError):
    """Refused for security or integrity: outside the data root, altered evidence, a link."""

    exit_code = 6
