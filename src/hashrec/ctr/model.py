"""The facade of models of clicks: fit, score, evaluate, save, load, export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

from hashrec.ctr.examples import examples_of
from hashrec.ctr.fit import check_labels, train
from hashrec.ctr.fitted import CtrFitted
from hashrec.ctr.predictor import build
from hashrec.ctr.recipe import CtrRecipe
from hashrec.ctr.run import logits_of
from hashrec.errors import UsageError
from hashrec.evaluation import judged
from hashrec.impressions import Impressions, read_candidates
from hashrec.interactions import Interactions, read
from hashrec.interactions.columns import squashed
from hashrec.interactions.files import open_source

__all__ = ["CtrModel", "load_ctr"]

Floats = npt.NDArray[np.float32]


class CtrModel:
    """A recipe, and once fitted, a model of how likely an impression is to be taken.

        model = CtrModel(CtrRecipe(model=Dcn(), table=Table(method="graph", rows=0.25))).fit(train)
        model.score("candidates.parquet")

    Scores are chances, float32: those of the world that `train` was drawn from, whatever share of
    the negatives training looked at. Beyond log odds of 17 they are 1.
    """

    def __init__(self, recipe: CtrRecipe | None = None) -> None:
        self.recipe = recipe if recipe is not None else CtrRecipe()
        self._fitted: CtrFitted | None = None

    def fit(self, log: Impressions, valid: Impressions | None = None, **options: Any) -> CtrModel:
        """Trains; returns itself. Same recipe and data, same weights to the bit, on one machine.

        Without `valid`, the log's own valid part shows when to stop; or else a part held out of the
        log, as the recipe says.
        `options` are those of `hashrec.ctr.fit.train`: epochs, calibration, folder, stage,
        listeners, progress. Raises DataError for labels of one class and fields that say nothing.
        """
        found = train(self.recipe, log, valid, **options)
        self._fitted = CtrFitted(
            self.recipe, found.schema, found.made, found.predictor, found.calibration,
            log.columns, log.threshold, found.facts,
        )  # fmt: skip
        return self

    @property
    def fitted(self) -> CtrFitted:
        """The parts of the model. Raises UsageError before `fit`."""
        if self._fitted is None:
            raise UsageError("this model is not fitted yet", fix="call fit first, or hr.load_ctr")
        return self._fitted

    def with_facts(self, **facts: Any) -> CtrModel:
        """The same model with more facts for its manifest."""
        fitted = self.fitted
        return self._with(replace(fitted, facts={**fitted.facts, **facts}))

    def extend(self, interactions: Interactions) -> CtrModel:
        """A model that knows the new ids of these interactions, too; nothing is trained.

        Each is placed in a row by the rule of the table's method: where those it has met are, or
        by its hash. Ids that stay unknown share the row of the unknown.
        """
        fitted = self.fitted
        if fitted.made is None:
            raise UsageError("a model without users and items has no rows to place anyone in",
                             fix="leave out what came later")  # fmt: skip
        made = fitted.made.extend(interactions)
        grown = build(fitted.recipe, fitted.schema, made)
        grown.load_state_dict(
            {**grown.state_dict(), **dict(fitted.predictor.named_parameters())}, strict=True
        )
        return self._with(replace(fitted, made=made, predictor=grown.eval()))

    def _with(self, fitted: CtrFitted) -> CtrModel:
        copy = CtrModel(fitted.recipe)
        copy._fitted = fitted
        return copy

    # --- asking -------------------------------------------------------------------------------

    def logits(self, log: Impressions) -> Floats:
        """(n,) float32 log odds of each impression, in the order of the log."""
        fitted = self.fitted
        examples = examples_of(log, fitted.schema, fitted.made)
        return fitted.calibration.applied(logits_of(fitted.predictor, examples))

    def read(self, source: Any, *, labelled: bool = False, **options: Any) -> Impressions:
        """Rows as this model reads them, by the arguments of `score`. With `labelled`, labels too,
        by the column and the threshold of training, or by `label` and `threshold`."""
        fitted = self.fitted
        if labelled:
            usual: dict[str, Any] = {"label": fitted.columns["label"]}
            if options.get("label", usual["label"]) == usual["label"]:
                usual["threshold"] = fitted.threshold  # of those ratings, and no others
            options = {**usual, **options}
        columns = {role: fitted.columns[role] for role in ("user", "item")}
        options = {**columns, "separators": fitted.schema.separators, **options}
        return read_candidates(source, fitted.schema.fields, **options)

    def read_met(self, source: Any) -> Interactions:
        """Who met what, for `extend`, as in the graph that the rows were found in: where its edges
        are those of positives and the source has labels, only they count. All ids are there."""
        fitted = self.fitted
        user, item, label = (fitted.columns[role] for role in ("user", "item", "label"))
        there = map(squashed, open_source(source).columns)
        if fitted.recipe.edges == "all" or label is None or squashed(label) not in there:
            return read(source, user=user, item=item, rating="none", time="none")
        rows = read_candidates(
            source, (), user=user, item=item, label=label, threshold=fitted.threshold
        )
        assert rows.label is not None
        return rows.interactions(rows.label > 0, ids=rows.interactions())

    def score(
        self,
        source: Any,
        *,
        user_features: Any = None,
        item_features: Any = None,
        separator: str | None = None,
        format: str | None = None,
    ) -> Any:
        """How likely each row is to be taken.

        Args:
            source: a file or data frame with the user, the item and the fields of rows, under the
                names they had in training. Fields of users and items are looked up in the model
                where they are not there.
            user_features, item_features: files or frames of those that the model does not know.
            separator: between the words of multi-valued text, where it is not that of training.
            format: as for `hashrec.read`.

        Returns a pyarrow table of the user, the item and `score` (float32), rows in their order.
        Ids never met are scored by the row of the unknown. Raises DataError where a field is
        missing, naming it, and for text in a numeric one.
        """
        rows = self.read(
            source, user_features=user_features, item_features=item_features,
            separator=separator, format=format,
        )  # fmt: skip
        columns: dict[str, Any] = {}
        for name, ids, at in (
            (self.fitted.columns["user"], rows.users, rows.user),
            (self.fitted.columns["item"], rows.items, rows.item),
        ):
            if name is not None and ids is not None and at is not None:
                columns[name] = ids.take(at)
        chances = expit(self.logits(rows).astype(np.float64)).astype(np.float32)
        return pa.table({**columns, "score": pa.array(chances)})

    def evaluate(self, test: Impressions) -> dict[str, float]:
        """`auc`, `log_loss`, `calibration_error` and `predicted_over_true`; see
        `hashrec.evaluation.binary`. Raises DataError for labels of one class, or none."""
        check_labels(test, "the test part")
        assert test.label is not None
        return judged(self.logits(test), test.label)

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> dict[str, int]:
        """Writes the model folder whole or not at all; returns the bytes of each file."""
        return self.fitted.save(path)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> CtrModel:
        """Opens a model folder. `verify` checks every checksum first. Raises ModelError."""
        fitted = CtrFitted.load(path, verify=verify)
        return cls(fitted.recipe)._with(fitted)

    def export(self, path: str | Path) -> Mapping[str, Any]:
        """Writes an ONNX graph, checked against this model; see `hashrec.ctr.onnx`."""
        from hashrec.ctr.onnx import export

        return export(self.fitted, Path(path))

    def onnx_inputs(self, source: Any, **options: Any) -> dict[str, npt.NDArray[Any]]:
        """The arrays that an exported graph wants for the rows of `source`, by name."""
        from hashrec.ctr.onnx import inputs_of

        fitted = self.fitted
        return inputs_of(examples_of(self.read(source, **options), fitted.schema, fitted.made))


def load_ctr(path: str | Path, *, verify: bool = False) -> CtrModel:
    """Opens the folder of a model of clicks; see `CtrModel.load`."""
    return CtrModel.load(path, verify=verify)
