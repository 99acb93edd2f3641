"""An encoder's vectors around their mean, so that no bit is spent on what all have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

from hashrec.learning import Batch
from hashrec.training.backbone import Backbone, Seen

__all__ = ["Centred"]


class Centred(Backbone):
    """Another module whose items are x - m, m the mean of all items at the start.

    u . (x - m) is u . x less a number that is the same for every item of a user, so products rank
    as before. Cosines do not: under a loss of cosines x and m are of vectors at length one, and
    cos(u, x - m) = (u . x - u . m) / |x - m| counts items near the mean for more; training goes on
    from there. Losses that push all items together (`ccl` with its margin, say) leave vectors that
    are mostly m, of which signs would keep little else.

    Attributes:
        unit: vectors are brought to length one first, as a loss of cosines looks at them.
        centre: (d,) m.
    """

    def __init__(self, inner: Backbone, *, unit: bool) -> None:
        super().__init__()
        self.inner, self.unit = inner, unit
        self.user_table, self.item_table = inner.user_table, inner.item_table
        self.propagates, self.bilinear = inner.propagates, inner.bilinear
        mean = self.sized(inner.export()[1]).mean(0)
        self.centre = nn.Parameter(mean, requires_grad=False)  # so that checkpoints keep it

    def forward(self) -> Seen:
        return _CentredSeen(self, self.inner())

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            users, items = self.inner.export()
            return self.sized(users), self.sized(items) - self.centre

    def rotate(self, matrix: Any) -> bool:
        done = self.inner.rotate(matrix)
        if done:
            with torch.no_grad():
                # Layers side by side turn one by one, as their tables do.
                self.centre.copy_((self.centre.view(-1, len(matrix)) @ matrix).reshape(-1))
        return done

    def squares(self, batch: Batch) -> Any:
        return self.inner.squares(batch)

    @property
    def width(self) -> int:
        return self.inner.width

    def sized(self, x: Any) -> Any:
        """Vectors at the length at which they are compared."""
        return normalize(x, dim=-1) if self.unit else x


class _CentredSeen(Seen):
    def __init__(self, module: Centred, view: Seen) -> None:
        self.module, self.view = module, view

    def users(self, positions: Any) -> Any:
        return self.module.sized(self.view.users(positions))

    def items(self, positions: Any) -> Any:
        return self.module.sized(self.view.items(positions)) - self.module.centre

    def all_items(self) -> Any:
        return self.module.sized(self.view.all_items()) - self.module.centre
