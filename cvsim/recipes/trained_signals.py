"""A trained model as the signals and the fusion model of a run that scores pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.vector import VectorFeature
from cvsim.scoring.model import Curve, FusionModel
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.products.metric import LinearMap
    from cvsim.products.model import ProductModel
    from cvsim.types import RGB, Indices, Similarities


class MappedVector(VectorFeature):
    """A signal seen through a learned metric.

    What is stored of a picture is what the signal itself stores, so a cache serves every profile. The
    similarity is ``(1 + cosine) / 2`` of the mapped vectors: learned directions make opposite vectors a
    sign of two products, which a cosine cut off at 0 would hide.

    Parameters
    ----------
    base : VectorFeature
    learned : LinearMap
    """

    def __init__(self, base: VectorFeature, learned: LinearMap) -> None:
        self.base, self.learned = base, learned
        self.name = base.name

    @property
    def key(self) -> str:
        """Name the key under which descriptors are stored."""
        return self.base.key

    @property
    def params(self) -> Mapping[str, Any]:
        """Name what changes the descriptors; see `Feature.params`."""
        return self.base.params

    @property
    def n_dims(self) -> int:
        """Count the dimensions of a vector."""
        return self.base.n_dims

    def vector(self, rgb: RGB) -> NDArray[np.float32] | None:
        """Take the vector of the wrapped signal; `pack` maps it."""
        return self.base.vector(rgb)

    def pack(self, descriptors: Sequence[NDArray[np.float16] | None]) -> NDArray[np.float32]:
        """(n, n_components) float32 of norm 1, a row of NaN where there is no descriptor."""
        mapped = self.learned(super().pack(descriptors))
        mapped[[k for k, descriptor in enumerate(descriptors) if descriptor is None]] = np.nan
        return mapped

    def compare(self, a: NDArray[np.float16] | None, b: NDArray[np.float16] | None) -> tuple[Comparison, ...]:
        """Compare two descriptors; see `Feature.compare`."""
        if a is None or b is None:
            return (Comparison(self.name, None),)
        x, y = self.pack([a, b]).astype(np.float64)
        cosine = float(x @ y)
        return (Comparison(self.name, _similarity(cosine), detail={"cosine": cosine}),)

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        """Compare many pairs at once; see `Feature.compare_many`."""
        return {self.name: _similarity(self.cosines(packed, a, b))}


def _similarity(cosine: Any) -> Any:
    return np.clip((1 + cosine) / 2, 0.0, 1.0)


def pair_model(model: ProductModel) -> FusionModel:
    """The log-odds that two photos show one product, signal by signal."""
    curves = {name: Curve((0.0, 1.0), (-weight, weight)) for name, weight in pair_weights(model).items()}
    return FusionModel("trained", model.pair_prior, curves, model.provenance)


def pair_weights(model: ProductModel) -> dict[str, float]:
    """What a cosine of 1 adds to the log-odds of a pair, by signal."""
    return {signal.name: model.pair_slope * signal.weight for signal in model.signals}
