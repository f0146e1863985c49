"""Where to compute: on how many cores, each for itself, or on a GPU.

NumPy's library of products starts a thread for each core, and its threads wait by turning round and
round. Files are decoded side by side here and segments embedded side by side, by threads of our
own, which keep all cores busy; more of them would stand in each other's way.
"""

import ctypes
import os
from functools import cache


@cache
def one_for_each_product() -> None:
    """Let every product of matrices of this process run on one core from now on."""
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 (looks at all loaded libraries)

    ThreadpoolController().limit(limits=1, user_api="blas")


def n_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def best_device() -> str:
    """Name the GPU, in PyTorch's words, where there is one, and else the processor."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:  # without a driver torch need not be asked, which takes a second to load
        return "cpu"
    import torch  # noqa: PLC0415 (as above)

    return "cuda" if torch.cuda.is_available() else "cpu"
