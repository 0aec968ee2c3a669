// Kernels of which the power on a board was measured (power/README.md says which they stand for), written from what
// their algorithms are.

// ---- A layer of a neural network with 16 units: a CTA has 16 rows of weights, with a bias in row and column 0.

extern "C" __global__ void layer_forward(const float* input, float* weights, float* partial, int units) {
    __shared__ float value[16], product[16][16];
    int unit = threadIdx.x, row = threadIdx.y, width = units + 1;
    int at = (16 * blockIdx.y + row + 1) * width + unit + 1;
    if (unit == 0) value[row] = input[16 * blockIdx.y + row + 1];
    __syncthreads();
    product[row][unit] = weights[at];
    __syncthreads();
    product[row][unit] *= value[row];
    __syncthreads();
    // How many rows are joined is a power in floating point on the board, too: the work of its pipes says so.
    for (int level = 1; level <= __log2f(16.0f); level++) {
        int joined = __powf(2.0f, level);
        if (row % joined == 0) product[row][unit] += product[row + joined / 2][unit];
        __syncthreads();
    }
    weights[at] = product[row][unit];
    __syncthreads();
    if (unit == 0) partial[blockIdx.y * units + row] = product[unit][row];
}

// The step of a weight is 0.3 of its gradient and 0.3 of the step before, in double precision. The step is not kept in a
// register: its second use reads everything again.
__device__ void adjust(float gradient, const float* before, float* result, bool add) {
    double step = 0.3 * gradient + 0.3 * *before;
    *result = add ? *result + step : step;
}

extern "C" __global__ void layer_adjust(const float* delta, int units, const float* input, float* weights, float* before) {
    int unit = threadIdx.x + 1, row = 16 * blockIdx.y + threadIdx.y + 1, at = row * (units + 1) + unit;
    adjust(delta[unit] * input[row], before + at, weights + at, true);
    adjust(delta[unit] * input[row], before + at, before + at, false);
    __syncthreads();
    if (row == 1) {
        adjust(delta[unit], before + unit, weights + unit, true);
        adjust(delta[unit], before + unit, before + unit, false);
    }
}

// ---- Heat on a chip: tiles of 16 x 16 in shared memory, `steps` steps a launch, so that `steps` cells of each side are
// a halo that several CTAs compute. Cells outside of the grid are as warm as the border. Second differences are double
// precision, and all that is added to them.

extern "C" __global__ void heat(const float* power, const float* in, float* out, int steps, int rows, int cols, float step,
                                float capacity, float resist_x, float resist_y, float resist_z) {
    __shared__ float now[16][16], source[16][16], then[16][16];
    int inner = 16 - 2 * steps, tx = threadIdx.x, ty = threadIdx.y;
    int y = inner * (int)blockIdx.y - steps + ty, x = inner * (int)blockIdx.x - steps + tx;
    bool inside = y >= 0 && y < rows && x >= 0 && x < cols;
    if (inside) {
        now[ty][tx] = in[y * cols + x];
        source[ty][tx] = power[y * cols + x];
    }
    __syncthreads();
    int up = y == 0 ? ty : ty - 1, down = y == rows - 1 ? ty : ty + 1;
    int left = x == 0 ? tx : tx - 1, right = x == cols - 1 ? tx : tx + 1;
    float per_cap = step / capacity, per_x = 1.0f / resist_x, per_y = 1.0f / resist_y, per_z = 1.0f / resist_z;
    bool last = false;
    for (int i = 0; i < steps; i++) {
        last = inside && tx > i && tx < 15 - i && ty > i && ty < 15 - i;
        if (last) {
            float t = now[ty][tx];
            then[ty][tx] = t + per_cap * (source[ty][tx] + (now[down][tx] + now[up][tx] - 2.0 * t) * per_y
                                          + (now[ty][right] + now[ty][left] - 2.0 * t) * per_x + (80.0f - t) * per_z);
        }
        __syncthreads();
        if (i + 1 == steps) break;
        if (last) now[ty][tx] = then[ty][tx];
        __syncthreads();
    }
    if (last) out[y * cols + x] = then[ty][tx];
}

// ---- Cheapest way through a grid, row by row: a cell is reached from the three above. `steps` rows a launch.

extern "C" __global__ void cheapest_way(int steps, const int* wall, const int* from, int* to, int cols, int first) {
    __shared__ int now[256], then[256];
    int tx = threadIdx.x, x = (256 - 2 * steps) * (int)blockIdx.x - steps + tx;
    bool inside = x >= 0 && x < cols;
    int left = x <= 0 ? tx : tx - 1, right = x >= cols - 1 ? tx : tx + 1;
    if (inside) now[tx] = from[x];
    __syncthreads();
    bool last = false;
    for (int i = 0; i < steps; i++) {
        last = inside && tx > i && tx < 255 - i;
        if (last) then[tx] = min(min(now[left], now[tx]), now[right]) + wall[(first + i) * cols + x];
        __syncthreads();
        if (i + 1 == steps) break;
        if (last) now[tx] = then[tx];
        __syncthreads();
    }
    if (last) to[x] = then[tx];
}

// ---- Anisotropic diffusion that lessens speckle: the four differences of a pixel, and its diffusion coefficient. The
// image is stored by columns; who is a neighbour is read from memory. The coefficient's steps are of double precision.

extern "C" __global__ void diffusion(int rows, int cols, const int* north, const int* south, const int* west, const int* east,
                                     float* dn, float* ds, float* dw, float* de, float q0, float* coefficient,
                                     const float* image) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= rows * cols) return;
    int row = i % rows, col = i / rows;
    float j = image[i];
    float n = image[north[row] + rows * col] - j, s = image[south[row] + rows * col] - j;
    float w = image[row + rows * west[col]] - j, e = image[row + rows * east[col]] - j;
    float g = (n * n + s * s + w * w + e * e) / (j * j), l = (n + s + w + e) / j;
    float above = 0.5 * g - (1.0 / 16.0) * (l * l), below = 1.0 + 0.25 * l, q = above / (below * below);
    float c = 1.0 / (1.0 + (q - q0) / (q0 * (1.0f + q0)));
    dn[i] = n;
    ds[i] = s;
    dw[i] = w;
    de[i] = e;
    coefficient[i] = fminf(fmaxf(c, 0.0f), 1.0f);
}

// ---- K-means: the nearest centre of each point; coordinate after coordinate of all points.

__constant__ float centres[170];

extern "C" __global__ void nearest_centre(const float* __restrict__ points, int dims, int count, int clusters, int* nearest) {
    int i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int best = -1;
    float least = 3.0e38f;
    for (int c = 0; c < clusters; c++) {
        float sum = 0.0f;
        for (int d = 0; d < dims; d++) {
            float difference = points[d * count + i] - centres[c * dims + d];
            sum += difference * difference;
        }
        if (sum < least) {
            least = sum;
            best = c;
        }
    }
    nearest[i] = best;
}

// ---- A B+ tree with up to 256 keys a node, laid out node by node. A CTA follows one query (or one range of keys), with a
// thread for each key of a node.

struct Node {
    int location, child[257], key[257];
    bool leaf;
    int keys;
};

// A tree of three levels over keys 0, 1, ... `leaves * width - 1`: node 0 is the root, nodes 1 to `inner` are its children,
// each of `fan` leaves, which have `width` keys each.
extern "C" __global__ void plant(Node* nodes, int* records, int inner, int fan, int width) {
    int n = blockIdx.x, t = threadIdx.x, deep = n > inner, root = n == 0;
    int step = root ? fan * width : width, first = root ? 0 : (n - 1) * fan * width, children = root ? inner : fan;
    if (deep) {
        step = 1;
        first = (n - 1 - inner) * width;
        children = width;
    }
    // Beyond its last key a node has the greatest number, so that the last child takes what is left.
    nodes[n].key[t] = t < children ? first + t * step : 0x7fffffff;
    nodes[n].child[t] = root ? 1 + t : deep ? first + t : 1 + inner + (n - 1) * fan + t;
    if (deep && t < children) records[first + t] = 3 * (first + t);
    if (t == 0) {
        nodes[n].key[256] = 0x7fffffff;
        nodes[n].child[256] = 0;
        nodes[n].leaf = deep;
        nodes[n].keys = children;
    }
}

// The thread whose key is the last that is not above the query's knows the child where it is.
__device__ void descend(const Node* nodes, int count, const long long* now, long long* next, int query) {
    int t = threadIdx.x;
    if (nodes[*now].key[t] <= query && nodes[*now].key[t + 1] > query) {
        int child = nodes[*now].child[t];
        if (child < count) *next = child;
    }
}

extern "C" __global__ void tree_find(int height, const Node* nodes, int count, const int* records, long long* now,
                                     long long* next, const int* queries, int* answers) {
    int t = threadIdx.x, q = blockIdx.x;
    for (int level = 0; level < height; level++) {
        descend(nodes, count, now + q, next + q, queries[q]);
        __syncthreads();
        if (t == 0) now[q] = next[q];
        __syncthreads();
    }
    if (nodes[now[q]].key[t] == queries[q]) answers[q] = records[nodes[now[q]].child[t]];
}

extern "C" __global__ void tree_range(int height, const Node* nodes, int count, long long* now, long long* next,
                                      long long* now_end, long long* next_end, const int* starts, const int* ends, int* first,
                                      int* length) {
    int t = threadIdx.x, q = blockIdx.x;
    for (int level = 0; level < height; level++) {
        descend(nodes, count, now + q, next + q, starts[q]);
        descend(nodes, count, now_end + q, next_end + q, ends[q]);
        __syncthreads();
        if (t == 0) {
            now[q] = next[q];
            now_end[q] = next_end[q];
        }
        __syncthreads();
    }
    if (nodes[now[q]].key[t] == starts[q]) first[q] = nodes[now[q]].child[t];
    __syncthreads();
    if (nodes[now_end[q]].key[t] == ends[q]) length[q] = nodes[now_end[q]].child[t] - first[q] + 1;
}

// ---- C = alpha A B^T + beta C, all stored by columns: 128 rows of 16 results a CTA, a row a thread; B passes through
// shared memory, eight of the depth at a time.

extern "C" __global__ void sgemm_rows(const float* a, int lda, const float* b, int ldb, float* c, int ldc, int k, float alpha,
                                      float beta) {
    __shared__ float tile[8][16];
    int thread = threadIdx.y * 16 + threadIdx.x, m = blockIdx.x * 128 + thread, n = blockIdx.y * 16 + threadIdx.x;
    float sum[16];
#pragma unroll
    for (int i = 0; i < 16; i++) sum[i] = 0.0f;
    for (int base = 0; base < k; base += 8) {
        tile[threadIdx.y][threadIdx.x] = b[n + (base + threadIdx.y) * ldb];
        __syncthreads();
#pragma unroll
        for (int j = 0; j < 8; j++) {
            float left = a[m + (base + j) * lda];
#pragma unroll
            for (int i = 0; i < 16; i++) sum[i] += left * tile[j][i];
        }
        __syncthreads();
    }
    float* out = c + m + blockIdx.y * 16 * ldc;
#pragma unroll
    for (int i = 0; i < 16; i++) out[i * ldc] = beta * out[i * ldc] + alpha * sum[i];
}

// ---- Reconstruction of magnetic resonance images: a Fourier sum over samples in constant memory.

__constant__ float4 samples[1024];

extern "C" __global__ void fourier_sum(int count, const float* x, const float* y, const float* z, float* re, float* im) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float px = x[i], py = y[i], pz = z[i], real = re[i], imaginary = im[i];
    int k = 0;
    for (; k < count; k++) {
        float4 s = samples[k];
        float angle = 6.2831853071795864769f * (s.x * px + s.y * py + s.z * pz);
        real += s.w * __cosf(angle);
        imaginary += s.w * __sinf(angle);
    }
    re[i] = real;
    im[i] = imaginary;
}
