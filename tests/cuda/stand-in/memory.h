// Simulated device memory: poisoned, ends at an inaccessible page, inaccessible after it is freed.
#pragma once
#include <cstddef>

namespace sim {

constexpr int MAX_DEVICES = 8;

struct Allocation {
    unsigned char* start;
    size_t bytes;
    int device;
    bool pooled;  // from a memory pool (cuMemAllocAsync)
    unsigned char* pages;  // what is mapped for it, up to the guard page
    size_t page_bytes;
};

struct PoolUse {
    size_t used, used_high, reserved, reserved_high, threshold;
};

// Null: the simulated memory is used up.
void* allocate(size_t bytes, int device, bool pooled);
// False: not the start of a live allocation. Ends the process if bytes around it were overwritten.
bool release(void* start);
// The live allocation that holds all of [p, p + bytes), if any.
bool find_allocation(const void* p, size_t bytes, Allocation* found);

void set_memory_limit(size_t bytes);
size_t memory_limit();
size_t live_bytes(int device);  // of all devices if negative
size_t live_allocations();

PoolUse pool_use(int device);
void set_pool_threshold(int device, size_t bytes);
void reset_pool_highs(int device, bool used, bool reserved);
// What a pool does at a synchronisation (with its threshold) or when trimmed: gives back unused memory.
void trim_pool(int device, size_t keep);

// For a fault's report: what the address belongs to. Returns the characters written.
int describe_address(const void* p, char* text, size_t room);

}  // namespace sim
