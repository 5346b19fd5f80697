// What the kernels of small matrices have in common. A matrix belongs to a group of G neighbouring lanes of a warp,
// as many as it has rows or columns at most, rounded up to a power of two. A lane has a row or a column of its own
// in registers, whose indices have to be known to the compiler: loops over them have the fixed length G and are
// unrolled, and what is beyond the matrix is zero. Loops over the steps of an algorithm are not.
//
// All lanes of a warp take the same path. Groups behind the last matrix work on that one again, and store nothing.

// A row in registers needs all there are: the compiler would rather spill some than lose a block beside.
#undef MIN_BLOCKS
#define MIN_BLOCKS , 1

constexpr int G = OPERATION;
constexpr int THREADS = 128;
constexpr int GROUPS = THREADS / G;
constexpr u32 WARP = 0xffffffff;

// Elements that are loaded together from shared memory.
constexpr int WIDTH = G * sizeof(T) < 16 ? G : 16 / sizeof(T);

struct Group {
    // Of this lane among those of the group, and of the group in the block.
    int lane;
    int group;
    i64 matrix;
    bool exists;
    __device__ __forceinline__ Group(u64 count)
        : lane(threadIdx.x % G), group(threadIdx.x / G), matrix((i64)blockIdx.x * GROUPS + group),
          exists(matrix < (i64)count) {
        if (!exists) matrix = count - 1;
    }
};

// A row that all lanes of a group read.
struct alignas(16) Shared {
    T at[G];
    __device__ __forceinline__ void read(T (&x)[G]) const {
#pragma unroll
        for (int p = 0; p < G / WIDTH; p++) {
            const Pack<T, WIDTH> pack = reinterpret_cast<const Pack<T, WIDTH>*>(at)[p];
#pragma unroll
            for (int k = 0; k < WIDTH; k++) x[p * WIDTH + k] = pack.at[k];
        }
    }
    __device__ __forceinline__ void write(const T (&x)[G]) {
#pragma unroll
        for (int p = 0; p < G / WIDTH; p++) {
            Pack<T, WIDTH> pack;
#pragma unroll
            for (int k = 0; k < WIDTH; k++) pack.at[k] = x[p * WIDTH + k];
            reinterpret_cast<Pack<T, WIDTH>*>(at)[p] = pack;
        }
    }
};

// A matrix on its way between memory, which a group walks along the rows, and lanes that have a row each. The
// length of a row is odd, so that these meet in no bank.
typedef T Tile[G][G + 1];

DEVICE void load(Tile& tile, const Matrices& a, const T* x, u32 rows, Divisor columns, int lane) {
    for (u32 e = lane; e < rows * columns.size(); e += G) {
        u32 i, j;
        columns.divide(e, i, j);
        tile[i][j] = x[i * a.row + j * a.column];
    }
    __syncwarp();
}

DEVICE void store(u64 out, const Tile& tile, u32 rows, Divisor columns, const Group& g) {
    __syncwarp();
    const u32 size = rows * columns.size();
    T* y = reinterpret_cast<T*>(out) + g.matrix * size;
    for (u32 e = g.lane; e < size && g.exists; e += G) {
        u32 i, j;
        columns.divide(e, i, j);
        y[e] = tile[i][j];
    }
}

// The lanes of the group that answer yes, as bits; the first of them is bit 0.
DEVICE u32 group_ballot(bool yes) {
    const u32 warp = __ballot_sync(WARP, yes);
    return G == 32 ? warp : (warp >> (threadIdx.x % 32 / G * G)) & ((1ull << G) - 1);
}
DEVICE bool group_any(bool yes) { return group_ballot(yes) != 0; }

// x becomes the largest of its values in the group, and `index` the smallest one that belongs to it.
DEVICE void group_largest(T& x, int& index) {
#pragma unroll
    for (int step = G / 2; step > 0; step /= 2) {
        const T other = __shfl_xor_sync(WARP, x, step);
        const int from = __shfl_xor_sync(WARP, index, step);
        if (other > x || (other == x && from < index)) {
            x = other;
            index = from;
        }
    }
}
DEVICE T group_largest(T x) {
    int index = 0;
    group_largest(x, index);
    return x;
}
DEVICE T group_sum(T x) {
#pragma unroll
    for (int step = G / 2; step > 0; step /= 2) x += __shfl_xor_sync(WARP, x, step);
    return x;
}

// x - a b with the product rounded: (a / b) b mostly rounds back to a, so that columns that depend on each other
// give an exact zero, which a fused multiply-add would turn into the error of the quotient.
DEVICE float subtract_product(float x, float a, float b) { return x - __fmul_rn(a, b); }
DEVICE double subtract_product(double x, double a, double b) { return x - __dmul_rn(a, b); }

// A^-1 B for a triangle A, with ones for its diagonal if `unit`: lane i has row i of B in registers. The columns of A
// are divided by the diagonal, and in the end the rows of B, so that no lane waits for another one's quotient.
template <int C> DEVICE void substitute(T (&b)[C], const Tile& a, int n, int lane, bool upper, bool unit) {
    for (int step = 0; step < n; step++) {
        const int k = upper ? n - 1 - step : step;
        const T factor = unit ? a[lane][k] : a[lane][k] / a[k][k];
        const bool ahead = upper ? lane < k : lane > k;
#pragma unroll
        for (int c = 0; c < C; c++) {
            const T x = __shfl_sync(WARP, b[c], k, G);
            if (ahead) b[c] = subtract_product(b[c], factor, x);
        }
    }
    if (unit) return;
#pragma unroll
    for (int c = 0; c < C; c++) b[c] /= a[lane][lane];
}

// A^-1 B, C columns of B at a time: in each lane's registers, `solve` turns row `from` of B into the lane's row of the
// result.
template <int C, typename Solve>
DEVICE void solve_rows(const Matrices& b, int from, u64 out, int n, i64 columns, const Group& g, Solve solve) {
    const T* x = b.matrix(g.matrix) + from * b.row;
    T* y = reinterpret_cast<T*>(out) + (g.matrix * n + g.lane) * columns;
    for (i64 first = 0; first < columns; first += C) {
        T row[C];
#pragma unroll
        for (int c = 0; c < C; c++) row[c] = first + c < columns ? x[(first + c) * b.column] : T(0);
        solve(row);
#pragma unroll
        for (int c = 0; c < C; c++)
            if (g.lane < n && first + c < columns && g.exists) y[first + c] = row[c];
    }
}

// The exponent of a positive number, and a power of two: 2^-exponent brings the number near one, or near the ends of
// the range as far as a normal factor goes.
DEVICE int exponent_of(T x) {
    const int bound = sizeof(T) == 4 ? 120 : 1000;
    return x > 0 ? min(max(ilogb(x), -bound), bound) : 0;
}
DEVICE T power_of_two(int exponent) { return ldexp(T(1), exponent); }

// Squares of numbers that are negligible beside one, to the second power of rounding.
DEVICE T negligible_square() {
    const T square = Limits<T>::epsilon() * Limits<T>::epsilon();
    return square * square;
}
