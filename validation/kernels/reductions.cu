// CTAs of 256 threads, a tree in shared memory, one result a CTA.
__device__ void tree(float value, float* out) {
    __shared__ float sums[256];
    unsigned t = threadIdx.x;
    sums[t] = value;
    __syncthreads();
    for (unsigned s = blockDim.x / 2; s > 0; s >>= 1) {
        if (t < s) sums[t] += sums[t + s];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = sums[0];
}

// Two elements a thread, a CTA's width apart.
extern "C" __global__ void reduce_sum(const float* __restrict__ in, float* __restrict__ out, int n) {
    int i = blockIdx.x * blockDim.x * 2 + threadIdx.x;
    float sum = 0.0f;
    if (i < n) sum += in[i];
    if (i + blockDim.x < n) sum += in[i + blockDim.x];
    tree(sum, out);
}

extern "C" __global__ void dot_product(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
                                       int n) {
    int i = blockIdx.x * blockDim.x * 2 + threadIdx.x;
    float sum = 0.0f;
    if (i < n) sum += a[i] * b[i];
    if (i + blockDim.x < n) sum += a[i + blockDim.x] * b[i + blockDim.x];
    tree(sum, out);
}

// Bins of a CTA in shared memory, added to those of the grid at the end.
extern "C" __global__ void histogram(const int* in, int* bins, int n) {
    __shared__ int own[256];
    own[threadIdx.x] = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&own[in[i] & 255], 1);
    __syncthreads();
    atomicAdd(&bins[threadIdx.x], own[threadIdx.x]);
}
