"""What PyTorch trains: tables whose rows are shared as an assignment says. Needs the extra `train`.

b = hr.buckets(train, method="graph", rows=0.25)
small = hr.compress(model, {"users": b.users, "items": b.items}).model
"""

from __future__ import annotations

from hashrec.training import _require as _require
from hashrec.training.compress import Compressed, Replaced, compress
from hashrec.training.table import HashedEmbedding, HashedEmbeddingBag

__all__ = ["Compressed", "HashedEmbedding", "HashedEmbeddingBag", "Replaced", "compress"]
