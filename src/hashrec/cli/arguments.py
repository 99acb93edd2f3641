"""The grammar of the command line. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hashrec import __version__

__all__ = ["build_parser", "parse"]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for. A wrong command line ends the process with status 2.

    argparse gives USER... and ITEM... only the words before the next option; those after it, as in
    `recommend MODEL -k 5 USER`, are added here. After `--` every word is one of them.
    """
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    ids = getattr(options, "users", getattr(options, "items", None))
    end = rest.index("--") if "--" in rest else len(rest)
    if rest and (ids is None or any(word.startswith("-") for word in rest[:end])):
        parser.error("unrecognized arguments: " + " ".join(rest))
    if ids is not None:
        ids += rest[:end] + rest[end + 1 :]
    return options


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `command` names the module that runs."""
    parser = argparse.ArgumentParser(
        prog="hashrec", description="Recommenders made small and fast.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"hashrec {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (
        _fit, _evaluate, _recommend, _similar, _buckets, _fit_ctr, _score, _export, _inspect,
        _bench, _doctor,
    ):  # fmt: skip
        add(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--seed", type=_natural, help="of every random draw (default: 0, or the recipe's)"
    )
    parser.add_argument("--threads", type=_positive, help="of kernels and linear algebra")
    return parser


def _fit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "fit", "Train a model, measure it and write it.")
    _job(parser, "encoder.dim=256 or codes.bits=4")
    _columns(parser)
    _measuring(parser)
    for side in ("user", "item"):
        parser.add_argument(
            f"--{side}-features", metavar="FILE",
            help=f"a row for each {side}, the id first, for encoders that take features",
        )  # fmt: skip
    parser.add_argument(
        "--budget",
        type=_positive,
        metavar="BYTES",
        help="choose codes and encoder.dim: what ranks best within so many bytes an item",
    )


def _job(parser: argparse.ArgumentParser, example: str) -> None:
    """What every command takes that fits a model; `example`: of settings."""
    _data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="folder to write")
    parser.add_argument(
        "--test", metavar="FILE", help="evaluate on this instead of a part held out"
    )
    parser.add_argument("--recipe", type=Path, metavar="R.toml", help="the configuration")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"lay one value over the recipe, as {example}",
    )
    parser.add_argument(
        "--no-evaluate", action="store_true", help="fit on everything, measure nothing"
    )
    parser.add_argument(
        "--no-refit", action="store_true", help="keep the model fitted without the parts held out"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="do not go on from checkpoints of a training stopped"
    )
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="log training there")
    parser.add_argument("--mlflow", action="store_true", help="log training to MLflow")


def _evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "evaluate", "Measure a saved model on a test file.")
    _model(parser)
    parser.add_argument(
        "--test",
        required=True,
        metavar="FILE",
        help="test interactions, or a folder with a test part; for a model of clicks, impressions",
    )
    _columns(parser)
    _measuring(parser)
    group = parser.add_argument_group("for a model of clicks")
    _labels(group)
    _sides(group)


def _recommend(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "recommend", "The best unseen items of users.")
    _model(parser)
    parser.add_argument("users", nargs="*", metavar="USER")
    parser.add_argument("-k", type=_positive, default=10, help="how many (10)")
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="instead of k: every item scoring at least T"
    )
    parser.add_argument(
        "--history",
        metavar="ITEM,ITEM",
        help="for somebody unknown, from their items; quote items with commas: 'a,\"b,c\"'",
    )
    parser.add_argument(
        "--allow", type=Path, metavar="FILE", help="only the items it names, an id a line"
    )
    parser.add_argument(
        "--ranker", type=Path, metavar="MODEL",
        help="rank what is retrieved by this model of clicks, a folder that fit-ctr wrote",
    )  # fmt: skip
    parser.add_argument(
        "--candidates", type=_positive, default=200, metavar="N",
        help="with --ranker: how many are retrieved for each user (200)",
    )  # fmt: skip
    parser.add_argument(
        "--context", action="append", default=[], metavar="FIELD=VALUE",
        help="with --ranker: a field of the moment, the same for all",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="every user of the model; needs --out")
    parser.add_argument("--include-seen", action="store_true", help="do not leave out seen items")
    _unknown(parser)
    _out(parser)


def _similar(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "similar", "The nearest items of items, by cosine.")
    _model(parser)
    parser.add_argument("items", nargs="+", metavar="ITEM")
    parser.add_argument("-k", type=_positive, default=10, help="how many (10)")
    _unknown(parser)
    _out(parser)


def _buckets(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "buckets", "Which ids share a row of an embedding table.")
    _data(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.parquet",
        help="write the buckets, with .json and .safetensors of the same name; "
        "may be left out with --explain",
    )
    parser.add_argument("--method", default="graph", help="how they are found (graph)")
    parser.add_argument(
        "--extend",
        type=Path,
        metavar="OLD.parquet",
        help="instead of finding any: OLD's buckets, with the new ids of DATA placed in them",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option of the method",
    )
    _table_rows(parser)
    parser.add_argument(
        "--half-life",
        type=float,
        metavar="T",
        help="an interaction counts half for every T that it is older than the newest",
    )
    parser.add_argument(
        "--tied", action="store_true", help="users and items are the same ids, and share buckets"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show the largest and the densest buckets by name, and modularity over gamma",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the sizes of buckets")
    _columns(parser)
    parser.add_argument("--min-rating", type=float, metavar="R", help="drop ratings below R")
    parser.add_argument(
        "--core", type=_positive, default=1, metavar="N", help="drop ids met fewer than N times"
    )


def _fit_ctr(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands, "fit-ctr", "Train a model of clicks on impressions, measure it and write it."
    )
    _job(parser, "model.name=deep-fm or table.rows=0.25")
    _impressions(parser)


def _impressions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("impressions (default: detected and printed)")
    _labels(group)
    for role in ("user", "item", "time"):
        group.add_argument(
            f"--{role}", metavar="NAME", help=f"the {role} column; none: there is none"
        )
    for kind in ("categorical", "numeric", "multi"):
        group.add_argument(f"--{kind}", metavar="A,B", help=f"columns that are {kind} fields")
    group.add_argument("--ignore", metavar="A,B", help="columns that are no fields")
    for side in ("user", "item"):
        group.add_argument(
            f"--{side}-columns", metavar="A,B", help=f"columns that belong to the {side}"
        )
    _sides(group)
    group.add_argument("--format", metavar="F", help="read as this format, whatever the name says")


def _labels(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--label", metavar="NAME", help="the column of labels: 0 or 1, or ratings")
    group.add_argument(
        "--threshold", type=float, metavar="T", help="1 is a rating of at least T, the rest is 0"
    )


def _sides(group: argparse._ArgumentGroup) -> None:
    for side in ("user", "item"):
        group.add_argument(
            f"--{side}-features", metavar="FILE", help=f"a row for each {side}, the id first"
        )
    group.add_argument(
        "--separator",
        metavar="S",
        help="between the words of multi-valued text (|, in RecBole a space)",
    )


def _score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "score", "How likely each of some impressions is to be taken.")
    _ctr_model(parser)
    parser.add_argument(
        "--in", dest="candidates", required=True, metavar="FILE",
        help="users, items and fields, under the names they had in training",
    )  # fmt: skip
    _out(parser)
    parser.add_argument(
        "--extend", metavar="FILE", help="interactions of users and items that came later"
    )
    group = parser.add_argument_group("what the model does not know")
    _sides(group)
    group.add_argument("--format", metavar="F", help="read as this format, whatever the name says")


def _export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "export", "Write a model of clicks as ONNX, checked.")
    _ctr_model(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="to write")


def _table_rows(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rows: a share (0.25, 25%), a number (9000), bytes (4MB)")
    group.add_argument("--rows", metavar="ROWS", help="of both tables together (0.25)")
    group.add_argument("--user-rows", metavar="ROWS", help="of the users' table")
    group.add_argument("--item-rows", metavar="ROWS", help="of the items' table")
    group.add_argument("--dim", type=_positive, help="dimensions of a vector; bytes need them")


def _inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _model(_command(commands, "inspect", "What a model holds: recipe, sizes, checksums, metrics."))


def _bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "bench", "Measure this library beside its alternatives.")
    parser.add_argument(
        "name",
        metavar="NAME",
        help="propagate, spectral, buckets, step, graphhash, frontier, hashlgn, search, ctr",
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="default: a planted graph or log")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, within a minute")
    parser.add_argument("--repeats", type=_positive, default=5, help="of every measurement (5)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="store the result as JSON too"
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FILE.jsonl",
        help="ctr, frontier, graphhash, hashlgn: where each cell is kept as it ends, to go on from "
        "(bench-NAME.jsonl)",
    )
    parser.add_argument(
        "--stored", action="store_true", help="measure nothing, show the cells that are stored"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="frontier, search: draw it")
    parser.add_argument(
        "--device", default="cpu", help="ctr, frontier, graphhash, hashlgn: where to train (cpu)"
    )


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _command(commands, "doctor", "Versions, threads, and which engines and extras work here.")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a folder that fit wrote")
    parser.add_argument(
        "--no-verify", action="store_true", help="open without checking checksums (large models)"
    )


def _ctr_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a folder that fit-ctr wrote")
    parser.add_argument(
        "--no-verify", action="store_true", help="open without checking checksums (large models)"
    )


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help="csv, tsv, parquet, RecBole .inter, LightGCN text, MovieLens .dat, scipy .npz, "
        "a folder with train/valid/test in one of them, or built-in data (debian)",
    )


def _columns(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("columns (default: detected and printed)")
    for role in ("user", "item"):
        group.add_argument(f"--{role}", metavar="NAME", help=f"the {role} column")
    for role in ("rating", "time"):
        group.add_argument(f"--{role}", metavar="NAME", help=f"the {role} column; none ignores it")
    group.add_argument("--format", metavar="F", help="read as this format, whatever the name says")


def _measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", type=_positive, action="append", help="list length, repeatable (20)")
    parser.add_argument("--protocol", help="lightgcn (default), graphhash or hashlgn")


def _unknown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unknown", choices=("error", "skip"), default="error", help="ids the model does not know"
    )


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write .parquet or .csv instead of printing"
    )


def _positive(text: str) -> int:
    return _at_least(1, text)


def _natural(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text!r}")
    return value
