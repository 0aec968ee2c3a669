"""Numba kernels of the corpus; scripts/ptx/rebuild.py compiles them."""
from numba import cuda, float32, types

FLOATS = types.Array(types.float32, 1, "C")


def vecadd(a, b, c):
    i = cuda.grid(1)
    if i < c.size:
        c[i] = a[i] + b[i]


def reduce(values, total):
    """Sums in shared memory, then one atomic a block."""
    shared = cuda.shared.array(128, float32)
    lane = cuda.threadIdx.x
    i = cuda.grid(1)
    shared[lane] = values[i] if i < values.size else 0.0
    cuda.syncthreads()
    width = 64
    while width > 0:
        if lane < width:
            shared[lane] += shared[lane + width]
        cuda.syncthreads()
        width //= 2
    if lane == 0:
        cuda.atomic.add(total, 0, shared[0])


# File, function, signature.
KERNELS = [
    ("numba_vecadd", vecadd, (FLOATS, FLOATS, FLOATS)),
    ("numba_reduce", reduce, (FLOATS, FLOATS)),
]
