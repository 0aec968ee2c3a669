#!/usr/bin/env python3
"""Makes traces/ptx/dialects again: the PTX of other compilers than nvcc.

Needs: pip install triton==3.9.0 numba numba-cuda warp-lang==1.19 nvidia-cuda-nvrtc-cu12==12.9.86
nvidia-cuda-runtime-cu12 nvidia-cuda-nvcc-cu12, and clang++-19 (clang++ if it has another name).
No GPU, no driver. A compiler that is not there is left out, with a word. Names of one or more of
triton, numba, warp, clang, nvrtc as arguments: only those.
"""
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1] / "traces" / "ptx" / "dialects"
sys.path[:0] = [str(HERE), str(ROOT)]


def write(name, text):
    # Paths of this machine and the end of a C string are of no use to anybody.
    lines = text.replace("\0", "").splitlines()
    places = (".file\t", ".file ", ".loc\t", ".loc ")
    kept = [line.rstrip() for line in lines if not line.lstrip().startswith(places)]
    (ROOT / f"{name}.ptx").write_text("\n".join(kept).rstrip() + "\n")
    print(f"{name}.ptx")


def triton():
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernels = importlib.import_module("triton_kernels")
    for name, function, signature, constants, target, warps in kernels.KERNELS:
        pointers = [i for i, ty in enumerate(signature.values()) if ty.startswith("*")]
        source = ASTSource(
            fn=function,
            signature=signature | {name: "constexpr" for name in constants},
            constexprs=constants,
            attrs={(i,): kernels.ALIGNED for i in pointers},
        )
        made = compile(source, target=GPUTarget("cuda", target, 32), options={"num_warps": warps})
        write(name, made.asm["ptx"])
        print(f"  dynamic_shared_bytes = {made.metadata.shared}")


def numba():
    from numba import cuda

    for name, function, signature in importlib.import_module("numba_kernels").KERNELS:
        write(name, cuda.compile_ptx(function, signature, cc=(8, 0))[0])


def warp():
    import warp as wp

    module = importlib.import_module("warp_kernels")
    with tempfile.TemporaryDirectory() as folder:
        wp.compile_aot_module(module, arch=80, use_ptx=True, module_dir=folder)
        (ptx,) = Path(folder).glob("*.ptx")
        # Module variables are tables of Warp's own library, which this kernel does not read.
        lines = ptx.read_text().rstrip("\0").splitlines(keepends=True)
        own = (l for l in lines if not l.startswith((".const", ".global")) and "demoted" not in l)
        write("warp_saxpy", "".join(own))


def clang():
    compiler = shutil.which("clang++-19") or shutil.which("clang++")
    if compiler is None:
        raise ImportError("clang++")
    command = [compiler, "-x", "cuda", "-nocudainc", "-nocudalib", "--cuda-device-only"]
    command += ["--cuda-gpu-arch=sm_70", "-S", "-o", "-", "calls.cu"]
    for level in ("-O0", "-O2"):
        done = subprocess.run(command + [level], cwd=ROOT, capture_output=True, text=True, check=True)
        write(f"clang_calls_{level[1:]}", done.stdout)


def nvrtc():
    import rebuild

    for name in ("calls", "tiles"):
        write(f"nvrtc_{name}", rebuild.compile_ptx(rebuild.library(), ROOT / f"{name}.cu", 80))


def main():
    makers = {f.__name__: f for f in (triton, numba, warp, clang, nvrtc)}
    for name in sys.argv[1:] or makers:
        try:
            makers[name]()
        except ImportError as missing:
            print(f"{name} left out: {missing}")


if __name__ == "__main__":
    main()
