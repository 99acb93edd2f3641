"""Without torch: the package works, and what needs torch says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

MESSAGE = "MissingExtraError: torch is not installed. Run pip install 'hashrec[train]'."


def run(code: str) -> str:
    """The last line of what `code` prints in a new process that cannot import torch."""
    # None in sys.modules is Python's own way to say that a module cannot be found.
    head = "import sys\nsys.modules['torch'] = None\nimport hashrec as hr\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "use", ["hr.HashedEmbedding", "hr.HashedEmbeddingBag", "hr.compress", "import hashrec.training"]
)
def test_it_says_what_to_install(use: str) -> None:
    code = (
        f"try:\n    {use}\nexcept hr.HashrecError as e:\n    print(f'{{type(e).__name__}}: {{e}}')"
    )
    assert run(code) == MESSAGE


def test_buckets_need_no_torch() -> None:
    code = (
        "log = hr.planted(20, 20, communities=2, degree=3, noise=0.1, seed=0).interactions\n"
        "print(len(hr.buckets(log, 'modulo', rows=0.5).items))"
    )
    assert run(code) == "20"


def test_a_torch_that_is_broken_inside_is_not_called_missing(tmp_path: object) -> None:
    """Installing the extra would not mend it: the true cause must come through."""
    code = (
        f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'torch.py')"
        ".write_text('import a_library_of_torch')\n"
        f"del sys.modules['torch']; sys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n    hr.compress\nexcept ModuleNotFoundError as e:\n    print(e.name)"
    )
    assert run(code) == "a_library_of_torch"
