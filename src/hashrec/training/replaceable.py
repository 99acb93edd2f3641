"""Which tables of a model can give way to shared rows, and why the others cannot."""

from __future__ import annotations

from typing import Any

from torch import nn

from hashrec.bucketing import Assignment
from hashrec.component import nearest
from hashrec.errors import UsageError

__all__ = ["check_replaceable"]

TABLES = (nn.Embedding, nn.EmbeddingBag)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def check_replaceable(model: Any, path: str, assignment: Assignment) -> Any:
    """The table at `path`, which nothing hinders from being replaced under `assignment`.

    Raises UsageError that names the path and what is in the way.
    """
    table = _table_at(model, path)
    hindrance = _lost(table)
    if hindrance:
        raise UsageError("the table cannot be replaced", name=path, got=hindrance)
    _check_tied(model, path, table)
    if len(assignment) != table.num_embeddings:
        raise UsageError(
            "the assignment is not of this table's ids",
            name=path,
            expected=f"{table.num_embeddings} ids, one for each row of the table",
            got=str(len(assignment)),
        )
    return table


def _table_at(model: Any, path: str) -> Any:
    """The nn.Embedding or nn.EmbeddingBag at `path`; raises UsageError for anything else."""
    modules = dict(model.named_modules(remove_duplicate=False))
    tables = [name for name, module in modules.items() if isinstance(module, TABLES)]
    if path not in modules:
        raise UsageError(
            f"the model has no module {path!r}",
            expected="one of " + ", ".join(tables) if tables else "a model with tables",
            fix=nearest(path, tables),
        )
    if not isinstance(modules[path], TABLES):
        raise UsageError(
            "this module is no table",
            name=path or "the model",
            expected="nn.Embedding or nn.EmbeddingBag",
            got=type(modules[path]).__name__,
        )
    return modules[path]


def _lost(table: Any) -> str:
    """What the table does that shared rows do not, or nothing."""
    kind = type(table)
    if table.max_norm is not None:
        return "max_norm, which shared rows do not keep"
    if table.scale_grad_by_freq:
        return "scale_grad_by_freq, which shared rows do not know"
    if getattr(table, "mode", "") == "max":
        return "mode 'max', which is no sum of rows"
    if kind.forward not in (nn.Embedding.forward, nn.EmbeddingBag.forward):
        return f"{kind.__name__}, whose own forward would be lost"
    if "weight" not in table._parameters:
        return "a weight that is computed (a parametrization)"
    if any(getattr(table, hooks) for hooks in HOOKS):
        return "hooks, which would be lost"
    return ""


def _check_tied(model: Any, path: str, table: Any) -> None:
    """Raises UsageError where another module holds the same weight."""
    own = {
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules(remove_duplicate=False)
        if module is table
    }
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter is table.weight and name not in own:
            raise UsageError(
                f"the weight is tied to {name}",
                name=path,
                expected="a table of its own",
                fix="untie the two first: shared rows have another shape",
            )
