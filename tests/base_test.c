/* base: errors, arenas, random numbers, the machine. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/rng.h"
#include "support/test.h"

/* err */

static cb_err inner(int n) {
    if (n > 3) return cb_fail(CB_EINVAL, "n is %d; n can be 0 to 3", n);
    return CB_OK;
}

static cb_err outer(int n, int *reached) {
    TRY(inner(n));
    *reached = 1;
    return CB_OK;
}

static void error_travels_up(void) {
    int reached = 0;
    CHECK_OK(outer(3, &reached));
    CHECK_INT(reached, 1);
    reached = 0;
    CHECK_FAILS(outer(4, &reached), CB_EINVAL, "n is 4; n can be 0 to 3");
    CHECK_INT(reached, 0);
}

static void error_takes_context(void) {
    cb_err e = cb_err_context(cb_fail(CB_EFORMAT, "bad byte %d", 7), "file %s", "a.bin");
    CHECK_STR(cb_err_text(e), "file a.bin: bad byte 7");
    CHECK_INT(cb_err_code(e), CB_EFORMAT);
    cb_err_free(e);
    CHECK(cb_err_context(CB_OK, "nothing") == CB_OK);
    CHECK_STR(cb_err_text(CB_OK), "no error");
    cb_err_free(CB_OK);
}

static void error_of_any_length(void) {
    char longest[6000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cb_err e = cb_fail(CB_EIO, "%s", longest);
    CHECK_INT(strlen(cb_err_text(e)), 2047);
    for (int i = 0; i < 8; i++) e = cb_err_context(e, "%s", longest);
    CHECK_INT(cb_err_code(e), CB_EIO);
    CHECK_INT(strlen(cb_err_text(e)), 2559);
    cb_err_free(e);
}

static void error_exit_codes(void) {
    for (cb_code code = CB_EUSAGE; code <= CB_EUNSUPPORTED; code++) {
        cb_err e = cb_fail(code, "x");
        CHECK_INT(cb_err_exit_code(e), code == CB_EUSAGE || code == CB_EINVAL || code == CB_EFORMAT ? 2 : 1);
        cb_err_free(e);
    }
    CHECK_INT(cb_err_exit_code(CB_OK), 0);
}

/* arena */

static void aligned_rounds_up(void) {
    for (int64_t n = 0; n <= 300; n++) {
        int64_t rounded = cb_aligned(n);
        CHECK(rounded >= n && rounded < n + CB_ALIGN && rounded % CB_ALIGN == 0);
    }
}

static void arena_is_taken_to_the_byte(void) {
    const int64_t pieces[] = {1, 64, 65, 0, 4096, 7};
    int64_t size = 0;
    for (int i = 0; i < 6; i++) size += cb_aligned(pieces[i]);
    cb_arena arena;
    CHECK_OK(cb_arena_create(&arena, "test", size));
    char *expected = arena.base;
    for (int i = 0; i < 6; i++) {
        char *piece = cb_arena_take(&arena, pieces[i]);
        CHECK(piece == expected && (uintptr_t)piece % CB_ALIGN == 0);
        for (int64_t j = 0; j < pieces[i]; j++)
            if (!CHECK_INT(piece[j], 0)) break;
        memset(piece, 0xff, (size_t)pieces[i]);
        expected += cb_aligned(pieces[i]);
    }
    CHECK_INT(arena.used_bytes, size);
    arena.used_bytes = 0; /* reuse: the high-water mark stays */
    (void)cb_arena_take(&arena, 10);
    CHECK_INT(arena.high_bytes, size);
    cb_arena_destroy(&arena);
    CHECK(!arena.base && arena.size_bytes == 0);
    cb_arena_destroy(&arena);
}

static void arena_of_nothing(void) {
    cb_arena arena;
    CHECK_OK(cb_arena_create(&arena, "empty", 0));
    cb_arena_destroy(&arena);
}

static void arena_too_large_says_the_numbers(void) {
    cb_arena arena;
    CHECK_FAILS(cb_arena_create(&arena, "weights", (int64_t)1 << 60), CB_ENOMEM,
                "not enough memory for weights: asked for 1.00 EiB (1152921504606846976 bytes), available ");
    CHECK(!arena.base && arena.size_bytes == 0);
    cb_arena_destroy(&arena);
}

/* rng */

static void philox_known_answers(void) {
    /* Random123, tests/kat_vectors: "philox4x32 10", counter, key, answer */
    static const uint32_t known[3][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                          {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                                           0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                          {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                                           0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        cb_rng_philox(known[i] + 4, known[i], out);
        for (int j = 0; j < 4; j++) CHECK_INT(out[j], known[i][6 + j]);
    }
}

static void words_come_from_blocks(void) {
    cb_rng_key key = {1234, 7};
    const uint32_t k[2] = {1234, 7};
    const uint64_t counters[] = {0, 1, 2, 0xfffffffe, 0xffffffff, 0x100000000, 0x123456789abcdef, UINT64_MAX / 4};
    for (int i = 0; i < 8; i++) {
        const uint32_t counter[4] = {(uint32_t)counters[i], (uint32_t)(counters[i] >> 32), 0, 0};
        uint32_t want[4], got[4];
        cb_rng_philox(k, counter, want);
        cb_rng_block(key, counters[i], got);
        CHECK(memcmp(want, got, sizeof want) == 0);
        for (unsigned j = 0; j < 4; j++) CHECK_INT(cb_rng_u32(key, counters[i] * 4 + j), want[j]);
        uint64_t both = want[0] | (uint64_t)want[1] << 32;
        CHECK(cb_rng_u64(key, counters[i]) == both);
        CHECK(cb_rng_uniform(key, counters[i]) == (double)(both >> 11) / 9007199254740992.0);
    }
}

static void seeds_and_streams_differ(void) {
    uint64_t seen[64];
    int n = 0;
    for (uint32_t seed = 0; seed < 8; seed++)
        for (uint32_t stream = 0; stream < 8; stream++) seen[n++] = cb_rng_u64((cb_rng_key){seed, stream}, 0);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) CHECK(seen[i] != seen[j]);
}

static void uniform_is_uniform(void) {
    enum { N = 100000, BINS = 20 };
    int bins[BINS] = {0};
    double sum = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = cb_rng_uniform((cb_rng_key){42, 3}, i);
        if (!CHECK(u >= 0 && u < 1)) return;
        sum += u;
        bins[(int)(u * BINS)]++;
    }
    double chi = 0, each = (double)N / BINS;
    for (int i = 0; i < BINS; i++) chi += (bins[i] - each) * (bins[i] - each) / each;
    CHECK_NEAR(sum / N, 0.5, 0.004); /* 4.4 standard errors */
    CHECK_NEAR(chi, 19, 30);         /* 19 degrees of freedom; the draw is fixed by the key */
}

/* All of 0..n at once, one by one and in every piece give the same bits. */
static void normal_does_not_depend_on_the_cut(void) {
    enum { N = 41 };
    cb_rng_key key = {9, 1};
    const uint64_t starts[] = {0, 1, 2, 3, 4, 0xfffffffd, 0x3fffffffe};
    for (int s = 0; s < 7; s++) {
        float all[N], piece[N];
        cb_rng_normal(key, starts[s], N, all);
        for (uint64_t first = 0; first <= N; first++)
            for (int64_t n = 0; n <= (int64_t)(N - first); n++) {
                memset(piece, 0xab, sizeof piece);
                cb_rng_normal(key, starts[s] + first, n, piece);
                CHECK(memcmp(piece, all + first, (size_t)n * sizeof *piece) == 0);
                if (n < N) CHECK(((unsigned char *)(piece + n))[0] == 0xab);
            }
    }
}

static void normal_is_box_muller(void) {
    cb_rng_key key = {5, 6};
    float got[8];
    cb_rng_normal(key, 0, 8, got);
    for (unsigned pair = 0; pair < 4; pair++) {
        double u = (cb_rng_u32(key, 2 * pair) + 0.5) / 4294967296.0, v = cb_rng_u32(key, 2 * pair + 1) / 4294967296.0;
        double radius = sqrt(-2 * log(u));
        CHECK_NEAR(got[2 * pair], radius * cos(2 * M_PI * v), 1e-6);
        CHECK_NEAR(got[2 * pair + 1], radius * sin(2 * M_PI * v), 1e-6);
    }
}

static void normal_has_its_moments(void) {
    enum { N = 200000 };
    float *x = malloc(N * sizeof *x);
    if (!CHECK(x)) return;
    cb_rng_normal((cb_rng_key){1234, 0}, 0, N, x);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, beyond = 0;
    for (int i = 0; i < N; i++) {
        double v = x[i];
        m1 += v, m2 += v * v, m3 += v * v * v, m4 += v * v * v * v;
        if (i) neighbours += v * x[i - 1];
        beyond += fabs(v) > 1.959964;
    }
    /* bounds: 4.5 standard errors, sqrt(k/N) with k = 1, 2, 15, 96 */
    CHECK_NEAR(m1 / N, 0, 0.0101);
    CHECK_NEAR(m2 / N, 1, 0.0143);
    CHECK_NEAR(m3 / N, 0, 0.039);
    CHECK_NEAR(m4 / N, 3, 0.0986);
    CHECK_NEAR(neighbours / N, 0, 0.0101);
    CHECK_NEAR(beyond / N, 0.05, 0.0022);
    free(x);
}

static void permute_is_a_bijection(uint64_t n, cb_rng_key key) {
    unsigned char *seen = calloc(n, 1);
    if (!CHECK(seen)) return;
    bool ok = true;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = cb_rng_permute(key, n, i);
        ok &= at < n && !seen[at];
        if (at < n) seen[at] = 1;
    }
    CHECK(ok);
    free(seen);
}

static void permutations(void) {
    for (uint64_t n = 1; n <= 130; n++)
        for (uint32_t seed = 0; seed < 3; seed++) permute_is_a_bijection(n, (cb_rng_key){seed, 11});
    const uint64_t sizes[] = {255, 256, 257, 1000, 1023, 1024, 1025, 4096, 4097, 65536, 65537};
    for (int i = 0; i < 11; i++) permute_is_a_bijection(sizes[i], (cb_rng_key){1234, 5});
}

/* Far too large to enumerate: inside the range, and no two of the first thousand alike. */
static void permutations_of_many(void) {
    const uint64_t sizes[] = {(uint64_t)1 << 32, ((uint64_t)1 << 32) + 1, ((uint64_t)1 << 62) + 1, UINT64_MAX};
    for (int s = 0; s < 4; s++) {
        static const int n = 300;
        uint64_t at[300];
        for (int i = 0; i < n; i++) {
            at[i] = cb_rng_permute((cb_rng_key){1, 2}, sizes[s], (uint64_t)i);
            CHECK(at[i] < sizes[s]);
            bool fresh = true;
            for (int j = 0; j < i; j++) fresh &= at[j] != at[i];
            CHECK(fresh);
        }
    }
}

/* Over many keys every value appears at every place about equally often. */
static void permutations_are_spread(void) {
    enum { KEYS = 6000, N = 6 };
    int count[N][N] = {{0}};
    for (uint32_t seed = 0; seed < KEYS; seed++)
        for (uint64_t i = 0; i < N; i++) count[i][cb_rng_permute((cb_rng_key){seed, 1}, N, i)]++;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) CHECK_NEAR(count[i][j], KEYS / N, 145); /* 5 standard deviations */
    int moved = 0, differs = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t a = cb_rng_permute((cb_rng_key){1, 1}, 1000, i), b = cb_rng_permute((cb_rng_key){2, 1}, 1000, i);
        moved += a != i;
        differs += a != b;
    }
    CHECK(moved > 980 && differs > 980);
}

/* os */

static void write_file(const char *root, const char *path, const char *text) {
    char full[1024];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(full, 0755);
    }
    FILE *file = fopen(full, "w");
    if (!CHECK(file)) return;
    fputs(text, file);
    fclose(file);
}

static void new_root(char root[512]) {
    snprintf(root, 512, CB_BINARY_DIR "/base_test_XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

static void remove_root(const char *root) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_INT(system(command), 0);
}

static const char *const MEMINFO = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n";

static void memory_without_limits(void) {
    char root[512];
    new_root(root);
    CHECK(cb_os_available_bytes_under(root) == INT64_MAX); /* nothing known */
    write_file(root, "/proc/meminfo", MEMINFO);
    CHECK_INT(cb_os_available_bytes_under(root), 8000000LL * 1024);
    write_file(root, "/proc/self/cgroup", "0::/user.slice\n");
    write_file(root, "/sys/fs/cgroup/user.slice/memory.max", "max\n");
    write_file(root, "/sys/fs/cgroup/user.slice/memory.current", "123456\n");
    CHECK_INT(cb_os_available_bytes_under(root), 8000000LL * 1024);
    CHECK(cb_os_quota_cores_under(root) == INT64_MAX);
    remove_root(root);
}

static void memory_of_cgroup_2(void) {
    char root[512];
    new_root(root);
    write_file(root, "/proc/meminfo", MEMINFO);
    write_file(root, "/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
    write_file(root, "/sys/fs/cgroup/a/b/memory.max", "1000000\n");
    write_file(root, "/sys/fs/cgroup/a/b/memory.current", "600000\n");
    CHECK_INT(cb_os_available_bytes_under(root), 400000);
    write_file(root, "/sys/fs/cgroup/a/b/memory.stat", "anon 1\nactive_inactive_file 9\ninactive_file 100000\n");
    CHECK_INT(cb_os_available_bytes_under(root), 500000); /* page cache can be given back */
    write_file(root, "/sys/fs/cgroup/a/memory.max", "700000\n");
    write_file(root, "/sys/fs/cgroup/a/memory.current", "650000\n");
    CHECK_INT(cb_os_available_bytes_under(root), 50000); /* a group above is tighter */
    write_file(root, "/sys/fs/cgroup/memory.max", "500000\n");
    write_file(root, "/sys/fs/cgroup/memory.current", "650000\n");
    CHECK_INT(cb_os_available_bytes_under(root), 0); /* over the limit already, at the mount itself */
    remove_root(root);
}

static void memory_of_cgroup_1(void) {
    char root[512];
    new_root(root);
    write_file(root, "/proc/meminfo", MEMINFO);
    write_file(root, "/proc/self/cgroup", "4:cpu,memory:/job\n0::/\n");
    write_file(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    write_file(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "5000\n");
    write_file(root, "/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "3000\n");
    write_file(root, "/sys/fs/cgroup/memory/job/memory.stat", "inactive_file 7\ntotal_inactive_file 1000\n");
    CHECK_INT(cb_os_available_bytes_under(root), 3000);
    remove_root(root);
}

static void cores_of_quotas(void) {
    char root[512];
    new_root(root);
    write_file(root, "/proc/self/cgroup", "3:cpu,cpuacct:/job\n0::/a/b\n");
    write_file(root, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    CHECK(cb_os_quota_cores_under(root) == INT64_MAX);
    write_file(root, "/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    CHECK_INT(cb_os_quota_cores_under(root), 3); /* two and a half, rounded up */
    write_file(root, "/sys/fs/cgroup/a/b/cpu.max", "10000 100000\n");
    CHECK_INT(cb_os_quota_cores_under(root), 1);
    write_file(root, "/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
    write_file(root, "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    write_file(root, "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cb_os_quota_cores_under(root), 3);
    write_file(root, "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n");
    CHECK_INT(cb_os_quota_cores_under(root), 2);
    remove_root(root);
}

static void this_machine(void) {
    CHECK(cb_os_cores() >= 1 && cb_os_cores() <= sysconf(_SC_NPROCESSORS_CONF));
    int64_t available = cb_os_available_bytes(), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    CHECK(available > 0 && available <= pages * page);
    int null = open("/dev/null", O_RDWR);
    CHECK(!cb_os_is_terminal(null));
    CHECK_INT(cb_os_terminal_columns(null), 80);
    close(null);
    double before = cb_now_s();
    CHECK(cb_now_s() >= before);
}

static void human_bytes(void) {
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1, "1 B"},
                 {1023, "1023 B"},
                 {1024, "1.00 KiB"},
                 {1536, "1.50 KiB"},
                 {1048570, "1023.99 KiB"},
                 {1048571, "1.00 MiB"}, /* never "1024.00 KiB" */
                 {(int64_t)1 << 20, "1.00 MiB"},
                 {1610612736, "1.50 GiB"},
                 {(int64_t)1 << 40, "1.00 TiB"},
                 {(int64_t)3 << 50, "3.00 PiB"},
                 {INT64_MAX, "8.00 EiB"},
                 {-1536, "-1.50 KiB"},
                 {INT64_MIN, "-8.00 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[16];
        CHECK(cb_os_human_bytes(cases[i].bytes, out) == out);
        CHECK_STR(out, cases[i].text);
    }
}

/* log */

static void *log_much(void *who) {
    for (int i = 0; i < 50; i++) cb_log(CB_LOG_WARN, who, "base", "line %d of this rank", i);
    return NULL;
}

/* Lines of four ranks at once arrive whole. */
static void log_lines_stay_whole(void) {
    char path[] = CB_BINARY_DIR "/base_log_XXXXXX", line[256];
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    if (!CHECK(file >= 0)) return;
    fcntl(file, F_SETFL, O_APPEND);
    dup2(file, STDERR_FILENO);
    static const char *const names[4] = {"d0 p0 t0", "d0 p0 t1", "d0 p1 t0", "d0 p1 t1"};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, log_much, (void *)(uintptr_t)names[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    char longest[4000];
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cb_log(CB_LOG_ERROR, NULL, "base", "%s", longest);
    dup2(saved, STDERR_FILENO);
    close(saved), close(file);
    FILE *read = fopen(path, "r");
    for (int n = 0; n < 200 && CHECK(fgets(line, sizeof line, read)); n++) {
        char who[9];
        int i, end = 0;
        CHECK(sscanf(line, "[%8c] warn base: line %d of this rank\n%n", who, &i, &end) == 2 &&
              (size_t)end == strlen(line));
    }
    CHECK(fgets(line, sizeof line, read) && strncmp(line, "error base: yyy", 15) == 0);
    fclose(read);
    unlink(path);
}

int main(void) {
    RUN(error_travels_up);
    RUN(error_takes_context);
    RUN(error_of_any_length);
    RUN(error_exit_codes);
    RUN(aligned_rounds_up);
    RUN(arena_is_taken_to_the_byte);
    RUN(arena_of_nothing);
    RUN(arena_too_large_says_the_numbers);
    RUN(philox_known_answers);
    RUN(words_come_from_blocks);
    RUN(seeds_and_streams_differ);
    RUN(uniform_is_uniform);
    RUN(normal_does_not_depend_on_the_cut);
    RUN(normal_is_box_muller);
    RUN(normal_has_its_moments);
    RUN(permutations);
    RUN(permutations_of_many);
    RUN(permutations_are_spread);
    RUN(memory_without_limits);
    RUN(memory_of_cgroup_2);
    RUN(memory_of_cgroup_1);
    RUN(cores_of_quotas);
    RUN(this_machine);
    RUN(human_bytes);
    RUN(log_lines_stay_whole);
    return test_end();
}
