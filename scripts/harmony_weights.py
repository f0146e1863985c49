"""The chord network of CREMA, as its wheel carries it → `pemr/weights/harmony.safetensors`.

    pip download --no-deps crema==0.2.0
    python scripts/harmony_weights.py crema-0.2.0-py3-none-any.whl

Batch normalisation becomes a scale and a shift; the layer that names chords is left out. Needs
h5py (`[bench]`).
"""

import argparse
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

MODEL_SHA256 = "08b80e5b648e743c89284e9bc0b12b993dad1129157a75e0de70e076b0b8a235"
EPSILON = 1e-3  # of batch normalisation, as the model's own description has it
WEIGHTS = Path(__file__).parents[1] / "pemr" / "weights"

Arrays = dict[str, NDArray[np.float32]]


def convert(model: Mapping[str, Any]) -> Arrays:
    """Name the network's arrays as `pemr.model.harmony` reads them.

    Parameters
    ----------
    model : h5py group
        `model_weights` of the file.

    Returns
    -------
    dict
        float32 arrays.
    """

    def array(layer: str, name: str) -> NDArray[np.float32]:
        return np.asarray(model[layer][layer][f"{name}:0"], dtype=np.float32)

    arrays: Arrays = {}
    for index in (1, 2, 3, 4):
        layer = f"batch_normalization_{index}"
        deviation = np.sqrt(array(layer, "moving_variance") + EPSILON)
        scale = array(layer, "gamma") / deviation
        arrays[f"norm{index}.scale"] = scale
        arrays[f"norm{index}.shift"] = array(layer, "beta") - array(layer, "moving_mean") * scale
    arrays["smooth.kernel"] = array("conv2d_1", "kernel").transpose(3, 2, 0, 1)  # (1, 2, 5, 5)
    arrays["smooth.bias"] = array("conv2d_1", "bias")
    arrays["project.kernel"] = array("conv2d_2", "kernel")[0, :, 0]  # (216, 72)
    arrays["project.bias"] = array("conv2d_2", "bias")
    for index in (1, 2):
        for direction in ("forward", "backward"):
            for name in ("kernel", "recurrent_kernel", "bias"):
                key = f"gru{index}.{direction}.{name}"
                path = f"{direction}_gru_{index}/{name}"
                arrays[key] = array(f"bidirectional_{index}", path)
    for head in ("pitch", "bass", "root"):
        for name in ("kernel", "bias"):
            arrays[f"{head}.{name}"] = array(f"chord_{head}", name)
    return arrays


def main() -> None:
    """Read the wheel and write the weights beside their description."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    stored = zipfile.ZipFile(parser.parse_args().wheel).read("crema/models/chord/model.h5")
    if hashlib.sha256(stored).hexdigest() != MODEL_SHA256:
        parser.error("the wheel holds another model than that of crema 0.2.0")
    import h5py

    with h5py.File(io.BytesIO(stored)) as file:
        arrays = convert(file["model_weights"])
    halves = {
        name: np.ascontiguousarray(value, np.float16 if value.ndim > 1 else np.float32)
        for name, value in arrays.items()
    }
    packed = save(halves)
    (WEIGHTS / "harmony.safetensors").write_bytes(packed)
    described = {
        "sha256": hashlib.sha256(packed).hexdigest(),
        "n_parameters": sum(value.size for value in halves.values()),
        "provenance": {"package": "crema 0.2.0", "model_sha256": MODEL_SHA256},
    }
    text = json.dumps(described, indent=2) + "\n"
    (WEIGHTS / "harmony.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
