// conf_reference PATH: writes the reference page.

#include <cstdio>
#include <fstream>

#include "daemon/config/reference.hpp"

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: conf_reference PATH\n", stderr);
        return 64;
    }
    std::ofstream stream(argv[1], std::ios::binary);
    stream << sluice::config::reference_markdown();
    stream.close();
    if (!stream) {
        std::fprintf(stderr, "conf_reference: cannot write %s\n", argv[1]);
        return 74;
    }
    return 0;
}
