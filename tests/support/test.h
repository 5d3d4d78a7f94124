/* A small test frame: checks count and never jump, so they work on any rank's thread. A test program is one file per module:
 *
 *   static void adds(void) { CHECK(1 + 1 == 2); CHECK_INT(f(3), 9); }
 *   int main(void) { RUN(adds); return test_end(); }
 *
 * The last line is "N passed, N failed" (checks), the exit code 1 where one failed. */
#ifndef CB_TESTS_SUPPORT_TEST_H
#define CB_TESTS_SUPPORT_TEST_H

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Sanitizers are slow, and look at messages and memory, not at numbers: there fewer sizes and repetitions will do. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { TEST_SANITIZED = 1 };
#else
enum { TEST_SANITIZED = 0 };
#endif

static atomic_int test_passed_, test_failed_;

static inline bool test_check_(bool ok, const char *file, int line, const char *what) {
    if (ok) {
        atomic_fetch_add(&test_passed_, 1);
    } else if (atomic_fetch_add(&test_failed_, 1) < 50) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    }
    return ok;
}

static inline bool test_int_(long long got, long long want, const char *file, int line, const char *what) {
    bool ok = test_check_(got == want, file, line, what);
    if (!ok) fprintf(stderr, "    got %lld, expected %lld\n", got, want);
    return ok;
}

static inline bool test_near_(double got, double want, double bound, const char *file, int line, const char *what) {
    bool ok = test_check_(fabs(got - want) <= bound, file, line, what);
    if (!ok) fprintf(stderr, "    got %.9g, expected %.9g within %g\n", got, want, bound);
    return ok;
}

/* e is CB_OK; prints and frees it otherwise */
static inline bool test_ok_(cb_err e, const char *file, int line, const char *what) {
    bool ok = test_check_(e == CB_OK, file, line, what);
    if (!ok) fprintf(stderr, "    error: %s\n", cb_err_text(e));
    cb_err_free(e);
    return ok;
}

/* e has this code and its text contains `part`; frees it */
static inline bool test_fails_(cb_err e, cb_code code, const char *part, const char *file, int line, const char *what) {
    bool ok = test_check_(e && cb_err_code(e) == code && strstr(cb_err_text(e), part), file, line, what);
    if (!ok) fprintf(stderr, "    got: %s, expected to contain: %s\n", e ? cb_err_text(e) : "no error", part);
    cb_err_free(e);
    return ok;
}

#define CHECK(cond) test_check_((cond), __FILE__, __LINE__, #cond)
#define CHECK_INT(got, want) test_int_((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_NEAR(got, want, bound) test_near_((got), (want), (bound), __FILE__, __LINE__, #got " ~ " #want)
#define CHECK_STR(got, want) test_check_(strcmp((got), (want)) == 0, __FILE__, __LINE__, #got " == " #want)
#define CHECK_OK(call) test_ok_((call), __FILE__, __LINE__, #call)
#define CHECK_FAILS(call, code, part) test_fails_((call), (code), (part), __FILE__, __LINE__, #call)
#define RUN(test)                                                                                                      \
    do {                                                                                                               \
        int before_ = atomic_load(&test_failed_);                                                                      \
        test();                                                                                                        \
        printf("%s %s\n", atomic_load(&test_failed_) == before_ ? "ok  " : "FAIL", #test);                             \
        fflush(stdout);                                                                                                \
    } while (0)

static inline int test_end(void) {
    printf("%d passed, %d failed\n", atomic_load(&test_passed_), atomic_load(&test_failed_));
    return atomic_load(&test_failed_) ? 1 : 0;
}

#endif
