"""A table that rows are only added to, kept so that a run of very many arms needs little memory."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

#: Rows that are packed together.
PACK = 20_000
#: Small tables that wait to be merged: most of a table of a few rows is not its rows.
_LOOSE = 64


class Growing:
    """Rows of one table. They say the same few names over and over: packed, they take a twentieth of the room."""

    def __init__(self) -> None:
        self._packed: list[pa.Buffer] = []
        self._loose: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Add rows at the end."""
        self._loose.append(rows)
        if len(self._loose) > _LOOSE or len(rows) >= PACK:
            whole = pa.concat_tables(self._loose).combine_chunks()
            full = len(whole) - len(whole) % PACK
            self._packed += [_pack(whole.slice(start, PACK)) for start in range(0, full, PACK)]
            # Copied: a slice keeps all that it was cut from.
            self._loose = [whole.take(pa.array(range(full, len(whole)), pa.int64()))] if full else [whole]

    def parts(self) -> Iterator[pa.Table]:
        """All rows in order, some at a time; none that is empty."""
        for each in self._packed:
            yield pq.ParquetFile(pa.BufferReader(each)).read(use_threads=False)
        loose = [each for each in self._loose if len(each)]
        if loose:
            # As one: each part is a row group of the file that it is written to.
            yield pa.concat_tables(loose)


def _pack(rows: pa.Table) -> pa.Buffer:
    packed = pa.BufferOutputStream()
    pq.write_table(rows, packed, compression="zstd")
    return packed.getvalue()
