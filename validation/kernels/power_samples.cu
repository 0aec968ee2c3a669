// Kernels of which the power on a board was measured (power/README.md says which they stand for), written from what
// their algorithms are: transforms, sorts, random numbers, options.

// ---- Discrete cosine transforms of blocks of 8 x 8.

__constant__ float cosines[64];

// Two products with the matrix of cosines, a thread a coefficient. The image is seen through a cache of its own on the
// board (a texture); here it is constant data.
extern "C" __global__ void dct_matrix(const float* __restrict__ image, float* out, int width) {
    __shared__ float first[64], second[64];
    int tx = threadIdx.x, ty = threadIdx.y, at = (blockIdx.y * 8 + ty) * width + blockIdx.x * 8 + tx;
    first[ty * 8 + tx] = __ldg(image + at);
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += cosines[ty * 8 + i] * first[i * 8 + tx];
    second[ty * 8 + tx] = sum;
    __syncthreads();
    sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += second[ty * 8 + i] * cosines[tx * 8 + i];
    first[ty * 8 + tx] = sum;
    __syncthreads();
    out[at] = first[ty * 8 + tx];
}

// Eight numbers `step` apart. Sums and differences of mirrored pairs halve the work twice.
__device__ void dct_eight(float* v, int step) {
    const float c1 = 0.4903926402f, c2 = 0.4619397663f, c3 = 0.4157348062f, c4 = 0.3535533906f, c5 = 0.2777851165f,
                c6 = 0.1913417162f, c7 = 0.0975451610f;
    float s0 = v[0] + v[7 * step], s1 = v[step] + v[6 * step], s2 = v[2 * step] + v[5 * step], s3 = v[3 * step] + v[4 * step];
    float d0 = v[0] - v[7 * step], d1 = v[step] - v[6 * step], d2 = v[2 * step] - v[5 * step], d3 = v[3 * step] - v[4 * step];
    float e0 = s0 + s3, e1 = s1 + s2, o0 = s0 - s3, o1 = s1 - s2;
    v[0] = c4 * (e0 + e1);
    v[4 * step] = c4 * (e0 - e1);
    v[2 * step] = c2 * o0 + c6 * o1;
    v[6 * step] = c6 * o0 - c2 * o1;
    v[step] = c1 * d0 + c3 * d1 + c5 * d2 + c7 * d3;
    v[3 * step] = c3 * d0 - c7 * d1 - c1 * d2 - c5 * d3;
    v[5 * step] = c5 * d0 - c1 * d1 + c7 * d2 + c3 * d3;
    v[7 * step] = c7 * d0 - c5 * d1 + c3 * d2 - c1 * d3;
}

// A CTA of 8 x 4 x 2 threads has 32 x 16 pixels; a thread transforms a column, then a row.
extern "C" __global__ void dct_fast(float* out, const float* image, int width) {
    __shared__ float tile[16][33];
    int x = threadIdx.y * 8 + threadIdx.x, y = threadIdx.z * 8;
    int at = (blockIdx.y * 16 + y) * width + blockIdx.x * 32 + x;
#pragma unroll
    for (int i = 0; i < 8; i++) tile[y + i][x] = image[at + i * width];
    __syncthreads();
    dct_eight(&tile[y][x], 33);
    __syncthreads();
    dct_eight(&tile[y + threadIdx.x][threadIdx.y * 8], 1);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; i++) out[at + i * width] = tile[y + i][x];
}

// ---- Binomial trees of options with 2048 steps: a CTA of 128 threads has an option, a thread 16 neighbours.

struct Option {
    float spot, strike, volatility_step, up_discounted, down_discounted;
};

__constant__ Option options[1024];

// What a call is worth at its end, with the price `i` ups and 2048 - i downs away.
__device__ float at_end(const Option& o, int i) {
    return fmaxf(o.spot * __expf(o.volatility_step * (2.0f * i - 2048.0f)) - o.strike, 0.0f);
}

extern "C" __global__ void binomial_tree(float* worth) {
    __shared__ float edge[129];
    int t = threadIdx.x;
    const Option& o = options[blockIdx.x];
    float up = o.up_discounted, down = o.down_discounted, value[17];
#pragma unroll
    for (int i = 0; i < 16; i++) value[i] = at_end(o, t * 16 + i);
    if (t == 0) edge[128] = at_end(o, 2048);
    int unused = max(0, t * 16 - 1);
#pragma unroll 16
    for (int left = 2048; left > 0; left--) {
        edge[t] = value[0];
        __syncthreads();
        value[16] = edge[t + 1];
        __syncthreads();
        if (left > unused) {
#pragma unroll
            for (int i = 0; i < 16; i++) value[i] = up * value[i + 1] + down * value[i];
        }
    }
    if (t == 0) worth[blockIdx.x] = value[0];
}

// ---- Fast Walsh transforms: four elements a thread. One stage pair in global memory, or 2^11 elements in shared memory.

__device__ void butterfly4(float* data, int at, int step) {
    float a = data[at], b = data[at + step], c = data[at + 2 * step], d = data[at + 3 * step];
    float ac = a + c, a_c = a - c, bd = b + d, b_d = b - d;
    data[at] = ac + bd;
    data[at + step] = ac - bd;
    data[at + 2 * step] = a_c + b_d;
    data[at + 3 * step] = a_c - b_d;
}

extern "C" __global__ void walsh_global(float* out, const float* in, int step) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, low = i & (step - 1), at = ((i - low) << 2) + low;
    float a = in[at], b = in[at + step], c = in[at + 2 * step], d = in[at + 3 * step];
    float ac = a + c, a_c = a - c, bd = b + d, b_d = b - d;
    out[at] = ac + bd;
    out[at + step] = ac - bd;
    out[at + 2 * step] = a_c + b_d;
    out[at + 3 * step] = a_c - b_d;
}

extern "C" __global__ void walsh_shared(float* out, const float* in, int log2) {
    extern __shared__ float data[];
    int n = 1 << log2, t = threadIdx.x, base = blockIdx.x << log2;
    for (int i = t; i < n; i += blockDim.x) data[i] = in[base + i];
    int step = n >> 2;
    for (; step > 0; step >>= 2) {
        int low = t & (step - 1);
        __syncthreads();
        butterfly4(data, ((t - low) << 2) + low, step);
    }
    // One stage is left of an odd number: neighbours.
    if (log2 & 1) {
        __syncthreads();
        for (int i = t; i < n / 2; i += blockDim.x) {
            float2* pair = (float2*)data + i;
            float2 p = *pair;
            *pair = make_float2(p.x + p.y, p.x - p.y);
        }
    }
    __syncthreads();
    for (int i = t; i < n; i += blockDim.x) out[base + i] = data[i];
}

// ---- A histogram of 64 bins (six bits of each byte): each of 64 threads counts in bytes of its own, of which four lie in a
// word; no thread reads more than 15 times 16 bytes, so that no counter overflows.

extern "C" __global__ void histogram_bytes(unsigned* partial, const uint4* in, unsigned count) {
    __shared__ unsigned char counts[64 * 64];
    int t = threadIdx.x;
#pragma unroll
    for (int i = 0; i < 16; i++) ((unsigned*)counts)[t + 64 * i] = 0;
    // Threads that are 16 apart share a word.
    unsigned own = (t & 15) * 4 + (t >> 4);
    __syncthreads();
    for (unsigned i = blockIdx.x * 64 + t; i < count; i += gridDim.x * 64) {
        uint4 four = in[i];
        unsigned words[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int w = 0; w < 4; w++) {
#pragma unroll
            for (int b = 0; b < 4; b++) counts[own | ((b ? words[w] >> (8 * b - 4) : words[w] << 4) & 0xfc0)]++;
        }
    }
    __syncthreads();
    // A thread adds up a bin; it starts at a word of its own.
    unsigned sum = 0;
    for (int i = 0; i < 64; i++) sum += counts[t * 64 + ((i + 4 * t) & 63)];
    partial[blockIdx.x * 64 + t] = sum;
}

// ---- Merge sort: where a key goes follows from its rank in the other sequence.

// How many of the `n` sorted keys are less than `key`, or not greater; `most` is a power of two, and not less than `n`.
template <bool EQUAL>
__device__ unsigned rank_in(unsigned key, const unsigned* keys, unsigned n, unsigned most) {
    unsigned rank = 0;
#pragma unroll
    for (unsigned step = most; step > 0; step >>= 1) {
        unsigned to = min(rank + step, n);
        unsigned other = keys[to - 1];
        if (EQUAL ? other <= key : other < key) rank = to;
    }
    return rank;
}

// 1024 keys with values a CTA of 512 threads, which merge sequences of 1, 2, 4 ... 512.
extern "C" __global__ void merge_sort_shared(unsigned* out_key, unsigned* out_value, const unsigned* in_key,
                                             const unsigned* in_value) {
    __shared__ unsigned keys[1024], values[1024];
    int t = threadIdx.x, at = blockIdx.x * 1024 + t;
    keys[t] = in_key[at];
    values[t] = in_value[at];
    keys[t + 512] = in_key[at + 512];
    values[t + 512] = in_value[at + 512];
#pragma unroll
    for (unsigned n = 1; n < 1024; n <<= 1) {
        unsigned i = t & (n - 1);
        unsigned *key = keys + 2 * (t - i), *value = values + 2 * (t - i);
        __syncthreads();
        unsigned ka = key[i], va = value[i], kb = key[i + n], vb = value[i + n];
        unsigned a = rank_in<false>(ka, key + n, n, n) + i, b = rank_in<true>(kb, key, n, n) + i;
        __syncthreads();
        key[a] = ka;
        value[a] = va;
        key[b] = kb;
        value[b] = vb;
    }
    __syncthreads();
    out_key[at] = keys[t];
    out_value[at] = values[t];
    out_key[at + 512] = keys[t + 512];
    out_value[at + 512] = values[t + 512];
}

// Every 128th key of two sequences of `n` keys cuts both: the pieces between two cuts have at most 128 keys of each, and
// follow each other in the result. A thread finds where a cut is in the other sequence, and which cut of all it is.
extern "C" __global__ void cut(const unsigned* keys, unsigned* from_a, unsigned* from_b, unsigned n) {
    unsigned cuts = n / 128, i = blockIdx.x * blockDim.x + threadIdx.x, pair = i / (2 * cuts), own = i % (2 * cuts);
    const unsigned *a = keys + pair * 2 * n, *b = a + n;
    bool in_a = own < cuts;
    unsigned at = 128 * (in_a ? own : own - cuts);
    unsigned there = in_a ? rank_in<false>(a[at], b, n, n) : rank_in<true>(b[at], a, n, n);
    unsigned which = pair * 2 * cuts + at / 128 + (there + 127) / 128;
    from_a[which] = in_a ? at : there;
    from_b[which] = in_a ? there : at;
}

// Merges one piece with 128 threads.
extern "C" __global__ void merge_pieces(unsigned* out_key, unsigned* out_value, const unsigned* in_key, const unsigned* in_value,
                                        const unsigned* from_a, const unsigned* from_b, unsigned n) {
    __shared__ unsigned keys[256], values[256], place[5];
    unsigned t = threadIdx.x, pieces = 2 * (n / 128), piece = blockIdx.x;
    if (t == 0) {
        bool last = piece % pieces == pieces - 1;
        unsigned a = from_a[piece], b = from_b[piece], base = piece / pieces * 2 * n;
        place[0] = base + a;
        place[1] = base + n + b;
        place[2] = (last ? n : from_a[piece + 1]) - a;
        place[3] = (last ? n : from_b[piece + 1]) - b;
        place[4] = base + a + b;
    }
    __syncthreads();
    unsigned a = place[0], b = place[1], of_a = place[2], of_b = place[3], to = place[4];
    if (t < of_a) {
        keys[t] = in_key[a + t];
        values[t] = in_value[a + t];
    }
    if (t < of_b) {
        keys[128 + t] = in_key[b + t];
        values[128 + t] = in_value[b + t];
    }
    __syncthreads();
    unsigned ka, va, kb, vb, at_a, at_b;
    if (t < of_a) {
        ka = keys[t];
        va = values[t];
        at_a = t + (of_b ? rank_in<false>(ka, keys + 128, of_b, 128) : 0);
    }
    if (t < of_b) {
        kb = keys[128 + t];
        vb = values[128 + t];
        at_b = t + (of_a ? rank_in<true>(kb, keys, of_a, 128) : 0);
    }
    __syncthreads();
    if (t < of_a) {
        keys[at_a] = ka;
        values[at_a] = va;
    }
    if (t < of_b) {
        keys[at_b] = kb;
        values[at_b] = vb;
    }
    __syncthreads();
    // What has come together is written in two parts, as long as those that were read.
    if (t < of_a) {
        out_key[to + t] = keys[t];
        out_value[to + t] = values[t];
    }
    if (t < of_b) {
        out_key[to + of_a + t] = keys[of_a + t];
        out_value[to + of_a + t] = values[of_a + t];
    }
}

// ---- Low-discrepancy sequences: the exclusive or of the direction numbers of the bits that are set.

__constant__ unsigned directions[3 * 31];

extern "C" __global__ void niederreiter(float* out, unsigned first, unsigned count) {
    unsigned table[31];
#pragma unroll
    for (int b = 0; b < 31; b++) table[b] = directions[threadIdx.y * 31 + b];
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        unsigned x = 0, bits = first + i;
#pragma unroll
        for (int b = 0; b < 31; b++, bits >>= 1)
            if (bits & 1) x ^= table[b];
        out[threadIdx.y * count + i] = (x + 1) * (1.0f / 2147483648.0f);
    }
}

// The inverse of the normal distribution by Moro's approximation: a quotient of polynomials in the middle, a polynomial of
// log(-log) at the ends.
__device__ float normal_inverse(unsigned bits) {
    bool lower = bits < 0x80000000u;
    if (!lower) bits = ~bits;
    float p = bits * (1.0f / 4294967296.0f) + 0.5f / 4294967296.0f, y = p - 0.5f, z;
    if (y > -0.42f) {
        float r = y * y;
        z = y * (((-25.44106049637f * r + 41.39119773534f) * r - 18.61500062529f) * r + 2.50662823884f)
            / ((((3.13082909833f * r - 21.06224101826f) * r + 23.08336743743f) * r - 8.47351093090f) * r + 1.0f);
    } else {
        float l = __logf(-__logf(p));
        z = 0.3960315187e-6f;
        z = z * l + 0.2888167364e-6f;
        z = z * l + 0.321767881768e-4f;
        z = z * l + 0.3951896511919e-3f;
        z = z * l + 0.38405729373609e-2f;
        z = z * l + 0.276438810333863e-1f;
        z = z * l + 0.1607979714918209f;
        z = z * l + 0.9761690190917186f;
        z = -(z * l + 0.3374754822726147f);
    }
    return lower ? z : -z;
}

extern "C" __global__ void normal_grid(float* out, unsigned count, unsigned distance) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        out[i] = normal_inverse((i + 1) * distance);
}

// Sobol's sequences in the order of Gray codes, a row of CTAs for a dimension. `gridDim.x` times 64 threads is a power of
// two, so a thread gets from one of its points to its next by two direction numbers.
extern "C" __global__ void sobol(unsigned points, const unsigned* tables, float* out) {
    __shared__ unsigned table[32];
    const unsigned* from = tables + 32 * blockIdx.y;
    out += (size_t)points * blockIdx.y;
    if (threadIdx.x < 32) table[threadIdx.x] = from[threadIdx.x];
    __syncthreads();
    unsigned first = blockIdx.x * blockDim.x + threadIdx.x, stride = gridDim.x * blockDim.x;
    unsigned gray = first ^ (first >> 1), x = 0, bits = __ffs(stride) - 1;
    for (unsigned b = 0; b < bits; b++, gray >>= 1) x ^= -(gray & 1) & table[b];
    if (first < points) out[first] = x * (1.0f / 4294967296.0f);
    unsigned low = table[bits - 1];
    for (unsigned i = first + stride; i < points; i += stride) {
        // Of the bits of the Gray code one above those of the stride changes, and the highest of those of the stride.
        x ^= low ^ table[__ffs(~((i - stride) | (stride - 1))) - 1];
        out[i] = x * (1.0f / 4294967296.0f);
    }
}
