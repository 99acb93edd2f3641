"""A trained model of clicks: its parts, and their way to disk and back.

manifest.json        recipe, fields, sizes, checksums
arrays.safetensors   weights, scales, and what is known of users and items
words.parquet        the words of every field
known.parquet        the ids of which something is known
buckets.*            the rows of users and items, where the log had them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from hashrec.artifact import read_ids, write_ids
from hashrec.bucketing import Buckets, load_buckets, save_buckets
from hashrec.component import validate
from hashrec.ctr.calibration import Calibration
from hashrec.ctr.header import Header
from hashrec.ctr.predictor import Predictor, build
from hashrec.ctr.recipe import CtrRecipe
from hashrec.ctr_folder import TRIO, WITH_IDS, WITHOUT, kind_at
from hashrec.errors import RecipeError
from hashrec.folder import Kind, map_arrays, write_arrays
from hashrec.impressions import Known, Schema
from hashrec.impressions.scale import Scale
from hashrec.impressions.vocabulary import Vocabulary
from hashrec.interactions import Ids

__all__ = ["CtrFitted"]

Arrays = dict[str, npt.NDArray[Any]]

_OWNERS = ("user", "item")


@dataclass(frozen=True, eq=False)
class CtrFitted:
    """A model's parts.

    Attributes:
        recipe: how it was made. schema: its fields. made: rows of users and items, or None.
        predictor: with its weights. calibration: of its logits.
        columns: what the log called its user, item and label; None: it has none.
        threshold: of its ratings, or None.
        facts: JSON-ready things worth keeping.
    """

    recipe: CtrRecipe
    schema: Schema
    made: Buckets | None
    predictor: Predictor
    calibration: Calibration
    columns: Mapping[str, str | None]
    threshold: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sizes(self) -> dict[str, int]:
        """Rows and bytes: of the tables of ids with their assignments, and of all weights."""
        tables = [table.shared for table in self.predictor.inputs.ids]
        return {
            "table_rows": self.predictor.id_rows,
            "table_bytes": sum(table.total_bytes for table in tables),
            "parameters": self.predictor.n_parameters,
            "parameter_bytes": sum(int(one.nbytes) for one in self.predictor.parameters()),
        }

    def save(self, path: str | Path) -> dict[str, int]:
        """Writes the folder whole or not at all; returns the bytes of each file."""
        header = {
            "recipe": self.recipe.to_dict(),
            "columns": dict(self.columns),
            "threshold": self.threshold,
            "calibration": vars(self.calibration),
            "vocabularies": [one.scalars() for one in self.schema.vocabularies],
            "scales": [one.scalars() for one in self.schema.scales],
            "known": {owner: list(one.columns) for owner, one in self.schema.known.items()},
            "separators": dict(self.schema.separators),
            "sizes": self.sizes(),
            "facts": dict(self.facts),
        }
        writers: dict[str, Callable[[Path], object]] = {
            "arrays.safetensors": lambda place: write_arrays(place, self._arrays()),
            "words.parquet": self._write_words,
            "known.parquet": lambda place: write_ids(place, *map(self._known_ids, _OWNERS)),
        }
        if self.made is None:
            return WITHOUT.write(path, header, writers)
        made = self.made
        writers |= dict.fromkeys(TRIO, lambda place: None)
        writers["buckets.parquet"] = lambda place: save_buckets(made, place)
        return WITH_IDS.write(path, header, writers)

    def _arrays(self) -> Arrays:
        weights = self.predictor.named_parameters()
        arrays = {f"weight.{name}": one.detach().cpu().numpy() for name, one in weights}
        arrays |= {f"scale.{at}": one.kept for at, one in enumerate(self.schema.scales)}
        for owner, known in self.schema.known.items():
            arrays |= {f"known.{owner}.{at}": one for at, one in enumerate(known.columns.values())}
        return arrays

    def _known_ids(self, owner: str) -> Any:
        known = self.schema.known.get(owner)
        return pa.array([], pa.string()) if known is None else known.ids.array

    def _write_words(self, place: Path) -> None:
        every = [one.words for one in self.schema.vocabularies]
        at = np.repeat(np.arange(len(every), dtype=np.int32), [len(one) for one in every])
        words = pa.concat_arrays(every) if every else pa.array([], pa.string())
        pq.write_table(pa.table({"field": pa.array(at), "word": words}), place, compression="zstd")

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> CtrFitted:
        """Opens a folder. Raises ModelError, one for each way it can be wrong."""
        folder, kind = Path(path), kind_at(path)
        header, _ = kind.open(folder, verify=verify)
        try:
            validate(Header, header, where="")
            arrays = map_arrays(folder / "arrays.safetensors", kind)
            schema = _schema(header, arrays, folder, kind)
            made = load_buckets(folder / "buckets.parquet") if kind is WITH_IDS else None
            recipe = CtrRecipe.from_dict(header["recipe"])
            predictor = build(recipe, schema, made)
            _fill(predictor, arrays)
            return cls(
                recipe, schema, made, predictor.eval(), Calibration(**header["calibration"]),
                header["columns"], header["threshold"], header["facts"],
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError,
                RecipeError, pa.ArrowException, OSError) as fault:  # fmt: skip
            raise kind.ill_formed(folder, fault) from fault


def _schema(
    header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], folder: Path, kind: Kind
) -> Schema:
    words = pq.read_table(folder / "words.parquet")
    of = words["field"].to_numpy()
    text = words["word"].combine_chunks()
    vocabularies = tuple(
        Vocabulary.restore(scalars, text.filter(pa.array(of == at)))
        for at, scalars in enumerate(header["vocabularies"])
    )
    scales = tuple(
        Scale.restore(scalars, arrays[f"scale.{at}"]) for at, scalars in enumerate(header["scales"])
    )
    ids = dict(zip(_OWNERS, read_ids(folder / "known.parquet", kind), strict=True))
    known = {
        owner: Known(Ids(ids[owner]), {
            name: arrays[f"known.{owner}.{at}"] for at, name in enumerate(names)
        })
        for owner, names in header["known"].items()
    }  # fmt: skip
    schema = Schema(vocabularies, scales, known, header["separators"])
    schema.check()
    return schema


def _fill(predictor: Predictor, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raises ValueError for weights that do not fit."""
    with torch.no_grad():
        for name, one in predictor.named_parameters():
            stored = arrays[f"weight.{name}"]
            if stored.shape != tuple(one.shape):
                raise ValueError(f"{name} of shape {stored.shape}, not {tuple(one.shape)}")
            one.copy_(torch.from_numpy(stored.copy()))
