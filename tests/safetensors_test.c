/* The safetensors reader on good files and on every kind of bad one, and the header writer. */
#include "checkpoint/safetensors.h"

#include "base/rng.h"
#include "support/files.h"
#include "support/test.h"

static char path[512];

static void put_header(files_buffer *buffer, const char *json, size_t data_bytes) {
    buffer->size = 0;
    files_put(buffer, strlen(json), 8);
    memcpy(buffer->bytes + 8, json, strlen(json));
    buffer->size += strlen(json);
    for (size_t i = 0; i < data_bytes; i++) files_put(buffer, i, 1);
}

static cb_err open_json(cb_tensor_file *file, const char *json, size_t data_bytes) {
    static const size_t most = sizeof((files_buffer *)0)->bytes;
    files_buffer buffer;
    if (strlen(json) + 8 + data_bytes > most) return cb_fail(CB_EINVAL, "the test's file is too large");
    put_header(&buffer, json, data_bytes);
    files_write(path, buffer.bytes, buffer.size);
    return cb_tensor_file_open(file, path);
}

static void fails(const char *json, size_t data_bytes, const char *part) {
    cb_tensor_file file;
    CHECK_FAILS(open_json(&file, json, data_bytes), CB_EFORMAT, part);
    CHECK(file.map == NULL && file.tensors == NULL && file.count == 0);
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[24,30]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                           "\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[30,38]},"
                           "\"none\":{\"dtype\":\"U8\",\"shape\":[5,0],\"data_offsets\":[38,38]}}   ";

static void reads(void) {
    cb_tensor_file file;
    if (!CHECK_OK(open_json(&file, good, 38))) return;
    CHECK_INT(file.count, 4);
    CHECK_INT(file.data_offset, 8 + strlen(good));
    const cb_tensor_info *a = cb_tensor_file_find(&file, "a"), *b = cb_tensor_file_find(&file, "b");
    const cb_tensor_info *scalar = cb_tensor_file_find(&file, "scalar"), *none = cb_tensor_file_find(&file, "none");
    if (CHECK(a && b && scalar && none)) {
        char text[96];
        CHECK_STR(cb_tensor_shape_text(a, text), "(2, 3)");
        CHECK_STR(cb_tensor_shape_text(scalar, text), "()");
        CHECK_STR(a->dtype, "F32");
        CHECK_INT(b->begin, 24);
        CHECK_INT(scalar->dims, 0);
        CHECK_INT(none->shape[0], 5);
        CHECK_INT(file.map[file.data_offset + b->begin], 24);
    }
    CHECK(cb_tensor_file_find(&file, "c") == NULL);
    CHECK(cb_tensor_file_find(&file, "__metadata__") == NULL);
    cb_tensor_file_close(&file);
    cb_tensor_file_close(&file);
    CHECK_OK(open_json(&file, "{}", 0));
    CHECK_INT(file.count, 0);
    cb_tensor_file_close(&file);
}

/* A header of one tensor "t". */
static void tensor_fails(const char *entry, size_t data_bytes, const char *part) {
    char json[512];
    snprintf(json, sizeof json, "{\"t\":%s}", entry);
    fails(json, data_bytes, part);
}

static void bad_tensors(void) {
    tensor_fails("3", 4, "t: unknown dtype (none)");
    tensor_fails("{\"dtype\":3}", 4, "unknown dtype (none)");
    tensor_fails("{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}", 4, "unknown dtype F31");
    tensor_fails("{\"dtype\":\"F32\",\"data_offsets\":[0,4]}", 4, "the shape is no list");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}", 4, "at most 4 sizes");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}", 4, "size 0 of the shape is negative");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]}", 4, "size 1 of the shape");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}", 4, "no integer");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}", 0, "too large");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}", 4, "too large");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1]}", 4, "data_offsets are not two integers");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}", 4, "not two integers");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4]}", 4, "not two integers");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}", 4, "data_offsets -4 to 0 are no range");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}", 4, "data_offsets 4 to 0 are no range");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]}", 20,
                 "t: found 20 bytes (data_offsets), expected 24 for shape (2, 3) of F32");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}", 8, "found its data at 4, expected 0");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", 3, "found 3 bytes of data, expected 4");
    tensor_fails("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", 5, "found 5 bytes of data, expected 4");
    tensor_fails("{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]}", 4,
                 "found 4 bytes of data, expected 9223372036854775807");
    tensor_fails("{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,1]}", 1, "not JSON");
}

static void bad_headers(void) {
    fails("[]", 0, "offset 8: found byte 5b, expected {");
    fails("{\"a\":", 0, "the header is not JSON");
    fails("{} x", 0, "the header is not JSON");
    fails("{\"a\":1,\"a\":2}", 0, "the header is not JSON");
    fails("{\"a\":[[[[[[[[1]]]]]]]]}", 0, "offset 20: nested more than 8 deep");
    fails("{\"a\\\"[[[[[[[[[[\":1}", 0, "unknown dtype");
    fails(
        "{\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\":1}",
        0, "a tensor's name has 100 characters");
    fails("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
          3, "b: found its data at 1, expected 2, where a ends");
    fails("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
          2, "b: found its data at 0, expected 2");
}

static void bad_files(void) {
    cb_tensor_file file;
    char other[512];
    CHECK_FAILS(cb_tensor_file_open(&file, files_path("nothing.safetensors", other)), CB_EIO, "No such file");
    CHECK_FAILS(cb_tensor_file_open(&file, files_path("", other)), CB_EIO, "directory");
    files_write(path, "", 0);
    CHECK_FAILS(cb_tensor_file_open(&file, path), CB_EFORMAT, "found 0 bytes, expected at least the 8");
    files_write(path, "\x02\0\0\0\0\0\0\0{", 9);
    CHECK_FAILS(cb_tensor_file_open(&file, path), CB_EFORMAT,
                "found a header of 2 bytes, expected 2 to 1 in a file of 9");
    files_write(path, "\x01\0\0\0\0\0\0\0{}", 10);
    CHECK_FAILS(cb_tensor_file_open(&file, path), CB_EFORMAT, "found a header of 1 bytes, expected 2 to 2");
    files_write(path, "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    CHECK_FAILS(cb_tensor_file_open(&file, path), CB_EFORMAT, "found a header of 18446744073709551615 bytes");
    for (size_t n = 1; n < 8 + sizeof good + 37; n++) {
        files_buffer buffer;
        put_header(&buffer, good, 38);
        files_write(path, buffer.bytes, n < buffer.size ? n : buffer.size - 1);
        CHECK_FAILS(cb_tensor_file_open(&file, path), CB_EFORMAT, "");
    }
}

static void header_round_trip(void) {
    for (int count = 0; count <= 40; count++) {
        cb_tensor_info infos[40];
        int64_t at = 0;
        for (int i = 0; i < count; i++) {
            infos[i] = (cb_tensor_info){.dtype = "F32", .dims = 1 + i % 2, .shape = {i, 3}, .begin = at};
            snprintf(infos[i].name, sizeof infos[i].name, "h.%d.\"odd\" name", i);
            infos[i].end = at += (int64_t)i * (i % 2 ? 12 : 4);
        }
        char *header;
        int64_t bytes;
        if (!CHECK_OK(cb_tensor_header_make(infos, count, &header, &bytes))) return;
        CHECK_INT(bytes % 64, 0);
        files_buffer buffer = {.size = (size_t)(bytes + at)};
        memcpy(buffer.bytes, header, (size_t)bytes);
        free(header);
        files_write(path, buffer.bytes, buffer.size);
        cb_tensor_file file;
        if (!CHECK_OK(cb_tensor_file_open(&file, path))) return;
        CHECK_INT(file.count, count);
        CHECK_INT(file.data_offset, bytes);
        for (int i = 0; i < count; i++) {
            const cb_tensor_info *info = cb_tensor_file_find(&file, infos[i].name);
            if (!CHECK(info != NULL)) continue;
            CHECK_STR(info->dtype, "F32");
            CHECK_INT(info->dims, infos[i].dims);
            CHECK_INT(info->shape[0], infos[i].shape[0]);
            CHECK_INT(info->begin, infos[i].begin);
            CHECK_INT(info->end, infos[i].end);
        }
        cb_tensor_file_close(&file);
    }
}

/* A valid file with a few bytes changed or cut: an error, or tensors that lie inside the file. */
static int mutation(cb_rng_key key, uint64_t round) {
    static const char likely[] = "\"{}[],:0123456789\\e-. ";
    files_buffer buffer;
    put_header(&buffer, good, 38);
    for (int i = 0; i < 1 + (int)(round % 3); i++) {
        uint64_t random = cb_rng_u64(key, 4 * round + (uint64_t)i);
        size_t at = (size_t)(random % (sizeof good + 7));
        unsigned char any = (unsigned char)(random >> 40);
        buffer.bytes[at] = random >> 62 ? (unsigned char)likely[any % (sizeof likely - 1)] : any;
    }
    if (round % 16 == 0) buffer.size = (size_t)(cb_rng_u64(key, 4 * round + 3) % (buffer.size + 1));
    files_write(path, buffer.bytes, buffer.size);
    cb_tensor_file file;
    cb_err e = cb_tensor_file_open(&file, path);
    cb_err_free(e);
    if (e) return 0;
    unsigned sum = 0;
    for (int i = 0; i < file.count; i++) {
        for (int64_t b = file.tensors[i].begin; b < file.tensors[i].end; b++) sum += file.map[file.data_offset + b];
    }
    CHECK(sum <= 255u * 38);
    cb_tensor_file_close(&file);
    return 1;
}

static void mutations(void) {
    int opened = 0;
    for (uint64_t round = 0; round < 20000; round++) opened += mutation((cb_rng_key){.seed = 1, .stream = 2}, round);
    CHECK(opened > 100);
    CHECK(opened < 19000);
}

int main(void) {
    files_path("safetensors_test.safetensors", path);
    RUN(reads);
    RUN(bad_tensors);
    RUN(bad_headers);
    RUN(bad_files);
    RUN(header_round_trip);
    RUN(mutations);
    return test_end();
}
