// Elements by index.

struct GatherArgs {
    u64 index;
    u64 x;
    u64 y;
    u64 status;
    u64 count;
    // Of the indexed dimension of x.
    u64 size;
    i64 step;
    // The index, and x where the index is 0.
    Nest<2> places;
};

// y = x at index; negative indices count from the end, and the first position of one out of range is reported.
KERNEL(gather, GatherArgs, 256) {
    const int AHEAD = 4;
    const u64 first = (u64)blockIdx.x * (256 * AHEAD) + threadIdx.x;
    i64 index[AHEAD], from[AHEAD];
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
        const u64 k = first + 256 * u;
        if (k >= a.count) continue;
        const Places<2> place(a.places, k);
        index[u] = pointer<const i64>(a.index)[place.at[0]];
        from[u] = place.at[1];
    }
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
        const u64 k = first + 256 * u;
        if (k >= a.count) continue;
        const i64 at = index[u] < 0 ? index[u] + (i64)a.size : index[u];
        if ((u64)at < a.size)
            pointer<T>(a.y)[k] = pointer<const T>(a.x)[from[u] + at * a.step];
        else
            report(a.status, k);
    }
}
