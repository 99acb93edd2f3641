"""A model of one's own with smaller tables: each nn.Embedding gives way to shared rows."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from hashrec.bucketing import Assignment
from hashrec.errors import UsageError
from hashrec.training.replaceable import check_replaceable
from hashrec.training.shared import SharedRows
from hashrec.training.table import HashedEmbedding, HashedEmbeddingBag

__all__ = ["Compressed", "Replaced", "compress"]


@dataclass(frozen=True)
class Replaced:
    """One table before and after.

    Attributes:
        path: dotted, as in `model.named_modules()`.
        rows_before, rows_after: of the table; dim: of its vectors, the same as before.
        bytes_before, bytes_after: of the table in memory; index_bytes: of the assignment beside
            it, which is not trained.
    """

    path: str
    rows_before: int
    rows_after: int
    dim: int
    bytes_before: int
    bytes_after: int
    index_bytes: int


@dataclass(frozen=True, eq=False)
class Compressed:
    """The smaller model, and how much smaller it is.

    Attributes:
        model: the one with shared rows.
        parameters_before, parameters_after: numbers in `model.parameters()`.
        bytes_before, bytes_after: of all parameters and buffers in memory, so with the index.
        replaced: the tables, in the order in which they were named.
    """

    model: Any
    parameters_before: int
    parameters_after: int
    bytes_before: int
    bytes_after: int
    replaced: tuple[Replaced, ...]

    def __str__(self) -> str:
        share = self.parameters_after / max(1, self.parameters_before)
        lines = [
            f"{self.parameters_before:,} -> {self.parameters_after:,} parameters ({share:.1%}), "
            f"{self.bytes_before:,} -> {self.bytes_after:,} bytes with the index"
        ]
        width = max((len(table.path) for table in self.replaced), default=0)
        lines += [
            f"  {table.path:<{width}}  {table.rows_before:,} -> {table.rows_after:,} rows "
            f"of {table.dim}, index {table.index_bytes:,} bytes"
            for table in self.replaced
        ]
        return "\n".join(lines)


def compress(
    model: Any,
    assignments: Mapping[str, Assignment],
    *,
    from_weights: bool = True,
    inplace: bool = False,
    generator: Any = None,
) -> Compressed:
    """The model with the tables at the given paths replaced by shared rows.

    small = compress(model, {"user_table": b.users, "towers.item": b.items})
    print(small)
    optimiser = torch.optim.Adam(small.model.parameters())

    Kept are dim, padding_idx, sparse, dtype, device, requires_grad, training mode and, of a bag,
    mode and include_last_offset. The vector at padding_idx becomes zero if it was not. A table
    that stands at several paths is replaced at all of them.

    Args:
        model: an nn.Module. Positions in its tables must be those of the assignments.
        assignments: for each dotted path to an nn.Embedding or nn.EmbeddingBag its assignment.
        from_weights: start the rows near the present vectors (`HashedEmbedding.init_from`), for
            a trained model; otherwise from N(0, 1), to train from scratch.
        inplace: change `model` itself; otherwise it is copied, all but its old tables. Either
            way an optimiser that exists already holds the old tables: make a new one.
        generator: torch.Generator of the draws, without from_weights.

    Raises UsageError, before anything is changed, for a path that leads nowhere or to no table,
    an assignment of another number of ids, a weight tied to another module, and for max_norm,
    scale_grad_by_freq, mode `max`, hooks and forward methods that a replacement would lose.
    """
    old = {path: check_replaceable(model, path, given) for path, given in assignments.items()}
    if inplace and "" in old:
        raise UsageError("a table cannot be replaced in itself", expected="inplace=False")
    first = _first_paths(old, assignments)
    new = {
        id(old[path]): _shared(old[path], assignments[path], from_weights, generator)
        for path in first
    }
    before, size = _parameters(model), _bytes(model)
    replaced = tuple(_account(path, old[path], new[id(old[path])]) for path in first)
    # A deep copy that is told the tables are copied already: whatever refers to them, in
    # containers or in plain attributes, comes out referring to the new ones.
    made = _put(model, new) if inplace else copy.deepcopy(model, dict(new))
    return Compressed(made, before, _parameters(made), size, _bytes(made), replaced)


def _first_paths(old: Mapping[str, Any], assignments: Mapping[str, Assignment]) -> list[str]:
    """For each table the first path that names it.

    Raises UsageError where two paths to one table come with two assignments.
    """
    first: dict[int, str] = {}
    for path, table in old.items():
        known = first.setdefault(id(table), path)
        if assignments[known] is not assignments[path]:
            raise UsageError(
                f"{known} and {path} are one table", expected="one assignment for both", got="two"
            )
    return list(first.values())


def _shared(
    table: Any, assignment: Assignment, from_weights: bool, generator: Any
) -> HashedEmbedding | HashedEmbeddingBag:
    """Shared rows in the place of `table`, alike in all but their number."""
    options = {"padding_idx": table.padding_idx, "sparse": table.sparse}
    kind: type[HashedEmbedding | HashedEmbeddingBag] = HashedEmbedding
    if isinstance(table, nn.EmbeddingBag):
        kind = HashedEmbeddingBag
        options |= {"mode": table.mode, "include_last_offset": table.include_last_offset}
    full = table.weight
    if from_weights:
        made = kind.from_full(assignment, full, **options)
    else:
        options |= {"device": full.device, "dtype": full.dtype, "generator": generator}
        made = kind(assignment, table.embedding_dim, **options)
    made.weight.requires_grad_(full.requires_grad)
    made.train(table.training)
    return made


def _put(model: Any, new: Mapping[int, SharedRows]) -> Any:
    """`model` itself, the new tables registered wherever the old ones were."""
    for parent in list(model.modules()):
        # Not named_children(), which tells of a module only once in a parent that has it twice.
        for name, child in list(parent._modules.items()):
            if id(child) in new:
                setattr(parent, name, new[id(child)])
    return model


def _account(path: str, table: Any, new: SharedRows) -> Replaced:
    return Replaced(
        path,
        rows_before=table.num_embeddings,
        rows_after=new.rows,
        dim=new.embedding_dim,
        bytes_before=int(table.weight.nbytes),
        bytes_after=new.table_bytes,
        index_bytes=new.index_bytes,
    )


def _parameters(model: Any) -> int:
    return sum(int(parameter.numel()) for parameter in model.parameters())


def _bytes(model: Any) -> int:
    return sum(int(held.nbytes) for held in [*model.parameters(), *model.buffers()])
