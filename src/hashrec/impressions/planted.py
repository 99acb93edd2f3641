"""Impressions with a known structure: tastes by community, habits by hour, prices, and luck.

For tests, and for measuring at any size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.errors import UsageError
from hashrec.impressions.field import Field, Owner
from hashrec.impressions.log import Impressions, Side
from hashrec.impressions.values import Bags, Numbers, Values, Words
from hashrec.interactions import Ids, Report

__all__ = ["planted_impressions"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_TASTE = 8  # dimensions of tastes
_CIRCLE = 0.45  # of what is shown: of the user's own circle
_COMMUNITY = 0.75  # of the community, the own circle among it
_TRUE = 0.5  # how often a segment or a category tells the community
_HOURS, _TAGS = 24, 30
_DEVICES = ("desktop", "phone", "tablet")


def planted_impressions(
    n: int, *, users: int, items: int, communities: int, circles: int = 1, seed: int
) -> Impressions:
    """n impressions in the order of their times.

    Users and items belong to communities, and in them to `circles` of about equal size. Communities
    show only half of the time in the user's `segment` and the item's `category`, circles nowhere
    but in who meets what: 45 impressions in 100 are of items of the user's own circle, 30 of
    another of the community, the rest of any. Active users and popular items are met more, about
    in proportion to 1 / rank. With tastes t = centre of the community + centre of the circle +
    noise, the log odds of a click are
    -2 + 2 t_u . t_i + b_u + b_i - price effect + effect of (hour, category) + effects of tags,
    and a click is drawn from them.

    Fields: `segment`, `age` (missing for one in ten) of users; `category`, `price`, `tags` (none
    to three) of items; `hour`, `device` of rows.

    Raises UsageError for sizes that make no sense.
    """
    every = communities * circles
    if not 1 <= every <= min(users, items) or communities < 1 or n < 1:
        raise UsageError(
            "these sizes make no planted impressions",
            expected="1 <= communities * circles <= users and items, n >= 1",
            got=f"{n=}, {users=}, {items=}, {communities=}, {circles=}",
        )
    rng = np.random.default_rng(seed)
    # Circle c is of community c mod `communities`.
    of_user, of_item = (rng.permutation(many) % every for many in (users, items))
    centres = _centres(rng, communities, every)
    user = rng.permutation(users)[_zipf(rng, users, n, offset=users / 20)]
    item = _shown(rng, of_user[user], of_item, communities, every)
    segment, category = (_noisy(rng, of % communities, communities) for of in (of_user, of_item))
    price, hour = rng.lognormal(2.0, 1.0, items), rng.integers(0, _HOURS, n)
    tags = _tags(rng, items)
    odds = -2.0 + 2 * _agreement(rng, centres, of_user, of_item, user, item)
    odds += 0.7 * rng.standard_normal(users)[user] + 0.7 * rng.standard_normal(items)[item]
    odds -= 0.5 * (np.log(price)[item] - 2.0)
    odds += 0.4 * rng.standard_normal((_HOURS, communities))[hour, category[item]]
    effects = 0.4 * rng.standard_normal(_TAGS)
    odds += np.add.reduceat(np.append(effects[tags.codes], 0), tags.offsets[:-1])[item] * (
        np.diff(tags.offsets)[item] > 0
    )
    label = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    age = np.where(rng.random(users) < 0.1, np.nan, rng.integers(18, 80, users))
    values: dict[Owner, dict[str, Values]] = {
        "user": {"segment": _words("segment", segment), "age": Numbers(age)},
        "item": {"category": _words("category", category), "price": Numbers(price), "tags": tags},
        "row": {"hour": _words("hour", hour),
                "device": Words(rng.integers(0, 3, n, np.int32), pa.array(_DEVICES))},
    }  # fmt: skip
    return _log(n, users, items, user, item, label, values)


def _centres(rng: np.random.Generator, communities: int, circles: int) -> Floats:
    """(circles, dimensions) of length about one: half of each is its community's."""
    of_community = rng.standard_normal((communities, _TASTE))
    own = rng.standard_normal((circles, _TASTE))
    found: Floats = of_community[np.arange(circles) % communities] + own
    found /= np.sqrt(2 * _TASTE)
    return found


def _zipf(rng: np.random.Generator, n: int, many: int, offset: float) -> Whole:
    """`many` numbers below n, in proportion to 1 / (number + offset)."""
    running = np.cumsum(1 / (np.arange(1, n + 1) + offset))
    drawn = np.searchsorted(running, rng.random(many) * running[-1], side="right")
    return np.asarray(np.minimum(drawn, n - 1))


def _shown(
    rng: np.random.Generator, own: Whole, of_item: Whole, communities: int, circles: int
) -> Whole:
    """An item for each impression of somebody whose circle is `own`."""
    order = np.argsort(of_item, kind="stable")
    sizes = np.bincount(of_item, minlength=circles)
    starts = np.cumsum(sizes) - sizes
    luck = rng.random(len(own))
    anywhere = rng.integers(0, circles, len(own))
    near = own % communities + communities * rng.integers(0, circles // communities, len(own))
    circle = np.where(luck < _CIRCLE, own, np.where(luck < _COMMUNITY, near, anywhere))
    running = np.cumsum(1 / (np.arange(1, int(sizes.max()) + 1) + sizes.max() / 20))
    below = rng.random(len(own)) * running[sizes[circle] - 1]
    rank = np.minimum(np.searchsorted(running, below, side="right"), sizes[circle] - 1)
    return np.asarray(order[starts[circle] + rank])


def _noisy(rng: np.random.Generator, of: Whole, communities: int) -> Whole:
    return np.where(rng.random(len(of)) < _TRUE, of, rng.integers(0, communities, len(of)))


def _agreement(
    rng: np.random.Generator,
    centres: Floats,
    of_user: Whole,
    of_item: Whole,
    user: Whole,
    item: Whole,
) -> Floats:
    """(n,) dot products of tastes."""
    tastes = [
        centres[of] + 0.5 / np.sqrt(_TASTE) * rng.standard_normal((len(of), _TASTE))
        for of in (of_user, of_item)
    ]
    found: Floats = np.einsum("nd,nd->n", tastes[0][user], tastes[1][item])
    return found


def _tags(rng: np.random.Generator, items: int) -> Bags:
    lengths = rng.integers(0, 4, items)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    known = pa.array([f"tag{number:02}" for number in range(_TAGS)])
    return Bags(offsets, rng.integers(0, _TAGS, offsets[-1]).astype(np.int32), known)


def _words(name: str, numbers: Whole) -> Words:
    known = pa.array([f"{name}{number:03}" for number in range(int(numbers.max()) + 1)])
    return Words(numbers.astype(np.int32), known)


def _log(
    n: int,
    users: int,
    items: int,
    user: Whole,
    item: Whole,
    label: npt.NDArray[np.float32],
    values: dict[Owner, dict[str, Values]],
) -> Impressions:
    ids = [Ids(pa.array(np.arange(many, dtype=np.int64))) for many in (users, items)]
    report = Report("planted", "planted", "user", "item", "label", "time", n,
                    users=users, items=items, interactions=n)  # fmt: skip
    return Impressions(
        ids[0], ids[1], user.astype(np.int32), item.astype(np.int32), label,
        np.arange(n, dtype=np.int64),
        tuple(Field(name, one.kind, owner) for owner, of in values.items()
              for name, one in of.items()),
        values["row"],
        {"user": Side(ids[0], values["user"]), "item": Side(ids[1], values["item"])},
        report, n,
    )  # fmt: skip
