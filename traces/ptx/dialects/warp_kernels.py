"""Warp kernels of the corpus; scripts/ptx/rebuild.py compiles them."""
import warp as wp


@wp.kernel(enable_backward=False)
def saxpy(a: float, x: wp.array(dtype=float), y: wp.array(dtype=float)):
    i = wp.tid()
    y[i] = a * x[i] + y[i]
