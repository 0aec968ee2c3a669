#!/usr/bin/env python3
"""Makes the PTX of traces/ptx and of validation/kernels again from their CUDA sources.

Needs: pip install nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-runtime-cu12 nvidia-cuda-nvcc-cu12
No GPU, no driver, no nvcc. Building and testing the project never needs this script.
"""
import ctypes
import pathlib
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[2] / "traces" / "ptx"
KERNELS = ROOT.parents[1] / "validation" / "kernels"
PACKAGES = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"


def library():
    found = sorted((PACKAGES / "cuda_nvrtc" / "lib").glob("libnvrtc.so*"))
    if not found:
        sys.exit("libnvrtc is not installed: see the first lines of this script")
    return ctypes.CDLL(str(found[0]))


def compile_ptx(nvrtc, source, version):
    program = ctypes.c_void_p()
    text = source.read_bytes()
    nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text, source.name.encode(), 0, None, None
    )
    options = [
        f"--gpu-architecture=compute_{version}",
        f"-I{PACKAGES / 'cuda_runtime' / 'include'}",
        f"-I{PACKAGES / 'cuda_nvcc' / 'include'}",
    ]
    array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
    status = nvrtc.nvrtcCompileProgram(program, len(options), array)
    size = ctypes.c_size_t()
    if status != 0:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(f"{source.name} for sm_{version}: {log.value.decode()}")
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx.value.decode()


def main():
    nvrtc = library()
    ptxas = PACKAGES / "cuda_nvcc" / "bin" / "ptxas"
    for source in sorted(KERNELS.glob("*.cu")):
        source.with_suffix(".ptx").write_text(compile_ptx(nvrtc, source, 70))
    for version in (70, 80, 90):
        folder = ROOT / f"sm_{version}"
        (folder / "ptxas_v").mkdir(parents=True, exist_ok=True)
        for source in sorted((ROOT / "cuda").glob("*.cu")):
            # cp.async and mma.m16n8k16 begin with sm_80.
            if source.stem.startswith("05b") and version < 80:
                continue
            target = folder / f"{source.stem}.ptx"
            target.write_text(compile_ptx(nvrtc, source, version))
            done = subprocess.run(
                [ptxas, "-v", f"-arch=sm_{version}", "-o", "/dev/null", target],
                capture_output=True,
                text=True,
                check=True,
            )
            # Times differ from run to run.
            said = [line for line in done.stderr.splitlines() if "Compile time" not in line]
            report = folder / "ptxas_v" / f"{source.stem}.txt"
            report.write_text("\n".join(said) + "\n")
            print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
