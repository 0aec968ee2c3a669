// Elementwise kernels over n floats: a thread has one element.
extern "C" __global__ void vector_add(const float* a, const float* b, float* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

extern "C" __global__ void saxpy(float alpha, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = alpha * x[i] + y[i];
}

// Every thread adds 1 to one word, `iters` times. ptxas has one lane add for its warp (VOTE, POPC and a guarded RED in each
// of the unrolled steps), so that is what is written here.
extern "C" __global__ void atomic_hotspot(unsigned* counter, int iters) {
    unsigned active = __activemask(), lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    bool first = lane == 31 - __clz(active);
    unsigned all = __popc(active);
#pragma unroll 4
    for (int k = 0; k < iters; k++)
        if (first) atomicAdd(counter, all);
}

// Every eighth element is copied.
extern "C" __global__ void strided_copy_8(const float* __restrict__ in, float* __restrict__ out, int n) {
    int i = 8 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[i] = in[i];
}

// Even threads have 128 more additions to do.
extern "C" __global__ void vector_add_divergent(const float* __restrict__ a, const float* __restrict__ b,
                                                float* __restrict__ c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if ((i & 1) == 0) {
        float s = 0.0f;
#pragma unroll 16
        for (int t = 0; t < 128; t++) s += 0.0001f * t;
        c[i] = a[i] + b[i] + s;
    } else {
        c[i] = a[i] + b[i];
    }
}

// An element by its index.
extern "C" __global__ void random_access(const float* __restrict__ in, const int* __restrict__ at, float* __restrict__ out,
                                         int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = in[at[i]];
}

// One CTA: every thread sums up 1024 words, the same ones in the same order.
extern "C" __global__ void shared_bank_conflict(float* __restrict__ out) {
    __shared__ float words[1024];
    int t = threadIdx.x;
    words[t] = t;
    __syncthreads();
    float sum = 0.0f;
    for (int i = 0; i < 1024; i++) sum += words[(i * 33) & 1023];
    out[t] = sum;
}
