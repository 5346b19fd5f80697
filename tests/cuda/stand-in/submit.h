// How the other stand-in libraries put work on a stream.
#pragma once
#include <cstddef>
#include <functional>

extern "C" {
// Runs the work at once, or records it while the stream is captured; a fault in it is reported under
// `name`. Returns a CUresult.
int sim_submit(void* stream, const char* name, const std::function<void()>* work);
int sim_is_capturing(void* stream);
// Whether all of [p, p + bytes) is live device memory.
int sim_is_device_memory(const void* p, size_t bytes);
// 0 if a call may be made from this thread: a context is current and has no lasting error.
int sim_context_status();
}
