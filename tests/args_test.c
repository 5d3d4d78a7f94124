/* args: tables of options. Every test parses into a struct of all types and looks at fields or at the message. */
#include <stdlib.h>

#include "base/args.h"
#include "support/test.h"

typedef struct options {
    int64_t tp, steps, tokens, offset, ranks;
    double rate, clip;
    const char *data, *save;
    bool flash, verbose;
    int comm, schedule;
} options;

#define AT(field) offsetof(options, field)
static const cb_arg table[] = {
    {.name = "Parallelism", .type = CB_ARG_SECTION},
    {"tp", "tensor-model-parallel-size", CB_ARG_INT, AT(tp), "1", NULL, "Tensor-parallel size.", NULL, NULL, 1, 64, false},
    {"comm", NULL, CB_ARG_CHOICE, AT(comm), "threads", NULL, "How ranks reach each other.", "threads,mpi,nccl", NULL, 0,
     0, false},
    {"schedule", "pipeline-schedule", CB_ARG_CHOICE, AT(schedule), NULL, NULL, "Order of work.", "gpipe,1f1b", NULL, 0,
     0, false},
    {.name = "Training", .type = CB_ARG_SECTION},
    {"steps", "train-iters,iterations", CB_ARG_INT, AT(steps), "10", NULL, "Optimizer steps.", NULL, NULL, 0, 1e18, false},
    {"tokens", NULL, CB_ARG_INT, AT(tokens), NULL, "tokens", "Stop after so many.", NULL, "steps * batch", 0, 0, false},
    {"offset", NULL, CB_ARG_INT, AT(offset), "0", NULL, "May be negative.", NULL, NULL, -1e18, 100, false},
    {"learning-rate", "lr", CB_ARG_REAL, AT(rate), "3e-4", NULL, "Peak.", NULL, NULL, 0, 1, false},
    {"clip", NULL, CB_ARG_REAL, AT(clip), NULL, NULL, "Largest gradient norm.", NULL, NULL, 0, 0, false},
    {"data", NULL, CB_ARG_STRING, AT(data), NULL, NULL, "A text file.", NULL, NULL, 0, 0, false},
    {"ranks", NULL, CB_ARG_INT, AT(ranks), "1", "ranks", "How many.", NULL, NULL, 0, 0, false},
    {"save", NULL, CB_ARG_STRING, AT(save), "model", NULL, "A folder.", NULL, NULL, 0, 0, true},
    {"flash", NULL, CB_ARG_BOOL, AT(flash), "true", NULL, "Attention in blocks.", NULL, NULL, 0, 0, false},
    {"verbose", NULL, CB_ARG_BOOL, AT(verbose), NULL, NULL, "Say more.", NULL, NULL, 0, 0, false},
};
enum { ROWS = sizeof table / sizeof *table };

/* Parses a NULL-ended list of words. */
static cb_err parse(options *o, const char *const *words) {
    int n = 0;
    while (words[n]) n++;
    return cb_args_parse(table, ROWS, o, n, (char **)(uintptr_t)words);
}
#define PARSE(o, ...) parse((o), (const char *const[]){__VA_ARGS__, NULL})
#define GIVEN(name, n, ...) \
    cb_args_given(table, ROWS, (name), (n), (char **)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

static void defaults(void) {
    options o;
    memset(&o, 0x5a, sizeof o);
    CHECK_OK(cb_args_parse(table, ROWS, &o, 0, NULL));
    CHECK_INT(o.tp, 1);
    CHECK_INT(o.comm, 0);
    CHECK_INT(o.schedule, -1);
    CHECK_INT(o.steps, 10);
    CHECK_INT(o.tokens, 0);
    CHECK(o.rate == 3e-4);
    CHECK(isnan(o.clip));
    CHECK(o.data == NULL);
    CHECK_STR(o.save, "model");
    CHECK(o.flash);
    CHECK(!o.verbose);
}

static void both_ways_to_write_a_value(void) {
    options o;
    CHECK_OK(
        PARSE(&o, "--tp", "4", "--steps=20", "--comm=mpi", "--schedule", "1f1b", "--lr", "0.5", "--data", "a b.txt"));
    CHECK_INT(o.tp, 4);
    CHECK_INT(o.steps, 20);
    CHECK_INT(o.comm, 1);
    CHECK_INT(o.schedule, 1);
    CHECK(o.rate == 0.5);
    CHECK_STR(o.data, "a b.txt");
    CHECK_OK(PARSE(&o, "--data=--odd=name", "--save="));
    CHECK_STR(o.data, "--odd=name");
    CHECK_STR(o.save, "");
}

static void aliases(void) {
    options o;
    CHECK_OK(PARSE(&o, "--tensor-model-parallel-size", "8", "--iterations=3", "--learning-rate", "0.25"));
    CHECK_INT(o.tp, 8);
    CHECK_INT(o.steps, 3);
    CHECK(o.rate == 0.25);
    CHECK_OK(PARSE(&o, "--train-iters", "5"));
    CHECK_INT(o.steps, 5);
}

static void the_last_one_counts(void) {
    options o;
    CHECK_OK(PARSE(&o, "--tp", "2", "--tensor-model-parallel-size", "4", "--tp=8", "--flash", "--no-flash"));
    CHECK_INT(o.tp, 8);
    CHECK(!o.flash);
}

static void booleans(void) {
    static const char *const yes[] = {"--verbose", "--verbose=true", "--verbose=yes", "--verbose=on", "--verbose=1"};
    static const char *const no[] = {"--no-verbose", "--verbose=false", "--verbose=no", "--verbose=off", "--verbose=0"};
    options o;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(PARSE(&o, yes[i]));
        CHECK(o.verbose);
        CHECK_OK(PARSE(&o, "--verbose", no[i]));
        CHECK(!o.verbose);
    }
    CHECK_FAILS(PARSE(&o, "--verbose=maybe"), CB_EUSAGE,
                "--verbose: 'maybe' is not yes or no; write --verbose or --no-verbose");
    CHECK_FAILS(PARSE(&o, "--no-verbose=1"), CB_EUSAGE, "--no-verbose=1: takes no value");
    CHECK_FAILS(PARSE(&o, "--no-tp"), CB_EUSAGE, "--no-tp: only yes-or-no options have a --no- form");
    CHECK_FAILS(PARSE(&o, "--verbose", "true"), CB_EUSAGE, "'true' is left over after --verbose, which takes no value");
}

static void whole_numbers(void) {
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"+7", 7},
                {"007", 7},
                {"-5", -5},
                {"1e6", 1000000},
                {"1.5e3", 1500},
                {"2E2", 200},
                {"5000e-3", 5},
                {"4k", 4096},
                {"4K", 4096},
                {"2m", 2097152},
                {"1g", 1073741824},
                {"1.5g", 1610612736},
                {"-1k", -1024},
                {"3.", 3},
                {"9007199254740993", 9007199254740993}, /* 2^53 + 1: no double */
                {"9223372036854775807", INT64_MAX}};
    options o;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(PARSE(&o, "--tokens", good[i].text));
        CHECK_INT(o.tokens, good[i].value);
    }
    static const char *const bad[] = {"",   "12x", "x",  "1.5", "1e-1", "0x10", "nan", "inf", "1 ",  " 1", "4kk",
                                      "4t", "--",  "e5", "1e",  "1e+",  ".",    "-",   "+",   "1,0", "k",  "1ek"};
    char word[64], message[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(word, sizeof word, "--tokens=%s", bad[i]);
        snprintf(message, sizeof message, "--tokens: '%s' is not a whole number", bad[i]);
        CHECK_FAILS(PARSE(&o, word), CB_EUSAGE, message);
    }
    CHECK_FAILS(PARSE(&o, "--tokens", "9223372036854775808"), CB_EUSAGE, "is too large");
    CHECK_FAILS(PARSE(&o, "--tokens", "1e999999"), CB_EUSAGE,
                "is too large; the largest whole number is 9223372036854775807");
    CHECK_FAILS(PARSE(&o, "--tokens", "9000000000g"), CB_EUSAGE, "is too large");
    CHECK_FAILS(PARSE(&o, "--steps", "12x"), CB_EUSAGE, "--steps: '12x' is not a whole number");
}

static void reals(void) {
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"-0.25", -0.25}, {".5", 0.5}, {"5.", 5}, {"1e-5", 1e-5}, {"+2.5E+3", 2500}, {"1e-999", 0}};
    options o;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(PARSE(&o, "--clip", good[i].text));
        CHECK(o.clip == good[i].value);
    }
    static const char *const bad[] = {"", "abc", "1.2.3", "nan", "inf", "0x1p3", "1e", "3e-", "1k", "1,5", " 1", "1 "};
    char word[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(word, sizeof word, "--clip=%s", bad[i]);
        CHECK_FAILS(PARSE(&o, word), CB_EUSAGE, "is not a number");
    }
    CHECK_FAILS(PARSE(&o, "--clip", "1e999"), CB_EUSAGE, "--clip: '1e999' is too large for a number");
}

static void ranges(void) {
    options o;
    CHECK_OK(
        PARSE(&o, "--tp", "1", "--tp", "64", "--lr", "0", "--lr", "1", "--offset", "-123456789", "--offset", "100"));
    CHECK_FAILS(PARSE(&o, "--tp", "0"), CB_EUSAGE, "--tp is 0; it can be 1 to 64");
    CHECK_FAILS(PARSE(&o, "--tp=1k"), CB_EUSAGE, "--tp is 1k; it can be 1 to 64");
    CHECK_FAILS(PARSE(&o, "--tensor-model-parallel-size", "-3"), CB_EUSAGE, "--tp is -3; it can be 1 to 64");
    CHECK_FAILS(PARSE(&o, "--lr", "1.001"), CB_EUSAGE, "--learning-rate is 1.001; it can be 0 to 1");
    CHECK_FAILS(PARSE(&o, "--steps", "-1"), CB_EUSAGE, "--steps is -1; it must be at least 0");
    CHECK_FAILS(PARSE(&o, "--offset", "101"), CB_EUSAGE, "--offset is 101; it can be at most 100");
}

/* A bound that is too large to be a size is kept, and the message is about the side that was passed. */
static void far_bounds(void) {
    options o;
    CHECK_FAILS(PARSE(&o, "--steps", "2000000000000000000"), CB_EUSAGE, "it can be 0 to 1e+18");
    CHECK_FAILS(PARSE(&o, "--offset", "-2000000000000000000"), CB_EUSAGE, "it can be -1e+18 to 100");
}

/* Whoever asks for help gets it, whatever else is wrong. */
static void help_comes_first(void) {
    struct {
        bool help;
        int64_t n;
    } o;
    const cb_arg rows[] = {{"n", NULL, CB_ARG_INT, sizeof(int64_t), "1", NULL, "", NULL, NULL, 1, 2, false},
                           {"help", NULL, CB_ARG_BOOL, 0, "false", NULL, "", NULL, NULL, 0, 0, false}};
    const char *const wrong[][3] = {{"--n", "--help"}, {"--n", "9", "--help"}, {"--help", "--m", "1"}, {"--n=x", "--help"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int count = wrong[i][2] ? 3 : 2;
        CHECK_OK(cb_args_parse(rows, 2, &o, count, (char **)(uintptr_t)wrong[i]));
        CHECK(o.help);
    }
    const char *const brief[] = {"--n", "9", "-h"};
    CHECK_OK(cb_args_parse(rows, 2, &o, 3, (char **)(uintptr_t)brief));
    CHECK(o.help);
    const char *const value[] = {"--n", "2"};
    CHECK_OK(cb_args_parse(rows, 2, &o, 2, (char **)(uintptr_t)value));
    CHECK(!o.help && o.n == 2);
}

static void choices(void) {
    options o;
    CHECK_OK(PARSE(&o, "--comm", "nccl"));
    CHECK_INT(o.comm, 2);
    CHECK_FAILS(PARSE(&o, "--comm", "thread"), CB_EUSAGE,
                "--comm: 'thread' is none of its choices; did you mean 'threads'? It can be threads, mpi or nccl");
    CHECK_FAILS(PARSE(&o, "--comm", "infiniband"), CB_EUSAGE,
                "--comm: 'infiniband' is none of its choices; the nearest are 'threads', 'mpi' and 'nccl'. It can be threads, mpi or nccl");
    CHECK_FAILS(PARSE(&o, "--comm", "threads,mpi"), CB_EUSAGE, "It can be threads, mpi or nccl");
    CHECK_FAILS(PARSE(&o, "--comm="), CB_EUSAGE, "It can be threads, mpi or nccl");
    CHECK_FAILS(PARSE(&o, "--schedule=2f2b"), CB_EUSAGE, "did you mean '1f1b'? It can be gpipe or 1f1b");
}

static void missing_values(void) {
    options o;
    CHECK_FAILS(PARSE(&o, "--tp"), CB_EUSAGE, "--tp needs a value");
    CHECK_FAILS(PARSE(&o, "--data", "--tp", "2"), CB_EUSAGE, "--data needs a value");
    CHECK_FAILS(PARSE(&o, "--train-iters"), CB_EUSAGE, "--train-iters needs a value");
    CHECK_OK(PARSE(&o, "--tokens", "-12"));
    CHECK_INT(o.tokens, -12);
    CHECK_OK(PARSE(&o, "--data", "-"));
    CHECK_STR(o.data, "-");
}

static void unknown_options(void) {
    options o;
    CHECK_FAILS(PARSE(&o, "--tpp", "2"), CB_EUSAGE, "--tpp is not an option; did you mean '--tp'");
    CHECK_FAILS(PARSE(&o, "--stpes=2"), CB_EUSAGE, "--stpes is not an option; did you mean '--steps'? --help lists them all");
    CHECK_FAILS(PARSE(&o, "--tensor-parallel-size", "2"), CB_EUSAGE, "did you mean '--tensor-model-parallel-size'");
    CHECK_FAILS(PARSE(&o, "--learning", "2"), CB_EUSAGE, "did you mean '--learning-rate'");
    CHECK_FAILS(PARSE(&o, "--zzzzzzzzz", "2"), CB_EUSAGE, "--zzzzzzzzz is not an option; the nearest are '--");
    CHECK_FAILS(PARSE(&o, "--Training"), CB_EUSAGE, "--Training is not an option"); /* a heading is none */
    CHECK_FAILS(PARSE(&o, "--tp,steps", "2"), CB_EUSAGE, "--tp,steps is not an option");
}

static void leftover_words(void) {
    options o;
    CHECK_FAILS(PARSE(&o, "file.txt"), CB_EUSAGE, "'file.txt' is left over; every option is written --name value");
    CHECK_FAILS(PARSE(&o, "--tp", "2", "3"), CB_EUSAGE, "'3' is left over after --tp, which takes one value");
    CHECK_FAILS(PARSE(&o, "-tp", "2"), CB_EUSAGE, "'-tp': options begin with two dashes, --tp");
    CHECK_FAILS(PARSE(&o, "-tp=2"), CB_EUSAGE, "'-tp=2': options begin with two dashes, --tp=2");
    CHECK_FAILS(PARSE(&o, "--"), CB_EUSAGE, "'--' is left over");
    CHECK_FAILS(PARSE(&o, "--=2"), CB_EUSAGE, "'--=2' is left over");
    CHECK_FAILS(PARSE(&o, ""), CB_EUSAGE, "'' is left over");
}

static void bad_default_is_reported(void) {
    const cb_arg row = {.name = "n", .type = CB_ARG_INT, .fallback = "ten"};
    int64_t n;
    CHECK_FAILS(cb_args_parse(&row, 1, &n, 0, NULL), CB_EUSAGE, "default: --n: 'ten' is not a whole number");
    const cb_arg off = {.name = "n", .type = CB_ARG_INT, .fallback = "0", .min = 1, .max = 9}; /* 0: off */
    CHECK_OK(cb_args_parse(&off, 1, &n, 0, NULL));
    CHECK_INT(n, 0);
}

static void given(void) {
    CHECK(GIVEN("tp", 2, "--tp", "2"));
    CHECK(GIVEN("tp", 1, "--tp=2"));
    CHECK(GIVEN("tp", 2, "--tensor-model-parallel-size", "2"));
    CHECK(GIVEN("flash", 1, "--no-flash"));
    CHECK(!GIVEN("tp", 2, "--data", "tp"));
    CHECK(!GIVEN("tp", 2, "--steps", "2"));
    CHECK(!GIVEN("tp", 0, NULL));
    CHECK(GIVEN("help", 3, "--tp", "2", "--help"));
    CHECK(GIVEN("help", 2, "--data", "--help"));
    CHECK(!GIVEN("help", 1, "--data=--help"));
    CHECK(!GIVEN("help", 2, "--tp", "2"));
}

/* Runs the printer into memory; the caller frees. */
static char *help_text(const char *usage) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cb_args_help(table, ROWS, usage, to);
    fclose(to);
    return text;
}

static cb_err refuse_foreign(const char *const *words) {
    static const cb_arg own[] = {{.name = "tp", .type = CB_ARG_INT, .offset = 0},
                                 {.name = "help", .type = CB_ARG_BOOL, .offset = 8}};
    static const cb_arg other[] = {{.name = "tp", .type = CB_ARG_INT, .offset = 0},
                                   {.name = "check", .aliases = "check-all", .type = CB_ARG_BOOL, .offset = 8}};
    int n = 0;
    while (words[n]) n++;
    return cb_args_refuse_foreign(own, 2, other, 2, "goes elsewhere", n, (char **)(uintptr_t)words);
}
#define FOREIGN(...) refuse_foreign((const char *const[]){__VA_ARGS__, NULL})

static void foreign_options(void) {
    CHECK_FAILS(FOREIGN("--tp", "2", "--check"), CB_EUSAGE, "--check goes elsewhere");
    CHECK_FAILS(FOREIGN("--check-all=yes"), CB_EUSAGE, "--check-all goes elsewhere");
    CHECK_FAILS(FOREIGN("--no-check"), CB_EUSAGE, "--no-check goes elsewhere");
    CHECK_OK(FOREIGN("--tp", "2"));
    CHECK_OK(FOREIGN("--chek", "--tp")); /* the parser's to refuse */
    CHECK_OK(FOREIGN("--check", "--help"));
}

static void near_names(void) {
    static const char *const models[] = {"gpt2-124m", "gpt2-350m", "gpt3-125m", "gpt3-175b", "llama-2-7b", NULL};
    static const char *const words[] = {"train", "plan", "schedule", "generate", "bench", "micro-batch-size", NULL};
    char text[256];
    CHECK_STR(cb_args_suggest("gpt2-125m", models, text), "; did you mean 'gpt2-124m', 'gpt3-125m' or 'gpt2-350m'?");
    CHECK_STR(cb_args_suggest("llama", models, text), "; did you mean 'llama-2-7b'?");
    CHECK_STR(cb_args_suggest("train", words, text), "; did you mean 'train'?");
    CHECK_STR(cb_args_suggest("trian", words, text), "; did you mean 'train'?"); /* neighbours swapped: one edit */
    CHECK_STR(cb_args_suggest("plna", words, text), "; did you mean 'plan'?");
    CHECK_STR(cb_args_suggest("PLNA", words, text), "; did you mean 'plan'?"); /* capitals are no edits */
    CHECK_STR(cb_args_suggest("scedul", words, text), "; did you mean 'schedule'?");
    CHECK_STR(cb_args_suggest("genarete", words, text), "; did you mean 'generate'?");
    CHECK_STR(cb_args_suggest("generator", words, text), "; did you mean 'generate'?");
    CHECK_STR(cb_args_suggest("microbatchsize", words, text), "; did you mean 'micro-batch-size'?");
    CHECK_STR(cb_args_suggest("mic", words, text), "; did you mean 'micro-batch-size'?"); /* begins it */
}

/* However far a name is, the nearest are named: those with the longest piece in common, then those with fewest edits. */
static void far_names(void) {
    static const char *const stacks[] = {"megatron-core", "fsdp", "torchtitan", "static-graph", NULL};
    static const char *const models[] = {"bloom-176b", "demo", "llama-2-70b", "llama-2-7b", NULL};
    static const char *const two[] = {"threads", "mpi", NULL}, *const one[] = {"ring", NULL}, *const none[] = {NULL};
    char text[256], longest[400];
    CHECK_STR(cb_args_suggest("pytorch", stacks, text),
              "; the nearest are 'torchtitan', 'megatron-core' and 'fsdp'.");
    CHECK_STR(cb_args_suggest("qwen2-72b", models, text),
              "; the nearest are 'llama-2-70b', 'llama-2-7b' and 'bloom-176b'.");
    CHECK_STR(cb_args_suggest("xyz", two, text), "; the nearest are 'mpi' and 'threads'.");
    CHECK_STR(cb_args_suggest("x", one, text), "; the nearest is 'ring'.");
    CHECK_STR(cb_args_suggest("explain", one, text), "; the nearest is 'ring'.");
    CHECK_STR(cb_args_suggest("", models, text), ".");
    CHECK_STR(cb_args_suggest("train", none, text), ".");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CHECK_STR(cb_args_suggest(longest, two, text), "; the nearest are 'threads' and 'mpi'.");
    const char *const long_names[] = {longest, longest, longest, NULL};
    CHECK(strlen(cb_args_suggest("abc", long_names, text)) < sizeof text);
}

static void help_has_every_option(void) {
    char *text = help_text("Usage: cuboid train [options]\n       second line");
    CHECK(strncmp(text, "Usage: cuboid train [options]\n       second line\n\nParallelism\n", 62) == 0);
    CHECK(strstr(text, "\nTraining\n"));
    CHECK(strstr(text,
                 "  --tp N                   Tensor-parallel size. (default: 1; also --tensor-model-parallel-size)\n"));
    CHECK(strstr(text, "  --comm threads|mpi|nccl  How ranks reach each other. (default: threads)\n"));
    CHECK(strstr(text, "  --schedule gpipe|1f1b    Order of work. (also --pipeline-schedule)\n"));
    CHECK(strstr(text, "Optimizer steps. (default: 10; also --train-iters, --iterations)\n"));
    CHECK(strstr(text, "  --tokens N               Stop after so many. (default: steps * batch, in tokens)\n"));
    CHECK(strstr(text, "  --learning-rate X        Peak. (default: 3e-4; also --lr)\n"));
    CHECK(strstr(text, "  --ranks N                How many. (default: 1 rank)\n"));
    CHECK(strstr(text, "  --clip X                 Largest gradient norm.\n"));
    CHECK(strstr(text, "  --[no-]flash             Attention in blocks. (default: yes)\n"));
    CHECK(strstr(text, "  --verbose                Say more.\n"));
    free(text);
}

static void help_is_wrapped_and_aligned(void) {
    char prose[700] = "";
    for (int i = 0; i < 60; i++) strcat(prose, i % 7 ? "words and " : "parallelisation ");
    const cb_arg rows[] = {
        {"long", NULL, CB_ARG_INT, 0, "1", "bytes", prose, NULL, NULL, 0, 0, false},
        {"an-option-whose-name-does-not-fit-left", NULL, CB_ARG_INT, 0, NULL, "s", "Short.", NULL, NULL, 0, 0, false}};
    char *text = NULL, *saved = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cb_args_help(rows, 2, "usage", to);
    fclose(to);
    int lines = 0, indented = 0;
    CHECK(strstr(text, "\n  --an-option-whose-name-does-not-fit-left N\n            Short. (in s)\n"));
    for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved), lines++) {
        CHECK(strlen(line) <= 100);
        CHECK(line[strlen(line) - 1] != ' ');
        indented += strncmp(line, "            ", 12) == 0 && line[12] != ' ';
    }
    CHECK(lines > 10 && indented > 6);
    free(text);
}

/* The echo of the options that these words give. The caller frees. */
static char *echo(const char *const *words) {
    options o;
    CHECK_OK(parse(&o, words));
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cb_args_echo(table, ROWS, &o, to);
    fclose(to);
    return text;
}
#define ECHO(...) echo((const char *const[]){__VA_ARGS__, NULL})

static void echo_shows_what_is_set(void) {
    char *text = ECHO("--tp=4", "--tokens", "1e6", "--lr", "0.1", "--no-flash", "--comm", "mpi", "--save",
                      "a/path/that/is/longer/than/half/a/line");
    CHECK_STR(text, "Parallelism\n"
                    "  tp             4                          comm           mpi\n"
                    "  schedule       -\n"
                    "Training\n"
                    "  steps          10                         tokens         1000000 tokens\n"
                    "  offset         0                          learning-rate  0.1\n"
                    "  clip           -                          data           -\n"
                    "  ranks          1 rank\n"
                    "  save           a/path/that/is/longer/than/half/a/line\n"
                    "  flash          no                         verbose        no\n");
    free(text);
}

static void echo_writes_numbers_for_people(void) {
    static const char *const pairs[][2] = {{"600", "600"},
                                           {"6e2", "600"},
                                           {"1e-8", "1e-8"},
                                           {"0.00059999999999999995", "0.0006"},
                                           {"5.9999999999999995e-05", "6e-5"},
                                           {"1e6", "1000000"},
                                           {"2.5e10", "2.5e10"},
                                           {"0.123456789", "0.123456789"},
                                           {"0", "0"},
                                           {"-1.5", "-1.5"},
                                           {"1e300", "1e300"},
                                           {"1048576", "1048576"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char line[80];
        char *text = ECHO("--clip", pairs[i][0]);
        snprintf(line, sizeof line, "  clip           %s ", pairs[i][1]);
        if (!CHECK(strstr(text, line))) fprintf(stderr, "    %s: no '%s' in\n%s", pairs[i][0], line, text);
        free(text);
    }
}

/* All options but those that each process has for itself, exact to the last bit. */
static void alike_has_every_bit(void) {
    options o;
    CHECK_OK(PARSE(&o, "--tp", "4", "--lr", "0.30000000000000004", "--clip", "1e-8", "--data", "a\nb", "--no-flash"));
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cb_args_alike(table, ROWS, &o, to);
    fclose(to);
    CHECK_STR(text, "--tp\t4\n--comm\tthreads\n--schedule\tleft out\n--steps\t10\n--tokens\t0\n--offset\t0\n"
                    "--learning-rate\t0.30000000000000004\n--clip\t1e-8\n--data\ta?b\n--ranks\t1\n--flash\tno\n"
                    "--verbose\tno\n");
    free(text);
}

int main(void) {
    RUN(alike_has_every_bit);
    RUN(defaults);
    RUN(both_ways_to_write_a_value);
    RUN(aliases);
    RUN(the_last_one_counts);
    RUN(booleans);
    RUN(whole_numbers);
    RUN(reals);
    RUN(ranges);
    RUN(far_bounds);
    RUN(help_comes_first);
    RUN(choices);
    RUN(missing_values);
    RUN(unknown_options);
    RUN(leftover_words);
    RUN(bad_default_is_reported);
    RUN(given);
    RUN(foreign_options);
    RUN(near_names);
    RUN(far_names);
    RUN(help_has_every_option);
    RUN(help_is_wrapped_and_aligned);
    RUN(echo_shows_what_is_set);
    RUN(echo_writes_numbers_for_people);
    return test_end();
}
