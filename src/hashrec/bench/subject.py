"""What a benchmark runs on: the caller's data, or a planted graph of Gowalla's size."""

from __future__ import annotations

from hashrec.interactions import Interactions, UserSplit, planted, read_parts

__all__ = ["subject"]


def subject(data: str | None, *, quick: bool, seed: int) -> tuple[Interactions, Interactions]:
    """Train and test: the data's own test part, or a fifth held out of every user."""
    if data is not None:
        parts = read_parts(data)
        if parts.test is not None:
            return parts.train, parts.test
        return parts.train.split(UserSplit(test=0.2, seed=seed))
    n_users, n_items = (6_000, 8_000) if quick else (30_000, 40_000)
    log = planted(
        n_users, n_items, communities=n_users // 100, degree=27, noise=0.3, seed=seed
    ).interactions
    return log.split(UserSplit(test=0.2, seed=seed))
