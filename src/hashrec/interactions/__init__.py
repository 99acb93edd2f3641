"""Interactions: reading a log, cleaning it, splitting it, and keeping its ids.

data = read("events.csv", cleaning=Cleaning(min_rating=4, user_core=5))
train, test = data.split(UserSplit(test=0.2, seed=0))
"""

from __future__ import annotations

from hashrec.interactions.builtin import BUILTIN
from hashrec.interactions.cleaning import Cleaning
from hashrec.interactions.features import Features, read_features
from hashrec.interactions.files import Parts, read, read_parts
from hashrec.interactions.heldout import Heldout
from hashrec.interactions.ids import Ids
from hashrec.interactions.log import Interactions
from hashrec.interactions.planted import Planted, planted
from hashrec.interactions.report import Report
from hashrec.interactions.splits import (
    SPLITS,
    LastOut,
    RandomSplit,
    Split,
    TimeSplit,
    UserSplit,
)

__all__ = [
    "BUILTIN",
    "SPLITS",
    "Cleaning",
    "Features",
    "Heldout",
    "Ids",
    "Interactions",
    "LastOut",
    "Parts",
    "Planted",
    "RandomSplit",
    "Report",
    "Split",
    "TimeSplit",
    "UserSplit",
    "planted",
    "read",
    "read_features",
    "read_parts",
]
