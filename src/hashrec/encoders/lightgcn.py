"""`lightgcn`: vectors averaged over the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from hashrec.bucketing import Buckets
from hashrec.encoders.trained import TrainedEncoder
from hashrec.graph import BipartiteOperator
from hashrec.interactions import Interactions
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.training.backbone import Backbone

__all__ = ["LightGcn"]


class LightGcn(TrainedEncoder):
    """LightGCN: e^(k+1) = N e^(k), and a vector is sum_k a_k e^(k) over layers 0 to `layers`.

    X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation", SIGIR 2020. N = D_u^-1/2 R D_i^-1/2 in both directions; ids without edges
    keep a_0 of their own vector.

    Attributes:
        layers: depth. layer_weights: a_k, layers + 1 of them; None: all 1 / (layers + 1).
        concatenate: layers side by side instead of summed; vectors are then layers + 1 times as
            long.
    """

    name: ClassVar[str] = "lightgcn"

    layers: Annotated[int, Field(ge=0, le=64)] = 2
    layer_weights: tuple[float, ...] | None = None
    concatenate: bool = False

    @model_validator(mode="after")
    def _one_each(self) -> LightGcn:
        if self.layer_weights is not None and len(self.layer_weights) != self.layers + 1:
            raise ValueError(
                f"layer_weights must be {self.layers + 1}, one for layer 0 and each above it"
            )
        return self

    def build(self, task: Task, log: Interactions, made: Buckets) -> Backbone:
        from hashrec.training.light_gcn import LightGcnModule
        from hashrec.training.propagation import Propagation

        weights = self.layer_weights or (1 / (self.layers + 1),) * (self.layers + 1)
        operator = BipartiteOperator.normalised(log.matrix)
        propagation = Propagation(operator, weights, concatenate=self.concatenate)
        return LightGcnModule(*self.tables(task, log, made), propagation)
