// y = formula(x0, x1, x2), over operands of one shape, each with strides of its own. The text before this one has
// the types X0, X1, X2 and Y, the function `formula`, and how many operands and numbers it takes.

// A few registers more are better than spilled ones, also where that leaves room for a block less.
#undef MIN_BLOCKS
#define MIN_BLOCKS , 1

// At least one, since arrays have no size 0.
#define AT_LEAST_ONE(n) ((n) > 0 ? (n) : 1)

// Rows of `columns` packs of WIDTH elements, which lie next to each other or, in operands whose bit in `repeated`
// is set, are one and the same; a single row may end with fewer than WIDTH.
struct RowArgs {
    u64 y;
    u64 x[AT_LEAST_ONE(INPUTS)];
    i64 y_stride;
    i64 x_stride[AT_LEAST_ONE(INPUTS)];
    Divisor columns;
    u64 packs;
    u64 count;
    u64 repeated;
    u64 constants[AT_LEAST_ONE(CONSTANTS)];
};

template <typename T> DEVICE Pack<T, WIDTH> load(u64 base, i64 stride, u32 row, u32 column, bool repeated) {
    const T* x = reinterpret_cast<const T*>(base) + row * stride;
    if (!repeated) return reinterpret_cast<const Pack<T, WIDTH>*>(x)[column];
    Pack<T, WIDTH> pack;
    const T value = *x;
#pragma unroll
    for (int k = 0; k < WIDTH; k++) pack.at[k] = value;
    return pack;
}

KERNEL(rows, RowArgs, 256) {
    const u32 first = blockIdx.x * 512 + threadIdx.x;
    // Two packs, so that the loads of the second are on their way while the first is computed.
#define DECLARE(n) Pack<X##n, WIDTH> x##n[2];
    EACH_INPUT(DECLARE)
    u32 row[2], column[2];
#pragma unroll
    for (int u = 0; u < 2; u++) {
        const u32 i = first + 256 * u;
        if (i < a.packs) {
            a.columns.divide(i, row[u], column[u]);
#define LOAD(n) x##n[u] = load<X##n>(a.x[n], a.x_stride[n], row[u], column[u], a.repeated >> n & 1);
            EACH_INPUT(LOAD)
        }
    }
#pragma unroll
    for (int u = 0; u < 2; u++) {
        const u32 i = first + 256 * u;
        if (i < a.packs) {
            Pack<Y, WIDTH> y;
#pragma unroll
            for (int k = 0; k < WIDTH; k++) {
#define ARGUMENT(n) x##n[u].at[k],
                y.at[k] = formula(EACH_INPUT(ARGUMENT) a.constants);
            }
            reinterpret_cast<Pack<Y, WIDTH>*>(reinterpret_cast<Y*>(a.y) + row[u] * a.y_stride)[column[u]] = y;
        }
    }
    // What a single row has beyond its last pack.
    const u64 last = a.packs * WIDTH + first;
    if (last < a.count) {
#define ELEMENT(n) reinterpret_cast<const X##n*>(a.x[n])[a.repeated >> n & 1 ? 0 : last],
        reinterpret_cast<Y*>(a.y)[last] = formula(EACH_INPUT(ELEMENT) a.constants);
    }
}

// Any strides, in elements; fewer than 2^31 elements.
struct StridedArgs {
    u64 y;
    u64 x[AT_LEAST_ONE(INPUTS)];
    u64 count;
    u64 ndim;
    // The fastest dimension first.
    Divisor size[DIMENSIONS];
    i64 y_stride[DIMENSIONS];
    i64 x_stride[AT_LEAST_ONE(INPUTS)][DIMENSIONS];
    u64 constants[AT_LEAST_ONE(CONSTANTS)];
};

KERNEL(strided, StridedArgs, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.count) return;
    u32 rest = i;
    i64 y = 0;
#define PLACE(n) i64 p##n = 0;
    EACH_INPUT(PLACE)
#pragma unroll
    for (int d = 0; d < DIMENSIONS; d++) {
        if (d == a.ndim) break;
        u32 next, k;
        a.size[d].divide(rest, next, k);
        rest = next;
        y += k * a.y_stride[d];
#define MOVE(n) p##n += k * a.x_stride[n][d];
        EACH_INPUT(MOVE)
    }
#define FETCH(n) reinterpret_cast<const X##n*>(a.x[n])[p##n],
    reinterpret_cast<Y*>(a.y)[y] = formula(EACH_INPUT(FETCH) a.constants);
}
