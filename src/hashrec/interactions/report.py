"""What reading did to a log, counted: so that nobody has to guess where rows went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Counts of one reading. `rows` = interactions + below_rating + duplicates + core_dropped.

    Attributes:
        source: the file, or the kind of table.
        format: the name of the format it was read as.
        user, item, rating, time: the columns chosen; None where there is none.
        rows: rows of data in the source.
        below_rating: rows dropped because their rating was too low.
        duplicates: rows merged into another of the same user and item.
        core_dropped: interactions dropped because their user or item was too rare.
        users, items, interactions: what is left. In a part of a split, the users and items that
            have interactions in this part.
        overlap: interactions that an earlier part of the same folder holds too.
        notes: what else the reader should know, a sentence each.
    """

    source: str
    format: str
    user: str | None
    item: str | None
    rating: str | None
    time: str | None
    rows: int
    below_rating: int = 0
    duplicates: int = 0
    core_dropped: int = 0
    users: int = 0
    items: int = 0
    interactions: int = 0
    overlap: int = 0
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people: what was read, what was dropped and why, what is left."""
        chosen = {"user": self.user, "item": self.item, "rating": self.rating, "time": self.time}
        columns = ", ".join(f"{role} {name!r}" for role, name in chosen.items() if name is not None)
        dropped = {
            "below the least rating": self.below_rating,
            "merged as duplicates": self.duplicates,
            "dropped by the core": self.core_dropped,
            "also in an earlier part": self.overlap,
        }
        return [
            f"{self.source} ({self.format}): {self.rows:,} rows; columns: {columns}",
            *(f"{count:,} {what}" for what, count in dropped.items() if count),
            f"{self.users:,} users, {self.items:,} items, {self.interactions:,} interactions",
            *self.notes,
        ]

    def to_dict(self) -> dict[str, Any]:
        """All counts as JSON-ready values."""
        return {**asdict(self), "notes": list(self.notes)}
