// A = Q R by Householder reflections: lane j has column j.

struct QrArgs {
    Matrices a;
    u64 q;
    u64 r;
    u64 count;
    i64 rows;
    i64 columns;
    // Of Q: the smaller of both, or `rows`.
    i64 q_columns;
    u64 not_finite;
};

// x - factor (v^T x) v
DEVICE void reflect(T (&x)[G], const Shared& vector, T factor) {
    T v[G];
    vector.read(v);
    T dot = 0;
#pragma unroll
    for (int i = 0; i < G; i++) dot += v[i] * x[i];
    dot *= factor;
#pragma unroll
    for (int i = 0; i < G; i++) x[i] -= dot * v[i];
}

// The vector v and the factor 2 / v^T v of the reflection that makes (.., mu, 0, ..) of x from row k on, mu = |x| not
// negative (Golub and Van Loan, algorithm 5.1.1; B. N. Parlett, "Analysis of algorithms for reflections in
// bisectors", SIAM Rev. 13(2), 1971), which x becomes. The length of v is near one: products stay in the range of x.
DEVICE T reflection(T (&x)[G], int k, Shared& vector) {
    T largest = 0;
#pragma unroll
    for (int i = 0; i < G; i++) largest = i >= k && magnitude(x[i]) > largest ? magnitude(x[i]) : largest;
    const int exponent = exponent_of(largest);
    const T scale = power_of_two(-exponent);
    T first = 0, rest = 0;
#pragma unroll
    for (int i = 0; i < G; i++) {
        if (i == k) first = x[i] * scale;
        if (i > k) rest += x[i] * scale * (x[i] * scale);
    }
    // What is smaller does not count, and its squares may have lost their precision.
    if (rest <= negligible_square()) rest = 0;
    const T length = sqrt(first * first + rest);
    const T leads = first > 0 ? -rest / (first + length) : first - length;
    const T square = leads * leads + rest;
    const T near_one = power_of_two(-exponent_of(sqrt(square)));
    T v[G];
#pragma unroll
    for (int i = 0; i < G; i++) {
        v[i] = i < k ? T(0) : (i == k ? leads : x[i] * scale) * near_one;
        if (i >= k) x[i] = i == k ? length * power_of_two(exponent) : T(0);
    }
    vector.write(v);
    return square > 0 ? 2 / (square * near_one * near_one) : T(0);
}

KERNEL(qr, QrArgs, THREADS) {
    __shared__ Shared vectors[GROUPS][G];
    __shared__ T factors[GROUPS][G];
    const Group g(a.count);
    const int rows = a.rows, columns = a.columns, q_columns = a.q_columns;
    const T* from = a.a.matrix(g.matrix) + g.lane * a.a.column;
    T x[G];
    bool finite = true;
#pragma unroll
    for (int i = 0; i < G; i++) {
        x[i] = i < rows && g.lane < columns ? from[i * a.a.row] : T(0);
        finite &= is_finite(x[i]);
    }
    if (!finite && g.exists) report(a.not_finite, g.matrix);
    const int steps = min(rows, columns);
    for (int k = 0; k < steps; k++) {
        if (g.lane == k) factors[g.group][k] = reflection(x, k, vectors[g.group][k]);
        __syncwarp();
        if (g.lane > k) reflect(x, vectors[g.group][k], factors[g.group][k]);
    }
    T* r = reinterpret_cast<T*>(a.r) + g.matrix * q_columns * columns + g.lane;
#pragma unroll
    for (int i = 0; i < G; i++) {
        if (i < q_columns && g.lane < columns && g.exists) r[i * columns] = x[i];
        x[i] = i == g.lane ? T(1) : T(0);
    }
    for (int k = steps - 1; k >= 0; k--) reflect(x, vectors[g.group][k], factors[g.group][k]);
    T* q = reinterpret_cast<T*>(a.q) + g.matrix * rows * q_columns + g.lane;
#pragma unroll
    for (int i = 0; i < G; i++)
        if (i < rows && g.lane < q_columns && g.exists) q[i * q_columns] = x[i];
}
