/* Writing runs of numbers at places in a file: runs that touch are joined and go out in large pieces, so that a
 * tensor's slice costs few system calls however it is cut. Several writers may write disjoint places of one file side
 * by side. */
#ifndef CB_CHECKPOINT_WRITER_H
#define CB_CHECKPOINT_WRITER_H

#include <stdint.h>

#include "base/err.h"

typedef struct cb_writer {
    const char *path; /* borrowed, for messages */
    int fd;
    char *buffer;
    int64_t place, used; /* the buffer's bytes belong at `place` */
    int64_t written_bytes;
} cb_writer;

/* Opens a file that exists. Errors CB_EIO, CB_ENOMEM. */
CB_MUST_USE cb_err cb_writer_open(cb_writer *writer, const char *path);
/* values (count) at byte `place`. Errors CB_EIO: disk full, with path and place. */
CB_MUST_USE cb_err cb_writer_put(cb_writer *writer, int64_t place, const float *values, int64_t count);
/* Writes what is left, brings it to the disk, closes. */
CB_MUST_USE cb_err cb_writer_finish(cb_writer *writer);
void cb_writer_close(cb_writer *writer); /* after an error, or after finish; also of a zeroed struct with fd -1 */

/* All bytes at `place`, however many calls that takes. */
CB_MUST_USE cb_err cb_write_all(int fd, const char *path, const void *bytes, int64_t count, int64_t place);

#endif
