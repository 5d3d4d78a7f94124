/* What the machine has; see os.h. Limits of a container count: Linux control groups, version 2 and version 1, from the
 * process's own group up to the root, the tightest of them. A file that is missing or says "max" limits nothing.
 * Source: Linux Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst. */
#include "base/os.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Reads a small file under root; false where it cannot be read. */
static bool slurp(const char *root, const char *path, char *text, size_t size) {
    char full[PATH_MAX];
    if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full) return false;
    FILE *file = fopen(full, "re");
    if (!file) return false;
    size_t n = fread(text, 1, size - 1, file);
    fclose(file);
    text[n] = '\0';
    return true;
}

/* The number at the start of a file, or `otherwise` ("max", missing). */
static int64_t number_in(const char *root, const char *folder, const char *name, int64_t otherwise) {
    char path[PATH_MAX], text[64], *end;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return otherwise;
    if (!slurp(root, path, text, sizeof text)) return otherwise;
    long long value = strtoll(text, &end, 10);
    return end == text ? otherwise : value;
}

/* The number after `key` at the start of a line, or -1. */
static int64_t field(const char *text, const char *key) {
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, length) == 0) return strtoll(line + length, NULL, 10);
    }
    return -1;
}

/* One kind of control group: how its own path is marked in /proc/self/cgroup, and where its folder is. */
typedef struct cgroup_kind {
    const char *controller; /* "" for version 2 */
    const char *mount;
} cgroup_kind;

/* The path of this process in that hierarchy: a line "7:memory,cpu:/path" or "0::/path". "/" where there is none. */
static void own_path(const char *root, cgroup_kind kind, char *path, size_t size) {
    snprintf(path, size, "/");
    char text[8192], *saved = NULL;
    if (!slurp(root, "/proc/self/cgroup", text, sizeof text)) return;
    for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        char *names = strchr(line, ':'), *where = names ? strchr(names + 1, ':') : NULL;
        if (!where) continue;
        *where++ = '\0';
        bool found = *kind.controller == '\0' && names[1] == '\0';
        char *inner = NULL;
        for (char *name = strtok_r(names + 1, ",", &inner); name; name = strtok_r(NULL, ",", &inner))
            found |= *kind.controller && strcmp(name, kind.controller) == 0;
        if (found) snprintf(path, size, "%s", where);
    }
}

typedef int64_t (*limit_fn)(const char *root, const char *folder);

/* The least of `limit` over the process's group and all groups above it. A path of another namespace may not exist
 * here: then only the mount itself answers. */
static int64_t least_up(const char *root, cgroup_kind kind, limit_fn limit) {
    char path[2048], folder[PATH_MAX];
    own_path(root, kind, path, sizeof path);
    int64_t least = INT64_MAX;
    for (;;) {
        size_t length = strlen(path);
        while (length && path[length - 1] == '/') path[--length] = '\0';
        snprintf(folder, sizeof folder, "%s%s", kind.mount, path);
        int64_t here = limit(root, folder);
        if (here < least) least = here;
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* What a group may still take. Cached file pages count as used but are given back on demand. */
static int64_t memory_rest(const char *root, const char *folder, const char *max, const char *used,
                           const char *cached) {
    int64_t limit = number_in(root, folder, max, INT64_MAX), taken = number_in(root, folder, used, 0);
    if (limit >= INT64_MAX / 2) return INT64_MAX; /* version 1 writes "no limit" as a huge number */
    char path[PATH_MAX], text[8192];
    if (snprintf(path, sizeof path, "%s/memory.stat", folder) < (int)sizeof path &&
        slurp(root, path, text, sizeof text)) {
        int64_t pages = field(text, cached);
        if (pages > 0) taken -= pages;
    }
    return limit > taken ? limit - taken : 0;
}

static int64_t memory_v2(const char *root, const char *folder) {
    return memory_rest(root, folder, "memory.max", "memory.current", "inactive_file ");
}

static int64_t memory_v1(const char *root, const char *folder) {
    return memory_rest(root, folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ");
}

int64_t cb_os_available_bytes_under(const char *root) {
    int64_t least = INT64_MAX;
    char text[8192];
    if (slurp(root, "/proc/meminfo", text, sizeof text)) {
        int64_t kib = field(text, "MemAvailable:");
        if (kib >= 0) least = kib * 1024;
    }
    int64_t v2 = least_up(root, (cgroup_kind){"", "/sys/fs/cgroup"}, memory_v2);
    int64_t v1 = least_up(root, (cgroup_kind){"memory", "/sys/fs/cgroup/memory"}, memory_v1);
    if (v2 < least) least = v2;
    return v1 < least ? v1 : least;
}

int64_t cb_os_available_bytes(void) {
    return cb_os_available_bytes_under("");
}

/* quota per period as whole cores, rounded up; INT64_MAX without a quota. */
static int64_t whole_cores(int64_t quota, int64_t period) {
    return quota <= 0 || period <= 0 ? INT64_MAX : (quota + period - 1) / period;
}

static int64_t cpu_v2(const char *root, const char *folder) {
    char path[PATH_MAX], text[64];
    long long quota, period;
    if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path) return INT64_MAX;
    if (!slurp(root, path, text, sizeof text) || sscanf(text, "%lld %lld", &quota, &period) != 2) return INT64_MAX;
    return whole_cores(quota, period);
}

static int64_t cpu_v1(const char *root, const char *folder) {
    return whole_cores(number_in(root, folder, "cpu.cfs_quota_us", -1),
                       number_in(root, folder, "cpu.cfs_period_us", -1));
}

int64_t cb_os_quota_cores_under(const char *root) {
    int64_t v2 = least_up(root, (cgroup_kind){"", "/sys/fs/cgroup"}, cpu_v2);
    int64_t v1 = least_up(root, (cgroup_kind){"cpu", "/sys/fs/cgroup/cpu"}, cpu_v1);
    return v1 < v2 ? v1 : v2;
}

/* Cores in the affinity mask; the mask is enlarged until it fits the machine. */
static int affinity_cores(void) {
    for (int most = 1024; most <= 1 << 20; most *= 2) {
        cpu_set_t *set = CPU_ALLOC(most);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE(most);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int cb_os_cores(void) {
    int cores = affinity_cores();
    int64_t quota = cb_os_quota_cores_under("");
    return quota < cores ? (int)quota : cores;
}

bool cb_os_is_terminal(int fd) {
    return isatty(fd) == 1;
}

/* Open MPI gives ranks a terminal of its own for what goes on into a pipe or a file. */
static bool is_relayed(void) {
    return getenv("OMPI_COMM_WORLD_RANK") || getenv("PMI_RANK") || getenv("PMIX_RANK");
}

bool cb_os_wants_colour(int fd) {
    const char *no = getenv("NO_COLOR");
    return cb_os_is_terminal(fd) && !(no && *no) && !is_relayed();
}

int cb_os_terminal_columns(int fd) {
    struct winsize window;
    return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

char *cb_os_human_bytes(int64_t bytes, char out[16]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes, size = value < 0 ? -value : value;
    if (size < 1024) {
        snprintf(out, 16, "%d B", (int)bytes);
        return out;
    }
    int unit = 0;
    while (size >= 1023.995) size /= 1024, value /= 1024, unit++; /* what would print as 1024.00 takes the next unit */
    snprintf(out, 16, "%.2f %s", value, units[unit]);
    return out;
}
