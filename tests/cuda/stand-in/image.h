// How the stand-in NVRTC marks its shared objects and the driver knows them again: three letters and a
// checksum in the unused bytes of the ELF identification. The loader wants those to be zero.
#pragma once
#include <elf.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace sim {

inline uint32_t checksum(const std::vector<char>& image) {
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = EI_NIDENT; i < image.size(); i++) sum = (sum ^ static_cast<unsigned char>(image[i])) * 0x100000001b3u;
    return uint32_t(sum ^ sum >> 32);
}

inline bool is_marked(const unsigned char* ident) { return !memcmp(ident + EI_PAD, "SIM", 3); }

inline void mark(std::vector<char>& image) {
    uint32_t sum = checksum(image);
    memcpy(image.data() + EI_PAD, "SIM", 3);
    memcpy(image.data() + EI_PAD + 3, &sum, sizeof sum);
}

// False if the image was damaged.
inline bool unmark(std::vector<char>& image) {
    uint32_t sum;
    memcpy(&sum, image.data() + EI_PAD + 3, sizeof sum);
    if (sum != checksum(image)) return false;
    memset(image.data() + EI_PAD, 0, EI_NIDENT - EI_PAD);
    return true;
}

}  // namespace sim
