"""`hashrec export`."""

from __future__ import annotations

import argparse

from hashrec.cli.output import check_file_path, print_json
from hashrec.ctr import CtrModel
from hashrec.errors import UsageError

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if options.out.suffix != ".onnx":
        raise UsageError("only ONNX is written", name=str(options.out),
                         expected="a name ending in .onnx")  # fmt: skip
    check_file_path(options.out)
    model = CtrModel.load(options.model, verify=not options.no_verify)
    seen = model.export(options.out)
    if options.json:
        print_json(dict(seen))
        return
    print(
        f"{options.out}: {seen['bytes']:,} bytes; onnxruntime's scores of {seen['rows']} rows "
        f"differ from ours by {seen['largest_difference']:.1e} at most"
    )
