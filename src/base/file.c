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
    cb_err e = to ? write_and_close(to, write, arg) : cb_fail(CB_EIO, "%s", strerror(errno));
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

static cb_err append(FILE *from, FILE *to, int64_t most, bool *larger) {
    char buffer[4096];
    int64_t size = 0;
    for (size_t n; size <= most && (n = fread(buffer, 1, sizeof buffer, from)) > 0; size += (int64_t)n) {
        if (fwrite(buffer, 1, n, to) != n) return cb_fail(CB_ENOMEM, "no memory for a text of %lld bytes", (long long)size);
    }
    *larger = size > most;
    return ferror(from) ? cb_fail(CB_EIO, "%s", strerror(errno)) : CB_OK;
}

cb_err cb_file_read_text(const char *path, const char *what, int64_t most, char **text) {
    size_t size = 0;
    bool larger = false;
    *text = NULL;
    FILE *from = fopen(path, "r");
    if (!from) return cb_fail(CB_EIO, "%s %s: %s", what, path, strerror(errno));
    FILE *to = open_memstream(text, &size);
    cb_err e = to ? append(from, to, most, &larger) : cb_fail(CB_ENOMEM, "no memory for a text");
    fclose(from);
    if (to && fclose(to) && !e) e = cb_fail(CB_ENOMEM, "no memory for a text of %zu bytes", size);
    if (!e && larger) e = cb_fail(CB_EFORMAT, "it has more than %lld bytes", (long long)most);
    if (!e) return CB_OK;
    free(*text);
    *text = NULL;
    return cb_err_context(e, "%s %s", what, path);
}
