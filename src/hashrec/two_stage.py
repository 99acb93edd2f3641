"""Two stages in one call: a recommender retrieves from codes, a model of clicks ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.component import nearest
from hashrec.errors import DataError, UsageError
from hashrec.recommender import Recommender

if TYPE_CHECKING:
    from hashrec.ctr.model import CtrModel

__all__ = ["retrieve_and_rank"]


def retrieve_and_rank(
    retriever: Recommender,
    ranker: CtrModel,
    users: Sequence[Any] | None = None,
    k: int = 10,
    *,
    candidates: int = 200,
    context: Mapping[str, Any] | None = None,
    unknown: Literal["error", "skip"] = "error",
    **options: Any,
) -> Any:
    """The k likeliest of each user's `candidates` best unseen items.

    Args:
        users: raw ids; None: all of the retriever's.
        candidates: how many the retriever finds by its codes, at least k.
        context: values the same in all rows, by field of the ranker: all of its fields of rows,
            as {"hour": 12}; one of users or items goes before what the ranker knows of each.
        unknown: as for `Recommender.recommend`. options: others of its own: allow, filter_seen.

    Returns a pyarrow table: user, item, score (float32: the chance of a click), rank (int32, from
    1), retrieved (int32: the rank by codes). Equal chances stand in the retriever's order.
    Raises UsageError for k below 1, fewer candidates than k, a name that is no field of the ranker,
    and a ranker without users or items; DataError for a field of rows that is not in the context.
    """
    _check_context(ranker, context or {})
    if k < 1:
        raise UsageError("lists of nothing", name="k", expected="1 or more", got=str(k))
    if candidates < k:
        raise UsageError("fewer candidates than results", name="candidates",
                         expected=f"at least k = {k}", got=str(candidates))  # fmt: skip
    columns = ranker.fitted.columns
    user, item = columns["user"], columns["item"]
    if user is None or item is None:
        raise UsageError("the model of clicks knows no users and items", name="ranker",
                         expected="one fitted on a log that has both")  # fmt: skip
    found = retriever.recommend(users, candidates, unknown=unknown, **options)
    rows = {user: found["user"], item: found["item"]}
    for name, value in (context or {}).items():
        rows[name] = pa.array([value] * len(found))
    score = ranker.score(pa.table(rows))["score"] if len(found) else pa.array([], pa.float32())
    return _best(found, score, k)


def _check_context(ranker: CtrModel, context: Mapping[str, Any]) -> None:
    """Raises UsageError for what is no field of the ranker, where an id would be somebody else, and
    DataError for a field of rows that is not there."""
    fields = ranker.fitted.schema.fields
    names = [one.name for one in fields]
    for name in context:
        if name not in names:
            raise UsageError(
                f"{name!r} is no field of the model of clicks", name="context",
                expected=", ".join(names) or "nothing", fix=nearest(name, names),
            )  # fmt: skip
    missing = [one.name for one in fields if one.owner == "row" and one.name not in context]
    if missing:
        raise DataError(
            "fields of the moment that the model of clicks looks at are missing",
            expected=", ".join(map(repr, missing)), got=", ".join(map(repr, context)) or "none",
            fix=f"give them with context={{{missing[0]!r}: ...}} (--context {missing[0]}=...)",
        )  # fmt: skip


def _best(found: Any, score: Any, k: int) -> Any:
    """The k best of each user, who stand together, by their new scores."""
    starts = np.flatnonzero(found["rank"].to_numpy() == 1)
    lengths = np.diff(np.append(starts, len(found)))
    whose = np.repeat(np.arange(len(starts)), lengths)
    chances: npt.NDArray[np.float32] = np.asarray(score)
    order = np.lexsort((-chances, whose))  # stable: equal ones stay in the retriever's order
    place = np.arange(len(found)) - np.repeat(starts, lengths)
    kept = order[place < k]
    table = found.take(pa.array(kept))
    return pa.table(
        {
            "user": table["user"],
            "item": table["item"],
            "score": pa.array(chances[kept]),
            "rank": pa.array((place[place < k] + 1).astype(np.int32)),
            "retrieved": table["rank"],
        }
    )
