/* A layout under mpiexec: the same program, started as `cuboid train` with a log of digests. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/digest_log.h"
#include "cli/verify_logs.h"
#include "cli/verify_run.h"

extern char **environ;

enum { MOST_WORDS = 256 };

typedef struct words {
    char *word[MOST_WORDS + 1];
    int count;
    char room[4096];
    size_t used;
} words;

static void add(words *w, const char *text) {
    size_t n = strlen(text) + 1;
    if (w->count == MOST_WORDS || w->used + n > sizeof w->room) return;
    w->word[w->count++] = memcpy(w->room + w->used, text, n);
    w->used += n;
    w->word[w->count] = NULL;
}

static void add_number(words *w, const char *option, long long value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    if (option) add(w, option);
    add(w, text);
}

static void split(words *w, const char *text) {
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) add(w, word);
}

/* The caller's words but for verify's own options and those that a layout decides. */
static void add_train_words(words *w, int argc, char **argv) {
    static const char *const with_value[] = {"--layouts",
                                             "--schedules",
                                             "--most-ranks",
                                             "--mpiexec",
                                             "--against",
                                             "--log",
                                             "--ranks",
                                             "--schedule-file",
                                             "--virtual",
                                             "--virtual-pipeline-model-parallel-size",
                                             "--num-virtual-stages-per-pipeline-rank",
                                             "--group",
                                             "--microbatch-group-size-per-virtual-pipeline-stage"};
    for (int i = 0; i < argc; i++) {
        bool own = strcmp(argv[i], "--mpi") == 0 || strcmp(argv[i], "--no-mpi") == 0;
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++) {
            size_t n = strlen(with_value[k]);
            if (strncmp(argv[i], with_value[k], n) != 0 || (argv[i][n] && argv[i][n] != '=')) continue;
            own = true;
            if (!argv[i][n]) i++;
            break;
        }
        if (!own && i < argc) add(w, argv[i]);
    }
}

/* Lists of one's own, and chunks: as this layout has them. */
static void add_schedule(words *w, const cb_options *o, const cb_layout *l) {
    cb_options own = cb_layout_options(o, l);
    add(w, "--schedule");
    add(w, l->schedule);
    if (own.chunks) add_number(w, "--virtual", own.chunks);
    if (own.group) add_number(w, "--group", own.group);
    if (!own.schedule_file) return;
    add(w, "--schedule-file");
    add(w, own.schedule_file);
}

static void make_command(words *w, const cb_options *o, const cb_layout *l, const char *mpiexec, const char *self,
                         const char *log, int argc, char **argv) {
    split(w, mpiexec);
    add_number(w, NULL, (long long)l->dp * l->tp * l->pp);
    add(w, self);
    add(w, "train");
    add_train_words(w, argc, argv);
    add_number(w, "--dp", l->dp);
    add_number(w, "--tp", l->tp);
    add_number(w, "--pp", l->pp);
    add_schedule(w, o, l);
    const char *const pairs[][2] = {{"--shards", o->shards}, {"--log", log}, {"--comm", "mpi"}};
    for (int i = 0; i < 3; i++) {
        add(w, pairs[i][0]);
        add(w, pairs[i][1]);
    }
    add_number(w, "--data-shards", o->data_shards);
    add_number(w, "--global-batch-size", o->global_batch_size);
    add_number(w, "--steps", o->steps);
    add_number(w, "--digest-every", 1);
    add_number(w, "--eval-iters", 0);
    add_number(w, "--peak-flops", 1000000000);
}

static void show(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    while (file && fgets(line, sizeof line, file)) fputs(line, stderr);
    if (file) fclose(file);
}

/* What the run says is shown only if it fails. */
static cb_err start_and_wait(words *w, const char *said) {
    pid_t child;
    int status;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0); /* more ranks than cores is what is asked for */
    int failed = posix_spawnp(&child, w->word[0], &quiet, NULL, w->word, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (failed) return cb_fail(CB_EIO, "cannot start %s: %s", w->word[0], strerror(failed));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return CB_OK;
    show(said);
    return cb_fail(CB_EPEER, "the run under %s failed with %s %d", w->word[0], WIFEXITED(status) ? "exit code" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Steps in a log count from 1. */
static cb_err compare(const cb_trace *reference, const cb_digest_log *log) {
    for (int64_t i = 0; i < log->count && i < reference->steps; i++) {
        if (log->entry[i].step == i + 1 && log->entry[i].digest == reference->state[i]) continue;
        return cb_fail(CB_EMISMATCH, "step %lld: digest %016llx under MPI, %016llx on one rank", (long long)log->entry[i].step,
                       (unsigned long long)log->entry[i].digest, (unsigned long long)reference->state[i]);
    }
    if (log->count == reference->steps) return CB_OK;
    return cb_fail(CB_EMISMATCH, "%lld steps under MPI, %lld on one rank", (long long)log->count, (long long)reference->steps);
}

static void print_same(const cb_layout *layout, const cb_digest_log *log, double run_s) {
    char name[64];
    printf("%-34s %016llx  under mpiexec %24.1f s  same bits\n", cb_layout_text(layout, name),
           (unsigned long long)log->entry[log->count - 1].digest, run_s);
    fflush(stdout);
}

/* A name for a file that nobody else has, in TMPDIR or /tmp. */
static cb_err temporary(char path[512]) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, 512, "%s/cuboid-verify-XXXXXX", dir ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) return cb_fail(CB_EIO, "cannot make a file in %s: %s", dir ? dir : "/tmp", strerror(errno));
    close(fd);
    return CB_OK;
}

static cb_err run_and_compare(words *w, const cb_trace *reference, const cb_layout *layout, const char *log_path) {
    cb_digest_log log = {0};
    char said[520];
    double begin_s = cb_now_s();
    snprintf(said, sizeof said, "%s.err", log_path);
    cb_err e = start_and_wait(w, said);
    if (!e) e = cb_digest_log_read(&log, log_path);
    if (!e) e = compare(reference, &log);
    if (!e) print_same(layout, &log, cb_now_s() - begin_s);
    cb_digest_log_free(&log);
    unlink(said);
    return e;
}

cb_err cb_verify_mpi(const cb_options *options, const cb_trace *reference, const cb_layout *layout, const char *mpiexec, int argc,
                     char **argv) {
    words w = {.count = 0};
    char name[64], self[1024], log_path[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return cb_fail(CB_EIO, "cannot find this program's file: %s", strerror(errno));
    self[n] = '\0';
    TRY(temporary(log_path));
    make_command(&w, options, layout, mpiexec, self, log_path, argc, argv);
    cb_err e = run_and_compare(&w, reference, layout, log_path);
    unlink(log_path);
    return cb_err_context(e, "%s under mpiexec", cb_layout_text(layout, name));
}
