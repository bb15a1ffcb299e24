/* LD_PRELOAD: the wall clock of one process, off by as many milliseconds as the file named by
 * SLUICE_CLOCK_SHIFT holds (8 bytes, as the machine writes them). The steady clock is left alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* shift_ms;

__attribute__((constructor)) static void open_shift(void) {
    const char* const path = getenv("SLUICE_CLOCK_SHIFT");
    const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) abort();
    void* const map = mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) abort();
    shift_ms = map;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    const int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result != 0 || shift_ms == NULL) return result;
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
    const int64_t ms = *shift_ms;
    now->tv_sec += ms / 1000;
    now->tv_nsec += ms % 1000 * 1000000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_nsec -= 1000000000;
        ++now->tv_sec;
    } else if (now->tv_nsec < 0) {
        now->tv_nsec += 1000000000;
        --now->tv_sec;
    }
    return result;
}

int gettimeofday(struct timeval* now, void* zone) {
    struct timespec time;
    (void)zone;
    const int result = clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return result;
}

time_t time(time_t* now) {
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    if (now != NULL) *now = time.tv_sec;
    return time.tv_sec;
}
