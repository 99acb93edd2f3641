"""`hashrec inspect`."""

from __future__ import annotations

import argparse
from typing import Any

from hashrec.artifact import open_model
from hashrec.cli.output import print_json, print_table
from hashrec.ctr_folder import is_ctr, open_ctr
from hashrec.search import best_engine
from hashrec.simd import instruction_set

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if is_ctr(options.model):
        header, files = open_ctr(options.model, verify=not options.no_verify)
        _show({**header, "files": files, "verified": not options.no_verify}, options)
        return
    stored = open_model(options.model, verify=not options.no_verify)
    codes = stored.arrays["item_codes"]
    engine = best_engine(stored.header["item_codes"]["bits"], codes.shape[1])
    result = {
        **stored.header,
        "search": {"engine": engine, "instructions": instruction_set() or "plain"},
        "files": stored.sizes,
        "verified": not options.no_verify,
    }
    _show(result, options)


def _show(result: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print_json(result)
        return
    for section, content in result.items():
        print(section)
        rows = list(_flat(content))
        width = max(len(key) for key, _ in rows)
        for key, value in rows:
            print(f"  {key.ljust(width)}  {value}")
    total = sum(result["files"].values())
    checked = "checksums good" if result["verified"] else "checksums not checked"
    print_table(["total bytes", "state"], [[total, checked]])


def _flat(content: Any, path: str = "") -> Any:
    """Nested JSON as dotted keys."""
    if not isinstance(content, dict) or not content:
        yield path or "-", content
        return
    for key, value in content.items():
        yield from _flat(value, f"{path}.{key}" if path else str(key))
