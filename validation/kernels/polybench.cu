// Two-kernel programs in the manner of PolyBench, for applications: y = A^T (A x), and D = A B C.
extern "C" __global__ void atax_first(const float* a, const float* x, float* t, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= rows) return;
    float sum = 0.0f;
    for (int j = 0; j < cols; j++) sum += a[i * cols + j] * x[j];
    t[i] = sum;
}

extern "C" __global__ void atax_second(const float* a, const float* t, float* y, int rows, int cols) {
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= cols) return;
    float sum = 0.0f;
    for (int i = 0; i < rows; i++) sum += a[i * cols + j] * t[i];
    y[j] = sum;
}

extern "C" __global__ void product(const float* a, const float* b, float* c, int m, int n, int k) {
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + col];
    c[row * n + col] = sum;
}
