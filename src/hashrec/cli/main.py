"""`hashrec`: results on stdout, progress and log on stderr.

Exit status 0: done. 2: wrong usage or input, one clear message. 1: a fault of ours, a traceback.
A command's module is imported when it runs, so `--help` stays quick.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from hashrec.cli.arguments import parse
from hashrec.errors import HashrecError, OutputError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    options = parse(arguments)
    try:
        _stop_on_terminate()
        _prepare(options)
        command = importlib.import_module(f"hashrec.cli.{options.command.replace('-', '_')}")
        command.run(options)
        sys.stdout.flush()
    except HashrecError as fault:
        return _fail(str(fault))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written was left")
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as fault:  # a disk, a permission: not ours to mend
        return _fail(
            str(OutputError(fault.strerror or str(fault), name=str(fault.filename or "output")))
        )
    return 0


def _prepare(options: argparse.Namespace) -> None:
    # numba and torch bring a GNU OpenMP each, and the threads of one would spin, for want of work,
    # on the cores that the other computes on. Only read when these libraries load, so set here.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    if options.threads is not None:
        from hashrec.threads import set_threads

        set_threads(options.threads)


def _stop_on_terminate() -> None:
    """A polite kill unwinds like Ctrl-C, so half-written files are removed."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not the main thread: whoever owns it decides
        signal.signal(signal.SIGTERM, interrupt)


def _fail(message: str) -> int:
    print(f"hashrec: {message}", file=sys.stderr)
    return 2
