"""Tables for other programs: features as Parquet (extra ``parquet``)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cvsim.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def features_parquet(files: Sequence[str], table: NDArray[np.float32]) -> bytes:
    """A Parquet file with the columns ``file`` (text) and ``features`` (list of n_dims float32).

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as exc:
        raise MissingExtraError("Parquet files", "parquet") from exc
    names = [file.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for file in files]
    values = pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), table.shape[1])
    stream = io.BytesIO()
    parquet.write_table(pa.table({"file": pa.array(names, pa.string()), "features": values}), stream)
    return stream.getvalue()
