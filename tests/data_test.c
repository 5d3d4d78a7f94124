/* Token files of every format, good and bad, and the sampler over them. */
#include "data/sampler.h"
#include "data/tokens.h"

#include "base/rng.h"
#include "support/files.h"
#include "support/test.h"

enum { VOCAB = 50257 };

static char path_buffer[8][512];
static const char *file_a, *file_b, *prefix, *prefix_bin, *prefix_idx;

static void name_files(void) {
    file_a = files_path("data_a.bin", path_buffer[0]);
    file_b = files_path("data_b.txt", path_buffer[1]);
    prefix = files_path("data_megatron", path_buffer[2]);
    prefix_bin = files_path("data_megatron.bin", path_buffer[3]);
    prefix_idx = files_path("data_megatron.idx", path_buffer[4]);
}

/* The id at position i of the test streams. */
static int32_t id_at(int64_t i) {
    return (int32_t)((i * 7919 + 13) % VOCAB);
}

static void expect_ids(const char *path, cb_token_format format, const char *name, int64_t count, int64_t modulus) {
    cb_tokens *tokens = NULL;
    if (!CHECK_OK(cb_tokens_open(&tokens, path, format))) return;
    CHECK_STR(cb_tokens_format_name(tokens), name);
    CHECK_INT(cb_tokens_count(tokens), count);
    int32_t ids[4096];
    int64_t largest = 0;
    for (int64_t first = 0; first <= count; first += 1 + count / 5) {
        int64_t n = count - first;
        CHECK_OK(cb_tokens_read(tokens, first, n, VOCAB, ids));
        bool equal = true;
        for (int64_t i = 0; i < n; i++) equal = equal && ids[i] == id_at(first + i) % modulus;
        CHECK(equal);
    }
    for (int64_t i = 0; i < count; i++) largest = id_at(i) % modulus > largest ? id_at(i) % modulus : largest;
    CHECK_INT(cb_tokens_largest(tokens), largest);
    CHECK_FAILS(cb_tokens_read(tokens, count, 1, VOCAB, ids), CB_EINVAL, "the stream has");
    CHECK_FAILS(cb_tokens_read(tokens, -1, 1, VOCAB, ids), CB_EINVAL, "the stream has");
    cb_tokens_close(tokens);
}

static void put_ids(files_buffer *buffer, int64_t first, int64_t count, int bytes) {
    for (int64_t i = 0; i < count; i++) files_put(buffer, (uint64_t)id_at(first + i), bytes);
}

static void put_llmc(files_buffer *buffer, int64_t first, int64_t count, uint32_t magic, uint32_t version, int bytes) {
    files_put(buffer, magic, 4);
    files_put(buffer, version, 4);
    files_put(buffer, (uint64_t)count, 4);
    while (buffer->size < 1024) files_put(buffer, 0, 4);
    put_ids(buffer, first, count, bytes);
}

static void bytes_and_nanogpt(void) {
    files_buffer buffer = {.size = 0};
    put_ids(&buffer, 0, 1501, 1);
    files_write(file_b, buffer.bytes, buffer.size);
    expect_ids(file_b, CB_TOKENS_BYTES, "bytes", 1501, 256);
    cb_tokens *tokens = NULL; /* zero bytes among them: no text */
    CHECK_FAILS(cb_tokens_open(&tokens, file_b, CB_TOKENS_AUTO), CB_EFORMAT, "is no text (byte 53 is zero)");
    files_write(file_b, "text", 4);
    if (CHECK_OK(cb_tokens_open(&tokens, file_b, CB_TOKENS_AUTO))) {
        CHECK_STR(cb_tokens_format_name(tokens), "bytes");
        CHECK_INT(cb_tokens_count(tokens), 4);
        cb_tokens_close(tokens);
    }
    files_write(file_a, buffer.bytes, buffer.size);
    expect_ids(file_a, CB_TOKENS_BYTES, "bytes", 1501, 256);
    buffer.size = 0;
    put_ids(&buffer, 0, 2500, 2);
    files_write(file_a, buffer.bytes, buffer.size);
    expect_ids(file_a, CB_TOKENS_AUTO, "nanogpt", 2500, VOCAB);
    expect_ids(file_a, CB_TOKENS_NANOGPT, "nanogpt", 2500, VOCAB);
}

static void llmc_shards(void) {
    files_buffer buffer = {.size = 0};
    put_llmc(&buffer, 0, 3000, 20240520, 1, 2);
    files_write(file_a, buffer.bytes, buffer.size);
    expect_ids(file_a, CB_TOKENS_AUTO, "llmc", 3000, VOCAB);
    expect_ids(file_a, CB_TOKENS_LLMC, "llmc", 3000, VOCAB);
    buffer.size = 0;
    put_llmc(&buffer, 0, 3000, 20240801, 7, 4);
    files_write(file_a, buffer.bytes, buffer.size);
    expect_ids(file_a, CB_TOKENS_AUTO, "llmc", 3000, VOCAB);
}

/* Shards are written last first; the stream takes them by name. */
static void sorted_pattern(void) {
    char pattern[512], name[32];
    static const int first[] = {0, 100, 101, 1500}, count[] = {100, 1, 1399, 500};
    for (int shard = 3; shard >= 0; shard--) {
        files_buffer buffer = {.size = 0};
        put_llmc(&buffer, first[shard], count[shard], 20240520, 1, 2);
        snprintf(name, sizeof name, "shards_%06d.bin", shard);
        files_write(files_path(name, pattern), buffer.bytes, buffer.size);
    }
    files_path("shards_*.bin", pattern);
    expect_ids(pattern, CB_TOKENS_AUTO, "llmc", 2000, VOCAB);
    expect_ids(pattern, CB_TOKENS_LLMC, "llmc", 2000, VOCAB);

    files_buffer other = {.size = 0};
    put_llmc(&other, 0, 10, 20240801, 7, 4);
    files_path("shards_000002.bin", pattern);
    files_write(pattern, other.bytes, other.size);
    cb_tokens *tokens;
    CHECK_FAILS(cb_tokens_open(&tokens, files_path("shards_*.bin", pattern), CB_TOKENS_AUTO), CB_EFORMAT,
                "of one kind");
    files_write(files_path("shards_000002.bin", pattern), "no shard", 8);
    CHECK_FAILS(cb_tokens_open(&tokens, files_path("shards_*.bin", pattern), CB_TOKENS_AUTO), CB_EFORMAT, "looks like");
    CHECK_FAILS(cb_tokens_open(&tokens, files_path("shard-of-nothing_*.bin", pattern), CB_TOKENS_AUTO), CB_EIO,
                "no file matches");
}

/* Sequences of these lengths in two documents; pointers are prefix sums with `gap` bytes before each. */
static const int lengths[] = {5, 9, 0, 3, 12, 7};
enum { SEQUENCES = 6, TOKENS = 36, BOUNDS = 3 };

static void put_index(files_buffer *buffer, int code, int item, int gap, bool modes) {
    buffer->size = 0;
    memcpy(buffer->bytes, "MMIDIDX\0\0", 9);
    buffer->size = 9;
    files_put(buffer, 1, 8);
    files_put(buffer, (uint64_t)code, 1);
    files_put(buffer, SEQUENCES, 8);
    files_put(buffer, BOUNDS, 8);
    for (int i = 0; i < SEQUENCES; i++) files_put(buffer, (uint64_t)lengths[i], 4);
    for (int i = 0, pointer = 0; i < SEQUENCES; i++) {
        files_put(buffer, (uint64_t)(pointer + (i + 1) * gap), 8);
        pointer += lengths[i] * item;
    }
    files_put(buffer, 0, 8);
    files_put(buffer, 3, 8);
    files_put(buffer, SEQUENCES, 8);
    for (int i = 0; modes && i < SEQUENCES; i++) files_put(buffer, 0, 1);
}

static void put_sequences(files_buffer *buffer, int item, int gap) {
    buffer->size = 0;
    for (int i = 0, first = 0; i < SEQUENCES; first += lengths[i++]) {
        for (int j = 0; j < gap; j++) files_put(buffer, 0xff, 1);
        put_ids(buffer, first, lengths[i], item);
    }
}

static void write_pair(int code, int item, int gap, bool modes) {
    files_buffer buffer;
    put_index(&buffer, code, item, gap, modes);
    files_write(prefix_idx, buffer.bytes, buffer.size);
    put_sequences(&buffer, item, gap);
    files_write(prefix_bin, buffer.bytes, buffer.size);
}

static void megatron_pairs(void) {
    static const struct {
        int code, item, gap, modes, modulus;
    } cases[] = {{8, 2, 0, 0, VOCAB}, {8, 2, 0, 1, VOCAB}, {4, 4, 0, 0, VOCAB}, {5, 8, 0, 0, VOCAB},
                 {1, 1, 0, 0, 256},   {8, 2, 3, 0, VOCAB}, {5, 8, 1, 1, VOCAB}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_pair(cases[i].code, cases[i].item, cases[i].gap, cases[i].modes);
        expect_ids(prefix, CB_TOKENS_AUTO, "megatron", TOKENS, cases[i].modulus);
        expect_ids(prefix_bin, CB_TOKENS_AUTO, "megatron", TOKENS, cases[i].modulus);
        expect_ids(prefix_idx, CB_TOKENS_MEGATRON, "megatron", TOKENS, cases[i].modulus);
    }
    cb_tokens *tokens;
    char pattern[512];
    CHECK_FAILS(cb_tokens_open(&tokens, files_path("data_megatron*", pattern), CB_TOKENS_AUTO), CB_EINVAL,
                "by its prefix");
}

/* A good index with `bytes` bytes at `offset` replaced must fail with this text. */
static void bad_index(int offset, uint64_t value, int bytes, const char *part) {
    files_buffer buffer, patch = {.size = 0};
    put_index(&buffer, 8, 2, 0, false);
    files_put(&patch, value, bytes);
    memcpy(buffer.bytes + offset, patch.bytes, (size_t)bytes);
    files_write(prefix_idx, buffer.bytes, buffer.size);
    cb_tokens *tokens = NULL;
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_MEGATRON), CB_EFORMAT, part);
    CHECK(tokens == NULL);
}

static void bad_megatron(void) {
    const int length0 = 34, pointer0 = 34 + 4 * SEQUENCES, bound0 = pointer0 + 8 * SEQUENCES;
    write_pair(8, 2, 0, false);
    bad_index(0, 'X', 1, "offset 0: found bytes 58 4d 49 44, expected 4d 4d 49 44");
    bad_index(9, 2, 8, "offset 9: found version 2, expected 1");
    bad_index(17, 0, 1, "offset 17: found type 0");
    bad_index(17, 6, 1, "offset 17: found type 6 (floating point)");
    bad_index(17, 9, 1, "offset 17: found type 9");
    bad_index(17, 4, 1, "of sequence 1, expected at least 20");
    bad_index(18, 0, 8, "offset 18: found 0 sequences");
    bad_index(18, UINT64_MAX, 8, "offset 18: found 18446744073709551615 sequences");
    bad_index(18, 5, 8, "found 130 bytes, expected 118");
    bad_index(26, UINT64_MAX / 8 + 1, 8, "document bounds, expected at most");
    bad_index(26, 2, 8, "found 130 bytes, expected 122");
    bad_index(length0, UINT32_MAX, 4, "offset 34: found length -1 of sequence 0");
    bad_index(length0 + 20, 8, 4, "expected an end within the 72 bytes of");
    bad_index(length0 + 20, 6, 4, "found 72 bytes, expected 70, where the last sequence");
    bad_index(pointer0 + 8, 8, 8, "offset 66: found pointer 8 of sequence 1, expected at least 10");
    bad_index(pointer0, UINT64_MAX, 8, "found pointer -1 of sequence 0, expected at least 0");
    bad_index(pointer0 + 40, INT64_MAX, 8, "expected an end within the 72 bytes");
    bad_index(bound0, 1, 8, "offset 106: found document bound 1, expected 0 to 0");
    bad_index(bound0 + 8, 7, 8, "offset 114: found document bound 7, expected 0 to 6");
    bad_index(bound0 + 16, 5, 8, "offset 122: found document bound 5, expected 6 to 6");
}

static void missing_megatron(void) {
    cb_tokens *tokens;
    write_pair(8, 2, 0, false);
    files_write(prefix_idx, "MMID", 4);
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_AUTO), CB_EFORMAT, "found 4 bytes, expected at least the 34");
    files_write(prefix_idx, "TNTIDX\0\0 and more than thirty-four bytes", 40);
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_AUTO), CB_EFORMAT, "TNTIDX");
    write_pair(8, 2, 0, false);
    unlink(prefix_bin);
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_AUTO), CB_EIO, "data_megatron.bin: No such file");
    files_write(prefix_bin, "", 0);
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_AUTO), CB_EFORMAT, "data_megatron.bin is empty");
    unlink(prefix_idx);
    CHECK_FAILS(cb_tokens_open(&tokens, prefix, CB_TOKENS_MEGATRON), CB_EIO, "data_megatron.idx: No such file");
}

static void bad_files(void) {
    cb_tokens *tokens = NULL;
    char path[512];
    for (int format = CB_TOKENS_AUTO; format <= CB_TOKENS_LLMC; format++) {
        CHECK_FAILS(cb_tokens_open(&tokens, files_path("nothing.bin", path), (cb_token_format)format), CB_EIO,
                    "No such file");
        CHECK_FAILS(cb_tokens_open(&tokens, files_path("", path), (cb_token_format)format), CB_EIO, "directory");
        files_write(file_a, "", 0);
        CHECK_FAILS(cb_tokens_open(&tokens, file_a, (cb_token_format)format), CB_EFORMAT, "is empty");
    }
    CHECK_FAILS(cb_tokens_open(&tokens, "/dev/null", CB_TOKENS_AUTO), CB_EIO, "not a regular file");
    files_write(file_a, "abc", 3);
    CHECK_FAILS(cb_tokens_open(&tokens, file_a, CB_TOKENS_NANOGPT), CB_EFORMAT,
                "found 3 bytes, expected an even number");
    CHECK(tokens == NULL);
    cb_tokens_close(NULL);
}

static void bad_llmc(void) {
    static const struct {
        uint32_t magic, version;
        int64_t count;
        const char *part;
    } cases[] = {
        {20240521, 1, 50, "offset 0: found magic number 20240521"},
        {20240520, 2, 50, "offset 4: found version 2, expected 1"},
        {20240801, 1, 50, "offset 4: found version 1, expected 7"},
        {20240522, 1, 50, "evaluation set"},
        {20240326, 3, 50, "mark of a model"},
        {20240520, 1, 0, "offset 8: found 0 tokens"},
        {20240520, 1, -1, "offset 8: found -1 tokens"},
        {20240520, 1, 51, "found 1124 bytes, expected 1126"},
        {20240520, 1, 49, "found 1124 bytes, expected 1122"},
        {20240801, 7, 50, "found 1124 bytes, expected 1224"},
        {20240520, 1, INT32_MAX, "expected 4294968318"},
    };
    cb_tokens *tokens;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files_buffer buffer = {.size = 0}, count = {.size = 0};
        put_llmc(&buffer, 0, 50, cases[i].magic, cases[i].version, 2);
        files_put(&count, (uint64_t)cases[i].count, 4);
        memcpy(buffer.bytes + 8, count.bytes, 4);
        files_write(file_a, buffer.bytes, buffer.size);
        CHECK_FAILS(cb_tokens_open(&tokens, file_a, CB_TOKENS_LLMC), CB_EFORMAT, cases[i].part);
        files_write(file_a, buffer.bytes, 1023);
        CHECK_FAILS(cb_tokens_open(&tokens, file_a, CB_TOKENS_LLMC), CB_EFORMAT, "found 1023 bytes, expected at least");
    }
}

static void id_beyond_vocabulary(void) {
    files_buffer buffer = {.size = 0};
    put_llmc(&buffer, 0, 3000, 20240520, 1, 2);
    memcpy(buffer.bytes + 1024 + 2 * 1234, "\xff\xff", 2);
    files_write(file_a, buffer.bytes, buffer.size);
    cb_tokens *tokens;
    int32_t ids[3000];
    if (!CHECK_OK(cb_tokens_open(&tokens, file_a, CB_TOKENS_AUTO))) return;
    CHECK_OK(cb_tokens_read(tokens, 0, 1234, VOCAB, ids));
    CHECK_OK(cb_tokens_read(tokens, 1235, 1000, VOCAB, ids));
    CHECK_OK(cb_tokens_read(tokens, 0, 3000, 65536, ids));
    CHECK_INT(ids[1234], 65535);
    CHECK_FAILS(cb_tokens_read(tokens, 1200, 100, VOCAB, ids), CB_EFORMAT,
                "offset 3492: found id 65535 as token 1234 of the stream, expected 0 to 50256");
    CHECK_INT(cb_tokens_largest(tokens), 65535);
    cb_tokens_close(tokens);

    write_pair(5, 8, 0, false);
    put_sequences(&buffer, 8, 0);
    memset(buffer.bytes + 8 * 7, 0xff, 8);
    files_write(prefix_bin, buffer.bytes, buffer.size);
    if (!CHECK_OK(cb_tokens_open(&tokens, prefix, CB_TOKENS_AUTO))) return;
    CHECK_FAILS(cb_tokens_read(tokens, 0, TOKENS, VOCAB, ids), CB_EFORMAT,
                "offset 56: found id -1 as token 7 of the stream");
    cb_tokens_close(tokens);
}

/* Valid files with a few bytes changed or cut: a clean error or a readable stream, whatever the bytes. */
static void try_stream(const char *path, cb_token_format format, int *opened) {
    cb_tokens *tokens;
    int32_t ids[64];
    cb_err e = cb_tokens_open(&tokens, path, format);
    if (!e) {
        (*opened)++;
        int64_t n = cb_tokens_count(tokens) < 64 ? cb_tokens_count(tokens) : 64;
        cb_err_free(cb_tokens_read(tokens, cb_tokens_count(tokens) - n, n, VOCAB, ids));
        cb_err_free(cb_tokens_read(tokens, 0, n, INT64_MAX, ids));
        (void)cb_tokens_largest(tokens);
        cb_tokens_close(tokens);
    }
    cb_err_free(e);
}

static void mutate(files_buffer *buffer, cb_rng_key key, uint64_t round, size_t header) {
    uint32_t word[4];
    cb_rng_block(key, round, word);
    int changes = 1 + (int)(word[0] % 3);
    for (int i = 0; i < changes; i++) {
        uint64_t random = cb_rng_u64(key, ((uint64_t)1 << 40) + round * 4 + (uint64_t)i);
        static const unsigned char likely[] = {0, 1, 0x7f, 0x80, 0xff};
        size_t at = (size_t)(random % header);
        unsigned char value = (unsigned char)(random >> 40);
        buffer->bytes[at] = random >> 63 ? likely[value % 5] : value;
    }
    if (word[1] % 8 == 0) buffer->size = word[2] % (buffer->size + 1);
}

static void mutations(void) {
    cb_rng_key key = {.seed = 20240520, .stream = 7};
    int opened = 0;
    write_pair(8, 2, 0, false);
    for (uint64_t round = 0; round < 20000; round++) {
        files_buffer buffer = {.size = 0};
        if (round % 2) {
            put_index(&buffer, 8, 2, 0, round % 4 == 1);
            mutate(&buffer, key, round, buffer.size);
            files_write(prefix_idx, buffer.bytes, buffer.size);
            try_stream(prefix, CB_TOKENS_MEGATRON, &opened);
        } else {
            put_llmc(&buffer, 0, 100, round % 4 ? 20240520 : 20240801, round % 4 ? 1 : 7, round % 4 ? 2 : 4);
            mutate(&buffer, key, round, 16);
            files_write(file_a, buffer.bytes, buffer.size);
            try_stream(file_a, round % 8 < 4 ? CB_TOKENS_LLMC : CB_TOKENS_AUTO, &opened);
        }
    }
    CHECK(opened > 100);
    CHECK(opened < 19000);
}

static cb_tokens *open_bytes(int64_t count) {
    files_buffer buffer = {.size = 0};
    put_ids(&buffer, 0, count, 1);
    files_write(file_b, buffer.bytes, buffer.size);
    cb_tokens *tokens = NULL;
    CHECK_OK(cb_tokens_open(&tokens, file_b, CB_TOKENS_BYTES));
    return tokens;
}

static void sampler_contents(void) {
    cb_tokens *tokens = open_bytes(1000);
    cb_sampler sampler;
    int32_t inputs[16], targets[16];
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        CHECK_OK(cb_sampler_make(&sampler, tokens, "train", 0.1, 0.9, 16, 256, 1234, shuffle));
        CHECK_INT(sampler.first, 100);
        CHECK_INT(sampler.count, 800);
        CHECK_INT(sampler.samples, 49);
        for (int64_t k = 0; k < 130; k++) {
            int64_t offset = cb_sampler_offset(&sampler, k);
            CHECK_INT((offset - 100) % 16, 0);
            CHECK(offset >= 100 && offset + 17 <= 900);
            if (!shuffle) CHECK_INT(offset, 100 + k % 49 * 16);
            CHECK_OK(cb_sampler_get(&sampler, k, inputs, targets));
            bool equal = true;
            for (int i = 0; i < 16; i++) {
                equal = equal && inputs[i] == id_at(offset + i) % 256 && targets[i] == id_at(offset + i + 1) % 256;
            }
            CHECK(equal);
        }
    }
    CHECK_FAILS(cb_sampler_get(&sampler, -1, inputs, targets), CB_EINVAL, "sample -1");
    CHECK_OK(cb_sampler_make(&sampler, tokens, "train", 0, 1, 16, 8, 1, false));
    CHECK_FAILS(cb_sampler_get(&sampler, 0, inputs, targets), CB_EFORMAT, "the vocabulary has 8");
    cb_tokens_close(tokens);
}

/* Every sample exactly once per epoch, for many sizes; epochs and seeds differ; the sequence length 1 is the smallest.
 */
static void sampler_epochs(void) {
    for (int64_t samples = 1; samples <= 70; samples++) {
        cb_tokens *tokens = open_bytes(samples + 1);
        cb_sampler sampler;
        CHECK_OK(cb_sampler_make(&sampler, tokens, "train", 0, 1, 1, 256, 99, true));
        CHECK_INT(sampler.samples, samples);
        for (int64_t epoch = 0; epoch < 4; epoch++) {
            int seen[70] = {0}, once = 0;
            for (int64_t i = 0; i < samples; i++) seen[cb_sampler_offset(&sampler, epoch * samples + i)]++;
            for (int64_t i = 0; i < samples; i++) once += seen[i] == 1;
            CHECK_INT(once, samples);
        }
        cb_tokens_close(tokens);
    }
}

static int differences(const cb_sampler *a, int64_t from_a, const cb_sampler *b, int64_t from_b) {
    int differ = 0;
    for (int64_t i = 0; i < a->samples; i++)
        differ += cb_sampler_offset(a, from_a + i) != cb_sampler_offset(b, from_b + i);
    return differ;
}

static void sampler_shuffles(void) {
    cb_tokens *tokens = open_bytes(501);
    cb_sampler a, b, plain;
    CHECK_OK(cb_sampler_make(&a, tokens, "train", 0, 1, 1, 256, 1, true));
    CHECK_OK(cb_sampler_make(&b, tokens, "train", 0, 1, 1, 256, 2, true));
    CHECK_OK(cb_sampler_make(&plain, tokens, "train", 0, 1, 1, 256, 1, false));
    CHECK(differences(&a, 0, &plain, 0) > 450);
    CHECK(differences(&a, 0, &a, 500) > 450);
    CHECK(differences(&a, 0, &b, 0) > 450);
    CHECK_INT(differences(&a, 500, &a, 500), 0);
    CHECK_INT(differences(&plain, 0, &plain, 500), 0);
    cb_tokens_close(tokens);
}

static void sampler_parts(void) {
    cb_tokens *tokens = open_bytes(100);
    cb_sampler sampler, rest;
    CHECK_OK(cb_sampler_make(&sampler, tokens, "train", 0, 0.999, 99, 256, 1, true));
    CHECK_OK(cb_sampler_make(&sampler, tokens, "train", 0, 0.955, 8, 256, 1, true));
    CHECK_OK(cb_sampler_make(&rest, tokens, "validation", 0.955, 1, 1, 256, 1, false));
    CHECK_INT(sampler.first + sampler.count, rest.first);
    CHECK_INT(rest.first + rest.count, 100);
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", 0, 1, 100, 256, 1, true), CB_EINVAL,
                "the train part has 100 of the data's 100 tokens, one sample of sequence length 100 needs 101");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "validation", 0.9, 1, 10, 256, 1, true), CB_EINVAL,
                "the validation part has 10 of");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "validation", 1, 1, 1, 256, 1, true), CB_EINVAL, "has 0 of");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", 0.5, 0.4, 1, 256, 1, true), CB_EINVAL, "from 0.5 to 0.4");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", NAN, 1, 1, 256, 1, true), CB_EINVAL, "from nan");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", 0, 1.5, 1, 256, 1, true), CB_EINVAL, "to 1.5");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", 0, 1, 0, 256, 1, true), CB_EINVAL, "sequence length of 0");
    CHECK_FAILS(cb_sampler_make(&sampler, tokens, "train", 0, 1, INT64_MAX, 256, 1, true), CB_EINVAL, "one sample");
    cb_tokens_close(tokens);
}

int main(void) {
    name_files();
    RUN(bytes_and_nanogpt);
    RUN(llmc_shards);
    RUN(sorted_pattern);
    RUN(megatron_pairs);
    RUN(bad_megatron);
    RUN(missing_megatron);
    RUN(bad_files);
    RUN(bad_llmc);
    RUN(id_beyond_vocabulary);
    RUN(mutations);
    RUN(sampler_contents);
    RUN(sampler_epochs);
    RUN(sampler_shuffles);
    RUN(sampler_parts);
    return test_end();
}
