// Tiles of eight lanes, the size of a warp, and a lock that is watched before it is taken.

extern "C" __global__ void count_tiles(unsigned *counter)
{
    unsigned lane = threadIdx.x % 32;
    unsigned members = __popc(__ballot_sync(0xffu << (lane & 24), true));
    if (lane % 8 == 0)
        atomicAdd(counter, members);
}

extern "C" __global__ void count_warps(unsigned *counter)
{
    if (threadIdx.x % warpSize == 0)
        atomicAdd(counter, warpSize);
}

__device__ unsigned lock;

extern "C" __global__ void count_locked(unsigned *counter)
{
    while (atomicExch(&lock, 1))
        while (*(volatile unsigned *)&lock)
            ;
    *(volatile unsigned *)counter += 1;
    __threadfence();
    *(volatile unsigned *)&lock = 0;
}
