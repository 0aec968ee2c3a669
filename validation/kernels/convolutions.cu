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

// The textbook's convolutions: the width of the mask is known at run time only, and what comes out is limited to 0 to 1 in
// double precision.
__device__ float limited(float value) { return fmin(fmax((double)value, 0.0), 1.0); }

template <bool CONSTANT>
__device__ void line(const float* in, const float* weights, float* out, int n, int width) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
    int start = i - width / 2;
    for (int j = 0; j < width; j++)
        if (start + j >= 0 && start + j < n) sum += in[start + j] * (CONSTANT ? kept[j] : weights[j]);
    out[i] = limited(sum);
}

extern "C" __global__ void conv1d_basic(const float* in, const float* weights, float* out, int n, int width) {
    line<false>(in, weights, out, n, width);
}

extern "C" __global__ void conv1d_constant(const float* in, float* out, int n, int width) {
    line<true>(in, nullptr, out, n, width);
}

extern __shared__ float tile[];

// What a CTA needs of its neighbours is loaded into shared memory, too.
extern "C" __global__ void conv1d_halo(const float* in, float* out, int n, int width) {
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t, halo = width / 2;
    int left = i - (int)blockDim.x, right = i + (int)blockDim.x;
    if (t >= (int)blockDim.x - halo) tile[t - (blockDim.x - halo)] = left < 0 ? 0.0f : in[left];
    tile[halo + t] = in[i];
    if (t < halo) tile[halo + blockDim.x + t] = right >= n ? 0.0f : in[right];
    __syncthreads();
    float sum = 0.0f;
    for (int j = 0; j < width; j++) sum += tile[t + j] * kept[j];
    out[i] = limited(sum);
}

// What a CTA needs of its neighbours is read from memory, where it is most likely cached.
extern "C" __global__ void conv1d_cached(const float* in, float* out, int n, int width) {
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    tile[t] = in[i];
    __syncthreads();
    int first = blockIdx.x * blockDim.x, next = first + blockDim.x, start = i - width / 2;
    float sum = 0.0f;
    for (int j = 0; j < width; j++) {
        int at = start + j;
        if (at >= 0 && at < n) {
            if (at >= first && at < next)
                sum += tile[t + j - width / 2] * kept[j];
            else
                sum += in[at] * kept[j];
        }
    }
    out[i] = limited(sum);
}

// An image with interleaved channels.
template <bool CONSTANT>
__device__ void image(const float* in, const float* weights, float* out, int height, int width, int size, int channels) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= size || y >= size) return;
    int top = y - height / 2, left = x - width / 2;
    for (int c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int r = 0; r < height; r++)
            for (int s = 0; s < width; s++)
                if (top + r >= 0 && top + r < size && left + s >= 0 && left + s < size)
                    sum += in[((top + r) * size + left + s) * channels + c] * (CONSTANT ? kept[r * width + s] : weights[r * width + s]);
        out[(y * size + x) * channels + c] = limited(sum);
    }
}

extern "C" __global__ void conv2d_basic(const float* in, const float* weights, float* out, int height, int width, int size,
                                        int channels) {
    image<false>(in, weights, out, height, width, size, channels);
}

extern "C" __global__ void conv2d_constant(const float* in, float* out, int height, int width, int size, int channels) {
    image<true>(in, nullptr, out, height, width, size, channels);
}

// Every thread loads an element; those inside of the border have an output.
extern "C" __global__ void conv2d_tile(const float* in, float* out, int height, int width, int size, int channels) {
    int rows = blockDim.y - height + 1, cols = blockDim.x - width + 1, tx = threadIdx.x, ty = threadIdx.y;
    int y = blockIdx.y * rows + ty, x = blockIdx.x * cols + tx, from_y = y - height / 2, from_x = x - width / 2;
    for (int c = 0; c < channels; c++) {
        bool inside = from_y >= 0 && from_y < size && from_x >= 0 && from_x < size;
        if (inside)
            tile[ty * blockDim.x + tx] = in[(from_y * size + from_x) * channels + c];
        else
            tile[ty * blockDim.x + tx] = 0.0f;
        __syncthreads();
        float sum = 0.0f;
        if (ty < rows && tx < cols && y < size && x < size) {
            for (int r = 0; r < height; r++)
                for (int s = 0; s < width; s++) sum += tile[(ty + r) * blockDim.x + tx + s] * kept[r * width + s];
            out[(y * size + x) * channels + c] = limited(sum);
        }
        __syncthreads();
    }
}
