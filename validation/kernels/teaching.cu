// The algorithms of a textbook's chapters on reduction, scan, histograms and tiles, on unsigned numbers.
extern __shared__ unsigned part[];

template <bool SPREAD>
__device__ void apart(const unsigned* in, unsigned n, unsigned* out) {
    unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? in[i] : 0;
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step <<= 1) {
        if (SPREAD) {
            if (t % (2 * step) == 0) part[t] += t + step < n ? part[t + step] : 0;
        } else {
            unsigned at = 2 * step * t;
            if (at < blockDim.x) part[at] += at + step < n ? part[at + step] : 0;
        }
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

extern "C" __global__ void reduce_spread(const unsigned* in, unsigned n, unsigned* out) { apart<true>(in, n, out); }
extern "C" __global__ void reduce_adjacent(const unsigned* in, unsigned n, unsigned* out) { apart<false>(in, n, out); }

extern "C" __global__ void reduce_halves(const unsigned* in, unsigned n, unsigned* out) {
    unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? in[i] : 0;
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step > 0; step >>= 1) {
        if (t < step) part[t] += t + step < n ? part[t + step] : 0;
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

__device__ void two(const unsigned* in, unsigned n) {
    unsigned t = threadIdx.x, i = blockIdx.x * (blockDim.x * 2) + t;
    part[t] = i < n ? in[i] : 0;
    part[t] += i + blockDim.x < n ? in[i + blockDim.x] : 0;
}

extern "C" __global__ void reduce_two(const unsigned* in, unsigned n, unsigned* out) {
    unsigned t = threadIdx.x;
    two(in, n);
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step > 0; step >>= 1) {
        if (t < step) part[t] += part[t + step];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

// The last warp, without barriers.
__device__ void warp(volatile unsigned* sums, unsigned t, unsigned size) {
    if (size >= 64) sums[t] += sums[t + 32];
    if (size >= 32) sums[t] += sums[t + 16];
    if (size >= 16) sums[t] += sums[t + 8];
    if (size >= 8) sums[t] += sums[t + 4];
    if (size >= 4) sums[t] += sums[t + 2];
    if (size >= 2) sums[t] += sums[t + 1];
}

extern "C" __global__ void reduce_warp(const unsigned* in, unsigned n, unsigned* out) {
    unsigned t = threadIdx.x;
    two(in, n);
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step > 32; step >>= 1) {
        if (t < step) part[t] += part[t + step];
        __syncthreads();
    }
    if (t < 32) warp(part, t, blockDim.x);
    if (t == 0) out[blockIdx.x] = part[0];
}

__device__ void unrolled(unsigned* out) {
    unsigned t = threadIdx.x;
    __syncthreads();
    if (blockDim.x >= 512 && t < 256) part[t] += part[t + 256];
    __syncthreads();
    if (blockDim.x >= 256 && t < 128) part[t] += part[t + 128];
    __syncthreads();
    if (blockDim.x >= 128 && t < 64) part[t] += part[t + 64];
    __syncthreads();
    if (t < 32) warp(part, t, blockDim.x);
    if (t == 0) out[blockIdx.x] = part[0];
}

extern "C" __global__ void reduce_unrolled(const unsigned* in, unsigned n, unsigned* out) {
    two(in, n);
    unrolled(out);
}

extern "C" __global__ void reduce_many(const unsigned* in, unsigned n, unsigned* out) {
    unsigned t = threadIdx.x, all = gridDim.x * (blockDim.x * 2);
    part[t] = 0;
    for (unsigned i = blockIdx.x * (blockDim.x * 2) + t; i < n; i += all) {
        part[t] += in[i];
        part[t] += i + blockDim.x < n ? in[i + blockDim.x] : 0;
    }
    unrolled(out);
}

// A chunk of `chunk` elements a CTA: each thread sums up its part, Brent and Kung's tree over the last elements, then the
// sum in front of a part is added to it.
extern "C" __global__ void scan_phases(const unsigned* in, unsigned* out, int n, int chunk, unsigned* tops) {
    int first = blockIdx.x * chunk, t = threadIdx.x;
    for (int j = t; j < chunk; j += blockDim.x) part[j] = first + j < n ? in[first + j] : 0;
    __syncthreads();
    int size = chunk / blockDim.x, start = size * t, stop = start + size;
    unsigned sum = 0;
    if (first + start < n)
        for (int i = start; i < stop; i++) {
            sum += part[i];
            part[i] = sum;
        }
    __syncthreads();
    for (unsigned step = 1; step <= blockDim.x; step <<= 1) {
        __syncthreads();
        unsigned at = (t + 1) * step * 2 * size - 1;
        if (at < chunk) part[at] += part[at - step * size];
    }
    for (unsigned step = chunk / 4; step >= size; step >>= 1) {
        __syncthreads();
        unsigned at = (t + 1) * step * 2 - 1;
        if (at + step < chunk) part[at + step] += part[at];
    }
    __syncthreads();
    if (t != 0) {
        unsigned before = part[start - 1];
        for (int i = start; i < stop - 1; i++) part[i] += before;
    }
    __syncthreads();
    for (int i = t; i < chunk; i += blockDim.x)
        if (first + i < n) out[first + i] = part[i];
    if (tops != 0 && t == blockDim.x - 1) tops[blockIdx.x] = part[chunk - 1];
}

// The sum of all chunks in front of a chunk is added to it; the first one has none.
extern "C" __global__ void scan_add(unsigned* out, int n, const unsigned* tops, int size) {
    int first = (blockIdx.x + 1) * size;
    for (int j = threadIdx.x; j < size; j += blockDim.x)
        if (first + j < n) out[first + j] += tops[blockIdx.x];
}

extern "C" __global__ void histogram_global(const unsigned* in, unsigned* bins, unsigned n, unsigned count) {
    unsigned t = blockIdx.x * blockDim.x + threadIdx.x;
    for (unsigned bin = t; bin < count; bin += blockDim.x * gridDim.x) bins[bin] = 0;
    __syncthreads();
    for (unsigned i = t; i < n; i += blockDim.x * gridDim.x) atomicAdd(&bins[in[i]], 1u);
}

extern "C" __global__ void histogram_private(const unsigned* in, unsigned* bins, unsigned n, unsigned count) {
    for (unsigned bin = threadIdx.x; bin < count; bin += blockDim.x) part[bin] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        atomicAdd(&part[in[i]], 1u);
    __syncthreads();
    for (unsigned bin = threadIdx.x; bin < count; bin += blockDim.x) atomicAdd(&bins[bin], part[bin]);
}

extern "C" __global__ void matvec_tiles(unsigned* out, const unsigned* a, const unsigned* x, int m, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned sum = 0;
    int phases = (n + blockDim.x - 1) / blockDim.x;
    for (int phase = 0; phase < phases; phase++) {
        int at = phase * blockDim.x + threadIdx.x;
        part[threadIdx.x] = at < n ? x[at] : 0;
        __syncthreads();
        if (i < m)
            for (int k = 0; k < blockDim.x && phase * blockDim.x + k < n; k++)
                sum += a[i * n + phase * blockDim.x + k] * part[k];
        __syncthreads();
    }
    out[i] = sum;
}

// Gray values of an image whose pixels have three bytes.
extern "C" __global__ void gray(const unsigned char* in, unsigned char* out, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (y >= height || x >= width) return;
    int at = y * width + x;
    out[at] = (unsigned char)(0.21f * in[3 * at] + 0.71f * in[3 * at + 1] + 0.07f * in[3 * at + 2]);
}

// Neighbouring threads add elements of different rows.
extern "C" __global__ void add_across(const float* a, const float* b, float* c, int width, int height) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < height && j < width) c[i * width + j] = a[i * width + j] + b[i * width + j];
}

extern "C" __global__ void add_along(const float* a, const float* b, float* c, int width, int height) {
    int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < height && j < width) c[i * width + j] = a[i * width + j] + b[i * width + j];
}

// Square tiles as wide as a CTA, WIDE of them side by side for a CTA.
template <int WIDE>
__device__ void tiles(const unsigned* a, const unsigned* b, unsigned* c, int m, int n, int k) {
    int side = blockDim.x, tx = threadIdx.x, ty = threadIdx.y, stride = WIDE * side;
    unsigned *left = part, *right = part + side * side;
    int row = blockIdx.y * side + ty, col = blockIdx.x * stride + tx;
    unsigned sums[WIDE] = {};
    for (int phase = 0; phase < (k + side - 1) / side; phase++) {
        int across = phase * side + tx, down = phase * side + ty;
        left[ty * side + tx] = row < m && across < k ? a[row * k + across] : 0;
#pragma unroll
        for (int w = 0; w < WIDE; w++)
            right[ty * stride + w * side + tx] = down < k && w * side + col < n ? b[down * n + w * side + col] : 0;
        __syncthreads();
        for (int i = 0; i < side; i++) {
#pragma unroll
            for (int w = 0; w < WIDE; w++) sums[w] += left[ty * side + i] * right[i * stride + w * side + tx];
        }
        __syncthreads();
    }
#pragma unroll
    for (int w = 0; w < WIDE; w++)
        if (row < m && w * side + col < n) c[row * n + w * side + col] = sums[w];
}

extern "C" __global__ void product_tiles(const unsigned* a, const unsigned* b, unsigned* c, int m, int n, int k) {
    tiles<1>(a, b, c, m, n, k);
}

extern "C" __global__ void product_wide(const unsigned* a, const unsigned* b, unsigned* c, int m, int n, int k) {
    tiles<2>(a, b, c, m, n, k);
}

extern "C" __global__ void product_simple(const unsigned* a, const unsigned* b, unsigned* c, int m, int n, int k) {
    int row = blockIdx.y * blockDim.y + threadIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m || col >= n) return;
    unsigned sum = 0;
    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + col];
    c[row * n + col] = sum;
}
