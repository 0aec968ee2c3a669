"""The CUDA driver API through ctypes: device, module, memory, launch, events. Needs a driver, nothing else."""

import ctypes
import ctypes.util
import sys


class CudaError(RuntimeError):
    """A driver call that failed."""


class Device:
    """One GPU with a context."""

    def __init__(self, ordinal=0):
        self.lib = self._library()
        self._check(self.lib.cuInit(0), "cuInit")
        handle = ctypes.c_int()
        self._check(self.lib.cuDeviceGet(ctypes.byref(handle), ordinal), "cuDeviceGet")
        self.handle = handle
        self.context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), handle)
        self._call("cuCtxSetCurrent", self.context)

    @staticmethod
    def _library():
        names = ["nvcuda.dll"] if sys.platform == "win32" else ["libcuda.so.1", "libcuda.so"]
        for name in names:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
        raise CudaError("no CUDA driver library; install the NVIDIA driver")

    def _check(self, status, what):
        if status:
            text = ctypes.c_char_p()
            self.lib.cuGetErrorString(status, ctypes.byref(text))
            raise CudaError(f"{what}: {text.value.decode() if text.value else status}")

    def _call(self, name, *arguments):
        """Calls `name`, in its newest form where the driver has versions."""
        function = getattr(self.lib, name + "_v2", None) or getattr(self.lib, name)
        self._check(function(*arguments), name)

    def name(self):
        buffer = ctypes.create_string_buffer(128)
        self._call("cuDeviceGetName", buffer, 128, self.handle)
        return buffer.value.decode()

    def driver(self):
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return f"{version.value // 1000}.{version.value % 1000 // 10}"

    def attribute(self, number):
        """CUdevice_attribute by number; see ATTRIBUTES."""
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), number, self.handle)
        return value.value

    def allocate(self, size):
        pointer = ctypes.c_uint64()
        self._call("cuMemAlloc", ctypes.byref(pointer), ctypes.c_size_t(size))
        return pointer.value

    def free(self, pointer):
        self._call("cuMemFree", ctypes.c_uint64(pointer))

    def zero(self, pointer, size):
        self._call("cuMemsetD8", ctypes.c_uint64(pointer), ctypes.c_ubyte(0), ctypes.c_size_t(size))

    def write(self, pointer, data):
        """`data`: bytes, or an array with a buffer."""
        view = memoryview(data).cast("B")
        raw = (ctypes.c_char * len(view)).from_buffer_copy(view)
        self._call("cuMemcpyHtoD", ctypes.c_uint64(pointer), raw, ctypes.c_size_t(len(view)))

    def read_u64(self, pointer, count=1):
        values = (ctypes.c_uint64 * count)()
        self._call("cuMemcpyDtoH", values, ctypes.c_uint64(pointer), ctypes.c_size_t(8 * count))
        return list(values)

    def module(self, ptx):
        """Compiles PTX text; the driver's log is in the error."""
        log = ctypes.create_string_buffer(8192)
        # CU_JIT_ERROR_LOG_BUFFER 5, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES 6
        options = (ctypes.c_int * 2)(5, 6)
        values = (ctypes.c_void_p * 2)(ctypes.cast(log, ctypes.c_void_p), 8192)
        module = ctypes.c_void_p()
        text = ctypes.c_char_p(ptx.encode())
        try:
            self._check(
                self.lib.cuModuleLoadDataEx(ctypes.byref(module), text, 2, options, values), "cuModuleLoadDataEx"
            )
        except CudaError as error:
            raise CudaError(f"{error}: {log.value.decode(errors='replace')}") from None
        return module

    def function(self, module, name):
        function = ctypes.c_void_p()
        self._call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return function

    def set_shared(self, function, size, carveout=None):
        """Allows `size` bytes of dynamic shared memory; `carveout` in percent."""
        self._check(self.lib.cuFuncSetAttribute(function, 8, ctypes.c_int(size)), "cuFuncSetAttribute")
        if carveout is not None:
            self._check(self.lib.cuFuncSetAttribute(function, 9, ctypes.c_int(carveout)), "cuFuncSetAttribute")

    def occupancy(self, function, block, shared):
        blocks = ctypes.c_int()
        self._call(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor", ctypes.byref(blocks), function, block, ctypes.c_size_t(shared)
        )
        return blocks.value

    def launch(self, function, grid, block, arguments, shared=0):
        """`arguments`: ctypes values."""
        pointers = (ctypes.c_void_p * max(1, len(arguments)))()
        for n, argument in enumerate(arguments):
            pointers[n] = ctypes.cast(ctypes.pointer(argument), ctypes.c_void_p)
        status = self.lib.cuLaunchKernel(function, grid, 1, 1, block, 1, 1, shared, None, pointers, None)
        self._check(status, "cuLaunchKernel")

    def synchronize(self):
        self._check(self.lib.cuCtxSynchronize(), "cuCtxSynchronize")

    def event(self):
        event = ctypes.c_void_p()
        self._check(self.lib.cuEventCreate(ctypes.byref(event), 0), "cuEventCreate")
        return event

    def record(self, event):
        self._check(self.lib.cuEventRecord(event, None), "cuEventRecord")

    def milliseconds(self, start, stop):
        self._check(self.lib.cuEventSynchronize(stop), "cuEventSynchronize")
        value = ctypes.c_float()
        status = self.lib.cuEventElapsedTime(ctypes.byref(value), start, stop)
        self._check(status, "cuEventElapsedTime")
        return value.value


ATTRIBUTES = {
    "sms": 16,
    "clock_khz": 13,
    "memory_clock_khz": 36,
    "bus_bits": 37,
    "l2_bytes": 38,
    "threads_per_sm": 39,
    "major": 75,
    "minor": 76,
    "shared_per_sm": 81,
    "shared_per_block_optin": 97,
}
