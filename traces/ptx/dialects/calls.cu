// Calls of every kind, for clang (without any header) and for NVRTC.
#ifdef __clang__
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __noinline__ __attribute__((noinline))
static __device__ unsigned thread() {
    return __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +
           __nvvm_read_ptx_sreg_tid_x();
}
#else
static __device__ unsigned thread() { return blockIdx.x * blockDim.x + threadIdx.x; }
#endif

struct Pair {
    float a, b;
};

struct Adder {
    __device__ virtual float add(const Pair *p) const = 0;
};
struct Plain : Adder {
    __device__ float add(const Pair *p) const override { return p->a + p->b; }
};
struct Backwards : Adder {
    float sign;
    __device__ Backwards() : sign(-1.0f) {}
    __device__ float add(const Pair *p) const override { return p->a - sign * p->b; }
};

__device__ __noinline__ float dispatch(const Adder *adder, const Pair *p) { return adder->add(p); }

// Lanes call different functions through one pointer.
extern "C" __global__ void vecadd_virtual(const float *a, const float *b, float *c, int n) {
    unsigned i = thread();
    if (i >= n) return;
    Plain plain;
    Backwards backwards;
    const Adder *adder = i % 3 == 0 ? (const Adder *)&plain : (const Adder *)&backwards;
    Pair p = {a[i], b[i]};
    c[i] = dispatch(adder, &p);
}

typedef float (*Function)(float, float);
__device__ __noinline__ float add(float a, float b) { return a + b; }
__device__ __noinline__ float add_twice_half(float a, float b) { return 2.0f * (a * 0.5f + b * 0.5f); }
__device__ Function table[2] = {add, add_twice_half};

extern "C" __global__ void vecadd_table(const float *a, const float *b, float *c, int n) {
    unsigned i = thread();
    if (i < n) c[i] = table[(i >> 1) & 1](a[i], b[i]);
}

// Each activation has an array of its own, which those below it write into.
__device__ __noinline__ float sum(const float *values, int from, int to, float *result) {
    if (to - from == 1) {
        *result = values[from];
        return values[from];
    }
    float halves[2];
    int middle = (from + to) / 2;
    sum(values, from, middle, &halves[0]);
    sum(values, middle, to, &halves[1]);
    *result = halves[0] + halves[1];
    return *result;
}

extern "C" __global__ void sum_recursive(const float *in, float *out, int n) {
    float result;
    unsigned i = thread();
    // All lanes sum, over ranges of different lengths; the last one has the whole.
    float whole = sum(in, 0, n - 31 + i, &result);
    if (i == 31) out[0] = 0.5f * (whole + result);
}
