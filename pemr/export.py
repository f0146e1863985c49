"""A checkpoint of the cover encoder → weights to ship, or a graph for other runtimes.

Letters: S segments, F frequency bins, T frames, D embedding.
"""

import hashlib
import json
import warnings
from pathlib import Path

import torch
from safetensors.torch import save

from pemr.errors import CheckpointError
from pemr.model.checkpoint import load_trained
from pemr.model.cover import load_model
from pemr.signal.recording import N_HARMONIES

OPSET = 18


def export_weights(checkpoint: Path, folder: Path, name: str = "cover") -> Path:
    """Write weights in half precision beside a JSON that describes them.

    Parameters
    ----------
    checkpoint : Path
        Folder that `pemr finetune` wrote.
    folder : Path
        Where `<name>.safetensors` and `<name>.json` go.
    name : str
        Of the files.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or the files cannot be written.
    """
    model = load_model(checkpoint)
    stored = load_trained(checkpoint)
    content = save(
        {
            key: (value.half() if value.is_floating_point() else value).contiguous()
            for key, value in model.state_dict().items()
        }
    )
    card = {
        "config": dict(stored.training),
        "sha256": hashlib.sha256(content).hexdigest(),
        "provenance": dict(stored.provenance),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.safetensors").write_bytes(content)
        (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(folder, f"cannot be written ({error})") from error
    return folder / f"{name}.safetensors"


def export_onnx(checkpoint: Path, path: Path) -> None:
    """Write a model as ONNX: `segments` (S, F, T) in dB to `embeddings` (S, D).

    Parameters
    ----------
    checkpoint : Path
        Folder that `pemr finetune` wrote.
    path : Path
        The file. S stays open; F and T are those of the checkpoint's front end,
        and 36 rows of harmony in 0..1 follow where the encoder reads it.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, the packages of `pemr-covers[onnx]` are
        not there, or the file cannot be written.
    """
    model = load_model(checkpoint)
    n_bins, n_frames = load_trained(checkpoint).config.front_end.shape
    n_rows = n_bins + (N_HARMONIES if getattr(model.encoder, "n_harmony", 0) else 0)
    example = torch.zeros(2, n_rows, n_frames)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own insides
            torch.onnx.export(
                model,
                (example,),
                str(path),
                input_names=["segments"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("S")},),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise CheckpointError(path, "ONNX needs the packages of pemr-covers[onnx]") from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be written ({error})") from error
