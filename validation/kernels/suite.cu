// The programs of PolyBench/GPU, a thread for an output. Pointers may alias, as in the suite: sums stand in memory and are
// stored in each step.
#define AT (blockIdx.x * blockDim.x + threadIdx.x)
#define ABOVE (blockIdx.y * blockDim.y + threadIdx.y)

// y += A x, a row for a thread; atax, mvt.
extern "C" __global__ void rows_add(float* a, float* x, float* y, int rows, int cols) {
    int i = AT;
    if (i >= rows) return;
    for (int j = 0; j < cols; j++) y[i] += a[i * cols + j] * x[j];
}

// y += A^T x, a column for a thread; atax, mvt.
extern "C" __global__ void columns_add(float* a, float* x, float* y, int rows, int cols) {
    int j = AT;
    if (j >= cols) return;
    for (int i = 0; i < rows; i++) y[j] += a[i * cols + j] * x[i];
}

// q = A p; bicg.
extern "C" __global__ void rows_set(float* a, float* x, float* y, int rows, int cols) {
    int i = AT;
    if (i >= rows) return;
    y[i] = 0.0f;
    for (int j = 0; j < cols; j++) y[i] += a[i * cols + j] * x[j];
}

// s = A^T r; bicg.
extern "C" __global__ void columns_set(float* a, float* x, float* y, int rows, int cols) {
    int j = AT;
    if (j >= cols) return;
    y[j] = 0.0f;
    for (int i = 0; i < rows; i++) y[j] += a[i * cols + j] * x[i];
}

// y = 2 A x + 3 B x, with both sums in memory.
extern "C" __global__ void gesummv(float* a, float* b, float* x, float* y, float* t, int n) {
    int i = AT;
    if (i >= n) return;
    for (int j = 0; j < n; j++) {
        t[i] += a[i * n + j] * x[j];
        y[i] += b[i * n + j] * x[j];
    }
    y[i] = 2.0f * t[i] + 3.0f * y[i];
}

// C += A B; 2mm, 3mm.
extern "C" __global__ void product_add(float* a, float* b, float* c, int m, int n, int k) {
    int j = AT, i = ABOVE;
    if (i >= m || j >= n) return;
    for (int s = 0; s < k; s++) c[i * n + j] += a[i * k + s] * b[s * n + j];
}

// C = 3 C + 2 A B.
extern "C" __global__ void gemm(float* a, float* b, float* c, int m, int n, int k) {
    int j = AT, i = ABOVE;
    if (i >= m || j >= n) return;
    c[i * n + j] *= 3.0f;
    for (int s = 0; s < k; s++) c[i * n + j] += 2.0f * a[i * k + s] * b[s * n + j];
}

// C = 3 C + 2 A A^T; the factors are integers of the source.
extern "C" __global__ void syrk(float alpha, float beta, float* a, float* c, int n, int m) {
    int j = AT, i = ABOVE;
    if (i >= n || j >= n) return;
    c[i * n + j] *= beta;
    for (int s = 0; s < m; s++) c[i * n + j] += alpha * a[i * m + s] * a[j * m + s];
}

// Nine points with fixed weights; the border stays.
extern "C" __global__ void stencil9(float* a, float* b, int rows, int cols) {
    int j = AT, i = ABOVE;
    if (i < 1 || j < 1 || i >= rows - 1 || j >= cols - 1) return;
    b[i * cols + j] = 0.2f * a[(i - 1) * cols + j - 1] - 0.3f * a[i * cols + j - 1] + 0.4f * a[(i + 1) * cols + j - 1]
        + 0.5f * a[(i - 1) * cols + j] + 0.6f * a[i * cols + j] + 0.7f * a[(i + 1) * cols + j]
        - 0.8f * a[(i - 1) * cols + j + 1] - 0.9f * a[i * cols + j + 1] + 0.1f * a[(i + 1) * cols + j + 1];
}

// One plane of a volume: eleven points, of which two are taken three times.
extern "C" __global__ void stencil_plane(float* a, float* b, int i, int n0, int n1, int n2) {
    int k = AT, j = ABOVE;
    if (i < 1 || j < 1 || k < 1 || i >= n0 - 1 || j >= n1 - 1 || k >= n2 - 1) return;
#define POINT(di, dj, dk) a[(i + di) * (n1 * n2) + (j + dj) * n2 + k + dk]
    b[i * (n1 * n2) + j * n2 + k] = 2.0f * POINT(-1, -1, -1) + 4.0f * POINT(1, -1, -1)
        + 5.0f * POINT(-1, -1, -1) + 7.0f * POINT(1, -1, -1) - 8.0f * POINT(-1, -1, -1) + 10.0f * POINT(1, -1, -1)
        - 3.0f * POINT(0, -1, 0) + 6.0f * POINT(0, 0, 0) - 9.0f * POINT(0, 1, 0)
        + 2.0f * POINT(-1, -1, 1) + 4.0f * POINT(1, -1, 1) + 5.0f * POINT(-1, 0, 1)
        + 7.0f * POINT(1, 0, 1) - 8.0f * POINT(-1, 1, 1) + 10.0f * POINT(1, 1, 1);
}
