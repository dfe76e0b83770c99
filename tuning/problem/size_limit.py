"""How many centers the leaves of a model may keep, so that its file stays below a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.mentions import option
from xrfm_cli.tuning.limits import leaf_count

NUMBER_BYTES = 4  # of a center's coordinate, and of a coefficient
FEWEST_CENTERS = 10  # of a model; fewer are no kernel machine
# Shares of the room that one member may take: one large model, or several smaller ones that differ.
SHARES = (1.0, 0.5, 0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimit:
    """The bytes for the leaves of all members, and the facts that they depend on.

    >>> standard = EncodingConfig()
    >>> size = SizeLimit(
    ...     room_bytes=44_000, rows=5_000, outputs=1, columns={standard: 10}, encoder_bytes={standard: 0}
    ... )
    >>> size.most_centers(LeafConfig(), standard, leaf_size=5_000, share=1.0)
    997
    >>> size.most_centers(LeafConfig(metric_shape="full"), standard, leaf_size=2_500, share=0.5)
    238
    """

    room_bytes: int
    rows: int  # of the final fits
    outputs: int
    columns: Mapping[EncodingConfig, int]  # encoded columns
    encoder_bytes: Mapping[EncodingConfig, int]
    # Rows that the error scale of intervals keeps, in the encoding of one member.
    error_scale_rows: int = 0

    @classmethod
    def of(
        cls,
        max_bytes: int,
        facts_bytes: int,
        *,
        rows: int,
        outputs: int,
        columns: Mapping[EncodingConfig, int],
        encoder_bytes: Mapping[EncodingConfig, int],
        error_scale_rows: int,
    ) -> SizeLimit:
        """Return the limit of a file of at most ``max_bytes``, of which ``facts_bytes`` are not for leaves.

        Raises OptionError if no kernel machine has room.
        """
        least = facts_bytes + min(
            encoder_bytes[encoding]
            + NUMBER_BYTES * (d * (FEWEST_CENTERS + error_scale_rows) + FEWEST_CENTERS * outputs)
            for encoding, d in columns.items()
        )
        if max_bytes < least:
            raise OptionError(
                f"{option('max_model_size', megabytes(max_bytes))}: leaves no room for a model beside its "
                f"report, its encoders and the rows of its intervals. Allow at least {megabytes(least)}."
            )
        return cls(
            room_bytes=max_bytes - facts_bytes,
            rows=rows,
            outputs=outputs,
            columns=columns,
            encoder_bytes=encoder_bytes,
            error_scale_rows=error_scale_rows,
        )

    def most_centers(
        self, leaf: LeafConfig, encoding: EncodingConfig, *, leaf_size: int, share: float
    ) -> int:
        """Return how many centers each leaf of a member may have that takes a share of the room."""
        d, leaves = self.columns[encoding], leaf_count(self.rows, leaf_size)
        of_leaves = self.room_bytes - self.encoder_bytes[encoding] - self._error_scale_bytes(encoding)
        room = share * of_leaves / leaves - self._matrix_bytes(leaf, d)
        return max(int(room / (NUMBER_BYTES * (d + self.outputs))) - 2, FEWEST_CENTERS)

    def has_room(self, members: Sequence[tuple[LeafConfig, EncodingConfig, int]]) -> bool:
        """Return whether members, each of a leaf, an encoding and a leaf size, fit into one file."""
        encodings = {encoding for _, encoding, _ in members}
        needed = sum(self._leaves_bytes(*member) for member in members)
        needed += sum(self.encoder_bytes[encoding] for encoding in encodings)
        return needed + max(map(self._error_scale_bytes, encodings)) <= self.room_bytes

    def suits(self, encoding: EncodingConfig) -> bool:
        """Return whether a kernel machine of this encoding fits at all."""
        leaf = LeafConfig(max_centers=FEWEST_CENTERS)
        return self.has_room([(leaf, encoding, self.rows)])

    def for_final_fit(
        self,
        leaf: LeafConfig,
        encoding: EncodingConfig,
        *,
        leaf_size: int,
        columns: int | None = None,
        validated_size: int | None = None,
    ) -> LeafConfig:
        """Return a leaf whose centers take no more room in the final fit than they would have in validation.

        The encoder of all rows may know more levels than that of a fold, and a time limit may have led to
        more, smaller leaves.

        >>> size = SizeLimit(
        ...     room_bytes=44_000,
        ...     rows=5_000,
        ...     outputs=1,
        ...     columns={EncodingConfig(): 9},
        ...     encoder_bytes={EncodingConfig(): 0},
        ... )
        >>> leaf = LeafConfig(max_centers=100)
        >>> size.for_final_fit(leaf, EncodingConfig(), leaf_size=5_000, columns=19).max_centers
        50
        >>> size.for_final_fit(leaf, EncodingConfig(), leaf_size=2_500, validated_size=5_000).max_centers
        50
        """
        if leaf.max_centers is None:
            return leaf
        validated = self.columns[encoding]
        wider = (validated + self.outputs) / ((columns or validated) + self.outputs)
        fewer = leaf_count(self.rows, validated_size or leaf_size) / leaf_count(self.rows, leaf_size)
        return replace(leaf, max_centers=max(int(leaf.max_centers * min(wider, 1.0) * min(fewer, 1.0)), 1))

    def _leaves_bytes(self, leaf: LeafConfig, encoding: EncodingConfig, leaf_size: int) -> int:
        d, leaves = self.columns[encoding], leaf_count(self.rows, leaf_size)
        kept = min(leaf.max_centers or self.rows, self.rows // leaves)
        kept = 0 if leaf.kernel in LINEAR_FAMILIES else kept
        return leaves * (self._matrix_bytes(leaf, d) + NUMBER_BYTES * (kept + 2) * (d + self.outputs))

    def _error_scale_bytes(self, encoding: EncodingConfig) -> int:
        return NUMBER_BYTES * self.columns[encoding] * self.error_scale_rows

    def _matrix_bytes(self, leaf: LeafConfig, columns: int) -> int:
        return NUMBER_BYTES * columns ** (2 if leaf.metric_shape == "full" else 1)


def megabytes(size: int) -> str:
    """Return bytes in the unit of files, rounded up.

    >>> megabytes(1_230_001), megabytes(500)
    ('1.24MB', '0.01MB')
    """
    return f"{-(-size // 10_000) / 100:g}MB"
