// Quotients by the gaps of a spectrum: (p_ij + transpose p_ji) / (2 (w_j + other w_i)), zero on the diagonal.

struct GapsArgs {
    Matrices p;
    Matrices w;
    u64 out;
    // Of each matrix: gaps up to it count as zero. No address: none does.
    u64 limits;
    u64 count;
    u64 n;
    // Of numbers: signs, and the part of the largest w that is rounding.
    u64 transpose;
    u64 other;
    u64 rounding;
    // The first matrix, or position, that is looked for.
    u64 status;
    u64 first;
};

DEVICE T numerator(const GapsArgs& a, const T* p, u64 i, u64 j) {
    return T(0.5) * (p[i * a.p.row + j * a.p.column] + Bits<T>::of(a.transpose) * p[j * a.p.row + i * a.p.column]);
}

DEVICE T gap(const GapsArgs& a, const T* w, u64 i, u64 j) {
    return w[j * a.w.row] + Bits<T>::of(a.other) * w[i * a.w.row];
}

// A warp for each spectrum.
KERNEL(limits, GapsArgs, 256) {
    const u64 matrix = blockIdx.x * 8ull + threadIdx.x / 32;
    if (matrix >= a.count) return;
    const T* w = a.w.matrix(matrix);
    T largest = 0;
    for (u64 k = threadIdx.x % 32; k < a.n; k += 32) largest = max(largest, magnitude(w[k * a.w.row]));
    largest = warp_largest(largest);
    if (threadIdx.x % 32 == 0) reinterpret_cast<T*>(a.limits)[matrix] = Bits<T>::of(a.rounding) * largest;
}

// A thread for each element; reports the matrices that have a gap of zero beside the diagonal.
KERNEL(quotients, GapsArgs, 256) {
    const u64 e = blockIdx.x * 256ull + threadIdx.x;
    if (e >= a.count * a.n * a.n) return;
    const u64 row = e / a.n, j = e - row * a.n, matrix = row / a.n, i = row - matrix * a.n;
    const T between = gap(a, a.w.matrix(matrix), i, j);
    const bool none = a.limits && magnitude(between) <= reinterpret_cast<const T*>(a.limits)[matrix];
    if (none && i != j) report(a.status, matrix);
    const T x = none || i == j ? T(0) : numerator(a, a.p.matrix(matrix), i, j) / between;
    reinterpret_cast<T*>(a.out)[e] = x;
}

// A block for each matrix from `first` on: reports the numerators that are not negligible beside the largest of their
// matrix, but have a gap of zero.
KERNEL(lost, GapsArgs, 256) {
    const u64 matrix = a.first + blockIdx.x, size = a.n * a.n;
    const T* p = a.p.matrix(matrix);
    const T* w = a.w.matrix(matrix);
    T largest = 0;
    for (u64 e = threadIdx.x; e < size; e += 256)
        if (e / a.n != e % a.n) largest = max(largest, magnitude(numerator(a, p, e / a.n, e % a.n)));
    largest = block_largest(largest);
    const T negligible = Bits<T>::of(a.rounding) * largest, limit = reinterpret_cast<const T*>(a.limits)[matrix];
    for (u64 e = threadIdx.x; e < size; e += 256) {
        const u64 i = e / a.n, j = e % a.n;
        if (i == j || magnitude(gap(a, w, i, j)) > limit) continue;
        if (magnitude(numerator(a, p, i, j)) > negligible) report(a.status, matrix * size + e);
    }
}
