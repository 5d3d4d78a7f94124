/* A whole file mapped read-only; see map.h. */
#include "base/map.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static cb_err map_descriptor(cb_map *map, int fd, const char *path) {
    struct stat status;
    if (fstat(fd, &status) != 0) return cb_fail(CB_EIO, "cannot examine %s: %m", path);
    if (S_ISDIR(status.st_mode)) return cb_fail(CB_EIO, "%s is a directory, a file is needed", path);
    if (!S_ISREG(status.st_mode)) return cb_fail(CB_EIO, "%s is not a regular file and cannot be mapped", path);
    map->size = status.st_size;
    if (map->size == 0) return CB_OK;
    void *bytes = mmap(NULL, (size_t)map->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return cb_fail(CB_EIO, "cannot map the %lld bytes of %s: %m", (long long)map->size, path);
    }
    map->bytes = bytes;
    return CB_OK;
}

cb_err cb_map_open(cb_map *map, const char *path) {
    *map = (cb_map){0};
    /* Without O_NONBLOCK a pipe would make open wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cb_fail(CB_EIO, "cannot open %s: %m", path);
    cb_err e = map_descriptor(map, fd, path);
    close(fd);
    if (!e && !(map->path = strdup(path))) e = cb_fail(CB_ENOMEM, "no memory for the name of %s", path);
    if (e) cb_map_close(map);
    return e;
}

void cb_map_close(cb_map *map) {
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, (size_t)map->size);
    free(map->path);
    *map = (cb_map){0};
}
