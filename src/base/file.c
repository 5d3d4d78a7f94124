/* Files written beside their place and renamed; see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cb_err write_and_close(FILE *to, cb_file_write *write, const void *arg) {
    cb_err e = write(to, arg);
    if (fclose(to) != 0 && !e) e = cb_fail(CB_EIO, "%s", strerror(errno));
    return e;
}

static cb_err write_in_place(const char *path, cb_file_write *write, const void *arg) {
    FILE *to = fopen(path, "w");
    return to ? write_and_close(to, write, arg) : cb_fail(CB_EIO, "%s", strerror(errno));
}

/* mode: of the file that is replaced, or what a new file gets. */
static cb_err write_beside(const char *path, const char *beside, mode_t mode, cb_file_write *write, const void *arg) {
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    cb_err e = to ? write_and_close(to, write, arg) : cb_fail(CB_EIO, "%s: %s", beside, strerror(errno));
    if (!e && rename(beside, path) != 0) e = cb_fail(CB_EIO, "%s", strerror(errno));
    if (e && fd >= 0) unlink(beside);
    return e;
}

/* A link stays one: what it points to is replaced. */
cb_err cb_file_replace(const char *path, cb_file_write *write, const void *arg) {
    struct stat status;
    bool there = stat(path, &status) == 0;
    if (there && !S_ISREG(status.st_mode)) return write_in_place(path, write, arg);
    char *whole = there ? realpath(path, NULL) : strdup(path), *beside = NULL;
    if (!whole || asprintf(&beside, "%s.%ld.part", whole, (long)getpid()) < 0) {
        free(whole);
        return cb_fail(CB_ENOMEM, "no memory for the path %s", path);
    }
    cb_err e = write_beside(whole, beside, there ? status.st_mode & 0777 : 0666, write, arg);
    free(beside);
    free(whole);
    return e;
}
