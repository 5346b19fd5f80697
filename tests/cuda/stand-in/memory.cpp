#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

namespace sim {

namespace {

constexpr size_t PAGE = 4096, SMALL_PAGES = 16;
// Freed pages stay inaccessible until this much of their size has been freed after them.
constexpr size_t QUARANTINE_BYTES = 4 << 20, QUARANTINE_MIN = 8;
// Freed memory kept in all, for its pages need not be found anew.
constexpr size_t KEPT_BYTES = size_t(512) << 20;
constexpr unsigned char POISON = 0xA5;

// Never destroyed: threads may still free memory while the process ends.
std::mutex& lock = *new std::mutex;
std::map<uintptr_t, Allocation>& live = *new std::map<uintptr_t, Allocation>;  // by start
std::map<size_t, std::deque<unsigned char*>>& freed = *new std::map<size_t, std::deque<unsigned char*>>;  // by slot bytes
size_t freed_bytes;
unsigned char *arena, *arena_end;  // address space that small allocations have not used yet
size_t limit = size_t(8) << 30;
size_t used[MAX_DEVICES];
PoolUse pools[MAX_DEVICES];

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

unsigned char* reserve(size_t bytes) {
    void* m = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return m == MAP_FAILED ? nullptr : static_cast<unsigned char*>(m);
}

// Slots are used again, so there are only a few sizes of large ones: eight for each power of two.
size_t slot_bytes(size_t bytes) {
    size_t pages = round_up(bytes, PAGE) / PAGE, step = 1;
    while (pages / step > SMALL_PAGES) step *= 2;
    return round_up(pages, step) * PAGE;
}

// Inaccessible address space, and a guard page after it.
unsigned char* take_slot(size_t bytes) {
    std::deque<unsigned char*>& old = freed[bytes];
    if (old.size() > std::max(QUARANTINE_MIN, QUARANTINE_BYTES / bytes)) {
        unsigned char* slot = old.front();
        old.pop_front();
        freed_bytes -= bytes;
        return slot;
    }
    size_t all = bytes + PAGE;
    if (bytes > SMALL_PAGES * PAGE) return reserve(all);
    if (size_t(arena_end - arena) < all) {
        constexpr size_t CHUNK = 16 << 20;
        arena = reserve(CHUNK);
        arena_end = arena ? arena + CHUNK : nullptr;
        if (!arena) return nullptr;
    }
    unsigned char* slot = arena;
    arena += all;
    return slot;
}

void give_back_slot(const Allocation& a) {
    mprotect(a.pages, a.page_bytes, PROT_NONE);
    size_t bytes = slot_bytes(a.page_bytes);
    freed[bytes].push_back(a.pages + a.page_bytes - bytes);
    freed_bytes += bytes;
    for (auto largest = freed.rbegin(); freed_bytes > KEPT_BYTES && largest != freed.rend(); ++largest)
        while (freed_bytes > KEPT_BYTES && !largest->second.empty()) {
            munmap(largest->second.front(), largest->first + PAGE);
            largest->second.pop_front();
            freed_bytes -= largest->first;
        }
}

bool poisoned(const unsigned char* from, const unsigned char* to) {
    return from == to || (*from == POISON && !memcmp(from, from + 1, size_t(to - from) - 1));
}

void check_surroundings(const Allocation& a) {
    const char* where = !poisoned(a.pages, a.start)                              ? "before"
                        : !poisoned(a.start + a.bytes, a.pages + a.page_bytes) ? "after"
                                                                                 : nullptr;
    if (!where) return;
    fprintf(stderr, "stand-in: bytes just %s an allocation of %zu bytes were overwritten\n", where, a.bytes);
    _exit(70);
}

const Allocation* holder(uintptr_t p) {
    auto next = live.upper_bound(p);
    if (next == live.begin()) return nullptr;
    return &std::prev(next)->second;
}

}  // namespace

void* allocate(size_t bytes, int device, bool pooled) {
    std::lock_guard<std::mutex> guard(lock);
    if (bytes > limit || used[device] > limit - bytes) return nullptr;
    size_t body = round_up(bytes, 16), page_bytes = round_up(body, PAGE);
    unsigned char* slot = take_slot(slot_bytes(page_bytes));
    if (!slot) return nullptr;
    unsigned char* pages = slot + slot_bytes(page_bytes) - page_bytes;
    if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE)) return nullptr;
    memset(pages, POISON, page_bytes);
    Allocation a = {pages + page_bytes - body, bytes, device, pooled, pages, page_bytes};
    live[uintptr_t(a.start)] = a;
    used[device] += bytes;
    if (pooled) {
        PoolUse& p = pools[device];
        p.used += bytes;
        p.used_high = std::max(p.used_high, p.used);
        p.reserved = std::max(p.reserved, p.used);
        p.reserved_high = std::max(p.reserved_high, p.reserved);
    }
    return a.start;
}

bool release(void* start) {
    std::lock_guard<std::mutex> guard(lock);
    auto i = live.find(uintptr_t(start));
    if (i == live.end()) return false;
    Allocation a = i->second;
    check_surroundings(a);
    live.erase(i);
    used[a.device] -= a.bytes;
    if (a.pooled) pools[a.device].used -= a.bytes;
    give_back_slot(a);
    return true;
}

bool find_allocation(const void* p, size_t bytes, Allocation* found) {
    std::lock_guard<std::mutex> guard(lock);
    const Allocation* a = holder(uintptr_t(p));
    if (!a) return false;
    size_t offset = size_t(static_cast<const unsigned char*>(p) - a->start);
    if (offset > a->bytes || bytes > a->bytes - offset) return false;
    *found = *a;
    return true;
}

void set_memory_limit(size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    limit = bytes;
}

size_t memory_limit() {
    std::lock_guard<std::mutex> guard(lock);
    return limit;
}

size_t live_bytes(int device) {
    std::lock_guard<std::mutex> guard(lock);
    size_t sum = 0;
    for (int d = 0; d < MAX_DEVICES; d++)
        if (device < 0 || d == device) sum += used[d];
    return sum;
}

size_t live_allocations() {
    std::lock_guard<std::mutex> guard(lock);
    return live.size();
}

PoolUse pool_use(int device) {
    std::lock_guard<std::mutex> guard(lock);
    return pools[device];
}

void set_pool_threshold(int device, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    pools[device].threshold = bytes;
}

void reset_pool_highs(int device, bool used_high, bool reserved_high) {
    std::lock_guard<std::mutex> guard(lock);
    PoolUse& p = pools[device];
    if (used_high) p.used_high = p.used;
    if (reserved_high) p.reserved_high = p.reserved;
}

void trim_pool(int device, size_t keep) {
    std::lock_guard<std::mutex> guard(lock);
    PoolUse& p = pools[device];
    p.reserved = std::max(p.used, std::min(p.reserved, keep));
}

int describe_address(const void* p, char* text, size_t room) {
    // A signal handler must not wait for a lock that its own thread may hold.
    std::unique_lock<std::mutex> guard(lock, std::try_to_lock);
    if (!guard.owns_lock()) return 0;
    auto at = static_cast<const unsigned char*>(p);
    const Allocation* a = holder(uintptr_t(p));
    if (a && at < a->pages + a->page_bytes + PAGE)
        return snprintf(text, room, ", %td bytes from the start of an allocation of %zu bytes", at - a->start, a->bytes);
    for (const auto& size : freed)
        for (const unsigned char* slot : size.second)
            if (at >= slot && at < slot + size.first) return snprintf(text, room, ", in freed memory");
    return snprintf(text, room, ", not device memory");
}

}  // namespace sim
