// Row-major matrices, a thread for an element of the result.
extern "C" __global__ void naive_transpose(const float* in, float* out, int rows, int cols) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < cols && y < rows) out[x * rows + y] = in[y * cols + x];
}

extern "C" __global__ void shared_transpose(const float* in, float* out, int rows, int cols) {
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x;
    int y = blockIdx.y * 32 + threadIdx.y;
    if (x < cols && y < rows) tile[threadIdx.y][threadIdx.x] = in[y * cols + x];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    y = blockIdx.x * 32 + threadIdx.y;
    if (x < rows && y < cols) out[y * rows + x] = tile[threadIdx.x][threadIdx.y];
}

extern "C" __global__ void matmul_naive(const float* a, const float* b, float* c, int m, int n, int k) {
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + col];
    c[row * n + col] = sum;
}

template <typename T, int TILE>
__device__ void tiled(const T* a, const T* b, T* c, int m, int n, int k) {
    __shared__ T as[TILE][TILE];
    __shared__ T bs[TILE][TILE];
    int col = blockIdx.x * TILE + threadIdx.x;
    int row = blockIdx.y * TILE + threadIdx.y;
    T sum = 0;
    for (int t = 0; t < (k + TILE - 1) / TILE; t++) {
        int ac = t * TILE + threadIdx.x;
        int br = t * TILE + threadIdx.y;
        as[threadIdx.y][threadIdx.x] = row < m && ac < k ? a[row * k + ac] : T(0);
        bs[threadIdx.y][threadIdx.x] = br < k && col < n ? b[br * n + col] : T(0);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; i++) sum += as[threadIdx.y][i] * bs[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && col < n) c[row * n + col] = sum;
}

extern "C" __global__ void matmul_tiled16(const float* a, const float* b, float* c, int m, int n, int k) {
    tiled<float, 16>(a, b, c, m, n, k);
}

extern "C" __global__ void matmul_tiled32(const float* a, const float* b, float* c, int m, int n, int k) {
    tiled<float, 32>(a, b, c, m, n, k);
}

extern "C" __global__ void matmul_tiled16_u32(const unsigned* a, const unsigned* b, unsigned* c, int m, int n, int k) {
    tiled<unsigned, 16>(a, b, c, m, n, k);
}

// A thread has a row.
extern "C" __global__ void matvec_u32(const unsigned* a, const unsigned* x, unsigned* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    unsigned sum = 0;
    for (int i = 0; i < cols; i++) sum += a[row * cols + i] * x[i];
    y[row] = sum;
}
