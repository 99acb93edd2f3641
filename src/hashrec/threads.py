"""How many threads the kernels and the linear algebra use."""

from __future__ import annotations

from hashrec.errors import UsageError

__all__ = ["set_threads", "threads"]


def set_threads(count: int) -> None:
    """Limits numba and BLAS to `count` threads, for the rest of the process.

    Raises UsageError below 1 or above what numba started with (the cores, or NUMBA_NUM_THREADS).
    """
    import numba
    from threadpoolctl import threadpool_limits

    most = int(numba.config.NUMBA_NUM_THREADS)
    if not 1 <= count <= most:
        raise UsageError("threads out of range", expected=f"1 to {most}", got=str(count))
    numba.set_num_threads(count)
    threadpool_limits(count)


def threads() -> int:
    """How many threads the kernels use now."""
    import numba

    return int(numba.get_num_threads())
