"""The inner loop of all that follows: how much a node is tied to each community around it."""

from __future__ import annotations

from hashrec.kernels import kernel

__all__ = ["tally"]


@kernel
def tally(  # type: ignore[no-untyped-def]
    start, end, indices, weights, labels, skip, total, seen, count
):  # fmt: skip
    """Adds the weights of entries start..end to `total` under their labels.

    `seen[:count]` are the labels met so far, for the caller to read and to reset `total` by;
    returns the new count. Entries labelled `skip` are passed over. No weights mean ones.
    """
    unit = len(weights) == 0
    for entry in range(start, end):
        label = labels[indices[entry]]
        if label == skip:
            continue
        if total[label] == 0.0:
            seen[count] = label
            count += 1
        total[label] += 1.0 if unit else weights[entry]
    return count
