"""What `import hashrec` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hashrec as hr

HEAVY = ("numba", "pyarrow", "torch", "pydantic", "numpy", "scipy", "pandas")


def test_the_names_are_sorted_and_none_is_listed_twice() -> None:
    assert hr.__all__ == sorted(set(hr.__all__))


@pytest.mark.parametrize("name", hr.__all__)
def test_every_name_can_be_had_and_is_what_it_says(name: str) -> None:
    value = getattr(hr, name)
    assert name == "__version__" or value.__name__ == name


def test_dir_lists_the_public_names_alone() -> None:
    assert dir(hr) == sorted(hr.__all__)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'hashrec' has no attribute 'Recomender'"):
        hr.Recomender  # noqa: B018
    assert not hasattr(hr, "recipe_of_nothing")


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from hashrec import *", names)
    assert set(hr.__all__) <= set(names)


@pytest.mark.parametrize(
    "code",
    [
        "import hashrec",
        "from hashrec.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass",
        "from hashrec.cli.main import main\ntry:\n    main(['fit'])\nexcept SystemExit: pass",
    ],
    ids=["import", "help", "usage error"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    """Measured in a new process: start-up must not pay for numba and its like."""
    probe = f"{code}\nimport sys\nprint('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert hr.__version__ == version("hashrec")


@pytest.mark.parametrize("arguments", [["-m", "hashrec", "--version"]])
def test_the_module_runs_as_a_command(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == f"hashrec {hr.__version__}\n"
