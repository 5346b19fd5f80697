// ||y - A x||^2 and A^T (y - A x), reading A once. A row is read by a team of threads: a power of two of them within
// a warp, or the whole block. Each keeps its share of a few rows in registers, from which it first computes its part
// of the residuals and then, when the team's parts are added, its part of the gradient. Meanwhile the rows of the
// other blocks of its multiprocessor are on their way.

template <int Packs, int Bytes> struct Share {
    static const int packs = Packs;
    static const int width = Bytes / sizeof(T);
    // As many rows at once as 128 bytes hold, or 64 where every element has an address of its own.
    static const int rows = (Bytes == 16 ? 128 : 64) / (Packs * Bytes);
};
typedef OPERATION Own;
typedef Pack<T, Own::width> Columns;

struct OnePassArgs {
    u64 a, x, y, partial;
    i64 a_stride, x_stride, y_stride;
    u64 rows, columns;
    u64 rows_of_block;
    u64 team;
    // 0, or the number of columns where the gradient is wanted.
    u64 wanted;
};

// This thread's columns of a group of rows.
struct Rows {
    Columns at[Own::rows][Own::packs];
};

DEVICE void load(Rows& rows, const OnePassArgs& a, i64 first, i64 end, u32 lane, u32 team) {
#pragma unroll
    for (int r = 0; r < Own::rows; r++) {
        const T* const row = reinterpret_cast<const T*>(a.a) + (first + r) * a.a_stride;
#pragma unroll
        for (int p = 0; p < Own::packs; p++) {
            const u32 column = (lane + team * p) * Own::width;
            if (first + r < end && column < (u32)a.columns) {
                rows.at[r][p] = *reinterpret_cast<const Columns*>(row + column);
            } else {
#pragma unroll
                for (int k = 0; k < Own::width; k++) rows.at[r][p].at[k] = 0;
            }
        }
    }
}

// So few registers that three blocks of 256 threads are on a multiprocessor.
KERNEL(one_pass, OnePassArgs, 768) {
    DYNAMIC_SHARED(Columns, shared);
    // Two, so that one barrier separates writing from reading for each group.
    __shared__ T parts[2][24][Own::rows];
    const u32 team = (u32)a.team, lane = threadIdx.x % team, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const bool within_warp = team <= 32;

    // x with zeros behind it, as wide as the team's share of a row.
    for (u32 j = threadIdx.x; j < team * Own::packs * Own::width; j += blockDim.x)
        shared[j / Own::width].at[j % Own::width] =
            j < a.columns ? reinterpret_cast<const T*>(a.x)[j * a.x_stride] : T(0);
    __syncthreads();

    const i64 start = (i64)(blockIdx.x * a.rows_of_block);
    const i64 end = start + (i64)a.rows_of_block < (i64)a.rows ? start + (i64)a.rows_of_block : (i64)a.rows;
    const i64 step = blockDim.x / team * Own::rows;
    T loss = 0;
    Columns gradient[Own::packs];
#pragma unroll
    for (int p = 0; p < Own::packs; p++)
#pragma unroll
        for (int k = 0; k < Own::width; k++) gradient[p].at[k] = 0;

    i64 mine = start + threadIdx.x / team * Own::rows;
    int turn = 0;
    // All teams go on as long as the first has rows, since they meet at barriers and in shuffles.
    for (i64 first = start; first < end; first += step, mine += step, turn ^= 1) {
        Rows rows;
        load(rows, a, mine, end, lane, team);
        // Of each residual, this thread's part: y, and the products with its columns.
        T part[Own::rows];
#pragma unroll
        for (int r = 0; r < Own::rows; r++)
            part[r] = lane == 0 && mine + r < end ? reinterpret_cast<const T*>(a.y)[(mine + r) * a.y_stride] : T(0);
#pragma unroll
        for (int p = 0; p < Own::packs; p++) {
            const Columns x = shared[lane + team * p];
#pragma unroll
            for (int r = 0; r < Own::rows; r++)
#pragma unroll
                for (int k = 0; k < Own::width; k++) part[r] -= rows.at[r][p].at[k] * x.at[k];
        }
#pragma unroll
        for (int r = 0; r < Own::rows; r++)
            for (u32 offset = within_warp ? team / 2 : 16; offset; offset /= 2)
                part[r] += __shfl_xor_sync(0xffffffff, part[r], offset);
        if (!within_warp) {
            if (threadIdx.x % 32 == 0) {
#pragma unroll
                for (int r = 0; r < Own::rows; r++) parts[turn][warp][r] = part[r];
            }
            __syncthreads();
#pragma unroll
            for (int r = 0; r < Own::rows; r++) part[r] = parts[turn][0][r];
            for (u32 w = 1; w < warps; w++)
#pragma unroll
                for (int r = 0; r < Own::rows; r++) part[r] += parts[turn][w][r];
        }
#pragma unroll
        for (int r = 0; r < Own::rows; r++) {
            // Of a row that is not there, it may be NaN all the same, where x is infinite.
            const T residual = mine + r < end ? part[r] : T(0);
            loss += residual * residual;
#pragma unroll
            for (int p = 0; p < Own::packs; p++)
#pragma unroll
                for (int k = 0; k < Own::width; k++) gradient[p].at[k] += residual * rows.at[r][p].at[k];
        }
    }

    T* const partial = reinterpret_cast<T*>(a.partial) + blockIdx.x * (a.wanted + 1);
    if (!within_warp) {
#pragma unroll
        for (int p = 0; p < Own::packs; p++)
#pragma unroll
            for (int k = 0; k < Own::width; k++) {
                const u32 column = (lane + team * p) * Own::width + k;
                if (column < a.wanted) partial[column] = gradient[p].at[k];
            }
        if (threadIdx.x == 0) partial[a.wanted] = loss;
        return;
    }
    // The teams of a warp, then the warps.
    for (u32 offset = team; offset < 32; offset *= 2) {
        loss += __shfl_xor_sync(0xffffffff, loss, offset);
#pragma unroll
        for (int p = 0; p < Own::packs; p++)
#pragma unroll
            for (int k = 0; k < Own::width; k++)
                gradient[p].at[k] += __shfl_xor_sync(0xffffffff, gradient[p].at[k], offset);
    }
    __syncthreads();
    if (threadIdx.x % 32 < team) {
#pragma unroll
        for (int p = 0; p < Own::packs; p++) shared[(warp * Own::packs + p) * team + lane] = gradient[p];
    }
    if (threadIdx.x % 32 == 0) parts[0][warp][0] = loss;
    __syncthreads();
    for (u32 column = threadIdx.x; column <= a.wanted; column += blockDim.x) {
        const u32 pack = column / Own::width;
        T sum = 0;
        for (u32 w = 0; w < warps; w++)
            sum += column == a.wanted ? parts[0][w][0]
                                      : shared[w * Own::packs * team + pack].at[column % Own::width];
        partial[column] = sum;
    }
}

// Adds the blocks' results, which lie one after another: a block of this kernel takes 32 columns of them.
struct AddBlocksArgs {
    u64 partial, gradient, loss;
    u64 blocks, wanted;
};

KERNEL(add_blocks, AddBlocksArgs, 256) {
    __shared__ T sums[8][32];
    const u32 lane = threadIdx.x % 32, part = threadIdx.x / 32;
    const u64 column = blockIdx.x * 32ull + lane;
    T sum = 0;
    if (column <= a.wanted) {
        const T* const partial = reinterpret_cast<const T*>(a.partial) + column;
#pragma unroll 8
        for (u64 b = part; b < a.blocks; b += 8) sum += partial[b * (a.wanted + 1)];
    }
    sums[part][lane] = sum;
    __syncthreads();
    if (part > 0 || column > a.wanted) return;
    for (int p = 1; p < 8; p++) sum += sums[p][lane];
    if (column < a.wanted) {
        reinterpret_cast<T*>(a.gradient)[column] = sum;
    } else {
        *reinterpret_cast<T*>(a.loss) = sum;
    }
}
