"""Every error this library raises on purpose, in one small tree.

    HashrecError
    ├── DataError          a file, a data frame or a matrix that cannot be read as interactions
    ├── RecipeError        an unknown method, an unknown key, a value out of its range
    ├── UnknownIdError     an id that the model has never seen
    ├── ModelError         a folder that is no model, a newer one, or a damaged one
    ├── OutputError        a result that could not be written; what stood there before still stands
    ├── MissingExtraError  an optional package that a chosen method needs and that is not installed
    └── UsageError         a call that makes no sense as it stands

    HashrecWarning         something was done otherwise than asked; its short code ends the message

All of them are the caller's to mend, so the command line turns each into one message and exit
status 2. Anything else that escapes is a fault of ours and exits with 1.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "HashrecError",
    "HashrecWarning",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "RecipeError",
    "UnknownIdError",
    "UsageError",
]


class HashrecError(Exception):
    """What was wrong, with what, what was expected, what came, and what to do.

    The parts are kept as attributes; the message is made of those that were given.
    """

    def __init__(
        self, problem: str, *, name: str = "", expected: str = "", got: str = "", fix: str = ""
    ) -> None:
        self.problem = problem
        self.name = name
        self.expected = expected
        self.got = got
        self.fix = fix
        super().__init__(self._message())

    def _message(self) -> str:
        text = f"{self.name}: {self.problem}" if self.name else self.problem
        if self.expected:
            text += f"; expected {self.expected}"
        if self.got:
            text += f"; got {self.got}"
        if self.fix:
            text += f". {self.fix[0].upper()}{self.fix[1:]}"
        return text if text.endswith("?") else text + "."


class DataError(HashrecError):
    """Interactions that cannot be read, or that hold what interactions cannot hold."""


class RecipeError(HashrecError):
    """A recipe that names an unknown method or key, or gives a value out of its range."""


class UnknownIdError(HashrecError):
    """A raw id the model has never seen."""


class ModelError(HashrecError):
    """A model folder that is foreign, newer than this library, or damaged."""


class OutputError(HashrecError):
    """A result that could not be written."""


class MissingExtraError(HashrecError):
    """An optional package is needed and not installed; the message says what to install."""


class UsageError(HashrecError):
    """A call or a command whose arguments contradict each other or the data."""


class HashrecWarning(UserWarning):
    """What was done otherwise than asked, and why; a short code in brackets ends the message."""
