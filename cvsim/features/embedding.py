"""Embeddings: the output of an image network in ONNX form as one more signal.

Any ONNX model with one picture as its input will do. What a picture must look like for it is a
`Preprocessing`; for the named networks it is known, for others it can be given, and the input's size is
read from the model. The runtime (extra ``embeddings``) is loaded on first use.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from cvsim.errors import MissingExtraError, SettingsError
from cvsim.features.vector import VectorFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

PREFERRED_OUTPUTS = ("features", "embedding", "embeddings", "image_embeds", "pooler_output")
"""Outputs of these names are taken before the model's first."""
N_CLASSES = (1000, 1001)
"""Of ImageNet, without and with one for the background: the output of a classifier."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes a network's input.

    Attributes
    ----------
    side_px : int
        Of the square input, where the model leaves it open.
    mean, std : three floats
        Red, green, blue in [0, 1]: the input is ``(rgb / 255 - mean) / std``.
    fit : "stretch" or "crop"
        Squeezed into the square, or the middle of the picture after its shorter side has `resize_px`.
    resize_px : int
        For ``"crop"``.
    bgr : bool
        Blue comes first in the input.
    mirror, crops : bool
        The vector is the mean over the picture and its mirror image, and over the picture, its middle and
        its four corners.
    """

    side_px: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    fit: Literal["stretch", "crop"] = "stretch"
    resize_px: int = 256
    bgr: bool = False
    mirror: bool = False
    crops: bool = False


PREPROCESSING: dict[str, Preprocessing] = {
    "mobilenetv2": Preprocessing(),
    "imagenet": Preprocessing(224, _IMAGENET_MEAN, _IMAGENET_STD, "crop", 256),
    "resnet50": Preprocessing(224, _IMAGENET_MEAN, _IMAGENET_STD, "crop", 256),
    "dinov2-small": Preprocessing(224, _IMAGENET_MEAN, _IMAGENET_STD, "crop", 256),
    "clip": Preprocessing(224, _CLIP_MEAN, _CLIP_STD, "crop", 224),
    "sscd": Preprocessing(288, _IMAGENET_MEAN, _IMAGENET_STD, "stretch"),
    "unit": Preprocessing(224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "tf": Preprocessing(),
    "torch": Preprocessing(224, _IMAGENET_MEAN, _IMAGENET_STD),
    "caffe": Preprocessing(224, _CAFFE_MEAN, (1 / 255, 1 / 255, 1 / 255), bgr=True),
}
"""What each kind of network wants: ``mobilenetv2`` as TensorFlow trained it, ``imagenet`` as PyTorch trains;
``unit`` is RGB in [0, 1], as the autoencoder takes. ``tf``, ``torch`` and ``caffe`` are the modes of
``preprocess_input`` in Keras: -1 to 1; means and deviations of ImageNet; BGR from 0 to 255 less the means."""
VIEWS = ("mirror", "crops")
"""What may be added to a kind: ``tf+mirror+crops``."""
CROP_SHARE = 0.875
"""Of the side, that each of the crops shows: 224 of 256 pixels, as networks are commonly measured."""
DEFAULT_PREPROCESSING = "mobilenetv2"
PREPROCESSING_KEY = "cvsim.preprocessing"
"""Under which a file may name its own kind among its metadata."""
TUNED_KEY = "cvsim.tuned"
"""Under which a file says that it was tuned to tell products apart; see `cvsim.products.fine_tuning`."""

PHOTOS_KEY = "cvsim.photos-per-product"
"""Under which it says how many photos those products had."""


@dataclass(frozen=True)
class Tunable:
    """What training an image network further needs to know of it.

    Attributes
    ----------
    onnx : bytes
    output : int
        Position of the output that is taken.
    kind : str
        Key of `PREPROCESSING`.
    preprocessing : Preprocessing
    side_px : int
    channels_last, maps_channels_last : bool
        Of the input, and of the output where that is a map.
    """

    onnx: bytes
    output: int
    kind: str
    preprocessing: Preprocessing
    side_px: int
    channels_last: bool
    maps_channels_last: bool


class Embedding(VectorFeature):
    """The vector that an ONNX image model gives.

    Parameters
    ----------
    spec : str
        Path of an ``.onnx`` file; ``KIND=PATH`` says which of `PREPROCESSING` it wants, and
        ``KIND+mirror+crops=PATH`` or ``mirror=PATH`` what its vector is the mean of.

    Raises
    ------
    SettingsError
        The file is missing, is no ONNX model, or is no model of images.
    MissingExtraError
        The ONNX runtime is not installed.
    """

    name = "embedding"

    def __init__(self, spec: str) -> None:
        given, self._views, path = split_spec(spec)
        self._path = path
        self._kind, self._kind_given = given or DEFAULT_PREPROCESSING, given is not None
        self._preprocessing = self._seen(self._kind)
        try:
            self._digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError as exc:
            raise SettingsError(f"the model {path} cannot be read: {exc.strerror or exc}") from exc
        self._lock = threading.Lock()
        self._session: Any = None
        self._is_cut = False
        try:
            self._open()
        except UnicodeDecodeError as exc:  # the runtime hands names over only when they are asked for
            raise SettingsError(f"{path} is no ONNX model that can be used: a name in it is no text") from exc

    @property
    def n_dims(self) -> int:
        return self._n_dims

    @property
    def params(self) -> Mapping[str, Any]:
        found = {"model": self._digest, "output": self._output, "preprocessing": _plain(self._preprocessing)}
        if self._is_tuned:
            found["tuned"] = True
        if self._photos_per_product is not None:
            found["photos_per_product"] = self._photos_per_product
        # Such maps were averaged over other axes once; what is kept of that must not be taken for this.
        return {**found, "pooled": "height, width"} if self._has_last_channels else found

    def tunable(self) -> Tunable:
        """Give the network to be trained further; see `cvsim.products.fine_tuning`."""
        names = [output.name for output in self._ready().get_outputs()]
        return Tunable(
            pooled_classifier(self._path) if self._is_cut else Path(self._path).read_bytes(),
            names.index(self._output),
            self._kind,
            self._preprocessing,
            self._side,
            self._channels_last,
            self._has_last_channels,
        )

    def vector(self, rgb: RGB) -> NDArray[np.float32] | None:
        how = self._preprocessing
        batch = np.stack([prepare(view, how, self._side) for view in views(rgb, how)])
        found = self._run(batch)
        if not np.isfinite(found).all():
            return None
        if len(found) > 1:
            found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        mean: NDArray[np.float32] = found.mean(axis=0)
        return mean

    def _seen(self, kind: str) -> Preprocessing:
        return replace(PREPROCESSING[kind], mirror="mirror" in self._views, crops="crops" in self._views)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, 3, side, side) to (n, n_dims): of tokens the first, of maps the mean over the picture."""
        if self._channels_last:
            batch = batch.transpose(0, 2, 3, 1)
        session = self._ready()
        # As many at a time as the model was exported for; the last ones are filled up.
        n = self._batch or len(batch)
        found = []
        for start in range(0, len(batch), n):
            part = batch[start : start + n]
            filled = np.concatenate([part, np.repeat(part[-1:], n - len(part), axis=0)])
            output = session.run([self._output], {self._input: np.ascontiguousarray(filled)})[0]
            maps = np.asarray(output, np.float64)
            self._has_last_channels = maps.ndim == 4 and _is_channels_last(maps.shape, self._channels_last)
            found.append(_vectors(maps, n, channels_last=self._has_last_channels)[: len(part)])
        return np.concatenate(found)

    def _ready(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = open_session(pooled_classifier(self._path) if self._is_cut else self._path)
            return self._session

    def _open(self) -> None:
        """Read what the model takes and gives, and try it once."""
        session = self._ready()
        told = session.get_modelmeta().custom_metadata_map
        named, self._is_tuned = told.get(PREPROCESSING_KEY), TUNED_KEY in told
        self._photos_per_product = _photos_told(told.get(PHOTOS_KEY, ""))
        if not self._kind_given and named in PREPROCESSING:
            self._kind, self._preprocessing = named, self._seen(named)
        if is_classifier(session):
            # What it pools before it decides says more of a picture than how it would name it.
            self._is_cut, self._session = True, None
            session = self._ready()
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            shapes = ", ".join(f"{i.name} {i.type}{i.shape}" for i in inputs)
            raise SettingsError(
                f"{self._path} is no image model: one float input of shape (N, 3, height, width) is needed; "
                f"it takes {shapes or 'nothing'}"
            )
        batch, *rest = inputs[0].shape
        self._input = inputs[0].name
        self._channels_last = rest[2] == 3 and rest[0] != 3
        sides = rest[:2] if self._channels_last else rest[1:]
        if not self._channels_last and isinstance(rest[0], int) and rest[0] != 3:
            raise SettingsError(f"{self._path} is no model of colour images: its input is {inputs[0].shape}")
        known = {side for side in sides if isinstance(side, int) and side > 0}
        if len(known) > 1:
            raise SettingsError(f"{self._path} takes pictures of {sides}; square ones are supported")
        self._side = known.pop() if known else self._preprocessing.side_px
        self._batch = batch if isinstance(batch, int) and batch > 0 else 0
        names = [output.name for output in session.get_outputs()]
        if not names:
            raise SettingsError(f"{self._path} is no image model: it gives nothing")
        first = names[-1] if self._is_cut else names[0]
        self._output = next((name for name in PREFERRED_OUTPUTS if name in names), first)
        self._n_dims = 0
        try:
            self._n_dims = self._run(np.zeros((1, 3, self._side, self._side), np.float32)).shape[1]
        except Exception as exc:  # whatever the runtime raises for a model that does not run
            raise SettingsError(f"{self._path} does not run on a picture: {exc}") from exc


def split_spec(spec: str) -> tuple[str | None, tuple[str, ...], str]:
    """``KIND+mirror=PATH`` to the kind of preprocessing, if given, what is averaged over, and the path."""
    text, separator, path = spec.partition("=")
    parts = text.split("+")
    kinds = [part for part in parts if part not in VIEWS]
    if len(kinds) <= 1 and set(kinds) <= PREPROCESSING.keys():
        if separator:
            return kinds[0] if kinds else None, tuple(part for part in parts if part in VIEWS), path
        raise SettingsError(
            f"{spec!r} says what a network's input looks like: give its file as well, {spec}=FILE.onnx"
        )
    if separator and not os.path.exists(spec):
        known = ", ".join(PREPROCESSING)
        raise SettingsError(
            f"unknown kind of network {text!r}; known: {known}, and after a + {' and '.join(VIEWS)}"
        )
    return None, (), spec


def is_classifier(session: Any) -> bool:
    """Whether all that a network gives is one value for each class of ImageNet."""
    outputs = session.get_outputs()
    return len(outputs) == 1 and list(outputs[0].shape)[1:] in [[n] for n in N_CLASSES]


def pooled_classifier(path: str) -> bytes:
    """The network with one more output: what its last pooling over the whole picture gives.

    Raises
    ------
    MissingExtraError
        The package ``onnx`` is not installed.
    """
    try:
        import onnx
    except ImportError as exc:
        raise MissingExtraError("Embeddings of classifiers", "embeddings") from exc
    model = onnx.load(path)
    pooling = [node for node in model.graph.node if node.op_type in ("GlobalAveragePool", "ReduceMean")]
    if pooling:
        model.graph.output.append(onnx.ValueInfoProto(name=pooling[-1].output[0]))
    found: bytes = model.SerializeToString()
    return found


def _is_channels_last(shape: tuple[int, ...], input_is: bool) -> bool:
    """Whether maps have channels last. Square ones say so themselves; others are laid out as the input is."""
    _, first, second, third = shape
    return first == second if (first == second) != (second == third) else input_is


def _vectors(output: NDArray[np.float64], n: int, *, channels_last: bool = False) -> NDArray[np.float64]:
    """One vector a picture: of tokens the first, of maps the mean over the picture, wherever channels are."""
    if output.ndim == 3 and len(output) == n:
        return output[:, 0]
    if output.ndim == 4 and len(output) == n:
        found: NDArray[np.float64] = output.mean(axis=(1, 2) if channels_last else (2, 3))
        return found
    return output.reshape(n, -1)


def open_session(model: str | bytes) -> Any:
    """An ONNX runtime session of one thread, from a path or a file's content.

    Of one thread, because pictures are worked on in parallel already.
    """
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtraError("Embeddings", "embeddings") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # the runtime has an exception class for each way to fail
        name = model if isinstance(model, str) else "the network"
        raise SettingsError(f"{name} is not an ONNX model that can be run: {str(exc)[:200]}") from exc


def squared(rgb: RGB, how: Preprocessing, side_px: int) -> RGB:
    """The (side_px, side_px, 3) uint8 part of a picture that a network sees."""
    if how.fit == "crop":
        height, width = rgb.shape[:2]
        scale = how.resize_px * side_px / how.side_px / min(height, width)
        size = max(side_px, round(width * scale)), max(side_px, round(height * scale))
        scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (scaled.shape[0] - side_px) // 2, (scaled.shape[1] - side_px) // 2
        middle: RGB = scaled[top : top + side_px, left : left + side_px]
        return middle
    whole: RGB = cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return whole


def prepare(rgb: RGB, how: Preprocessing, side_px: int) -> NDArray[np.float32]:
    """The (3, side_px, side_px) float32 input of a network."""
    values = squared(rgb, how, side_px).astype(np.float32) / 255
    values = (values - np.asarray(how.mean, np.float32)) / np.asarray(how.std, np.float32)
    if how.bgr:
        values = values[..., ::-1]
    return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)


def views(rgb: RGB, how: Preprocessing) -> list[RGB]:
    """List the parts of a picture whose vectors are averaged: the whole of it first."""
    found = [rgb]
    if how.crops:
        (height, width), size = rgb.shape[:2], [max(1, round(side * CROP_SHARE)) for side in rgb.shape[:2]]
        down, right = height - size[0], width - size[1]
        places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        found += [rgb[top : top + size[0], left : left + size[1]] for top, left in places]
    if how.mirror:
        found += [np.ascontiguousarray(view[:, ::-1]) for view in found]
    return found


def _plain(how: Preprocessing) -> dict[str, Any]:
    """Values by name; those that came later only where they are set, so that older vectors still fit."""
    later = {field.name for field in fields(how) if field.type == "bool"}
    values = {name: value for name, value in asdict(how).items() if value or name not in later}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _photos_told(text: str) -> float | None:
    """What a stranger's file may hold is believed where it is a number that can be."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 1 <= number < 1e9 else None
