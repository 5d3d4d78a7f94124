/* Trying the outputs of a run. Nothing that is there is touched: an existing file is opened without truncating it, and
 * of a new one a file beside it is made and removed. */
#include "cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/os.h"

typedef struct output {
    const char *option, *path;
} output;

/* The directory that path lies in; the caller frees. NULL: no memory. */
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Makes a file in dir and removes it. */
static cb_err try_directory(const char *dir, const output *o) {
    char *probe;
    if (asprintf(&probe, "%s/.cuboid-XXXXXX", dir) < 0) return cb_fail(CB_ENOMEM, "no memory for the path %s", dir);
    int fd = mkstemp(probe);
    int reason = errno;
    if (fd >= 0) {
        close(fd);
        unlink(probe);
    }
    free(probe);
    if (fd >= 0) return CB_OK;
    return cb_fail(CB_EIO, "--%s %s: no file can be made in %s: %s", o->option, o->path, dir, strerror(reason));
}

static cb_err try_existing(const output *o, const struct stat *status) {
    if (S_ISDIR(status->st_mode)) {
        return cb_fail(CB_EIO, "--%s %s: it is a directory, a file is needed", o->option, o->path);
    }
    if (S_ISFIFO(status->st_mode)) return CB_OK; /* opening it would wait for its reader */
    int fd = open(o->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return cb_fail(CB_EIO, "--%s %s: it cannot be written: %s", o->option, o->path, strerror(errno));
    close(fd);
    return CB_OK;
}

static cb_err try_file(const output *o) {
    struct stat status;
    if (stat(o->path, &status) == 0) return try_existing(o, &status);
    char *dir = parent_of(o->path);
    if (!dir) return cb_fail(CB_ENOMEM, "no memory for the path %s", o->path);
    cb_err e = CB_OK;
    if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode)) {
        e = cb_fail(CB_EIO, "--%s %s: there is no directory %s", o->option, o->path, dir);
    }
    if (!e) e = try_directory(dir, o);
    free(dir);
    return e;
}

/* The first of dir, its parent, and so on, that is there. */
static char *existing_part(const char *dir) {
    struct stat status;
    char *at = strdup(dir);
    while (at && stat(at, &status) != 0 && strcmp(at, ".") != 0 && strcmp(at, "/") != 0) {
        char *up = parent_of(at);
        free(at);
        at = up;
    }
    return at;
}

static cb_err check_space(const output *o, const char *dir, int64_t needed) {
    struct statvfs fs;
    if (statvfs(dir, &fs) != 0 || fs.f_blocks == 0) return CB_OK; /* not told */
    int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (room >= needed) return CB_OK;
    char needs[16], has[16];
    return cb_fail(CB_EIO, "--%s %s: the weights need %s, the disk has %s left", o->option, o->path,
                   cb_os_human_bytes(needed, needs), cb_os_human_bytes(room, has));
}

static cb_err try_weights(const output *o, int64_t bytes) {
    struct stat status;
    char *dir = existing_part(o->path);
    if (!dir) return cb_fail(CB_ENOMEM, "no memory for the path %s", o->path);
    cb_err e = CB_OK;
    if (stat(dir, &status) == 0 && !S_ISDIR(status.st_mode)) {
        e = cb_fail(CB_EIO, "--%s %s: %s is a file, a directory is needed", o->option, o->path, dir);
    }
    if (!e) e = try_directory(dir, o);
    if (!e) e = check_space(o, dir, bytes);
    free(dir);
    return e;
}

/* The path without links and dots; that of a file that is not there yet by its directory. NULL: none; the caller frees.
 */
static char *canonical(const char *path) {
    char *whole = realpath(path, NULL), *dir = whole ? NULL : parent_of(path),
         *known = dir ? realpath(dir, NULL) : NULL;
    const char *slash = strrchr(path, '/');
    if (known && asprintf(&whole, "%s/%s", known, slash ? slash + 1 : path) < 0) whole = NULL;
    free(known);
    free(dir);
    return whole;
}

static bool same_file(const char *a, const char *b) {
    char *x = canonical(a), *y = canonical(b);
    bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

cb_err cb_outputs_distinct(const char *option, const char *path, const char *other, const char *other_path) {
    struct stat status;
    if (!path || !other_path || !same_file(path, other_path)) return CB_OK;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) return CB_OK;
    return cb_fail(CB_EUSAGE, "--%s and --%s are the same file, %s", option, other, path);
}

cb_err cb_outputs_check(const cb_options *options, const cb_run *run) {
    const output weights = {"save", options->save};
    const output files[] = {{"log", options->log}, {"timeline", options->timeline}, {"trace", options->trace}, {"logits", options->logits}};
    enum { FILES = sizeof files / sizeof files[0] };
    for (int i = 0; i < FILES; i++) {
        if (!files[i].path) continue;
        TRY(try_file(&files[i]));
        TRY(cb_outputs_distinct(files[i].option, files[i].path, "data", options->data));
        TRY(cb_outputs_distinct(files[i].option, files[i].path, "val-data", options->val_data));
        for (int j = 0; j < i; j++)
            TRY(cb_outputs_distinct(files[i].option, files[i].path, files[j].option, files[j].path));
    }
    return options->save ? try_weights(&weights, 4 * cb_model_parameters(&run->model)) : CB_OK;
}
