// y += source at the places that an index names. The index repeats along some dimensions of the source, its columns,
// and is sorted without them; so what is added to one place is added by one thread, in the order of the source.

struct DestinationArgs {
    u64 index;
    u64 destinations;
    u64 status;
    u64 count;
    // Of the indexed dimension of y.
    u64 size;
    i64 step;
    // The index, and y where the index is 0.
    Nest<2> places;
};

// Where in y each row of the source goes; the first row whose index is out of range is reported, and goes to 0.
KERNEL(destinations, DestinationArgs, 256) {
    const u64 k = (u64)blockIdx.x * 256 + threadIdx.x;
    if (k >= a.count) return;
    const Places<2> place(a.places, k);
    const i64 index = pointer<const i64>(a.index)[place.at[0]];
    const i64 at = index < 0 ? index + (i64)a.size : index;
    const bool inside = (u64)at < a.size;
    if (!inside) report(a.status, k);
    pointer<i64>(a.destinations)[k] = inside ? place.at[1] + at * a.step : 0;
}

struct ScatterArgs {
    u64 source;
    u64 y;
    u64 destinations;
    // The rows in the order of their destinations.
    u64 order;
    u64 rows;
    u64 columns;
    // The number of neighbouring threads that take neighbouring columns, as a power of 2.
    u64 lane_bits;
    Nest<1> row;
    // The source and y.
    Nest<2> column;
};

// Blocks along y stand for columns; the thread at the first row of a destination takes all of them.
KERNEL(add_runs, ScatterArgs, 256) {
    const int AHEAD = 8;
    const u32 lanes = 1u << a.lane_bits;
    const u64 first = (u64)blockIdx.x * (256 >> a.lane_bits) + (threadIdx.x >> a.lane_bits);
    const u64 column = (u64)blockIdx.y * lanes + threadIdx.x % lanes;
    if (first >= a.rows || column >= a.columns) return;
    const i64* order = pointer<const i64>(a.order);
    const i64* destinations = pointer<const i64>(a.destinations);
    const i64 destination = destinations[order[first]];
    if (first > 0 && destinations[order[first - 1]] == destination) return;
    const Places<2> place(a.column, column);
    const T* source = pointer<const T>(a.source) + place.at[0];
    T* y = pointer<T>(a.y) + destination + place.at[1];
    T sum = *y;
    for (u64 k = first;; k += AHEAD) {
        bool same[AHEAD];
        T x[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            same[u] = k + u < a.rows;
            if (!same[u]) continue;
            const i64 row = order[k + u];
            same[u] = destinations[row] == destination;
            x[u] = source[Places<1>(a.row, row).at[0]];
        }
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            if (!same[u]) {
                *y = sum;
                return;
            }
            sum = sum + x[u];
        }
    }
}

// The same for few columns, where runs may be few and long: a warp takes the runs that begin at its 32 rows one after
// another. Its lanes load what then is added in order.
KERNEL(add_runs_by_warp, ScatterArgs, 256) {
    const int AHEAD = 4;
    const u32 all = 0xffffffff, lane = threadIdx.x % 32;
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    const i64* order = pointer<const i64>(a.order);
    const i64* destinations = pointer<const i64>(a.destinations);
    const Places<2> place(a.column, blockIdx.y);
    const T* source = pointer<const T>(a.source) + place.at[0];
    T* y = pointer<T>(a.y) + place.at[1];
    const i64 destination = i < a.rows ? destinations[order[i]] : 0;
    const bool begins = i < a.rows && (i == 0 || destinations[order[i - 1]] != destination);
    for (u32 runs = __ballot_sync(all, begins); runs; runs &= runs - 1) {
        const u32 begin = __ffs(runs) - 1;
        const i64 to = __shfl_sync(all, destination, begin);
        T sum = y[to];
        int count = 32;
        for (u64 k = i - lane + begin; count == 32; k += 32 * AHEAD) {
            bool same[AHEAD];
            T x[AHEAD];
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                const u64 j = k + 32 * u + lane;
                const i64 row = j < a.rows ? order[j] : 0;
                same[u] = j < a.rows && destinations[row] == to;
                x[u] = same[u] ? source[Places<1>(a.row, row).at[0]] : T(0);
            }
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                // The run goes on from the first lane to some other, or to all.
                count = __popc(__ballot_sync(all, same[u]));
#pragma unroll 8
                for (int l = 0; l < count; l++) sum = sum + __shfl_sync(all, x[u], l);
            }
        }
        if (lane == 0) y[to] = sum;
    }
}

// Integers may be added in any order.
KERNEL(add_integers, ScatterArgs, 256) {
    const u32 lanes = 1u << a.lane_bits;
    const u64 row = (u64)blockIdx.x * (256 >> a.lane_bits) + (threadIdx.x >> a.lane_bits);
    const u64 column = (u64)blockIdx.y * lanes + threadIdx.x % lanes;
    if (row >= a.rows || column >= a.columns) return;
    const Places<2> place(a.column, column);
    const T x = pointer<const T>(a.source)[Places<1>(a.row, row).at[0] + place.at[0]];
    atomicAdd(pointer<u64>(a.y) + pointer<const i64>(a.destinations)[row] + place.at[1], (u64)x);
}
