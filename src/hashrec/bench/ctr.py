"""`bench ctr`: every model of clicks on every table, and another library's models beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from hashrec.bench.cells import Cells
from hashrec.bench.ctr_peers import PEER_MODELS, Settings, peer_logits
from hashrec.bucketing import METHODS
from hashrec.costs import peak_rss_mb
from hashrec.impressions import (
    Field,
    Impressions,
    planted_impressions,
    read_impressions,
    sources_of,
)
from hashrec.impressions.values import Bags, Words
from hashrec.progress import Progress

__all__ = ["HASHES", "CtrCell", "bench_ctr"]

_SHARES = (0.1, 0.5)  # beside a quarter
HASHES = ("random", "frequency", "double")
_GRAPHS = ("graph", "double-graph")
_SHOWN = ("auc", "log_loss", "calibration_error")
_IN_DISGUISE = 0.3  # of the ids: a field of so many words names its owner
_PEER = "deepctr-torch"
# Deviations of its first weights (its default first) and rates of Adam (its usual one first).
_PEER_SETTINGS = ((1e-4, 1e-3), (1e-2, 1e-3), (1e-2, 3e-3))
_Group = tuple[str, str, Any]  # model, method, rows asked for


@dataclass(frozen=True)
class CtrCell:
    """One entry of the table: what is trained, on which table, with which seed.

    Attributes:
        data: names all three parts. options: JSON of the whole recipe but for table and seed.
    """

    data: str
    model: str
    method: str
    rows: float | None
    seed: int
    options: str


@dataclass(frozen=True, eq=False)
class _Parts:
    train: Impressions
    valid: Impressions
    test: Impressions

    def fingerprint(self) -> str:
        """12 hex digits each of all three."""
        return "".join(one.fingerprint()[:12] for one in (self.train, self.valid, self.test))


def bench_ctr(
    *,
    data: str | None,
    quick: bool,
    repeats: int,
    seed: int,
    progress: Progress,
    store: Path | None = None,
    stored: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """AUC, log loss and calibration of every model, on full tables and on every bucket method at a
    quarter, a tenth and half of the rows, `repeats` seeds from `seed` on; with `quick` of two
    models on small data, with one. `store`, `stored`: see `Cells`. Returns `rows`, one a model
    and table, and `claims`.

    Data: a log with ratings, of which 4 and more are clicks, as RecBole's folders hold them; or a
    million planted impressions. Fields that name their owner (titles, postcodes) are left out.
    Split at random, 80/10/10, by `seed`; epochs are stopped by AUC on the valid part, and the test
    part is measured once, with the weights of the best epoch.

    Beside them, on full tables, the models that DeepCTR-Torch has of the same kinds, on the same
    parts, fields, dimensions and batches; of three settings the one of the best valid AUC is shown.
    """
    parts = _read(data, quick, seed)
    cells, fingerprint = Cells(store), parts.fingerprint()
    options = _options(data, quick, device)
    repeats = 1 if quick else repeats
    asked = _cells(fingerprint, options, quick=quick, repeats=repeats, seed=seed)
    there = cells.measure(
        asked, lambda cell: _measured(cell, parts), _told, progress, stored=stored
    )
    summed = _summed(there, cells)
    claims = _claims(summed) | _speed(summed, len(parts.train))
    return {"rows": list(summed.values()), "claims": claims}


def _read(data: str | None, quick: bool, seed: int) -> _Parts:
    if data is None:
        n = 20_000 if quick else 1_000_000
        log = planted_impressions(
            n, users=n // 20, items=n // 100, communities=5 if quick else 50,
            circles=4 if quick else 20, seed=seed,
        )  # fmt: skip
    else:
        log = _telling(_rated(data))
    rest, test = log.split({"name": "random", "test": 0.1, "seed": seed})
    train, valid = rest.split({"name": "random", "test": 1 / 9, "seed": seed})
    return _Parts(train, valid, test)


def _rated(data: str) -> Impressions:
    found = sources_of(data)
    return read_impressions(
        found.train, threshold=4, user_features=found.user_features,
        item_features=found.item_features,
    )  # fmt: skip


def _telling(log: Impressions) -> Impressions:
    """Without the fields of so many words that they tell who it is."""

    def telling(one: Field) -> bool:
        if one.owner == "row":
            return True
        side = log.sides[one.owner]
        values = side.values[one.name]
        words = len(values.known) if isinstance(values, Words | Bags) else 0
        return words <= _IN_DISGUISE * len(side.ids)

    return replace(log, fields=tuple(filter(telling, log.fields)))


def _options(data: str | None, quick: bool, device: str) -> dict[str, Any]:
    """All but model, table and seed; a million rows are learned in larger steps."""
    training: dict[str, Any] = {"device": device}
    if quick:
        training |= {"epochs": 2}
    elif data is None:
        training |= {"batch": 4096, "learning_rate": 0.006, "epochs": 8, "patience": 1}
    return {"dim": 16, "training": training}


def _cells(
    fingerprint: str,
    options: Mapping[str, Any],
    *,
    quick: bool,
    repeats: int,
    seed: int,
) -> list[CtrCell]:
    """Those to be read side by side together: models inside a method, what is claimed first."""
    from hashrec.ctr import MODELS, CtrRecipe

    models = ("dcn", "deep-fm") if quick else tuple(MODELS)
    first = (*HASHES, *_GRAPHS)
    others = [one for one in METHODS if one not in (*first, "full")]
    whole = {model: CtrRecipe.from_dict({**options, "model": model}).to_dict() for model in models}
    texts = {
        model: json.dumps({key: one[key] for key in one if key not in ("seed", "table")},
                          sort_keys=True)
        for model, one in whole.items()
    }  # fmt: skip

    def every(tables: list[tuple[str, float | None]], seeds: int) -> list[CtrCell]:
        return [
            CtrCell(fingerprint, model, method, rows, seed + number, texts[model])
            for method, rows in tables
            for number in range(seeds)
            for model in models
        ]

    claims = every([("full", None), *((method, 0.25) for method in first)], repeats)
    peers = [
        replace(cell, method=f"{_PEER}, {scale:g}, {rate:g}")
        for cell in every([(_PEER, None)], repeats)
        if cell.model in PEER_MODELS
        for scale, rate in _PEER_SETTINGS
    ]
    if quick:
        return claims + peers
    rest: list[tuple[str, float | None]] = [(method, 0.25) for method in others]
    rest += [(method, share) for share in _SHARES for method in (*first, *others)]
    # A whole table of one seed before those of others.
    return claims + peers + sorted(every(rest, repeats), key=lambda cell: cell.seed)


def _told(cell: CtrCell) -> str:
    share = "all" if cell.rows is None else f"{cell.rows:.0%} of the"
    return f"{cell.model}, {cell.method}, {share} rows, seed {cell.seed}"


def _measured(cell: CtrCell, parts: _Parts) -> dict[str, Any]:
    from hashrec.ctr import CtrModel, CtrRecipe
    from hashrec.evaluation import judged

    base = json.loads(cell.options)
    if cell.method.startswith(_PEER):
        return _peer(cell, parts, CtrRecipe.from_dict(base))
    table = {"method": cell.method, **({} if cell.rows is None else {"rows": cell.rows})}
    began = time.perf_counter()
    model = CtrModel(CtrRecipe.from_dict({**base, "seed": cell.seed, "table": table}))
    model.fit(parts.train, parts.valid)
    spent = time.perf_counter() - began
    facts, label = model.fitted.facts, parts.test.label
    assert label is not None
    best = max(facts["history"], key=lambda entry: entry["auc"])
    return {
        **judged(model.logits(parts.test), label),
        "valid_auc": best["auc"],
        "epochs": facts["epochs"],
        "epochs_run": len(facts["history"]),
        **model.fitted.sizes(),
        "seconds": round(spent, 1),
        "seconds_an_epoch": round(facts["train_seconds"] / len(facts["history"]), 2),
        "peak_rss_mb": peak_rss_mb(),
    }


def _peer(cell: CtrCell, parts: _Parts, recipe: Any) -> dict[str, Any]:
    """The same parts, prepared by the same schema, through the other library's model."""
    from hashrec.bucketing import buckets
    from hashrec.ctr.examples import examples_of
    from hashrec.evaluation import judged
    from hashrec.impressions import Schema

    schema = Schema.of(parts.train, recipe.fields)
    made = buckets(parts.train.interactions(), "full")
    train, valid, test = (
        examples_of(one, schema, made) for one in (parts.train, parts.valid, parts.test)
    )
    scale, rate = map(float, cell.method.split(",")[1:])
    began = time.perf_counter()
    settings = Settings(scale, rate, cell.seed)
    found = peer_logits(cell.model, schema, made, (train, valid, test), recipe, settings)
    assert test.label is not None
    return {
        **judged(found.logits, test.label),
        "valid_auc": found.valid_auc,
        "epochs": found.epochs,
        "epochs_run": found.epochs_run,
        "table_rows": made.rows,
        "parameters": found.parameters,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_an_epoch": round(found.seconds / found.epochs_run, 2),
    }


def _summed(there: list[CtrCell], cells: Cells) -> dict[_Group, dict[str, Any]]:
    """A row for each model on each table: means over the seeds, and spreads."""
    groups: dict[_Group, list[dict[str, Any]]] = {}
    for cell in there:
        found = cells.get(cell)
        assert found is not None
        groups.setdefault((cell.model, cell.method, cell.rows), []).append(found)
    summed = {}
    for (model, method, rows), results in _best_peers(groups).items():
        summed[model, method, rows] = {
            "model": model,
            "method": method,
            "rows": "all" if rows is None else f"{rows:.0%}",
            **{key: round(mean(one[key] for one in results), 4) for key in _SHOWN},
            "auc_spread": round(pstdev(one["auc"] for one in results), 4),
            "log_loss_spread": round(pstdev(one["log_loss"] for one in results), 4),
            "table_rows": results[0]["table_rows"],
            "parameters": results[0]["parameters"],
            "epochs": round(mean(one["epochs"] for one in results), 1),
            "seconds": round(mean(one["seconds"] for one in results), 1),
            "seconds_an_epoch": round(mean(one["seconds_an_epoch"] for one in results), 2),
            "seeds": len(results),
        }
    return summed


def _best_peers(
    groups: Mapping[_Group, list[dict[str, Any]]],
) -> dict[_Group, list[dict[str, Any]]]:
    """Of the other library's settings the one of the better valid AUC, for each model."""
    kept: dict[_Group, list[dict[str, Any]]] = {}
    for (model, method, rows), results in groups.items():
        key = (model, method.split(",")[0], rows)
        valid = mean(one["valid_auc"] for one in results)
        if key not in kept or valid > mean(one["valid_auc"] for one in kept[key]):
            kept[key] = results
    return kept


def _speed(summed: Mapping[_Group, dict[str, Any]], impressions: int) -> dict[str, float]:
    """Seconds of DCNv2 for an epoch of a million impressions, full tables; and the mean over the
    models of the other library's seconds an epoch over ours."""
    claims = {}
    if ours := summed.get(("dcn", "full", None)):
        claims["dcn_seconds_a_million"] = round(ours["seconds_an_epoch"] / impressions * 1e6, 2)
    ratios = [
        row["seconds_an_epoch"] / summed[model, "full", None]["seconds_an_epoch"]
        for (model, method, _), row in summed.items()
        if method == _PEER and (model, "full", None) in summed
    ]
    if ratios:
        claims["over_peer"] = round(mean(ratios), 2)
    return claims


def _claims(summed: Mapping[_Group, dict[str, Any]]) -> dict[str, float]:
    """At a quarter of the rows, means over the models: `graph`, and `double-graph`, less each hash
    in AUC and, so that larger is better there too, each hash less them in log loss;
    and over the models that both have, ours on full tables less the other library's in AUC."""
    claims = {}
    gains = {
        (graph, other): [
            (ours["auc"] - theirs["auc"], theirs["log_loss"] - ours["log_loss"])
            for model in {model for model, _, _ in summed}
            if (ours := summed.get((model, graph, 0.25)))
            and (theirs := summed.get((model, other, 0.25)))
        ]
        for graph in _GRAPHS
        for other in HASHES
    }
    for (graph, other), found in gains.items():
        if found:
            name = f"{graph.replace('-', '_')}_minus_{other}"
            claims[f"{name}_auc"] = round(mean(auc for auc, _ in found), 4)
            claims[f"{name}_log_loss"] = round(mean(loss for _, loss in found), 4)
    beside = [
        row["auc"] - summed[model, "full", None]["auc"]
        for (model, method, _), row in summed.items()
        if method == _PEER and (model, "full", None) in summed
    ]
    if beside:
        claims["full_minus_peer_auc"] = round(-mean(beside), 4)
    return claims
