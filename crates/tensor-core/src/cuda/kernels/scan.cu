// Running results along lines of any layout. A line is walked in tiles, what was found so far carried from one to the
// next; few long lines are cut into parts, whose totals are found first. The order depends on the layout alone.

template <typename E> struct Sum {
    typedef E Part;
    typedef E Result;
    DEVICE E neutral() { return E(0); }
    DEVICE E part(E x, i64) { return x; }
    DEVICE E combine(E a, E b) { return a + b; }
    DEVICE E result(E part) { return part; }
};

// The index of the last of the extreme elements so far; NaN is more extreme than anything.
template <typename E, bool SMALLEST> struct LastExtreme {
    typedef Found<E> Part;
    typedef i64 Result;
    DEVICE Part neutral() { return {SMALLEST ? Limits<E>::highest() : Limits<E>::lowest(), -1}; }
    DEVICE Part part(E x, i64 i) { return {x, i}; }
    DEVICE Part combine(Part a, Part b) {
        if (b.at < 0) return a;
        return (SMALLEST ? b.value <= a.value : b.value >= a.value) || is_nan(b.value) ? b : a;
    }
    DEVICE i64 result(Part part) { return part.at; }
};
template <typename E> struct LastLargest : LastExtreme<E, false> {};
template <typename E> struct LastSmallest : LastExtreme<E, true> {};

typedef OPERATION<T> Operation;
typedef Operation::Part Part;
typedef Operation::Result Result;

struct ScanArgs {
    u64 x;
    u64 y;
    // The results up to the end of each part of each line.
    u64 totals;
    i64 x_step;
    i64 y_step;
    u64 size;
    u64 lines;
    u64 part;
    // Whether the totals are wanted, or the results.
    u64 totals_only;
    // The number of threads for each line, as a power of 2.
    u64 lane_bits;
    Nest<2> lines_at;
};

template <typename E> DEVICE E shuffle_up(E x, u32 by, u32 width) { return __shfl_up_sync(0xffffffff, x, by, width); }
template <typename E> DEVICE Found<E> shuffle_up(Found<E> x, u32 by, u32 width) {
    return {shuffle_up(x.value, by, width), shuffle_up(x.at, by, width)};
}

// Over groups of `lanes` neighbouring threads of a block of 256: what the threads before this one have, and what all
// of them have.
DEVICE void scan_lanes(Part own, u32 lanes, Part& before, Part& all) {
    __shared__ Part ends[256 / 4];
    const u32 width = min(lanes, 32u), lane = threadIdx.x % width;
    for (u32 by = 1; by < width; by *= 2) {
        const Part other = shuffle_up(own, by, width);
        if (lane >= by) own = Operation::combine(other, own);
    }
    before = shuffle_up(own, 1, width);
    if (lane == 0) before = Operation::neutral();
    if (lane == width - 1) ends[threadIdx.x / width] = own;
    __syncthreads();
    const u32 first = threadIdx.x / lanes * (lanes / width), mine = threadIdx.x / width;
    all = ends[first];
    Part earlier = Operation::neutral();
    for (u32 w = first + 1; w < first + lanes / width; w++) {
        if (w == mine) earlier = all;
        all = Operation::combine(all, ends[w]);
    }
    before = Operation::combine(earlier, before);
}

// What a part of a line starts from.
DEVICE Part carried(const ScanArgs& a, u64 line) {
    if (a.totals_only || blockIdx.y == 0) return Operation::neutral();
    return pointer<const Part>(a.totals)[line * gridDim.y + blockIdx.y - 1];
}

// Blocks along y stand for parts. Threads work along the lines, each on 4 neighbours of a tile.
KERNEL(scan_rows, ScanArgs, 256) {
    // Steps of 4 elements go to different banks.
#define BANKED(e) ((e) + (e) / 32)
    __shared__ T inputs[BANKED(1024)];
    __shared__ Result outputs[BANKED(1024)];
    const u32 lanes = 1u << a.lane_bits, group = threadIdx.x >> a.lane_bits, lane = threadIdx.x % lanes;
    const u64 line = (u64)blockIdx.x * (256 >> a.lane_bits) + group;
    const bool present = line < a.lines;
    const Places<2> place(a.lines_at, line);
    const T* x = pointer<const T>(a.x) + place.at[0];
    Result* y = pointer<Result>(a.y) + place.at[1];
    const u64 start = blockIdx.y * a.part, end = min(start + a.part, a.size);
    Part carry = present ? carried(a, line) : Operation::neutral();
    for (u64 tile = start; tile < end; tile += 4 * lanes) {
#pragma unroll
        for (u32 u = 0; u < 4; u++) {
            const u32 e = lane + u * lanes;
            const u64 i = tile + e;
            if (present && i < end) inputs[BANKED(group * 4 * lanes + e)] = x[(i64)i * a.x_step];
        }
        __syncthreads();
        Part part[4];
#pragma unroll
        for (u32 k = 0; k < 4; k++) {
            const u64 i = tile + 4 * lane + k;
            part[k] = present && i < end ? Operation::part(inputs[BANKED(4 * threadIdx.x + k)], (i64)i)
                                         : Operation::neutral();
            if (k > 0) part[k] = Operation::combine(part[k - 1], part[k]);
        }
        Part before, all;
        scan_lanes(part[3], lanes, before, all);
        before = Operation::combine(carry, before);
        carry = Operation::combine(carry, all);
        if (!a.totals_only) {
#pragma unroll
            for (u32 k = 0; k < 4; k++)
                outputs[BANKED(4 * threadIdx.x + k)] = Operation::result(Operation::combine(before, part[k]));
        }
        __syncthreads();
        if (!a.totals_only) {
#pragma unroll
            for (u32 u = 0; u < 4; u++) {
                const u32 e = lane + u * lanes;
                const u64 i = tile + e;
                if (present && i < end) y[(i64)i * a.y_step] = outputs[BANKED(group * 4 * lanes + e)];
            }
        }
    }
    if (a.totals_only && present && lane == 0) pointer<Part>(a.totals)[line * gridDim.y + blockIdx.y] = carry;
}

// A thread for each part of a line: neighbouring threads have neighbouring lines.
KERNEL(scan_columns, ScanArgs, 256) {
    const int AHEAD = 8;
    const u64 line = (u64)blockIdx.x * 256 + threadIdx.x;
    if (line >= a.lines) return;
    const Places<2> place(a.lines_at, line);
    const T* x = pointer<const T>(a.x) + place.at[0];
    Result* y = pointer<Result>(a.y) + place.at[1];
    const u64 start = blockIdx.y * a.part, end = min(start + a.part, a.size);
    Part carry = carried(a, line);
    for (u64 tile = start; tile < end; tile += AHEAD) {
        T load[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const u64 i = tile + u;
            if (i < end) load[u] = x[(i64)i * a.x_step];
        }
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const u64 i = tile + u;
            if (i >= end) break;
            carry = Operation::combine(carry, Operation::part(load[u], (i64)i));
            if (!a.totals_only) y[(i64)i * a.y_step] = Operation::result(carry);
        }
    }
    if (a.totals_only) pointer<Part>(a.totals)[line * gridDim.y + blockIdx.y] = carry;
}

struct TotalsArgs {
    u64 totals;
    u64 parts;
};

// A block for each line: the totals of at most 1024 parts become those of all parts up to each.
KERNEL(scan_totals, TotalsArgs, 256) {
    Part* totals = pointer<Part>(a.totals) + blockIdx.x * a.parts;
    Part part[4];
#pragma unroll
    for (u32 k = 0; k < 4; k++) {
        const u32 i = 4 * threadIdx.x + k;
        part[k] = i < a.parts ? totals[i] : Operation::neutral();
        if (k > 0) part[k] = Operation::combine(part[k - 1], part[k]);
    }
    Part before, all;
    scan_lanes(part[3], 256, before, all);
#pragma unroll
    for (u32 k = 0; k < 4; k++) {
        const u32 i = 4 * threadIdx.x + k;
        if (i < a.parts) totals[i] = Operation::combine(before, part[k]);
    }
}
