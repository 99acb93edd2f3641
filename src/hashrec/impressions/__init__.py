"""Impressions: a log with labels and fields, and what a model learns of its fields.

log = read_impressions("ratings.csv", threshold=4, item_features="movies.csv")
train, test = log.split("random")
schema = Schema.of(train, Fields())
"""

from __future__ import annotations

from hashrec.impressions.field import Field
from hashrec.impressions.kinds import Kinds
from hashrec.impressions.log import Impressions, Side
from hashrec.impressions.parts import Sources, sources_of
from hashrec.impressions.planted import planted_impressions
from hashrec.impressions.reading import read_candidates, read_impressions
from hashrec.impressions.schema import Described, Fields, Known, Schema
from hashrec.impressions.transforms import TRANSFORMS, Log, Quantile, Standard, Transform

__all__ = [
    "TRANSFORMS",
    "Described",
    "Field",
    "Fields",
    "Impressions",
    "Kinds",
    "Known",
    "Log",
    "Quantile",
    "Schema",
    "Side",
    "Sources",
    "Standard",
    "Transform",
    "planted_impressions",
    "read_candidates",
    "read_impressions",
    "sources_of",
]
