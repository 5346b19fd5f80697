// The powers of elements, side by side.

struct PowersArgs {
    u64 x;
    u64 y;
    u64 count;
    // The exponent that a row begins with.
    i64 first;
    // The base, and how far the exponent is from the first.
    Nest<2> places;
};

// By the CPU's products: of the powers of x by those powers of 2 that make up the exponent, the smallest first.
KERNEL(powers, PowersArgs, 256) {
    const int EACH = 4;
    const u64 start = (u64)blockIdx.x * (256 * EACH) + threadIdx.x;
#pragma unroll
    for (int u = 0; u < EACH; u++) {
        const u64 i = start + 256 * u;
        if (i >= a.count) continue;
        const Places<2> place(a.places, i);
        T power = pointer<const T>(a.x)[place.at[0]], y = 1;
        for (u64 k = (u64)(a.first + place.at[1]); k; k >>= 1, power *= power)
            if (k & 1) y *= power;
        pointer<T>(a.y)[i] = y;
    }
}
