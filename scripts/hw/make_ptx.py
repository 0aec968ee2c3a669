#!/usr/bin/env python3
"""Writes microbench/ptx/*.ptx: the kernels of the hardware kit. Needed only to change them."""

from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "microbench" / "ptx"
HEAD = "// Written by scripts/hw/make_ptx.py.\n.version {version}\n.target {target}\n.address_size 64\n"
UNROLL = 128

# Register declarations, set-up from %m (known at run time only and different in every lane, or ptxas would fold steps
# and use the uniform datapath), steps of one machine instruction each, 32-bit result.
# {a} is the chain's register, {b} a second one of the chain.
F32 = (".f32", "cvt.rn.f32.u32 {r}, %m;", "mov.b32 %u, {a};")
U32 = (".b32", "add.u32 {r}, %m, 3;", "mov.b32 %u, {a};")
F64 = (".f64", "cvt.rn.f64.u32 {r}, %m;", "cvt.rn.f32.f64 %f, {a};\n    mov.b32 %u, %f;")
OPS = {
    "ffma": (F32, ["fma.rn.f32 {a}, {a}, {b}, {b};"]),
    "fadd": (F32, ["add.rn.f32 {a}, {a}, {b};"]),
    "fmul": (F32, ["mul.rn.f32 {a}, {a}, {b};"]),
    # Three operands, which IMAD.IADD cannot take.
    "iadd3": (U32, ["add.u32 {a}, {a}, {b};\n    add.u32 {a}, {a}, %m;", "add.u32 {b}, {b}, {a};\n    add.u32 {b}, {b}, %m;"]),
    "imad": (U32, ["mad.lo.u32 {a}, {a}, {b}, {b};"]),
    "lop3": (U32, ["lop3.b32 {a}, {a}, {b}, %m, 0x6a;"]),
    "shf": (U32, ["shf.l.wrap.b32 {a}, {a}, {b}, 5;"]),
    "prmt": (U32, ["prmt.b32 {a}, {a}, {b}, 0x2541;"]),
    "popc": (U32, ["popc.b32 {a}, {a};"]),
    "shfl": (U32, ["shfl.sync.idx.b32 {a}, {a}, {a}, 31, 0xffffffff;"]),
    "hfma2": (U32, ["fma.rn.f16x2 {a}, {a}, {b}, {b};"]),
    "dadd": (F64, ["add.rn.f64 {a}, {a}, {b};"]),
    "dfma": (F64, ["fma.rn.f64 {a}, {a}, {b}, {b};"]),
    "mufu_ex2": (F32, ["ex2.approx.ftz.f32 {a}, {a};"]),
}


def timed(name, chains):
    """A loop of UNROLL steps in `chains` chains; out[0] = cycles of thread 0."""
    (kind, setup, result), steps = OPS[name]
    registers, lines = [], []
    for c in range(chains):
        registers += [f"%a{c}", f"%b{c}"]
        lines += [setup.format(r=f"%a{c}"), setup.format(r=f"%b{c}")]
    body = []
    for n in range(UNROLL):
        chain, step = n % chains, n // chains
        body.append(steps[step % len(steps)].format(a=f"%a{chain}", b=f"%b{chain}"))
    # Every chain is stored, or it would be removed.
    keep = ["mov.u32 %s, 0;"]
    for c in range(chains):
        keep += [result.format(a=f"%a{c}"), "xor.b32 %s, %s, %u;"]
    return clocked(
        f"{'latency' if chains == 1 else 'rate'}_{name}",
        declare=f".reg .b32 %m, %u, %s;\n.reg .f32 %f;\n.reg {kind} {', '.join(registers)};",
        setup=["add.u32 %m, %n, %l;", *lines, "bar.sync 0;"],
        body=body,
        drain=["bar.sync 0;"],
        keep=[*keep, "st.global.u32 [%o+8], %s;"],
    )


def clocked(name, parameters="", declare="", setup=(), body=(), drain=(), keep=()):
    """A loop of `body`, p_trips times. out[0] = its cycles and those of `drain`, seen by thread 0; `keep` stores what else
    there is, or it would be removed. %o is out, %n the trips left, %l the thread."""
    indent = "\n    "
    drain = [*drain, "mov.u64 %t1, %clock64;", "sub.u64 %t1, %t1, %t0;"]
    end = ["setp.ne.u32 %q, %l, 0;", "@%q ret;", "st.global.u64 [%o], %t1;", *keep, "ret;"]
    return f"""
.visible .entry {name}(.param .u64 p_out, .param .u32 p_trips{parameters})
{{
    .reg .pred %p, %q;
    .reg .u32 %n, %l;
    .reg .u64 %t0, %t1, %o;
    {declare.replace(chr(10), indent)}
    ld.param.u64 %o, [p_out];
    ld.param.u32 %n, [p_trips];
    cvta.to.global.u64 %o, %o;
    mov.u32 %l, %tid.x;
    {indent.join([*setup, "mov.u64 %t0, %clock64;"])}
LOOP:
    {indent.join(body)}
    sub.u32 %n, %n, 1;
    setp.ne.u32 %p, %n, 0;
    @%p bra LOOP;
    {indent.join([*drain, *end])}
}}
"""


def chase(name, load):
    """One thread follows trips x 32 pointers from `start`; out[1] = where it ended."""
    return clocked(
        name,
        ", .param .u64 p_start",
        ".reg .u64 %a;",
        setup=["ld.param.u64 %a, [p_start];"],
        body=[f"{load} %a, [%a];"] * 32,
        drain=["st.global.u64 [%o+8], %a;"],
    )


def shared():
    """Chain of shared loads whose lanes meet `ways` to a bank; each word holds its own byte address."""
    return clocked(
        "shared_chase",
        ", .param .u32 p_ways",
        ".reg .u32 %a, %w, %x, %y;\n.shared .align 128 .b8 words[4096];",
        setup=[
            "ld.param.u32 %w, [p_ways];",
            "rem.u32 %x, %l, %w;",
            "div.u32 %y, %l, %w;",
            "shl.b32 %x, %x, 7;",
            "shl.b32 %y, %y, 2;",
            "mov.u32 %a, words;",
            "add.u32 %a, %a, %x;",
            "add.u32 %a, %a, %y;",
            "st.volatile.shared.u32 [%a], %a;",
            "bar.sync 0;",
        ],
        body=["ld.volatile.shared.u32 %a, [%a];"] * 64,
        keep=["st.global.u32 [%o+8], %a;"],
    )


def barrier():
    return clocked("barrier", setup=["bar.sync 0;"], body=["bar.sync 0;"] * 16)


def atomic(name, space):
    """Chain of returning adds; the old value is the next addend. Lanes are p_stride bytes apart, 0 for all on one word:
    were it known to ptxas, it would add the warp up first."""
    shared = space == "shared"
    return clocked(
        name,
        ", .param .u64 p_buffer, .param .u32 p_stride",
        ".reg .u32 %v, %w, %k;\n.reg .u64 %a, %b, %c;" + ("\n.shared .align 128 .b8 words[4096];" if shared else ""),
        setup=[
            "ld.param.u64 %b, [p_buffer];",
            "ld.param.u32 %k, [p_stride];",
            *(["mov.u32 %w, words;", "cvt.u64.u32 %a, %w;"] if shared else ["cvta.to.global.u64 %a, %b;"]),
            "mul.wide.u32 %c, %l, %k;",
            "add.u64 %a, %a, %c;",
            "mov.u32 %v, 0;",
            *(["st.shared.u32 [%a], %v;"] if shared else []),
            "bar.sync 0;",
        ],
        body=[f"atom.{space}.add.u32 %v, [%a], %v;"] * 32,
        keep=["st.global.u32 [%o+8], %v;"],
    )


def elementwise(name, loads, arithmetic, store):
    """One double a thread; a, b, c, d are 64-bit addresses, p_count bounds the index."""
    reads = "\n    ".join(
        f"ld.param.u64 %p{n}, [p_{v}];\n    cvta.to.global.u64 %p{n}, %p{n};\n    add.u64 %p{n}, %p{n}, %x;\n"
        f"    ld.global.f64 %v{n}, [%p{n}];"
        for n, v in enumerate("bcd"[:loads])
    )
    guard = "" if store else "    setp.neu.f64 %q, %r, 0d47EFFFFFE0000000;\n    @%q ret;\n"
    return f"""
.visible .entry stream_{name}(.param .u64 p_a, .param .u64 p_b, .param .u64 p_c, .param .u64 p_d, .param .u64 p_count)
{{
    .reg .pred %q;
    .reg .u32 %i, %j, %k;
    .reg .u64 %x, %n, %o, %p0, %p1, %p2;
    .reg .f64 %r, %v0, %v1, %v2;
    mov.u32 %i, %ctaid.x;
    mov.u32 %j, %ntid.x;
    mov.u32 %k, %tid.x;
    mul.wide.u32 %x, %i, %j;
    cvt.u64.u32 %n, %k;
    add.u64 %x, %x, %n;
    ld.param.u64 %n, [p_count];
    setp.ge.u64 %q, %x, %n;
    @%q ret;
    shl.b64 %x, %x, 3;
    {reads}
    {arithmetic}
{guard}    ld.param.u64 %o, [p_a];
    cvta.to.global.u64 %o, %o;
    add.u64 %o, %o, %x;
    st.global.f64 [%o], %r;
    ret;
}}
"""


def sweep():
    """Every block reads the same buffer, `rounds` times; p_bytes is a multiple of 8 blocks of doubles."""
    body = "\n    ".join(
        f"ld.global.f64 %v{n}, [%a];\n    add.u64 %a, %a, %s;\n    add.f64 %r, %r, %v{n};" for n in range(8)
    )
    return f"""
.visible .entry sweep(.param .u64 p_buffer, .param .u64 p_out, .param .u64 p_bytes, .param .u32 p_rounds, .param .u64 p_zero)
{{
    .reg .pred %p;
    .reg .u32 %n, %i, %j;
    .reg .u64 %a, %b, %e, %s, %z, %o;
    .reg .f64 %r, %v0, %v1, %v2, %v3, %v4, %v5, %v6, %v7;
    ld.param.u64 %b, [p_buffer];
    cvta.to.global.u64 %b, %b;
    ld.param.u64 %e, [p_bytes];
    ld.param.u32 %n, [p_rounds];
    ld.param.u64 %z, [p_zero];
    mov.u32 %i, %tid.x;
    mov.u32 %j, %ntid.x;
    mul.wide.u32 %s, %i, 8;
    add.u64 %b, %b, %s;
    mul.wide.u32 %s, %j, 8;
    add.u64 %e, %e, %b;
    mov.f64 %r, 0d0000000000000000;
ROUND:
    add.u64 %b, %b, %z;
    mov.u64 %a, %b;
STEP:
    {body}
    setp.lt.u64 %p, %a, %e;
    @%p bra STEP;
    sub.u32 %n, %n, 1;
    setp.ne.u32 %p, %n, 0;
    @%p bra ROUND;
    setp.neu.f64 %p, %r, 0d47EFFFFFE0000000;
    @%p ret;
    ld.param.u64 %o, [p_out];
    cvta.to.global.u64 %o, %o;
    st.global.f64 [%o], %r;
    ret;
}}
"""


def chunks():
    """1024 threads read chunk (block mod chunks) of 512 KiB in 32 steps of 2 doubles; chunks are interleaved."""
    body = "\n    ".join(
        f"ld.global.f64 %v{n}, [%a];\n    ld.global.f64 %w{n}, [%a+8192];\n    add.u64 %a, %a, %s;" for n in range(8)
    )
    sums = "\n    ".join(f"fma.rn.f64 %r, %v{n}, %w{n}, %r;" for n in range(8))
    registers = ", ".join(f"%v{n}, %w{n}" for n in range(8))
    return f"""
.visible .entry chunks(.param .u64 p_buffer, .param .u64 p_out, .param .u32 p_chunks)
{{
    .reg .pred %p;
    .reg .u32 %n, %i, %j, %k;
    .reg .u64 %a, %s, %o;
    .reg .f64 %r, {registers};
    ld.param.u64 %a, [p_buffer];
    cvta.to.global.u64 %a, %a;
    ld.param.u32 %k, [p_chunks];
    mov.u32 %i, %ctaid.x;
    rem.u32 %i, %i, %k;
    mul.wide.u32 %s, %i, 16384;
    add.u64 %a, %a, %s;
    mov.u32 %j, %tid.x;
    mul.wide.u32 %s, %j, 8;
    add.u64 %a, %a, %s;
    mul.wide.u32 %s, %k, 16384;
    mov.u32 %n, 4;
    mov.f64 %r, 0d0000000000000000;
STEP:
    {body}
    {sums}
    sub.u32 %n, %n, 1;
    setp.ne.u32 %p, %n, 0;
    @%p bra STEP;
    setp.neu.f64 %p, %r, 0d47EFFFFFE0000000;
    @%p ret;
    ld.param.u64 %o, [p_out];
    cvta.to.global.u64 %o, %o;
    st.global.f64 [%o], %r;
    ret;
}}
"""


def mma():
    """Dependent mma.sync.m16n8k16 with f32 accumulators."""
    step = (
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%d0,%d1,%d2,%d3}, {%a,%a,%a,%a}, {%a,%a}, "
        "{%d0,%d1,%d2,%d3};"
    )
    return clocked(
        "mma_16816",
        declare=".reg .b32 %a;\n.reg .f32 %d0, %d1, %d2, %d3;",
        setup=["mov.u32 %a, %n;", "cvt.rn.f32.u32 %d0, %n;", *(f"mov.f32 %d{k}, %d0;" for k in (1, 2, 3))],
        body=[step] * 32,
        drain=["add.f32 %d0, %d0, %d1;", "add.f32 %d2, %d2, %d3;", "add.f32 %d0, %d0, %d2;", "st.global.f32 [%o+8], %d0;"],
    )


def empty():
    return "\n.visible .entry empty()\n{\n    ret;\n}\n"


def write(name, kernels, version="6.3", target="sm_70"):
    text = HEAD.format(version=version, target=target) + "".join(kernels)
    (OUT / name).write_text(text)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write("latency.ptx", [timed(op, 1) for op in OPS])
    write("rate.ptx", [timed(op, 4) for op in OPS])
    write("memory.ptx", [chase("chase", "ld.u64"), chase("chase_l2", "ld.global.cg.u64"), sweep(), chunks()])
    write("shared.ptx", [shared(), barrier()])
    write("atomics.ptx", [atomic("atomic_global", "global"), atomic("atomic_shared", "shared")])
    half = "0d3FE0000000000000"
    write(
        "stream.ptx",
        [
            elementwise("init", 0, f"mov.f64 %r, {half};", True),
            elementwise("read", 1, "mov.f64 %r, %v0;", False),
            elementwise("scale", 1, f"mul.rn.f64 %r, %v0, {half};", True),
            elementwise("triad", 3, "fma.rn.f64 %r, %v0, %v2, %v1;", True),
            elementwise("add", 2, f"fma.rn.f64 %r, %v0, {half}, %v1;", True),
            empty(),
        ],
    )
    write("mma.ptx", [mma()], version="7.0", target="sm_80")


if __name__ == "__main__":
    main()
