// The indices that sort lines of any layout: short lines in shared memory, long ones by radix.

// Numbers as unsigned integers in the same order: the two zeros are one, and all NaN are one, beyond infinity.
template <typename E> struct Ordered;
template <> struct Ordered<float> {
    typedef u32 Key;
    DEVICE u32 of(float x) {
        const u32 bits = (u32)__float_as_int(x + 0.0f);
        return is_nan(x) ? ~0u : bits >> 31 ? ~bits : bits | 1u << 31;
    }
};
template <> struct Ordered<double> {
    typedef u64 Key;
    DEVICE u64 of(double x) {
        const u64 bits = (u64)__double_as_longlong(x + 0.0);
        return is_nan(x) ? ~0ull : bits >> 63 ? ~bits : bits | 1ull << 63;
    }
};
template <> struct Ordered<i64> {
    typedef u64 Key;
    DEVICE u64 of(i64 x) { return (u64)x ^ 1ull << 63; }
};
typedef Ordered<T>::Key Key;

// The key of the descending order is the complement, under which equal elements stay equal.
DEVICE Key key_of(T x, u64 descending) {
    const Key key = Ordered<T>::of(x);
    return descending ? (Key)~key : key;
}

struct LinesArgs {
    u64 x;
    u64 y;
    i64 x_step;
    i64 y_step;
    u64 size;
    u64 lines;
    u64 descending;
    // The sizes of a line in shared memory and of all lines there, as powers of 2.
    u64 line_bits;
    u64 block_bits;
    Nest<2> lines_at;
};

// Lines in shared memory by a bitonic network (Batcher 1968) on keys and, among equal keys, on indices.
KERNEL(sort_lines, LinesArgs, 512) {
    DYNAMIC_SHARED(Key, keys);
    const u32 line_size = 1u << a.line_bits, block_size = 1u << a.block_bits;
    u32* places = reinterpret_cast<u32*>(keys + block_size);
    const u64 first_line = (u64)blockIdx.x << (a.block_bits - a.line_bits);
    for (u32 e = threadIdx.x; e < block_size; e += 512) {
        const u64 line = first_line + (e >> a.line_bits);
        const u32 i = e & (line_size - 1);
        // What is beyond the end of a line stays there: it comes after all that is equal.
        keys[e] = ~Key(0);
        places[e] = i;
        if (i < a.size && line < a.lines) {
            const Places<2> place(a.lines_at, line);
            keys[e] = key_of(pointer<const T>(a.x)[place.at[0] + (i64)i * a.x_step], a.descending);
        }
    }
    for (u32 size = 2; size <= line_size; size *= 2) {
        for (u32 step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            for (u32 t = threadIdx.x; t < block_size / 2; t += 512) {
                const u32 i = 2 * t - (t & (step - 1)), j = i + step;
                const Key p = keys[i], q = keys[j];
                const u32 k = places[i], l = places[j];
                const bool swapped = q < p || (q == p && l < k);
                const bool up = (i & (line_size - 1) & size) == 0;
                if (swapped == up) {
                    keys[i] = q;
                    keys[j] = p;
                    places[i] = l;
                    places[j] = k;
                }
            }
        }
    }
    __syncthreads();
    for (u32 e = threadIdx.x; e < block_size; e += 512) {
        const u64 line = first_line + (e >> a.line_bits);
        const u32 i = e & (line_size - 1);
        if (i >= a.size || line >= a.lines) continue;
        const Places<2> place(a.lines_at, line);
        pointer<i64>(a.y)[place.at[1] + (i64)i * a.y_step] = places[e];
    }
}

struct KeysArgs {
    u64 x;
    u64 keys;
    u64 count;
    u64 descending;
    // The elements line by line.
    Nest<1> place;
};

KERNEL(write_keys, KeysArgs, 256) {
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i >= a.count) return;
    pointer<Key>(a.keys)[i] = key_of(pointer<const T>(a.x)[Places<1>(a.place, i).at[0]], a.descending);
}

// One pass of the radix sort from the lowest digit up, 8 bits at a time. A block has a tile of 2048 elements of a
// line, each of its warps 256 neighbours.
struct RadixArgs {
    u64 keys;
    // The indices that belong to the keys; 0 in the first pass, where they are in order.
    u64 places;
    // Both in the order of this pass; no keys are written in the last.
    u64 next_keys;
    u64 next_places;
    // For each line, digit and tile the number of keys; then of all up to it.
    u64 counts;
    u64 size;
    u64 tiles;
    u64 shift;
    // Where the indices of a line go.
    i64 step;
    Nest<1> lines_at;
};

KERNEL(count_digits, RadixArgs, 256) {
    __shared__ u32 counts[256];
    const u64 line = blockIdx.x / a.tiles, tile = blockIdx.x % a.tiles;
    const Key* keys = pointer<const Key>(a.keys) + line * a.size;
    counts[threadIdx.x] = 0;
    __syncthreads();
#pragma unroll
    for (u32 u = 0; u < 8; u++) {
        const u64 i = tile * 2048 + u * 256 + threadIdx.x;
        if (i < a.size) atomicAdd(&counts[(u32)(keys[i] >> a.shift) & 255], 1u);
    }
    __syncthreads();
    pointer<i64>(a.counts)[(line * 256 + threadIdx.x) * a.tiles + tile] = counts[threadIdx.x];
}

KERNEL(move_digits, RadixArgs, 256) {
    __shared__ u32 counts[8][256];
    __shared__ i64 starts[256];
    const u64 line = blockIdx.x / a.tiles, tile = blockIdx.x % a.tiles;
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Key* keys = pointer<const Key>(a.keys) + line * a.size;
    const u64 first = tile * 2048 + warp * 256 + lane;
#pragma unroll
    for (u32 w = 0; w < 8; w++) counts[w][threadIdx.x] = 0;
    Key key[8];
#pragma unroll
    for (u32 u = 0; u < 8; u++)
        if (first + 32 * u < a.size) key[u] = keys[first + 32 * u];
    __syncthreads();
    // How many keys of the warp before this one have its digit.
    u32 rank[8];
#pragma unroll
    for (u32 u = 0; u < 8; u++) {
        const bool present = first + 32 * u < a.size;
        const u32 digit = present ? (u32)(key[u] >> a.shift) & 255 : 0;
        u32 same = __ballot_sync(0xffffffff, present);
#pragma unroll
        for (u32 b = 0; b < 8; b++) {
            const u32 set = __ballot_sync(0xffffffff, digit >> b & 1);
            same &= digit >> b & 1 ? set : ~set;
        }
        const u32 lower = same & ((1u << lane) - 1);
        rank[u] = counts[warp][digit] + __popc(lower);
        __syncwarp();
        if (present && lower == 0) counts[warp][digit] += __popc(same);
        __syncwarp();
    }
    __syncthreads();
    const u64 c = (u64)threadIdx.x * a.tiles + tile;
    starts[threadIdx.x] = c == 0 ? 0 : pointer<const i64>(a.counts)[line * 256 * a.tiles + c - 1];
    u32 before = 0;
#pragma unroll
    for (u32 w = 0; w < 8; w++) {
        const u32 count = counts[w][threadIdx.x];
        counts[w][threadIdx.x] = before;
        before += count;
    }
    __syncthreads();
    i64* next_places = pointer<i64>(a.next_places) + Places<1>(a.lines_at, line).at[0];
#pragma unroll
    for (u32 u = 0; u < 8; u++) {
        const u64 i = first + 32 * u;
        if (i >= a.size) break;
        const u32 digit = (u32)(key[u] >> a.shift) & 255;
        const i64 to = starts[digit] + counts[warp][digit] + rank[u];
        next_places[to * a.step] = a.places ? pointer<const i64>(a.places)[line * a.size + i] : (i64)i;
        if (a.next_keys) pointer<Key>(a.next_keys)[line * a.size + to] = key[u];
    }
}

struct SearchArgs {
    u64 sorted;
    u64 values;
    u64 y;
    i64 step;
    u64 size;
    u64 count;
    u64 right;
    Nest<1> place;
};

// Where values would go into a vector in order: before what is equal, or after it where `right`; NaN to the end.
KERNEL(searchsorted, SearchArgs, 256) {
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i >= a.count) return;
    const Key value = Ordered<T>::of(pointer<const T>(a.values)[Places<1>(a.place, i).at[0]]);
    u64 low = 0, high = a.size;
    while (low < high) {
        const u64 middle = low + (high - low) / 2;
        const Key key = Ordered<T>::of(pointer<const T>(a.sorted)[(i64)middle * a.step]);
        if (key < value || (a.right && key == value))
            low = middle + 1;
        else
            high = middle;
    }
    pointer<i64>(a.y)[i] = (i64)low;
}
