"""The spectral encoder: vectors from the graph's singular vectors, without training.

With N = D_u^-a R D_i^-b and its truncated SVD N ~ U S V^T, an item is

    item_i = d_i^c * S^(p/2) v_i                 and a user the sum of what they chose,
    user_u = d_u^-a * sum over i in H_u of d_i^-(b+c) item_i  =  (N V S^(p/2))_u

so the score is N V S^p V^T D_i^c: a low-pass graph filter (GF-CF, Shen et al. 2021, is a = b =
c = 1/2, p = 0 plus a linear term) whose passband p and popularity c are recipe fields. The
spectrum is shared evenly between both sides, which makes the user a plain weighted sum of item
vectors: no stored projection, and it holds for decoded item codes as well.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from hashrec.csr import Csr
from hashrec.encoders.base import Encoder, Encoding, FoldIn
from hashrec.encoders.svd import truncated_svd
from hashrec.errors import RecipeError
from hashrec.graph import BipartiteOperator
from hashrec.graph.operator import degree_power
from hashrec.learning import Table, Task, Training
from hashrec.progress import SILENT, Progress

__all__ = ["Spectral"]


class Spectral(Encoder):
    """Options of the spectral encoder. Where the defaults come from: docs/experiments.md.

    Attributes:
        dim: vector length; where the data allow fewer (min(n_users, n_items)), that many.
        user_exponent: a. Larger: active users weigh less in the spectrum.
        item_exponent: b. Larger: popular items weigh less in the spectrum and in a history.
        degree_exponent: c. Larger: popular items are recommended more.
        spectrum_exponent: p. 0 passes all kept directions alike, larger favours the smooth ones.
        oversampling, max_iterations, tolerance: see `truncated_svd`.
    """

    name: ClassVar[str] = "spectral"

    dim: Annotated[int, Field(ge=1, le=65_536)] = 512
    user_exponent: Annotated[float, Field(ge=0, le=1)] = 0.35
    item_exponent: Annotated[float, Field(ge=0, le=1)] = 0.4
    degree_exponent: Annotated[float, Field(ge=0, le=1)] = 0.25
    spectrum_exponent: Annotated[float, Field(ge=0, le=8)] = 0.5
    oversampling: Annotated[int, Field(ge=0)] = 32
    max_iterations: Annotated[int, Field(ge=1)] = 3
    tolerance: Annotated[float, Field(ge=0)] = 0.0

    def fit(self, task: Task) -> Encoding:
        """Raises RecipeError for a table or options of training: nothing is learned here."""
        if task.table != Table():
            raise RecipeError(
                "the spectral encoder has no table to compress", name="table",
                got=f"table.method={task.table.method.name}",
                fix="choose a trained encoder, or leave the table as it is",
            )  # fmt: skip
        if task.training != Training():
            raise RecipeError(
                "the spectral encoder is not trained", name="training",
                fix="choose an encoder that is, say encoder.name=lightgcn, or leave training alone",
            )  # fmt: skip
        return self.encode(task.log.matrix, np.random.default_rng(task.seed), task.progress)

    def encode(
        self, interactions: Csr, rng: np.random.Generator, progress: Progress = SILENT
    ) -> Encoding:
        """Vectors of `min(dim, n_users, n_items)` dimensions from the training interactions."""
        operator = BipartiteOperator.normalised(
            interactions, user_exponent=self.user_exponent, item_exponent=self.item_exponent
        )
        svd = truncated_svd(
            operator,
            min(self.dim, *operator.shape),
            oversampling=self.oversampling,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            rng=rng,
            progress=progress,
        )
        passband = np.power(svd.singular, self.spectrum_exponent / 2, dtype=np.float32)
        smooth = svd.right * passband
        degrees = operator.by_item.lengths
        items = smooth * degree_power(degrees, self.degree_exponent)[:, None]
        fold_in = FoldIn(self.user_exponent, self.item_exponent + self.degree_exponent)
        facts = {
            "iterations": svd.iterations,
            "largest_singular": float(svd.singular[0]),
            "smallest_singular": float(svd.singular[-1]),
        }
        return Encoding(fold_in(interactions, items, degrees), items, fold_in, facts)
