// Convolutions with zeros outside of the image, a thread for an output.
template <int R>
__device__ void square(const float* in, const float* weights, float* out, int rows, int cols) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= cols || y >= rows) return;
    float sum = 0.0f;
#pragma unroll
    for (int dy = -R; dy <= R; dy++) {
#pragma unroll
        for (int dx = -R; dx <= R; dx++) {
            int yy = y + dy, xx = x + dx;
            if (yy >= 0 && yy < rows && xx >= 0 && xx < cols)
                sum += in[yy * cols + xx] * weights[(dy + R) * (2 * R + 1) + dx + R];
        }
    }
    out[y * cols + x] = sum;
}

extern "C" __global__ void conv2d_3x3(const float* in, const float* weights, float* out, int rows, int cols) {
    square<1>(in, weights, out, rows, cols);
}

extern "C" __global__ void conv2d_7x7(const float* in, const float* weights, float* out, int rows, int cols) {
    square<3>(in, weights, out, rows, cols);
}

__constant__ float kept[1024];

// The width of the mask is known at run time only.
template <bool CONSTANT>
__device__ void line(const float* in, const float* weights, float* out, int n, int width) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
    int start = i - width / 2;
    for (int j = 0; j < width; j++)
        if (start + j >= 0 && start + j < n) sum += in[start + j] * (CONSTANT ? kept[j] : weights[j]);
    out[i] = sum;
}

extern "C" __global__ void conv1d_basic(const float* in, const float* weights, float* out, int n, int width) {
    line<false>(in, weights, out, n, width);
}

extern "C" __global__ void conv1d_constant(const float* in, float* out, int n, int width) {
    line<true>(in, nullptr, out, n, width);
}

template <bool CONSTANT>
__device__ void image(const float* in, const float* weights, float* out, int size, int width) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= size || y >= size) return;
    float sum = 0.0f;
    int top = y - width / 2, left = x - width / 2;
    for (int r = 0; r < width; r++)
        for (int c = 0; c < width; c++)
            if (top + r >= 0 && top + r < size && left + c >= 0 && left + c < size)
                sum += in[(top + r) * size + left + c] * (CONSTANT ? kept[r * width + c] : weights[r * width + c]);
    out[y * size + x] = sum;
}

extern "C" __global__ void conv2d_basic(const float* in, const float* weights, float* out, int size, int width) {
    image<false>(in, weights, out, size, width);
}

extern "C" __global__ void conv2d_constant(const float* in, float* out, int size, int width) {
    image<true>(in, nullptr, out, size, width);
}
