"""A convolutional autoencoder, trained on a folder's own pictures and exported to ONNX.

A network learns to write each picture down in a few numbers and to draw it again from them. What it is
shown is moved, mirrored and lit a little differently from what it must draw, so the numbers come to say what
the picture shows and not how it was taken: P. Vincent et al., "Extracting and composing robust features
with denoising autoencoders" (ICML 2008). Afterwards the first half alone is kept, as an image network that
`cvsim.features.embedding` runs without PyTorch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import UsageError
from cvsim.products.pretrained import import_torch, write_onnx
from cvsim.progress import SilentProgress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress

AUTOENCODER_PX = 64
N_DIMS = 192
"""The code has as many values as a picture of 8 x 8 pixels, which it is measured against."""
N_EPOCHS = 40
"""Trained for 30 epochs, it was right about 0.875 of the nearest neighbours, for 40 about 0.893
(``benchmarks/products.md``)."""
BATCH = 64
CHANNELS = (32, 64, 128, 256)
"""Channels of the encoder after each halving of the side."""
DRAWN_CHANNELS = (96, 48, 3)
"""Channels of the decoder after each doubling. It draws at half the side: the last details of a picture
cost most of the time and say least about what it shows, and the decoder is thrown away afterwards."""
LEARNING_RATE = 2e-3
MAX_SHIFT = 0.12
"""The share of a picture's side by which it is shifted at most before it is shown again."""
MIN_PICTURES = 8


def fit_autoencoder(
    pictures: NDArray[np.uint8],
    *,
    n_dims: int = N_DIMS,
    n_epochs: int = N_EPOCHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """Train an autoencoder and return its encoder as an ONNX file.

    Parameters
    ----------
    pictures : (n, SIDE_PX, AUTOENCODER_PX, 3) uint8
        RGB.
    n_dims : int
        Dimensions of the code.
    n_epochs : int
        How often each picture is shown.
    seed : int
    progress : Progress, optional

    Returns
    -------
    bytes
        Takes (N, 3, SIDE_PX, SIDE_PX) RGB in [0, 1] as ``input``, gives (N, n_dims) as ``features``, and
        says so to `cvsim.features.embedding.Embedding`.

    Raises
    ------
    UsageError
        There are fewer than `MIN_PICTURES` pictures.
    MissingExtraError
        PyTorch is not installed.
    """
    torch = import_torch("Autoencoders")
    if len(pictures) < MIN_PICTURES:
        raise UsageError(
            f"{len(pictures)} pictures are too few for an autoencoder; {MIN_PICTURES} is the least"
        )
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    shown = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    encoder, decoder = _encoder(torch, n_dims), _decoder(torch, n_dims)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-3)
    n_steps = n_epochs * -(-len(shown) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=n_steps)
    encoder.train()
    decoder.train()
    with (progress or SilentProgress()).task("Training the autoencoder", n_epochs) as advance:
        for _ in range(n_epochs):
            for rows in torch.randperm(len(shown), generator=generator).split(BATCH):
                target = shown[rows].float() / 255
                drawn = decoder(encoder(_disturbed(torch, target, generator)))
                smaller = torch.nn.functional.interpolate(target, drawn.shape[2:], mode="area")
                loss = torch.nn.functional.mse_loss(drawn, smaller)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            advance(1)
    return _exported(torch, encoder.eval())


def _encoder(torch: Any, n_dims: int) -> Any:
    nn, layers, before = torch.nn, [], 3
    for channels in CHANNELS:
        layers += [nn.Conv2d(before, channels, 3, stride=2, padding=1), nn.GroupNorm(8, channels), nn.GELU()]
        before = channels
    side = AUTOENCODER_PX >> len(CHANNELS)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, n_dims))


def _decoder(torch: Any, n_dims: int) -> Any:
    nn, before, side = torch.nn, CHANNELS[-1], AUTOENCODER_PX >> len(CHANNELS)
    layers = [nn.Linear(n_dims, before * side * side), nn.Unflatten(1, (before, side, side))]
    for channels in DRAWN_CHANNELS:
        layers += [nn.GELU(), nn.ConvTranspose2d(before, channels, 4, stride=2, padding=1)]
        before = channels
    return nn.Sequential(*layers)


def _disturbed(torch: Any, pictures: Any, generator: Any) -> Any:
    """The batch moved, scaled and lit anew, each picture in its own way."""
    n = len(pictures)

    def drawn(*shape: int) -> Any:
        return torch.rand(*shape, generator=generator) * 2 - 1

    affine = torch.zeros(n, 2, 3)
    scale = 1 + 0.12 * drawn(n)
    affine[:, 0, 0], affine[:, 1, 1] = scale, scale
    affine[:, :, 2] = 2 * MAX_SHIFT * drawn(n, 2)
    grid = torch.nn.functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    light = 1 + 0.25 * drawn(n, 1, 1, 1) + 0.1 * drawn(n, 3, 1, 1)
    noise = 0.03 * torch.randn(moved.shape, generator=generator)
    return (moved * light + noise).clamp(0, 1)


def _exported(torch: Any, encoder: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "encoder.onnx"
        example = torch.zeros(1, 3, AUTOENCODER_PX, AUTOENCODER_PX)
        write_onnx(target, encoder, example, metadata={"cvsim.preprocessing": "unit"})
        return target.read_bytes()
