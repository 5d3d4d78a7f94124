/* Files for tests, in a folder of the build directory. */
#ifndef CB_TESTS_SUPPORT_FILES_H
#define CB_TESTS_SUPPORT_FILES_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* CB_BINARY_DIR/files/name, the folder made if missing. out holds 512 characters. */
static inline const char *files_path(const char *name, char out[512]) {
    snprintf(out, 512, "%s/files", CB_BINARY_DIR);
    mkdir(out, 0777);
    snprintf(out, 512, "%s/files/%s", CB_BINARY_DIR, name);
    return out;
}

/* Makes the file these bytes. Ends the program if that is impossible: nothing could be tested. (Cut to length
 * afterwards: file systems flush a file that was emptied and written again, which is slow for thousands of files.) */
static inline void files_write(const char *path, const void *bytes, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || ftruncate(fd, (off_t)size) != 0 || close(fd) != 0) {
        perror(path);
        exit(1);
    }
}

/* Little-endian fields put one after the other. */
typedef struct files_buffer {
    unsigned char bytes[1 << 16];
    size_t size;
} files_buffer;

static inline void files_put(files_buffer *buffer, uint64_t value, int bytes) {
    for (int i = 0; i < bytes && buffer->size < sizeof buffer->bytes; i++) {
        buffer->bytes[buffer->size++] = (unsigned char)(value >> (8 * i));
    }
}

#endif
