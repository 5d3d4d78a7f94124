/* cuboid: the command line. Each command is a row of the table. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "cli/commands.h"
#include "comm/comm.h"
#include "train/run.h"

static const struct {
    const char *name;
    cb_err (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", cb_cmd_train, "train a model on a mesh of data, tensor and pipeline parallel ranks"},
    {"verify", cb_cmd_verify, "train the same run in many layouts and compare every bit"},
    {"plan", cb_cmd_plan, "which layout of a model is best on a cluster: memory, time, traffic and cost of a step"},
    {"model", cb_cmd_model, "list the models, or show one: parameters, FLOPs, what each stage holds"},
    {"schedule", cb_cmd_schedule, "draw, list and compare pipeline schedules: bubble, time, memory, messages"},
    {"trace", cb_cmd_trace, "draw a traced step below its simulation, and say where its time went"},
    {"bench", cb_cmd_bench, "measure here: training steps, matrix products, collectives, the tensor-parallel layer"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to) {
    fputs("usage: cuboid COMMAND [options]\n\n", to);
    for (int i = 0; i < COMMANDS; i++) fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n`cuboid COMMAND --help` lists a command's options with defaults and units.\n", to);
}

static cb_err run(int argc, char **argv) {
    const char *names[COMMANDS + 1] = {NULL};
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 2, argv + 2);
        names[i] = commands[i].name;
    }
    char near[256];
    return cb_fail(CB_EUSAGE, "'%s' is not a command%s `cuboid --help` lists them", argv[1],
                   cb_args_suggest(argv[1], names, near));
}

/* Prints the error, under mpiexec once for all processes; returns the exit code. As mpiexec may end the others as soon
 * as one has failed, the one that prints leaves first. */
static int report(cb_err e) {
    int rank = cb_comm_mpiexec_rank();
    if (e) e = cb_run_refuse(e);
    int code = cb_err_exit_code(e);
    if (e && rank == 0) fprintf(stderr, "cuboid: error: %s\n", cb_err_text(e));
    if (e && rank > 0) nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    cb_err_free(e);
    return code;
}

/* A stdout that is closed from the start is the caller's wish: no file that is opened may take its place. */
static void open_stdout(void) {
    if (fcntl(STDOUT_FILENO, F_GETFD) >= 0) return;
    FILE *nowhere = freopen("/dev/null", "w", stdout);
    (void)nowhere;
}

/* What was printed has to be there: a full disk behind a pipe or a file is an error, not a short answer. */
static int close_stdout(int code) {
    bool bad = ferror(stdout) != 0;
    int reason = 0;
    if (fclose(stdout) != 0 && errno != EBADF) reason = errno;
    if (!bad && reason == 0) return code;
    fprintf(stderr, "cuboid: error: cannot write the output: %s\n", reason ? strerror(reason) : "a write failed");
    return code ? code : 1;
}

int main(int argc, char **argv) {
    open_stdout();
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return close_stdout(argc < 2 ? 2 : 0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("cuboid " CB_VERSION);
        return close_stdout(0);
    }
    return close_stdout(report(run(argc, argv)));
}
