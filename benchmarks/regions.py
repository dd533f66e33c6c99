"""A heavy comparison of two pictures: region by region, by what a network sees in each.

The similarity is the mean, over the regions of either picture, of the best cosine with any region of the
other (Kordopatis-Zilos et al., "ViSiL: Fine-grained Spatio-Temporal Video Similarity Learning", ICCV 2019,
call it Chamfer similarity). A crop or a pasted copy still has its regions, unlike its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cvsim.features.embedding import DEFAULT_PREPROCESSING, PREPROCESSING, open_session, prepare
from cvsim.images.decode import decode

WORKING_PX = 512
POOLING = ("GlobalAveragePool", "ReduceMean")
BLOCK = 64
"""Pictures that one is compared with at a time."""


class RegionNetwork:
    """What a network holds of each region of a picture before it takes the mean of all of them."""

    def __init__(self, path: str) -> None:
        import onnx

        model = onnx.load(path)
        poolings = [node for node in model.graph.node if node.op_type in POOLING]
        if not poolings:
            raise SystemExit(f"{path} takes no mean over the picture, so that its regions are not known")
        self._output = poolings[-1].input[0]
        model.graph.output.append(onnx.ValueInfoProto(name=self._output))
        self._session = open_session(model.SerializeToString())
        (picture,) = self._session.get_inputs()
        self._input = picture.name
        self._how = PREPROCESSING[DEFAULT_PREPROCESSING]
        side = picture.shape[-1]
        self._side = side if isinstance(side, int) else self._how.side_px

    def regions(self, path: str) -> np.ndarray:
        """(n_regions, n_channels) float32, each of norm 1."""
        rgb = decode(Path(path).read_bytes(), longest_px=WORKING_PX).rgb
        batch = prepare(rgb, self._how, self._side)[None]
        (found,) = self._session.run([self._output], {self._input: batch})
        regions = found[0].reshape(found.shape[1], -1).T
        return regions / np.maximum(np.linalg.norm(regions, axis=1, keepdims=True), 1e-9)


def compared(regions: np.ndarray, first: int, others: Sequence[int] | np.ndarray) -> np.ndarray:
    """Similarity of a picture with each of some others.

    Parameters
    ----------
    regions : (n_pictures, n_regions, n_channels) float32

    Returns
    -------
    (len(others),) float32
    """
    n_regions, n_channels = regions.shape[1:]
    found = []
    for start in range(0, len(others), BLOCK):
        block = regions[others[start : start + BLOCK]]
        cosine = (regions[first] @ block.reshape(-1, n_channels).T).reshape(n_regions, -1, n_regions)
        found.append((cosine.max(axis=2).mean(axis=0) + cosine.max(axis=0).mean(axis=1)) / 2)
    return np.concatenate(found) if found else np.zeros(0, np.float32)
