// What the stand-in cuBLAS and cuSOLVER share: handles and checks of device memory.
#pragma once
#include <cstdint>
#include <cstdio>

#include "submit.h"

#define API extern "C" __attribute__((visibility("default")))

namespace sim {

// Device memory that a call will touch.
struct Touched {
    const void* p;
    int64_t elements;
    size_t size;
};

// From the first to the last element of a matrix.
inline int64_t extent(int64_t rows, int64_t cols, int64_t ld) { return rows > 0 && cols > 0 ? (cols - 1) * ld + rows : 0; }

// A real library would read host memory, or past the end, and fault later.
inline bool all_on_device(const char* call, std::initializer_list<Touched> all) {
    int i = 0;
    for (const Touched& t : all) {
        i++;
        if (t.elements <= 0 || sim_is_device_memory(t.p, size_t(t.elements) * t.size)) continue;
        fprintf(stderr, "stand-in: %s: matrix %d (%p, %lld elements of %zu bytes) is not in device memory\n", call, i, t.p,
                static_cast<long long>(t.elements), t.size);
        return false;
    }
    return true;
}

}  // namespace sim
