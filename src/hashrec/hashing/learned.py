"""What coders that are trained have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from hashrec.codes import Coder, Codes, Rotation
from hashrec.encoders import Encoding
from hashrec.errors import RecipeError, UsageError
from hashrec.hashing.outcome import Learned
from hashrec.learning import LOSSES, Loss, Task
from hashrec.learning.ccl import Ccl
from hashrec.learning.sampled_ccl import SampledCcl
from hashrec.learning.softmax import Softmax

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["LearnedCoder"]


class LearnedCoder(Coder):
    """Codes that go on training the encoder they code, with themselves in its loop.

    Attributes:
        users: `float`: item codes meet float users, in training and in searches; `coded`: users
            are coded likewise.
        centre: code what items have beyond their mean. Dot products with it rank as before; the
            cosines of a loss of cosines do not quite, and training goes on from them.
        epochs: of training with codes, after the encoder's own. learning_rate: of Adam at their
            start; it falls along half a cosine.
        loss: made small in them, whatever the encoder was trained for: over all items by default.
            Losses with a margin in cosines (`ccl`) are refused: codes do not reach it.
    """

    users: Literal["float", "coded"] = "float"
    centre: bool = True
    epochs: Annotated[int, Field(ge=1)] = 10
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    loss: Loss = Softmax()

    @field_validator("loss", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "name" not in value:
            value = {"name": Softmax.name, **value}
        loss = LOSSES.parse(value)
        if isinstance(loss, Ccl | SampledCcl):
            raise RecipeError(
                "a margin in cosines of floats is beyond what codes reach", name="codes.loss",
                got=loss.name, fix="take softmax",
            )  # fmt: skip
        return loss

    @property
    def small(self) -> Loss:
        """What training makes small."""
        return self.loss

    @abstractmethod
    def build(self, inner: Backbone, task: Task) -> CodedModule:
        """The encoder's module, trained, with this code around it."""

    def learn(self, task: Task, encoding: Encoding) -> Learned:
        """Trains `encoding.model` with codes, and leaves it as it was.

        Raises UsageError for an encoding without anything to train, for NeuMF, and where training
        ends in numbers that are not finite.
        """
        if encoding.model is None:
            raise UsageError(
                f"{self.name} codes are learned together with an encoder, and this one does not "
                "train", fix="set encoder.name to lightgcn, or take codes=sign",
            )  # fmt: skip
        if not encoding.model.module.bilinear:
            raise UsageError(
                f"{self.name} codes need scores that are dot products, and this encoder learns a "
                "network instead", fix="set encoder.name to lightgcn, or take codes=sign",
            )  # fmt: skip
        from hashrec.hashing.fit import learn

        return learn(task, self, encoding.model)

    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        raise UsageError(
            f"{self.name} codes are learned together with an encoder; vectors alone are not enough",
            fix="fit a hashrec.Recommender, or take SignCodes or IntCodes",
        )
