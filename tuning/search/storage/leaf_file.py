"""The file of a fitted leaf in a checkpoint."""

from __future__ import annotations

from xrfm_cli.trees.tasks import FittedLeaf, pack_leaf, unpack_leaf
from xrfm_cli.tuning.search.storage.sealed import seal, unseal

LEAF_ENDING = ".leaf"


def leaf_to_bytes(fitted: FittedLeaf) -> bytes:
    """Serialise a fitted leaf and the events of its fit."""
    return seal(*pack_leaf(*fitted))


def leaf_from_bytes(data: bytes) -> FittedLeaf:
    """Deserialise the bytes written by :func:`leaf_to_bytes`; raise ValueError for any others."""
    return unpack_leaf(*unseal(data))
