"""The facade: fit, recommend, similar, evaluate, save, load, in the caller's own ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hashrec import search
from hashrec.codes import Codes, FloatCodes, Rotation, code_items, code_queries, unit
from hashrec.csr import Csr
from hashrec.encoders import Encoding
from hashrec.errors import DataError, ModelError, RecipeError, UsageError
from hashrec.evaluation import Report, evaluate, ranking_of
from hashrec.fitted import Fitted, Second
from hashrec.hashing import Learned, LearnedCoder
from hashrec.interactions import Heldout, Ids, Interactions
from hashrec.learning import Task
from hashrec.progress import SILENT, Progress
from hashrec.recipe import Recipe
from hashrec.search import Hits, Index, TopK, TwoStage, open_index
from hashrec.watching import hardest, some_of, watcher

__all__ = ["Recommender", "load"]

Unknown = Literal["error", "skip"]
Vectors = npt.NDArray[np.float32]


class Recommender:
    """A recipe, and once fitted, a model.

        model = Recommender(Recipe(encoder=Spectral(dim=512))).fit(train)
        model.recommend(["ann"], k=10)

    Results are pyarrow tables in the caller's ids. Scores: larger is better, best first; equal
    scores in the order of the ids. Items a user has seen are left out before selection.
    """

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.recipe = recipe if recipe is not None else Recipe()
        self._fitted: Fitted | None = None

    # --- making -------------------------------------------------------------------------------

    def fit(
        self, train: Interactions, *, progress: Progress = SILENT, **options: Any
    ) -> Recommender:
        """Encodes and codes; returns itself. Same recipe and data, same bytes.

        `options` are those of `encode`.
        """
        began = time.perf_counter()
        encoding = self.encode(train, progress=progress, **options)
        kept = {key: options[key] for key in ("folder", "stage", "listeners") if key in options}
        spent = {"encode": time.perf_counter() - began}
        return self.code(train, encoding, seconds=spent, progress=progress, **kept)

    def encode(
        self,
        train: Interactions,
        *,
        epochs: int | None = None,
        valid: Interactions | None = None,
        folder: Path | None = None,
        stage: str = "fit",
        features: Mapping[str, Vectors] | None = None,
        listeners: Sequence[Callable[[Mapping[str, Any]], None]] = (),
        progress: Progress = SILENT,
    ) -> Encoding:
        """The first half of `fit`: float vectors. Raises DataError where there are no data.

        For encoders that train (`hashrec.learning.Task` says more):

        Args:
            epochs: to run, where they were chosen before.
            valid: the part of `train` to choose them on, of the same ids; one is carved without.
            folder: where checkpoints and the journal go; a run that was killed goes on from them.
            stage: tells this fit from others that keep things there.
            features: {"user": (n_users, f), "item": (n_items, f)} float32 by position, for an
                encoder that takes them.
            listeners: told of every event of training.
        """
        if train.n_interactions == 0:
            raise DataError("there are no interactions to learn from")
        recipe = self.recipe
        heeded = recipe.encoder.takes_features or recipe.table.method.takes_features
        if features and not heeded:
            raise UsageError(
                f"encoder {recipe.encoder.name} takes no features", got=", ".join(sorted(features)),
                fix="leave them out, or set encoder.name to two-tower, or table.method to lsh",
            )  # fmt: skip
        task = Task(
            train, recipe.seed, recipe.table, recipe.training, epochs, valid,
            features or {},
            watcher(recipe.seed), hardest, folder, stage, tuple(listeners), progress,
        )  # fmt: skip
        encoding = recipe.encoder.fit(task)
        if encoding.fold_in is None and recipe.users_are_computed:
            raise RecipeError(
                f"encoder {recipe.encoder.name} cannot compute users from histories",
                fix='set users to "stored"',
            )
        return encoding

    def code(
        self,
        train: Interactions,
        encoding: Encoding,
        *,
        seconds: dict[str, float] | None = None,
        folder: Path | None = None,
        stage: str = "fit",
        listeners: Sequence[Callable[[Mapping[str, Any]], None]] = (),
        progress: Progress = SILENT,
    ) -> Recommender:
        """The second half of `fit`: codes from an encoding of `train`, which may be shared.

        Codes that are learned go on training what gave the encoding, and leave it as it was;
        `folder`, `stage` and `listeners` are theirs, as for `encode`.
        """
        began = time.perf_counter()
        recipe = self.recipe
        if isinstance(recipe.codes, LearnedCoder):
            task = Task(
                train, recipe.seed, recipe.table, recipe.training, finder=hardest, folder=folder,
                stage=stage, listeners=tuple(listeners), progress=progress,
            )  # fmt: skip
            made = recipe.codes.learn(task, encoding)
        else:
            made = self._quantised(encoding)
        users = None if recipe.users_are_computed else self._coded_users(made)
        spent = {**(seconds or {}), "code": time.perf_counter() - began}
        facts = {
            "fingerprint": train.fingerprint(),
            "encoder": dict(encoding.facts),
            **({"codes": made.facts} if made.facts else {}),
            "seconds": spent,
        }
        self._become(
            Fitted(
                recipe,
                train.users,
                train.items,
                train.matrix,
                made.items,
                users,
                encoding.fold_in,
                facts,
                self._second(*made.numbers) if recipe.rerank else None,
            )
        )
        return self

    def _quantised(self, encoding: Encoding) -> Learned:
        """Codes without training."""
        recipe = self.recipe
        items = code_items(
            recipe.codes, encoding.items, recipe.seed, encoding.users,
            turned=recipe.user_codes.wanted_rotation,
        )  # fmt: skip
        return Learned(encoding.users, items, (encoding.users, encoding.items), {})

    def _coded_users(self, made: Learned) -> Codes:
        if isinstance(made.users, Codes):
            return made.users
        space, met = made.items.rotation, made.numbers[1]
        return code_queries(self.recipe.user_codes, made.users, space, self.recipe.seed, met)

    def _second(self, users: Vectors, items: Vectors) -> Second:
        coder = self.recipe.rerank_codes
        space = Rotation(coder.wanted_rotation, items.shape[1], self.recipe.seed)
        return Second(
            coder.quantise(space.apply(items), space),
            FloatCodes().quantise(space.apply(users), space),
        )

    def _become(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self.recipe = fitted.recipe
        for index in ("_index", "_second_index", "_cosines"):
            self.__dict__.pop(index, None)

    def with_facts(self, **facts: Any) -> Recommender:
        """The same model with more facts for its manifest."""
        copy = Recommender()
        copy._become(replace(self.fitted, facts={**self.fitted.facts, **facts}))
        return copy

    @property
    def fitted(self) -> Fitted:
        """The parts of the model. Raises UsageError before `fit`."""
        if self._fitted is None:
            raise UsageError("this recommender has no model yet", fix="call fit first, or hr.load")
        return self._fitted

    # --- asking -------------------------------------------------------------------------------

    def recommend(
        self,
        users: Sequence[Any] | None = None,
        k: int = 10,
        *,
        threshold: float | None = None,
        filter_seen: bool = True,
        allow: Sequence[Any] | None = None,
        unknown: Unknown = "error",
        progress: Progress = SILENT,
    ) -> Any:
        """The k best items of each user, or with `threshold` every item scoring at least that.

        Args:
            users: raw ids; None: all of them.
            allow: raw ids of the items that may be recommended, say those in stock; None: all.
            unknown: `error` raises UnknownIdError naming them, `skip` leaves them out.

        Returns a pyarrow table: user, item, score (float32), rank (int32, from 1).
        """
        rows = self._positions(self.fitted.users, users, "user", unknown)
        seen = self.fitted.seen.take(rows) if filter_seen else None
        queries, second = self.fitted.queries(rows), self._second_queries(rows)
        mask = self._allowed(allow, unknown)
        found = self._find(queries, k, threshold, seen, progress, second, mask)
        return self._table("user", self.fitted.users.take(rows), found)

    def recommend_history(
        self,
        histories: Sequence[Sequence[Any]],
        k: int = 10,
        *,
        threshold: float | None = None,
        allow: Sequence[Any] | None = None,
        unknown: Unknown = "error",
    ) -> Any:
        """Recommendations for people never seen, from the items they chose.

        By the very formula that gives known users their vectors. The history itself is left out.
        `allow`, `threshold` and `unknown`: as for `recommend`.
        Returns a pyarrow table: history (its number, from 0), item, score, rank.
        """
        import pyarrow as pa

        fitted = self.fitted
        if fitted.fold_in is None:
            raise UsageError(f"a {fitted.recipe.encoder.name} model cannot read histories")
        lists = [
            self._positions(fitted.items, list(history), "item", unknown) for history in histories
        ]
        rows = Csr.from_lists([row.tolist() for row in lists], n_columns=len(fitted.items))
        mask = self._allowed(allow, unknown)
        found = self._find(fitted.history_queries(rows), k, threshold, rows, SILENT, None, mask)
        return self._table("history", pa.array(range(len(lists)), pa.int64()), found)

    def similar(self, items: Sequence[Any], k: int = 10, *, unknown: Unknown = "error") -> Any:
        """The k nearest items of each item by cosine, itself left out.

        Returns a pyarrow table: item, similar, score (the cosine, float32), rank.
        """
        rows = self._positions(self.fitted.items, items, "item", unknown)
        itself = Csr.from_lists([[row] for row in rows.tolist()], n_columns=len(self.fitted.items))
        found = self._cosines.search(self._cosines.codes.take(rows), k, exclude=itself)
        return self._table("item", self.fitted.items.take(rows), found, result="similar")

    def find_threshold(
        self,
        average: float,
        users: Sequence[Any] | None = None,
        *,
        allow: Sequence[Any] | None = None,
        unknown: Unknown = "error",
    ) -> float:
        """The largest threshold at which `recommend` gives these users (None: all, or 10,000 drawn
        once where there are more) at least `average` items each, on average.

        `allow` and `unknown`: as for `recommend`."""
        rows = self._positions(self.fitted.users, users, "user", unknown)
        if users is None:
            rows = some_of(rows, self.recipe.seed)
        seen = self.fitted.seen.take(rows)
        return search.find_threshold(
            self._index, self.fitted.queries(rows), average, exclude=seen,
            allow=self._allowed(allow, unknown),
        )  # fmt: skip

    def evaluate(
        self,
        test: Interactions,
        k: Sequence[int] = (20,),
        *,
        protocol: str = "lightgcn",
        rerank: bool = True,
        progress: Progress = SILENT,
    ) -> Report:
        """Ranks all unseen items for every user with test items, and measures; without `rerank` by
        codes alone, where a second stage is there.

        Test items unknown to the model count as misses; unknown test users cannot be ranked and
        are left out. Raises DataError where no user is left.
        """
        fitted = self.fitted
        held = test.heldout(fitted.users, fitted.items)
        rows = np.flatnonzero(held.sizes)
        if not len(rows):
            raise DataError(
                "no user of the model has test items",
                got=f"{held.unknown_users} test users, all unknown to the model",
                fix="check that train and test use the same ids",
            )
        queries, seen = fitted.queries(rows), fitted.seen.take(rows)
        second = self._second_queries(rows) if rerank else None
        found = self._find(queries, max(k, default=1), None, seen, progress, second)
        assert isinstance(found, TopK)
        truth = held.truth.take(rows)
        report = evaluate(
            ranking_of(self._index, found, max(k, default=1), queries, seen, truth),
            truth,
            held.sizes[rows],
            ks=k,
            protocol=protocol,
            n_items=len(fitted.items),
        )
        return replace(report, users_without_test=len(fitted.users) - len(rows))

    def heldout(self, test: Interactions) -> Heldout:
        """`test` in the model's positions, with what is unknown counted."""
        return test.heldout(self.fitted.users, self.fitted.items)

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> dict[str, int]:
        """Writes the model folder whole or not at all; returns the bytes of each file."""
        return self.fitted.save(path)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> Recommender:
        """Opens a model folder. `verify` checks every checksum first. Raises ModelError."""
        try:
            fitted, _ = Fitted.load(path, verify=verify)
        except (KeyError, TypeError, ValueError, RecipeError) as fault:
            raise ModelError(
                "the model's parts do not fit together",
                name=str(path),
                got=str(fault),
                fix="restore it from a copy or fit again",
            ) from fault
        model = cls(fitted.recipe)
        model._become(fitted)
        return model

    # --- inside -------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> Index:
        return open_index(self.fitted.item_codes)

    @cached_property
    def _second_index(self) -> Index:
        assert self.fitted.second is not None
        return open_index(self.fitted.second.items)

    @cached_property
    def _cosines(self) -> Index:
        return open_index(unit(self.fitted.item_codes))

    def _positions(
        self, ids: Ids, raw: Sequence[Any] | None, kind: str, unknown: Unknown
    ) -> npt.NDArray[np.int64]:
        if raw is None:
            return np.arange(len(ids))
        if isinstance(raw, str):
            raise UsageError(
                f"{kind}s must be a list of ids", got=f"the text {raw!r}", fix=f"[{raw!r}]"
            )
        if unknown == "skip":
            found = ids.positions(raw)
            return found[found >= 0].astype(np.int64)
        return ids.require(raw, kind).astype(np.int64)

    def _allowed(
        self, allow: Sequence[Any] | None, unknown: Unknown
    ) -> npt.NDArray[np.bool_] | None:
        if allow is None:
            return None
        mask = np.zeros(len(self.fitted.items), np.bool_)
        mask[self._positions(self.fitted.items, allow, "item", unknown)] = True
        return mask

    def _second_queries(self, rows: npt.NDArray[np.int64]) -> Codes | None:
        second = self.fitted.second
        return None if second is None else second.users.take(rows)

    def _find(
        self,
        queries: Codes,
        k: int,
        threshold: float | None,
        seen: Csr | None,
        progress: Progress,
        second: Codes | None = None,
        allow: npt.NDArray[np.bool_] | None = None,
    ) -> TopK | Hits:
        """The k best, in two stages where there are queries of a second; or all from `threshold`
        on, by codes alone."""
        asked: dict[str, Any] = {"exclude": seen, "allow": allow, "progress": progress}
        if threshold is not None:
            return self._index.search_threshold(queries, threshold, **asked)
        if second is None:
            return self._index.search(queries, k, **asked)
        both = TwoStage(self._index, self._second_index, self.fitted.recipe.rerank)
        return both.search((queries, second), k, **asked)

    def _table(self, subject: str, subjects: Any, found: TopK | Hits, result: str = "item") -> Any:
        """One row a result: whose, what, how good, which place."""
        import pyarrow as pa

        if isinstance(found, TopK):
            filled = np.arange(found.positions.shape[1]) < found.counts[:, None]
            lengths, positions, scores = found.counts, found.positions[filled], found.scores[filled]
        else:
            lengths, positions, scores = np.diff(found.offsets), found.positions, found.scores
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        rank = np.arange(len(positions)) - starts + 1
        return pa.table(
            {
                subject: subjects.take(pa.array(np.repeat(np.arange(len(lengths)), lengths))),
                result: self.fitted.items.take(positions),
                "score": pa.array(scores),
                "rank": pa.array(rank.astype(np.int32)),
            }
        )


def load(path: str | Path, *, verify: bool = False) -> Recommender:
    """Opens a model folder; see `Recommender.load`."""
    return Recommender.load(path, verify=verify)
