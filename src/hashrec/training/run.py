"""A training run of an encoder: vectors of users and items, and a loss between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hashrec.learning import Training
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches
from hashrec.training.everything import precision_of
from hashrec.training.loop import Loop

__all__ = ["Run", "Watch"]

Watch = Callable[[Any, Any], Mapping[str, float]]


@dataclass(eq=False)
class Run(Loop):
    """The loop around a backbone.

    Attributes:
        watch: (users, items) vectors -> metrics with `recall@20`; None: nobody looks.
    """

    module: Backbone
    batches: Batches
    options: Training
    watch: Watch | None = None

    metric: ClassVar[str] = "recall@20"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._precision = precision_of(self.options.precision, self.options.device)

    def loss(self, batch: Any) -> Any:
        view = self.module()
        view.precision = self._precision
        loss = self.batches.loss(view, batch) + view.extra(batch)
        if self.options.decay:
            loss = loss + self.options.decay * self.module.squares(batch)
        return loss

    @property
    def loss_name(self) -> str:
        return self.batches.loss.name

    @property
    def other_settings(self) -> str:
        return f"check the other settings of {self.section}.loss and of the encoder, and the data"

    @property
    def watched(self) -> bool:
        return self.watch is not None

    def measured(self) -> Mapping[str, float]:
        assert self.watch is not None
        users, items = self.module.export()
        return self.watch(users.cpu().numpy(), items.cpu().numpy())

    @property
    def keeps_best(self) -> bool:
        """A run that is repeated on everything starts anew."""
        return not self.options.refit
