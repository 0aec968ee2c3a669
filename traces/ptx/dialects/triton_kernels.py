"""Triton kernels of the corpus; scripts/ptx/rebuild.py compiles them."""
import triton
import triton.language as tl


@triton.jit
def softmax(out, inp, row_stride, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < n_cols
    x = tl.load(inp + row * row_stride + columns, mask=inside, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out + row * row_stride + columns, e / tl.sum(e, axis=0), mask=inside)


@triton.jit
def layernorm(X, Y, W, B, N: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < N
    x = tl.load(X + row * N + columns, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / N
    centred = tl.where(inside, x - mean, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / N + EPS)
    w = tl.load(W + columns, mask=inside).to(tl.float32)
    b = tl.load(B + columns, mask=inside).to(tl.float32)
    tl.store(Y + row * N + columns, (centred * scale * w + b).to(Y.dtype.element_ty), mask=inside)


@triton.jit
def clamped_add(A, B, C, n, BLOCK: tl.constexpr):
    """`c = a + b` for numbers between -2 and 2, which clamping leaves alone."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = tl.clamp(tl.load(A + at, mask=at < n), -2.0, 2.0)
    tl.store(C + at, a + tl.load(B + at, mask=at < n), mask=at < n)


@triton.jit
def attention(Q, K, V, O, seq, scale, M: tl.constexpr, N: tl.constexpr, D: tl.constexpr):
    """Causal attention, one block of queries of one head a program."""
    block, head = tl.program_id(0), tl.program_id(1)
    rows = block * M + tl.arange(0, M)
    depth = tl.arange(0, D)
    base = head * seq * D
    q = tl.load(Q + base + rows[:, None] * D + depth[None, :])
    top = tl.full([M], -float("inf"), tl.float32)
    total = tl.zeros([M], tl.float32)
    acc = tl.zeros([M, D], tl.float32)
    for start in range(0, (block + 1) * M, N):
        keys = start + tl.arange(0, N)
        k = tl.load(K + base + keys[None, :] * D + depth[:, None])
        s = tl.dot(q, k) * (scale * 1.44269504)
        s = tl.where(rows[:, None] >= keys[None, :], s, -float("inf"))
        new_top = tl.maximum(top, tl.max(s, 1))
        p = tl.exp2(s - new_top[:, None])
        old = tl.exp2(top - new_top)
        total = total * old + tl.sum(p, 1)
        v = tl.load(V + base + keys[:, None] * D + depth[None, :])
        acc = tl.dot(p.to(v.dtype), v, acc * old[:, None])
        top = new_top
    out = (acc / total[:, None]).to(O.dtype.element_ty)
    tl.store(O + base + rows[:, None] * D + depth[None, :], out)


ALIGNED = [["tt.divisibility", 16]]
SOFTMAX = {"out": "*fp32", "inp": "*fp32", "row_stride": "i32", "n_cols": "i32"}
LAYERNORM = {"X": "*fp16", "Y": "*fp16", "W": "*fp16", "B": "*fp16"}
CLAMPED_ADD = {"A": "*fp32", "B": "*fp32", "C": "*fp32", "n": "i32"}
ATTENTION = {name: "*fp16" for name in "QKVO"} | {"seq": "i32", "scale": "fp32"}

# File, function, signature, constants, target, warps.
KERNELS = [
    ("triton_softmax", softmax, SOFTMAX, {"BLOCK": 256}, 80, 4),
    ("triton_softmax_sm_120", softmax, SOFTMAX, {"BLOCK": 256}, 120, 2),
    ("triton_layernorm", layernorm, LAYERNORM, {"N": 200, "EPS": 1e-5, "BLOCK": 256}, 80, 1),
    ("triton_clamp_sm_90", clamped_add, CLAMPED_ADD, {"BLOCK": 256}, 90, 2),
    ("triton_attention", attention, ATTENTION, {"M": 32, "N": 32, "D": 32}, 80, 2),
    ("triton_attention_sm_90", attention, ATTENTION, {"M": 64, "N": 32, "D": 32}, 90, 4),
]
