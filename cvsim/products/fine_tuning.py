"""Fine-tuning: an ONNX image network learns from labelled photos which of them show one product.

The network is made trainable, and a linear layer is put on top of it that starts as the metric of
`cvsim.products.metric.fit_metric` on what the network gives today. Both are trained together: each photo of
a batch is drawn towards the others of its product and away from the rest (supervised contrastive learning:
P. Khosla et al., NeurIPS 2020), while photos are cut, mirrored and lit anew each time. What it gives
afterwards serves products that it was not trained on, because pose, light and background vary alike in all.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import SettingsError, UsageError
from cvsim.features.embedding import PHOTOS_KEY, PREPROCESSING_KEY, TUNED_KEY
from cvsim.products.metric import fit_metric
from cvsim.products.pretrained import import_torch, to_torch, write_onnx
from cvsim.progress import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cvsim.features.embedding import Tunable
    from cvsim.progress import Progress
    from cvsim.types import Indices

TUNING_EPOCHS = 4
"""How often each photo is shown. Set by hand, as what follows; measured in ``benchmarks/products.md``."""
TUNING_BATCH = 32
PHOTOS_OF_ONE = 4
"""Photos of one product in a batch; more where there are too few products to fill it."""
TUNING_RATE = 1e-4
TEMPERATURE = 0.1
MIN_SHARE = 0.6
"""The smallest part of a photo that is shown, of its side."""
_FORWARD_ROWS = 32


def fine_tune(
    network: Tunable,
    pictures: NDArray[np.uint8],
    labels: Sequence[str],
    *,
    n_epochs: int = TUNING_EPOCHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """Tune an image network on labelled photos and return it as an ONNX file.

    Parameters
    ----------
    network : Tunable
        Of `cvsim.features.embedding.Embedding.tunable`.
    pictures : (n, side_px, side_px, 3) uint8
        RGB, of the network's side.
    labels : sequence of str
        The product of each.
    n_epochs : int
        How often each photo is shown.
    seed : int
    progress : Progress, optional

    Returns
    -------
    bytes
        Takes (N, 3, side_px, side_px) as the network did, gives ``features``, and says how pictures are
        prepared to `cvsim.features.embedding.Embedding`.

    Raises
    ------
    UsageError
        There are fewer than two products, or none has two photos.
    SettingsError
        The network has parts that cannot be trained.
    MissingExtraError
        PyTorch is not installed.
    """
    torch = import_torch("Fine-tuning")
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) < 2 or sizes.max() < 2:
        raise UsageError("fine-tuning needs two products at least, and two photos of one of them")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    shown = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    try:
        tuned = _Tuned(torch, network, shown, codes)
        _train(torch, tuned, shown, codes, n_epochs, generator, progress or SilentProgress())
    except RuntimeError as exc:  # of torch, for a graph that takes other shapes than it was exported for
        raise SettingsError(f"the network cannot be trained: {str(exc)[:200]}") from exc
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "tuned.onnx"
        example = torch.zeros(2, 3, network.side_px, network.side_px)
        photos = f"{np.median(sizes):g}"
        told = {PREPROCESSING_KEY: network.kind, TUNED_KEY: "1", PHOTOS_KEY: photos}
        write_onnx(target, tuned.module.eval(), example, metadata=told)
        return target.read_bytes()


class _Tuned:
    """The network as a torch module, with the linear layer on top."""

    def __init__(self, torch: Any, network: Tunable, shown: Any, codes: Indices) -> None:
        how = network.preprocessing
        self.mean = torch.tensor(how.mean).view(1, 3, 1, 1)
        self.std = torch.tensor(how.std).view(1, 3, 1, 1)
        backbone = to_torch(network.onnx).eval()
        given = network.output, network.channels_last, network.maps_channels_last
        self.module = _module(torch, backbone, *given).eval()
        with torch.no_grad():
            rows = [self.module.vectors(self.prepared(part)) for part in shown.split(_FORWARD_ROWS)]
        found = fit_metric(torch.cat(rows).numpy().astype(np.float32), codes)
        self.module.add_head(found.projection, found.mean)

    def prepared(self, pictures: Any) -> Any:
        return (pictures.float() / 255 - self.mean) / self.std


def _module(torch: Any, backbone: Any, output: int, channels_last: bool, maps_channels_last: bool) -> Any:
    functional = torch.nn.functional

    class Headed(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.head = torch.nn.Identity()

        def add_head(self, projection: Any, mean: Any) -> None:
            self.head = torch.nn.Linear(*projection.shape)
            with torch.no_grad():
                self.head.weight.copy_(torch.from_numpy(projection.T))
                self.head.bias.copy_(torch.from_numpy(-(mean @ projection)))

        def vectors(self, pictures: Any) -> Any:
            found = self.backbone(pictures.permute(0, 2, 3, 1) if channels_last else pictures)
            found = found[output] if isinstance(found, (list, tuple)) else found
            if found.dim() == 4:
                found = found.mean(dim=(1, 2) if maps_channels_last else (2, 3))
            elif found.dim() == 3:
                found = found[:, 0]
            return functional.normalize(found.flatten(1), dim=1)

        def forward(self, pictures: Any) -> Any:
            return self.head(self.vectors(pictures))

    return Headed()


def _train(
    torch: Any, tuned: _Tuned, shown: Any, codes: Indices, n_epochs: int, generator: Any, progress: Progress
) -> None:
    # Means and variances that normalise within the network stay: a batch of a few products has others.
    n_steps = n_epochs * max(1, -(-len(codes) // TUNING_BATCH))
    weights = [p for p in tuned.module.parameters() if p.requires_grad and p.is_floating_point()]
    optimiser = torch.optim.AdamW(weights, lr=TUNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, TUNING_RATE, total_steps=n_steps + 1, pct_start=0.1
    )
    batches = _batches(codes, np.random.default_rng(generator.initial_seed()))
    of_products = torch.from_numpy(codes)
    with progress.task("Fine-tuning", n_steps) as advance:
        for _ in range(n_steps):
            rows = torch.from_numpy(next(batches))
            pictures = _disturbed(torch, shown[rows].float(), generator)
            found = torch.nn.functional.normalize(tuned.module(tuned.prepared(pictures)), dim=1)
            loss = _contrast(torch, found, of_products[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()
            schedule.step()
            advance(1)


def _batches(codes: Indices, rng: np.random.Generator) -> Iterator[Indices]:
    """Rows of some products, a few photos of each; all products in turn."""
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    n_products = min(len(members), max(2, TUNING_BATCH // PHOTOS_OF_ONE))
    n_each = TUNING_BATCH // n_products
    queue: list[int] = []
    while True:
        while len(queue) < n_products:
            queue.extend(rng.permutation(len(members)).tolist())
        drawn, queue = dict.fromkeys(queue[:n_products]), queue[n_products:]
        rows = [rng.permutation(members[code])[:n_each] for code in drawn]
        yield np.concatenate(rows)


def _contrast(torch: Any, vectors: Any, codes: Any) -> Any:
    """Mean over the photos of how unlikely the others of their products are among all in the batch."""
    itself = torch.eye(len(vectors), dtype=torch.bool)
    logits = (vectors @ vectors.T / TEMPERATURE).masked_fill(itself, -1e9)
    log_share = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    same = (codes[:, None] == codes[None, :]) & ~itself
    n_same = same.sum(dim=1)
    likely = (log_share * same).sum(dim=1) / n_same.clamp(min=1)
    return -likely[n_same > 0].mean() if (n_same > 0).any() else 0.0 * vectors.sum()


def _disturbed(torch: Any, pictures: Any, generator: Any) -> Any:
    """Each picture (0 to 255) cut, mirrored or not, and lit in its own way."""
    n = len(pictures)

    def drawn(*shape: int) -> Any:
        return torch.rand(*shape, generator=generator)

    scale = MIN_SHARE + (1 - MIN_SHARE) * drawn(n)
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = scale * torch.where(drawn(n) < 0.5, -1.0, 1.0)
    affine[:, 1, 1] = scale * (0.9 + 0.2 * drawn(n))
    affine[:, :, 2] = (1 - scale)[:, None] * (2 * drawn(n, 2) - 1)
    grid = torch.nn.functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    cut = torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    light = 0.7 + 0.6 * drawn(n, 1, 1, 1) + 0.16 * (drawn(n, 3, 1, 1) - 0.5)
    grey = cut.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 0.75 + 0.5 * drawn(n, 1, 1, 1)
    return (((cut - grey) * contrast + grey) * light).clamp(0, 255)
