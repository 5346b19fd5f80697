// Random numbers from a counter, the same as those of cpu/random.rs.

// Ten rounds of Philox 4x32 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
DEVICE void philox(u32 (&counter)[4], u32 key0, u32 key1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const u64 p = 0xD2511F53ull * counter[0], q = 0xCD9E8D57ull * counter[2];
        counter[0] = (u32)(q >> 32) ^ counter[1] ^ key0;
        counter[1] = (u32)q;
        counter[2] = (u32)(p >> 32) ^ counter[3] ^ key1;
        counter[3] = (u32)p;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

struct RandomArgs {
    u64 y;
    u64 count;
    u64 seed;
    u64 draw;
    // Of captured work: where the seed of this replay is, and the number of its first draw; else 0.
    u64 from;
};

// The pair `index` of 53 random bits each.
DEVICE void random_bits(const RandomArgs& a, u64 index, u64 (&bits)[2]) {
    const u64 seed = a.from ? pointer<u64>(a.from)[0] : a.seed;
    const u64 draw = a.draw + (a.from ? pointer<u64>(a.from)[1] : 0);
    u32 word[4] = {(u32)index, (u32)(index >> 32), (u32)draw, (u32)(draw >> 32)};
    philox(word, (u32)seed, (u32)(seed >> 32));
#pragma unroll
    for (int k = 0; k < 2; k++) bits[k] = (u64)word[2 * k] << 21 | word[2 * k + 1] >> 11;
}

// Writes pair i to the places 2i and 2i + 1.
DEVICE void write_pair(const RandomArgs& a, u64 i, T first, T second) {
    if (2 * i + 1 < a.count)
        pointer<Pack<T, 2>>(a.y)[i] = {{first, second}};
    else
        pointer<T>(a.y)[2 * i] = first;
}

// In [0, 1): rounding to single precision may reach 1, which the interval excludes.
KERNEL(uniform, RandomArgs, 256) {
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (2 * i >= a.count) return;
    u64 bits[2];
    random_bits(a, i, bits);
    // A power of 2 scales exactly, so that the one rounding is that of the bits.
    const T unit = T(1.1102230246251565e-16), below_one = 1 - Limits<T>::epsilon() / 2;
    write_pair(a, i, min(T(bits[0]) * unit, below_one), min(T(bits[1]) * unit, below_one));
}

// Box and Muller 1958: sqrt(-2 ln u) (cos, sin)(2 pi v), u in (0, 1], in double precision as on the CPU.
KERNEL(normal, RandomArgs, 256) {
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (2 * i >= a.count) return;
    u64 bits[2];
    random_bits(a, i, bits);
    const double u = (double)bits[0] * 1.1102230246251565e-16, v = (double)bits[1] * 1.1102230246251565e-16;
    const double radius = sqrt(-2 * log(1 - u));
    double sine, cosine;
    sincos(6.283185307179586477 * v, &sine, &cosine);
    write_pair(a, i, T(radius * cosine), T(radius * sine));
}
