/* Command lines from a table: every option is a row, from which the parser, --help and the echo at start are made.
 * Long options "--name value" and "--name=value"; booleans "--name", "--no-name"; "-h" is "--help". An unknown option
 * is answered with the nearest names (edit distance). Aliases (Megatron's long names) are rows' other spellings,
 * comma-separated. */
#ifndef CB_BASE_ARGS_H
#define CB_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

typedef enum cb_arg_type {
    CB_ARG_INT,    /* int64_t; accepts 1e6, and k, m, g for 1024, 1024^2, 1024^3: "4k", "1.5g" */
    CB_ARG_REAL,   /* double, finite */
    CB_ARG_STRING, /* const char * into argv or the default */
    CB_ARG_BOOL,   /* bool; "--name", "--no-name", "--name=yes|no" */
    CB_ARG_CHOICE, /* int: index into choices */
    CB_ARG_SECTION /* no option: a heading for --help */
} cb_arg_type;

typedef struct cb_arg {
    const char *name;    /* "tp", or the heading */
    const char *aliases; /* "tensor-model-parallel-size", or NULL */
    cb_arg_type type;
    size_t offset;        /* of the field in the caller's struct */
    const char *fallback; /* default, as typed, not held against the range; NULL: required or derived (see `derived`) */
    const char *unit;     /* "tokens", "bytes", "s" or NULL */
    const char *help;     /* one sentence */
    const char *choices;  /* "threads,mpi" for CB_ARG_CHOICE */
    const char *derived;  /* shown instead of the default: "ranks / (tp*pp)" */
    double min, max;      /* inclusive, checked where min < max, for INT and REAL */
    bool own;             /* may be another in each process of a run, see cb_args_alike */
} cb_arg;

/* Sets every field from the fallbacks (a NULL fallback gives 0, NaN, NULL, false or -1), then parses argv[0..argc),
 * which holds options only (no program name). Of an option given twice the last counts; where a flag "help" is given
 * it alone is set and nothing else is looked at. That a required option is there, the caller checks. Errors: CB_EUSAGE naming the option and what would be right. */
CB_MUST_USE cb_err cb_args_parse(const cb_arg *table, int rows, void *into, int argc, char **argv);
/* A whole number as options take it, "4096", "4k" or "1e6". name: the option's, for messages.
 * Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_args_int(const char *name, const char *text, int64_t *into);
/* Was the option given on the command line? For options whose default is derived, and for names that are no rows of the
 * table, like "help". */
bool cb_args_given(const cb_arg *table, int rows, const char *name, int argc, char **argv);
/* CB_EUSAGE "--name why" of the first of `names` (NULL-ended) that was given: options that would have no effect. */
CB_MUST_USE cb_err cb_args_refuse(const cb_arg *table, int rows, const char *const *names, const char *why, int argc,
                                  char **argv);
/* CB_EUSAGE "--name why" of the first option that `table` does not have and `other` does: one of another form of the
 * command. Says nothing where help is asked for. */
CB_MUST_USE cb_err cb_args_refuse_foreign(const cb_arg *table, int rows, const cb_arg *other, int other_rows,
                                          const char *why, int argc, char **argv);
/* `usage` as it is, then the options by section with defaults, units and other names, wrapped at 100 columns. */
void cb_args_help(const cb_arg *table, int rows, const char *usage, FILE *to);
/* Words of `from` and a line end, broken before column 100; later lines begin at column `left`, where `to` already is. */
void cb_args_wrap(const char *from, int left, FILE *to);
/* Every option with its value, by section, two to a line of 80 columns: the resolved configuration. */
void cb_args_echo(const cb_arg *table, int rows, const void *from, FILE *to);
/* A line "--name<TAB>value" for every option that all processes of a run have to have alike, numbers exact. */
void cb_args_alike(const cb_arg *table, int rows, const void *from, FILE *to);
/* For a name that is not known: the three nearest of `words` (NULL-ended), the nearest first, as the rest of the
 * message's sentence: "; did you mean 'a', 'b' or 'c'?" of those that are near; if none is "; the nearest are 'a', 'b'
 * and 'c'."; "." if there are no words or nothing was given. Of names beyond 63 letters the first 63 count. Returns
 * out. */
char *cb_args_suggest(const char *given, const char *const *words, char out[256]);

#endif
