"""Well-known image networks by name: downloaded once, checked, kept.

Each is a file at a fixed address with a published SHA-256. SSCD is published as TorchScript only; it is
turned into ONNX on this machine, for which the extra ``torch`` is needed, once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvsim.errors import MissingExtraError, RemoteError, SettingsError
from cvsim.features.embedding import VIEWS
from cvsim.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE_VARIABLE = "CVSIM_MODELS"
"""Environment variable that names another folder for the files."""
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Network:
    """A published network.

    Attributes
    ----------
    url, sha256 : str
        Where its file is, and what it must hash to.
    file : str
        Its name here.
    preprocessing : str
        A kind of `cvsim.features.embedding.PREPROCESSING`.
    size_mb : int
    side_px : int
        For TorchScript, the input that it is turned into ONNX for; 0 for a file that is ONNX already.
    """

    url: str
    sha256: str
    file: str
    preprocessing: str
    size_mb: int
    side_px: int = 0


NETWORKS: Mapping[str, Network] = {
    "mobilenetv2": Network(
        "https://media.githubusercontent.com/media/onnx/models/4c46cd00fbdb7cd30b6c1c17ab54f2e1f4f7b177/"
        "validated/vision/classification/mobilenet/model/mobilenetv2-12.onnx",
        "c0c3f76d93fa3fd6580652a45618618a220fced18babf65774ed169de0432ad5",
        "mobilenetv2-12.onnx",
        "imagenet",
        14,
    ),
    "resnet50": Network(
        "https://huggingface.co/Qdrant/resnet50-onnx/resolve/main/model.onnx",
        "4f0558b775c85b568012f7174cadda33fb4b4e5a253ce17e5d839f123e0bc7e6",
        "resnet50.onnx",
        "imagenet",
        94,
    ),
    "dinov2-small": Network(
        "https://huggingface.co/Xenova/dinov2-small/resolve/560a572cedd01ab59cf1a614c2d9673397b65ef2/"
        "onnx/model.onnx",
        "83141175ec78b4ff9a2bb58a4c7c264ba0054d1c2e122e5a8114b79a8d4179ea",
        "dinov2-small.onnx",
        "dinov2-small",
        88,
    ),
    "clip": Network(
        "https://huggingface.co/Qdrant/clip-ViT-B-32-vision/resolve/c0e5444235f6862180c7001a9aa8332426bc1781/"
        "model.onnx",
        "c68d3d9a200ddd2a8c8a5510b576d4c94d1ae383bf8b36dd8c084f94e1fb4d63",
        "clip-vit-b-32-vision.onnx",
        "clip",
        352,
    ),
    "sscd": Network(
        "https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchscript.pt",
        "9f26bd4c848cc19b73d2ae92eea6e04886f61a7b764ceb7a13aeee62e6a6db56",
        "sscd_disc_mixup.torchscript.pt",
        "sscd",
        99,
        side_px=288,
    ),
}


def resolve(spec: str, networks: Mapping[str, Network] = NETWORKS) -> str:
    """What `cvsim.features.embedding.Embedding` takes: a preset's name becomes ``KIND=FILE``; the rest stays.

    Raises
    ------
    RemoteError
        The file is not here yet and cannot be downloaded.
    SettingsError
        What was downloaded is not what was published.
    MissingExtraError
    """
    kind, _, name = spec.rpartition("=")
    if name not in networks or (kind and os.path.exists(spec)):
        return spec
    network = networks[name]
    path = fetched(network)
    if network.side_px:
        path = converted(path, network.side_px)
    if not kind:
        return f"{network.preprocessing}={path}"
    # What is averaged over alone does not change what the network's input looks like.
    own = set(kind.split("+")) - set(VIEWS)
    return f"{kind}={path}" if own else f"{network.preprocessing}+{kind}={path}"


def models_folder() -> Path:
    """Name the folder in which downloaded networks are kept."""
    from platformdirs import user_cache_dir

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(user_cache_dir("cvsim")) / "models"


def fetched(network: Network) -> Path:
    """The network's file, from the cache if its checksum is right, else downloaded."""
    try:
        import pooch
    except ImportError as exc:
        raise MissingExtraError("Embeddings by name", "embeddings") from exc
    folder = models_folder()
    pooch.get_logger().setLevel("ERROR")  # cvsim says itself what it does
    try:
        path = pooch.retrieve(
            network.url,
            known_hash=f"sha256:{network.sha256}",
            fname=network.file,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT_S),
        )
    except ValueError as exc:  # what pooch raises for a wrong checksum
        raise SettingsError(
            f"{network.url} gave another file than the one that was published (its SHA-256 is not "
            f"{network.sha256[:12]}...); nothing was kept. Give the network as a file: "
            f"{network.preprocessing}=FILE.onnx"
        ) from exc
    except OSError as exc:  # of the network (requests' errors are of this kind) or of the disk
        raise RemoteError(
            f"{network.file} ({network.size_mb} MB) is not in {folder} yet, and could not be downloaded from "
            f"{network.url}: {_brief(exc)}. Without a connection, download it elsewhere and put it there, or "
            f"give it as --embedding {network.preprocessing}=FILE.onnx"
        ) from exc
    return Path(path)


def _brief(exc: OSError) -> str:
    text = exc.strerror or str(exc) or type(exc).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def converted(path: Path, side_px: int) -> Path:
    """The ONNX form of a TorchScript network, made beside it on first use.

    Raises
    ------
    MissingExtraError
        PyTorch is not installed.
    SettingsError
        The file is no TorchScript network that can be turned into ONNX.
    """
    target = path.with_suffix(f".{side_px}.onnx")
    if target.exists():
        return target
    torch = import_torch("Networks in the form of TorchScript")
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
        write_onnx(target, network, torch.zeros(1, 3, side_px, side_px))
    except Exception as exc:  # whatever torch raises for what it cannot read or trace
        raise SettingsError(f"{path} cannot be turned into ONNX: {str(exc)[:200]}") from exc
    return target


def import_torch(what: str) -> Any:
    """PyTorch, or an error that names the extra to install."""
    try:
        import torch
    except ImportError as exc:
        raise MissingExtraError(what, "torch") from exc
    return torch


def to_torch(network: bytes) -> Any:
    """An ONNX network as a torch module that can be trained.

    Raises
    ------
    MissingExtraError
        PyTorch or onnx2torch is not installed.
    SettingsError
        The network has parts that have no counterpart there.
    """
    import_torch("Fine-tuning")
    try:
        from onnx2torch import convert
    except ImportError as exc:
        raise MissingExtraError("Fine-tuning", "torch") from exc
    import onnx

    try:
        return convert(onnx.load_model_from_string(network))
    except Exception as exc:  # it has no exception class of its own
        raise SettingsError(f"the network cannot be made trainable: {str(exc)[:200]}") from exc


def write_onnx(
    target: Path, network: Any, example: Any, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Export a network of one image input to a file, whole or not at all.

    Parameters
    ----------
    target : Path
    network : torch module or TorchScript
    example : tensor
        An input.
    metadata : mapping, optional
        Texts to keep in the file.
    """
    torch = import_torch("Exports to ONNX")
    import onnx

    export: Callable[..., Any] = torch.onnx.export
    with replacing(target) as unfinished:
        export(
            network,
            (example,),
            str(unfinished),
            input_names=["input"],
            output_names=["features"],
            dynamic_axes={"input": {0: "batch"}, "features": {0: "batch"}},
            dynamo=False,
        )
        model = onnx.load(str(unfinished))
        onnx.helper.set_model_props(model, dict(metadata or {}))
        onnx.save(model, str(unfinished))
