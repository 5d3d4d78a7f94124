/* Starting programs under mpiexec; see mpiexec.h. */
#include "cli/mpiexec.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void cb_words_add(cb_words *w, const char *text) {
    int n = (int)strlen(text) + 1;
    w->used += n;
    if (w->count == CB_MOST_WORDS || w->used > (int)sizeof w->room) {
        w->used = (int)sizeof w->room + 1;
        return;
    }
    w->word[w->count++] = memcpy(w->room + w->used - n, text, (size_t)n);
    w->word[w->count] = NULL;
}

void cb_words_add_number(cb_words *w, const char *option, long long value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    if (option) cb_words_add(w, option);
    cb_words_add(w, text);
}

void cb_words_split(cb_words *w, const char *text) {
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) cb_words_add(w, word);
}

cb_err cb_own_path(char path[1024]) {
    ssize_t n = readlink("/proc/self/exe", path, 1023);
    if (n <= 0) return cb_fail(CB_EIO, "cannot find this program's file: %s", strerror(errno));
    path[n] = '\0';
    return CB_OK;
}

cb_err cb_temporary(char path[512]) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, 512, "%s/cuboid-XXXXXX", dir ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) return cb_fail(CB_EIO, "cannot make a file in %s: %s", dir ? dir : "/tmp", strerror(errno));
    close(fd);
    return CB_OK;
}

static void show(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    while (file && fgets(line, sizeof line, file)) fputs(line, stderr);
    if (file) fclose(file);
}

static cb_err start_and_wait(const cb_words *w, const char *said, const char *complained) {
    pid_t child;
    int status;
    posix_spawn_file_actions_t where;
    posix_spawn_file_actions_init(&where);
    posix_spawn_file_actions_addopen(&where, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&where, STDOUT_FILENO, said ? said : "/dev/null", O_WRONLY | O_TRUNC, 0);
    posix_spawn_file_actions_addopen(&where, STDERR_FILENO, complained, O_WRONLY | O_TRUNC, 0);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0); /* more ranks than cores is what is asked for */
    int failed = posix_spawnp(&child, w->word[0], &where, NULL, (char *const *)w->word, environ);
    posix_spawn_file_actions_destroy(&where);
    if (failed) return cb_fail(CB_EIO, "cannot start %s: %s", w->word[0], strerror(failed));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return CB_OK;
    show(complained);
    return cb_fail(CB_EPEER, "the run under %s failed with %s %d", w->word[0],
                   WIFEXITED(status) ? "exit code" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

cb_err cb_words_run(const cb_words *w, const char *said) {
    char complained[512];
    if (w->count == 0) return cb_fail(CB_EUSAGE, "an empty command line cannot be run");
    if (w->used > (int)sizeof w->room)
        return cb_fail(CB_EUSAGE, "the command line '%s ...' has more than %d words or %zu letters", w->word[0],
                       CB_MOST_WORDS, sizeof w->room);
    TRY(cb_temporary(complained));
    cb_err e = start_and_wait(w, said, complained);
    unlink(complained);
    return e;
}
