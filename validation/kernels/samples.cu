// Algorithms of well-known sample programs, and straight loops of one instruction.
extern "C" __global__ void nothing() {}

// A chain of 128 dependent multiply-adds an iteration; the result is kept by a store that does not happen.
extern "C" __global__ void chain128(float* out, int iters) {
    float x = threadIdx.x;
    for (int i = 0; i < iters; i++) {
#pragma unroll
        for (int s = 0; s < 128; s++) x = fmaf(x, 1.5f, 0.25f);
    }
    if (x == 12345.0f) *out = x;
}

// Twenty dependent multiply-adds without a loop.
extern "C" __global__ void chain20(float* out) {
    float x = threadIdx.x;
#pragma unroll
    for (int s = 0; s < 20; s++) x = fmaf(x, 1.5f, 0.25f);
    if (x == 12345.0f) *out = x;
}

// A copy by way of a tile in shared memory: thread 16 y + x of a CTA copies element (x, y).
extern "C" __global__ void shared_copy(float* out, const float* in, int width, int height) {
    __shared__ float tile[16][16];
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    if (x < width && y < height) tile[threadIdx.y][threadIdx.x] = in[y * width + x];
    __syncthreads();
    if (x < width && y < height) out[y * width + x] = tile[threadIdx.y][threadIdx.x];
}

// Dot products of pairs of vectors: 1024 partial sums a pair in shared memory, then a tree over them.
extern "C" __global__ void scalar_products(float* out, const float* a, const float* b, int vectors, int elements) {
    __shared__ float sums[1024];
    for (int v = blockIdx.x; v < vectors; v += gridDim.x) {
        int first = elements * v, end = first + elements;
        for (int s = threadIdx.x; s < 1024; s += blockDim.x) {
            float sum = 0.0f;
            for (int at = first + s; at < end; at += 1024) sum += a[at] * b[at];
            sums[s] = sum;
        }
        for (int half = 512; half > 0; half >>= 1) {
            __syncthreads();
            for (int s = threadIdx.x; s < half; s += blockDim.x) sums[s] += sums[half + s];
        }
        __syncthreads();
        if (threadIdx.x == 0) out[v] = sums[0];
    }
}

// Exclusive sum over `size` threads in front of a thread; zeros stand in front of the sums, so that nothing branches.
__device__ unsigned behind(unsigned value, volatile unsigned* sums, unsigned size) {
    unsigned at = 2 * threadIdx.x - (threadIdx.x & (size - 1));
    sums[at] = 0;
    at += size;
    sums[at] = value;
    for (unsigned step = 1; step < size; step <<= 1) {
        __syncthreads();
        unsigned sum = sums[at] + sums[at - step];
        __syncthreads();
        sums[at] = sum;
    }
    return sums[at] - value;
}

__device__ uint4 behind4(uint4 v, volatile unsigned* sums, unsigned size) {
    v.y += v.x;
    v.z += v.y;
    v.w += v.z;
    unsigned before = behind(v.w, sums, size / 4);
    return make_uint4(before, before + v.x, before + v.y, before + v.z);
}

// 256 threads scan 1024 elements, in arrays of `size`.
extern "C" __global__ void scan_short(uint4* out, const uint4* in, unsigned size) {
    __shared__ unsigned sums[512];
    unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    out[at] = behind4(in[at], sums, size);
}

// The sums of the tiles of 1024 that `scan_short` made, in arrays of `length`, scanned.
extern "C" __global__ void scan_tops(unsigned* tops, const unsigned* out, const unsigned* in, unsigned n, unsigned length) {
    __shared__ unsigned sums[512];
    unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned value = 0;
    if (at < n) value = out[1023 + 1024 * at] + in[1023 + 1024 * at];
    unsigned before = behind(value, sums, length);
    if (at < n) tops[at] = before;
}

extern "C" __global__ void add_tops(uint4* data, const unsigned* tops) {
    __shared__ unsigned top;
    unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x == 0) top = tops[blockIdx.x];
    __syncthreads();
    uint4 v = data[at];
    v.x += top;
    v.y += top;
    v.z += top;
    v.w += top;
    data[at] = v;
}

// One step of four of a Walsh transform in global memory.
extern "C" __global__ void walsh_global(float* out, const float* in, int step) {
    int at = blockIdx.x * blockDim.x + threadIdx.x, n = blockDim.x * gridDim.x * 4;
    const float* from = in + blockIdx.y * n;
    float* to = out + blockIdx.y * n;
    int low = at & (step - 1);
    int i0 = ((at - low) << 2) + low, i1 = i0 + step, i2 = i1 + step, i3 = i2 + step;
    float d0 = from[i0], d1 = from[i1], d2 = from[i2], d3 = from[i3], t;
    t = d0; d0 = d0 + d2; d2 = t - d2;
    t = d1; d1 = d1 + d3; d3 = t - d3;
    t = d0; to[i0] = d0 + d1; to[i1] = t - d1;
    t = d2; to[i2] = d2 + d3; to[i3] = t - d3;
}

// The last steps of a Walsh transform in shared memory: 2^log2n elements a CTA, four a thread.
extern "C" __global__ void walsh_shared(float* out, const float* in, int log2n) {
    extern __shared__ float part[];
    int n = 1 << log2n, base = blockIdx.x << log2n;
    for (int at = threadIdx.x; at < n; at += blockDim.x) part[at] = in[base + at];
    int pos = threadIdx.x;
    for (int step = n >> 2; step > 0; step >>= 2) {
        int low = pos & (step - 1);
        int i0 = ((pos - low) << 2) + low, i1 = i0 + step, i2 = i1 + step, i3 = i2 + step;
        __syncthreads();
        float d0 = part[i0], d1 = part[i1], d2 = part[i2], d3 = part[i3], t;
        t = d0; d0 = d0 + d2; d2 = t - d2;
        t = d1; d1 = d1 + d3; d3 = t - d3;
        t = d0; part[i0] = d0 + d1; part[i1] = t - d1;
        t = d2; part[i2] = d2 + d3; part[i3] = t - d3;
    }
    if (log2n & 1) {
        __syncthreads();
        for (int at = threadIdx.x; at < n / 2; at += blockDim.x) {
            int i0 = at << 1;
            float d0 = part[i0], d1 = part[i0 + 1];
            part[i0] = d0 + d1;
            part[i0 + 1] = d0 - d1;
        }
    }
    __syncthreads();
    for (int at = threadIdx.x; at < n; at += blockDim.x) out[base + at] = part[at];
}

extern "C" __global__ void multiply(float* a, const float* b, int n) {
    float scale = 1.0f / n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) a[i] *= b[i] * scale;
}
