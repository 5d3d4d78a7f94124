/* Saving weights: rank 0 makes the file at its full size, every rank writes its slices into it, rank 0 gives it its
 * name. Until then everything is in *.partial beside it, so whatever is interrupted leaves the last whole weights.
 * Between the steps the ranks agree on one outcome: an error of any rank is the error of all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/agree.h"
#include "checkpoint/layout.h"
#include "checkpoint/slice.h"
#include "collectives/collectives.h"

typedef struct saving {
    const char *dir;
    const cb_model *model;
    cb_tensor_info *infos; /* (count), entry i is parameter i */
    int count;
    char *header, *config_text;
    int64_t header_bytes, data_bytes;
    char *weights, *weights_partial, *config, *config_partial; /* paths */
} saving;

static cb_err join(const char *dir, const char *name, char **path) {
    if (asprintf(path, "%s/%s", dir, name) >= 0) return CB_OK;
    *path = NULL;
    return cb_fail(CB_ENOMEM, "no memory for the path of %s in %s", name, dir);
}

static cb_err plan(saving *s) {
    TRY(join(s->dir, "model.safetensors", &s->weights));
    TRY(join(s->dir, "model.safetensors.partial", &s->weights_partial));
    TRY(join(s->dir, "config.json", &s->config));
    TRY(join(s->dir, "config.json.partial", &s->config_partial));
    TRY(cb_layout_make(s->model, &s->infos, &s->count));
    s->data_bytes = s->infos[s->count - 1].end;
    TRY(cb_model_write_config(s->model, &s->config_text));
    return cb_tensor_header_make(s->infos, s->count, &s->header, &s->header_bytes);
}

static void unplan(saving *s) {
    free(s->infos);
    free(s->header);
    free(s->config_text);
    free(s->weights);
    free(s->weights_partial);
    free(s->config);
    free(s->config_partial);
}

static cb_err make_one(const char *dir) {
    struct stat status;
    if (mkdir(dir, 0777) == 0) return CB_OK;
    int reason = errno;
    if (stat(dir, &status) == 0) {
        if (S_ISDIR(status.st_mode)) return CB_OK;
        return cb_fail(CB_EIO, "cannot save into %s: it is a file, a directory is needed", dir);
    }
    errno = reason;
    return cb_fail(CB_EIO, "cannot make the directory %s: %m", dir);
}

/* dir and whatever above it is missing. */
static cb_err make_directories(const char *dir) {
    char *path = strdup(dir);
    if (!path) return cb_fail(CB_ENOMEM, "no memory for the path %s", dir);
    cb_err e = CB_OK;
    for (char *slash = strchr(path + 1, '/'); slash && !e; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        e = make_one(path);
        *slash = '/';
    }
    if (!e) e = make_one(path);
    free(path);
    return e;
}

/* Where the file system can say so, a full disk is found now and not after hours of writing. */
static cb_err reserve(int fd, const char *path, int64_t bytes) {
    int reason = posix_fallocate(fd, 0, (off_t)bytes);
    if (reason == EOPNOTSUPP || reason == EINVAL) reason = ftruncate(fd, (off_t)bytes) == 0 ? 0 : errno;
    if (reason == 0) return CB_OK;
    errno = reason;
    return cb_fail(CB_EIO, "%s: cannot reserve %lld bytes: %m", path, (long long)bytes);
}

/* A new file of `whole` bytes that begins with these. */
static cb_err begin_file(const char *path, const char *bytes, int64_t count, int64_t whole) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return cb_fail(CB_EIO, "cannot create %s: %m", path);
    cb_err e = reserve(fd, path, whole);
    if (!e) e = cb_write_all(fd, path, bytes, count, 0);
    if (!e && fsync(fd) != 0) e = cb_fail(CB_EIO, "%s: cannot bring it to the disk: %m", path);
    if (close(fd) != 0 && !e) e = cb_fail(CB_EIO, "%s: cannot close it: %m", path);
    return e;
}

static cb_err begin(const saving *s) {
    int64_t length = (int64_t)strlen(s->config_text);
    TRY(make_directories(s->dir));
    TRY(begin_file(s->config_partial, s->config_text, length, length));
    return begin_file(s->weights_partial, s->header, s->header_bytes, s->header_bytes + s->data_bytes);
}

static cb_err write_slices(const saving *s, const cb_local_tensor *tensors, int count, int64_t *written) {
    cb_writer writer;
    TRY(cb_writer_open(&writer, s->weights_partial));
    cb_err e = CB_OK;
    for (int i = 0; i < count && !e; i++) {
        e = cb_slice_write(&writer, &tensors[i], s->header_bytes + s->infos[tensors[i].param.id].begin);
    }
    if (!e) {
        e = cb_writer_finish(&writer);
    } else {
        cb_writer_close(&writer);
    }
    *written = writer.written_bytes;
    return e;
}

/* A caller that forgets a tensor, or writes one twice, must not leave a file that looks whole. */
static cb_err check_whole(cb_group *world, const saving *s, int64_t written) {
    TRY(cb_all_reduce(world, &written, 1, CB_I64, CB_SUM, NULL));
    if (written == s->data_bytes) return CB_OK;
    return cb_fail(CB_EINVAL, "%s: the ranks wrote %lld bytes of weights together, the model has %lld",
                   s->weights_partial, (long long)written, (long long)s->data_bytes);
}

static cb_err rename_to(const char *from, const char *to) {
    if (rename(from, to) == 0) return CB_OK;
    return cb_fail(CB_EIO, "cannot rename %s to %s: %m", from, to);
}

static cb_err sync_directory(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some file systems cannot sync a directory (EINVAL); the names are then as safe as they get. */
    bool failed = fd < 0 || (fsync(fd) != 0 && errno != EINVAL);
    int reason = errno;
    if (fd >= 0) close(fd);
    errno = reason;
    return failed ? cb_fail(CB_EIO, "cannot bring the directory %s to the disk: %m", dir) : CB_OK;
}

static cb_err commit(const saving *s) {
    TRY(rename_to(s->config_partial, s->config));
    TRY(rename_to(s->weights_partial, s->weights));
    return sync_directory(s->dir);
}

static cb_err save(cb_group *world, saving *s, const cb_local_tensor *tensors, int count) {
    cb_err e = plan(s);
    if (!e && world->me == 0) e = begin(s);
    TRY(cb_group_agree(world, e));
    int64_t written = 0;
    TRY(cb_group_agree(world, write_slices(s, tensors, count, &written)));
    TRY(check_whole(world, s, written));
    return cb_group_agree(world, world->me == 0 ? commit(s) : CB_OK);
}

cb_err cb_weights_save(cb_group *world, const char *dir, const cb_model *model, const cb_local_tensor *tensors,
                       int count) {
    saving s = {.dir = dir, .model = model};
    cb_err e = save(world, &s, tensors, count);
    if (e && world->me == 0) {
        if (s.weights_partial) unlink(s.weights_partial);
        if (s.config_partial) unlink(s.config_partial);
    }
    unplan(&s);
    return e;
}
