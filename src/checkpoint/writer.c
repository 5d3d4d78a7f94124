/* Joining runs into large writes; see writer.h. */
#include "checkpoint/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20 };

cb_err cb_write_all(int fd, const char *path, const void *bytes, int64_t count, int64_t place) {
    for (const char *from = bytes; count > 0;) {
        ssize_t n = pwrite(fd, from, (size_t)count, (off_t)place);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            return cb_fail(CB_EIO, "%s: cannot write %lld bytes at %lld: %m", path, (long long)count, (long long)place);
        }
        from += n, place += n, count -= n;
    }
    return CB_OK;
}

cb_err cb_writer_open(cb_writer *writer, const char *path) {
    *writer = (cb_writer){.path = path, .fd = open(path, O_WRONLY | O_CLOEXEC)};
    if (writer->fd < 0) return cb_fail(CB_EIO, "cannot open %s to write: %m", path);
    writer->buffer = malloc(BUFFER_BYTES);
    if (writer->buffer) return CB_OK;
    cb_writer_close(writer);
    return cb_fail(CB_ENOMEM, "no memory for the %d bytes through which %s is written", BUFFER_BYTES, path);
}

static cb_err flush(cb_writer *writer) {
    TRY(cb_write_all(writer->fd, writer->path, writer->buffer, writer->used, writer->place));
    writer->written_bytes += writer->used;
    writer->place += writer->used;
    writer->used = 0;
    return CB_OK;
}

cb_err cb_writer_put(cb_writer *writer, int64_t place, const float *values, int64_t count) {
    if (place != writer->place + writer->used) {
        TRY(flush(writer));
        writer->place = place;
    }
    const char *from = (const char *)values;
    for (int64_t left = count * (int64_t)sizeof *values; left > 0;) {
        int64_t room = BUFFER_BYTES - writer->used, n = left < room ? left : room;
        memcpy(writer->buffer + writer->used, from, (size_t)n);
        writer->used += n, from += n, left -= n;
        if (writer->used == BUFFER_BYTES) TRY(flush(writer));
    }
    return CB_OK;
}

cb_err cb_writer_finish(cb_writer *writer) {
    cb_err e = flush(writer);
    if (!e && fsync(writer->fd) != 0) e = cb_fail(CB_EIO, "%s: cannot bring it to the disk: %m", writer->path);
    if (close(writer->fd) != 0 && !e) e = cb_fail(CB_EIO, "%s: cannot close it: %m", writer->path);
    writer->fd = -1;
    cb_writer_close(writer);
    return e;
}

void cb_writer_close(cb_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    writer->fd = -1;
    free(writer->buffer);
    writer->buffer = NULL;
}
