// The positions of what is true. Each warp of a block has 512 neighbouring elements, which it looks at by 32.

struct CompactArgs {
    u64 mask;
    // For each block, how many of its elements are true; then of all blocks up to it.
    u64 counts;
    u64 y;
    u64 count;
    Nest<1> place;
};

// Which of the 16 elements that this lane looks at are true, as bits; how many elements of the warp are.
DEVICE u32 look(const CompactArgs& a, u64 first, u32& count) {
    const bool* mask = pointer<const bool>(a.mask);
    u32 own = 0;
#pragma unroll
    for (u32 u = 0; u < 16; u++) {
        const u64 i = first + 32 * u;
        if (i < a.count && mask[Places<1>(a.place, i).at[0]]) own |= 1u << u;
    }
    count = 0;
#pragma unroll
    for (u32 u = 0; u < 16; u++) count += __popc(__ballot_sync(0xffffffff, own >> u & 1));
    return own;
}

KERNEL(count_true, CompactArgs, 256) {
    __shared__ u32 counts[8];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    u32 count;
    look(a, (u64)blockIdx.x * 4096 + warp * 512 + lane, count);
    if (lane == 0) counts[warp] = count;
    __syncthreads();
    if (threadIdx.x > 0) return;
    i64 sum = 0;
    for (u32 w = 0; w < 8; w++) sum += counts[w];
    pointer<i64>(a.counts)[blockIdx.x] = sum;
}

KERNEL(write_positions, CompactArgs, 256) {
    __shared__ u32 counts[8];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const u64 first = (u64)blockIdx.x * 4096 + warp * 512 + lane;
    u32 count;
    const u32 own = look(a, first, count);
    if (lane == 0) counts[warp] = count;
    __syncthreads();
    i64 to = blockIdx.x == 0 ? 0 : pointer<const i64>(a.counts)[blockIdx.x - 1];
    for (u32 w = 0; w < warp; w++) to += counts[w];
#pragma unroll
    for (u32 u = 0; u < 16; u++) {
        const u32 found = __ballot_sync(0xffffffff, own >> u & 1);
        if (own >> u & 1) pointer<i64>(a.y)[to + __popc(found & ((1u << lane) - 1))] = (i64)(first + 32 * u);
        to += __popc(found);
    }
}
