"""`hashlgn`: HashLGN, item bits by a network, decoded by two numbers a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["HashLgnCodes"]


class HashLgnCodes(LearnedCoder):
    """Score = f(user) . g(c), c = sign(h(item)), h three fully connected layers and g(c) =
    alpha max(c, 0) + beta min(c, 0), element by element, alpha and beta at least 0.

    Trained together with the encoder. An item keeps `dim` bits, all items together 2 `dim`
    numbers. Open in the paper and ours: f is linear; the sign's gradient is `estimator`; h adds a
    linear way past its two hidden layers and starts as f does, so training starts from the
    encoder's own directions; the loss is `loss`, by default a softmax over all items, where
    the paper takes BPR.

    Attributes:
        dim: of the codes. hidden: width of h's two hidden layers; None: that of the vectors.
        estimator: what gradient passes the sign.
    """

    name: ClassVar[str] = "hashlgn"

    bits: Annotated[int, Field(ge=1, le=1)] = 1
    dim: Annotated[int, Field(ge=1, le=65_536)] = 64
    hidden: Annotated[int, Field(ge=1)] | None = None
    users: Literal["float"] = "float"
    estimator: Literal["identity", "clipped", "dirac", "fourier"] = "clipped"
    epochs: Annotated[int, Field(ge=1)] = 20

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.hash_mlp import hash_lgn

        return hash_lgn(inner, self, task.seed)
