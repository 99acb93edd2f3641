"""The house as drawn: who may import whom. A room is a module or package right under hashrec."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# From the roof down. A room imports itself and rooms on lower floors, never a neighbour.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"bench"},
    {"workflow"},
    {"budget"},
    {"two_stage"},
    {"recommender"},
    {"watching"},
    {"fitted"},
    {"recipe"},
    {"hashing", "ctr"},
    {"evaluation"},
    {"search", "encoders"},
    {"training"},
    {"learning"},
    {"bucketing", "impressions"},
    {"codes", "interactions", "graph", "clustering", "artifact", "data"},
    {"ctr_folder"},
    {"folder", "settings"},
    {"csr", "kernels", "simd", "threads", "swap", "component", "costs"},
    {"errors", "progress", "hashrec"},
)

# Neither wing knows the other: bits on the left, graphs on the right.
LEFT = {"codes", "search", "evaluation"}
RIGHT = {
    "interactions",
    "impressions",
    "graph",
    "encoders",
    "clustering",
    "bucketing",
    "learning",
    "training",
}

# Narrower than their floor allows.
ONLY = {
    "artifact": {"folder"},
    "folder": {"errors", "swap"},
    "evaluation": {"search", "codes", "component", "csr", "errors", "progress"},
    "swap": set[str](),
    "errors": set[str](),
    "progress": set[str](),
}

NEVER = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted((SOURCE / "hashrec").rglob("*.py"))}


def _room(module: str) -> str:
    """`codes` of `hashrec.codes.sign`; `hashrec` of the package itself."""
    return module.split(".")[1] if "." in module else "hashrec"


def _only_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _nodes(node: ast.AST, *, inside: bool) -> Iterator[ast.AST]:
    """All nodes that run; those inside functions only on request."""
    for child in ast.iter_child_nodes(node):
        if _only_for_types(child):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside:
            continue
        yield child
        yield from _nodes(child, inside=inside)


def imports(module: str, *, inside: bool = True) -> set[str]:
    """Whole names of what a module imports; of ours, the module that holds the name."""
    found: set[str] = set()
    for node in _nodes(ast.parse(MODULES[module].read_text(encoding="utf-8")), inside=inside):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            base = node.module or ""
            whole = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else base for name in whole}
    return found


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name.split(".")[0] == "hashrec"}


def rooms_seen_by(module: str) -> set[str]:
    return {_room(name) for name in ours(module)} - {_room(module)}


def _height(room: str) -> int:
    (floor,) = (number for number, rooms in enumerate(reversed(FLOORS)) if room in rooms)
    return floor


def test_the_reading_of_imports_sees_what_is_there() -> None:
    """Guards the guard: an empty parse would pass every test below."""
    assert len(MODULES) > 60
    assert {"hashrec.swap", "hashrec.errors"} <= imports("hashrec.folder")
    assert "safetensors" in imports("hashrec.folder")
    assert "safetensors" not in imports("hashrec.folder", inside=False)
    assert "hashrec.codes" not in imports("hashrec")  # only there for type checkers


def test_every_room_stands_on_exactly_one_floor() -> None:
    drawn = [room for floor in FLOORS for room in floor]
    assert sorted(drawn) == sorted({_room(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_upward_or_sideways(module: str) -> None:
    height = _height(_room(module))
    assert {room for room in rooms_seen_by(module) if _height(room) >= height} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) in LEFT | RIGHT])
def test_the_wings_do_not_know_each_other(module: str) -> None:
    other = RIGHT if _room(module) in LEFT else LEFT
    assert rooms_seen_by(module) & other == set()


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) in ONLY])
def test_these_rooms_import_these_alone(module: str) -> None:
    assert rooms_seen_by(module) <= ONLY[_room(module)]


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())
    assert len(order) >= len(MODULES)  # static_order raises CycleError with the circle


@pytest.mark.parametrize("module", MODULES)
def test_no_pickle_in_any_path(module: str) -> None:
    assert {name.split(".")[0] for name in imports(module)} & NEVER == set()


TORCH = {"training", "ctr"}
HASHING = {
    f"hashrec.hashing.{name}"
    for name in ("centred", "coded", "distilled", "estimators", "fit", "hash_layer", "hash_mlp",
                 "hessian", "hessian_aware", "quantisers", "taught",
                 "transformed")
}  # fmt: skip


def test_options_of_learned_codes_are_read_without_torch() -> None:
    """What the room imports at once is not among the modules that need it."""
    for module in set(MODULES) - HASHING:
        if _room(module) == "hashing":
            assert not {name for name in imports(module, inside=False) if name in HASHING}


@pytest.mark.parametrize("module", MODULES)
def test_torch_is_imported_where_it_is_used_and_nowhere_else(module: str) -> None:
    """`training` and `ctr` are rooms of torch, and half of `hashing`; options reach it inside
    functions, as losses, encoders and benchmarks do."""
    at_import = {name.split(".")[0] for name in imports(module, inside=False)}
    anywhere = {name.split(".")[0] for name in imports(module)}
    assert "torch" not in at_import or _room(module) in TORCH or module in HASHING
    inside = {*TORCH, "bench", "learning", "encoders", "hashing"}
    assert "torch" not in anywhere or _room(module) in inside


def test_only_the_command_line_prints() -> None:
    printing = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }
    assert printing
    assert {_room(module) for module in printing} == {"cli"}
