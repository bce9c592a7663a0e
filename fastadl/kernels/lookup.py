"""Finding the rows of one table in another by the hash of their key."""

from __future__ import annotations

from fastadl.kernels._jit import kernel

__all__ = ["expand", "find", "index"]


@kernel
def index(hashes, table):
    """Enter every key into an open-addressing table.

    Parameters
    ----------
    hashes : int64 (keys)
    table : int32 (a power of two, more than the keys)
        Filled with -1; written: positions of keys.

    Returns
    -------
    int64
        Position of the first key whose hash an earlier one has, where entering stops; -1 if there is none.
    """
    mask = table.shape[0] - 1
    for i in range(hashes.shape[0]):
        at = (hashes[i] ^ (hashes[i] >> 32)) & mask
        while table[at] >= 0:
            if hashes[table[at]] == hashes[i]:
                return i
            at = (at + 1) & mask
        table[at] = i
    return -1


@kernel
def find(hashes, table, wanted, out):
    """Position of every wanted hash, -1 where it is not in the table.

    Parameters
    ----------
    hashes, table : arrays
        As given to and left by `index`.
    wanted : int64 (rows)
    out : int32 (rows)
    """
    mask = table.shape[0] - 1
    for i in range(wanted.shape[0]):
        at = (wanted[i] ^ (wanted[i] >> 32)) & mask
        out[i] = -1
        while table[at] >= 0:
            if hashes[table[at]] == wanted[i]:
                out[i] = table[at]
                break
            at = (at + 1) & mask


@kernel
def expand(starts, values, out):
    """One value per run, repeated along the run.

    Parameters
    ----------
    starts : bool (rows)
        Whether a run starts; true for the first row.
    values : int32 (runs)
    out : int32 (rows)
    """
    run = -1
    for i in range(starts.shape[0]):
        if starts[i]:
            run += 1
        out[i] = values[run]
