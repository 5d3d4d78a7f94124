/* The table of constants: few, named once, in range; files that replace some of them, and files that are refused. */
#include <stdlib.h>
#include <unistd.h>

#include "planner/constants.h"
#include "support/test.h"

static void table(void) {
    int count = cb_constants_count();
    CHECK(count > 0 && count <= 60);
    cb_constants constants = cb_constants_default();
    for (int i = 0; i < count; i++) {
        const cb_constant *row = cb_constant_at(i);
        CHECK(row->min < row->max && row->min >= 0);
        CHECK(row->value >= row->min && row->value <= row->max);
        CHECK(cb_constants_value(&constants, i) == row->value);
        CHECK(row->unit[0] && row->meaning[0] && row->source[0]);
        for (int j = 0; j < i; j++) CHECK(strcmp(row->name, cb_constant_at(j)->name) != 0);
    }
}

static cb_err read_text(cb_constants *constants, const char *text) {
    char path[] = "/tmp/cuboid_constants_XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
    *constants = cb_constants_default();
    cb_err e = cb_constants_read(constants, path);
    remove(path);
    return e;
}

static void reads(void) {
    cb_constants c, usual = cb_constants_default();
    CHECK_OK(read_text(&c, "{\"gemm_ampere\": 0.5, \"kernel_s\": 5e-6}"));
    CHECK(c.gemm[CB_AMPERE] == 0.5 && c.kernel_s == 5e-6);
    CHECK(c.gemm[CB_HOPPER] == usual.gemm[CB_HOPPER]);
    CHECK_OK(read_text(&c, "[{\"name\": \"kernel_s\", \"value\": 4e-6, \"unit\": \"s\"}]"));
    CHECK(c.kernel_s == 4e-6 && c.gemm[CB_AMPERE] == usual.gemm[CB_AMPERE]);
    CHECK_OK(read_text(&c, "{}"));
    CHECK(memcmp(&c, &usual, sizeof c) == 0);
}

static void refused(void) {
    cb_constants c;
    CHECK_FAILS(cb_constants_read(&c, "/no/such/file"), CB_EIO, "/no/such/file");
    CHECK_FAILS(read_text(&c, "{\"gemm_ampere\": 1.5}"), CB_EFORMAT,
                ":1:2: gemm_ampere is 1.5 of peak; physical are 0.3 to 0.95");
    CHECK_FAILS(read_text(&c, "{\"gem_ampere\": 0.5}"), CB_EFORMAT,
                ":1:2: 'gem_ampere' is no constant of the planner; did you mean 'gemm_ampere'");
    CHECK_FAILS(read_text(&c, "{\"kernel_s\": 5e-6,\n\"gemm_ampere\": \"0.5\"}"), CB_EFORMAT,
                ":2:1: gemm_ampere is no number");
    CHECK_FAILS(read_text(&c, "[1]"), CB_EFORMAT, ":1:2: expected {\"name\"");
    CHECK_FAILS(read_text(&c, "[{\"name\": \"kernel_s\"}]"), CB_EFORMAT, ":1:2: kernel_s is no number");
    CHECK_FAILS(read_text(&c, "\n3"), CB_EFORMAT, ":2:1: expected {\"NAME\": NUMBER, ...}");
    CHECK_FAILS(read_text(&c, "{\"gemm_ampere\": 0.5,\n \"kernel_s\" 1}"), CB_EFORMAT, ":2:13: not JSON: ");
    CHECK_FAILS(read_text(&c, "{\"kernel_s\": 5e-6, \"kernel_s\": 6e-6}"), CB_EFORMAT, ":1:");
}

int main(void) {
    RUN(table);
    RUN(reads);
    RUN(refused);
    return test_end();
}
