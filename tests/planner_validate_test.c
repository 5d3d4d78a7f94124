/* Tables of measurements: text read as jobs and layouts, errors and ranks of predictions, and tables that are broken.
 */
#include <stdlib.h>

#include "base/file.h"
#include "planner/columns.h"
#include "planner/recognize.h"
#include "planner/validate.h"
#include "support/test.h"

#define NAMES                                                                                                     \
    "file,model,params_b,layers,hidden,heads,kv_heads,ffn,vocab,seq,gpu,cluster,gpus,dp,tp,pp,vpp,cp,zero,micro_" \
    "batch,"                                                                                                      \
    "global_batch,recompute,sequence_parallel,dtype,iteration_s,schedule,notes\n"

static cb_hardware hardware;
static cb_constants constants;

static cb_err parse(cb_csv *csv, const char *text) {
    cb_hardware_default(&hardware);
    constants = cb_constants_default();
    return cb_csv_parse(csv, "t.csv", text, (int64_t)strlen(text));
}

static cb_err check_text(const char *text) {
    cb_csv csv;
    cb_check check;
    TRY(parse(&csv, text));
    cb_err e = cb_columns_check(&csv, "t.csv", NULL, NULL);
    if (!e) e = cb_check_table(&check, &csv, "t.csv", &hardware, &constants);
    if (!e) cb_check_free(&check);
    cb_csv_free(&csv);
    return e;
}

static void csv(void) {
    cb_csv csv;
    CHECK_OK(parse(&csv, "a,b,c\r\n1,,\"x, \"\"y\"\"\"\r\n\n4,5,6"));
    CHECK_INT(csv.rows, 2);
    CHECK_INT(csv.columns, 3);
    CHECK_STR(cb_csv_field(&csv, 0, 1), "");
    CHECK_STR(cb_csv_field(&csv, 0, 2), "x, \"y\"");
    CHECK_STR(cb_csv_field(&csv, 1, cb_csv_column(&csv, "c")), "6");
    CHECK_INT(cb_csv_column(&csv, "d"), -1);
    CHECK_STR(cb_csv_field(&csv, 1, -1), "");
    cb_csv_free(&csv);
}

static void broken_csv(void) {
    cb_csv csv;
    CHECK_FAILS(parse(&csv, ""), CB_EFORMAT, "t.csv:1:1: empty");
    CHECK_FAILS(parse(&csv, "a,b\n1,2,3\n"), CB_EFORMAT, "t.csv:2:5: a field too many; the first line names 2 columns");
    CHECK_FAILS(parse(&csv, "a,b\n1,2\n3\n"), CB_EFORMAT, "t.csv:3:1: 1 field; the first line names 2");
    CHECK_FAILS(parse(&csv, "a,b\n1,\"2\n"), CB_EFORMAT, "t.csv:2:3: a quote that is not closed");
    CHECK_FAILS(parse(&csv, "a,b\n\"1\"x,2\n"), CB_EFORMAT, "t.csv:2:4: text behind a closing quote");
    CHECK_FAILS(
        check_text("file,model\nx,y\n"), CB_EFORMAT,
        "t.csv:1:1: no column 'layers', 'hidden', 'seq', 'gpu', 'gpus', 'tp', 'global_batch', 'iteration_s'; every "
        "table needs file, model, layers, hidden, seq, gpu, gpus, tp, global_batch, iteration_s");
    CHECK_FAILS(check_text(NAMES "f,m,,24,1024,16,,,,1024,A100,c,8,1,8,1,1,1,0,1,8,full,0,fp16,fast,,\n"), CB_EFORMAT,
                "t.csv:2:62: iteration_s is 'fast'; a number was due");
    CHECK_FAILS(parse(&csv, "file;model\nx;y\n"), CB_EFORMAT,
                "t.csv:1:5: fields are divided by semicolons; commas are needed (file, ...)");
    CHECK_FAILS(parse(&csv, "file\tmodel\nx\ty\n"), CB_EFORMAT, "t.csv:1:5: fields are divided by tabs");
    CHECK_OK(parse(&csv, "file,a;b\nx,y\n"));
    cb_csv_free(&csv);
    CHECK_FAILS(check_text(NAMES "\n\nf,m,,24,x,16,,,,1024,A100,c,8,1,8,1,1,1,0,1,8,full,0,fp16,1,,\n"), CB_EFORMAT,
                "t.csv:4:9: hidden is 'x'");
}

static void no_rows(void) {
    CHECK_FAILS(check_text(NAMES), CB_EFORMAT, "t.csv:2:1: no rows; the first line names the columns alone");
}

/* A row says the same as a job made by hand. */
static void row_is_the_job(void) {
    cb_csv csv;
    cb_published p;
    CHECK_OK(parse(&csv,
                   NAMES "f,GPT-3,175,96,12288,96,96,49152,51200,2048,A100-80GB-SXM,Selene; 8x200Gb/s HDR IB per node,"
                         "1024,8,8,16,1,1,0,1,1536,full,0,fp16,50,1F1B,Megatron-LM\n"));
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 0, &hardware));
    CHECK_STR(p.why, "");
    cb_cluster cluster;
    CHECK_OK(cb_cluster_parse(&hardware, "a100-80g:8x128:ib-200", &cluster));
    cb_model model;
    CHECK_OK(cb_model_preset(&model, "gpt3-175b"));
    cb_model_pad_vocab(&model, 1024); /* 51200, as the row has it */
    cb_job job = {.model = &model,
                  .cluster = &cluster,
                  .stack = CB_MEGATRON_2021,
                  .precision = CB_MATH_16,
                  .seq_length = 2048,
                  .global_batch = 1536};
    cb_split split = {.dp = 8,
                      .tp = 8,
                      .pp = 16,
                      .cp = 1,
                      .chunks = 1,
                      .micro_batch = 1,
                      .schedule = CB_SPLIT_1F1B,
                      .recompute = CB_AGAIN_LAYER};
    cb_job read = cb_published_job(&p);
    cb_estimate by_hand, from_row;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &by_hand));
    CHECK_OK(cb_estimate_time(&read, &p.split, &constants, &from_row));
    CHECK_NEAR(from_row.step_s, by_hand.step_s, 1e-9 * by_hand.step_s);
    CHECK(!p.model.gated && !p.network_guessed && !p.stack_guessed);
    cb_csv_free(&csv);
}

static void what_rows_leave_out(void) {
    cb_csv csv;
    cb_published p;
    CHECK_OK(parse(&csv, NAMES "f,L,8.03,32,4096,32,8,14336,128256,8192,H100-80GB-SXM,c,8,,1,,,,3,1,16,,,bf16,2,,FSDP\n"
                               "f,L,,30,4096,,,,,8192,H100,c,16,,1,8,,,0,1,16,none,,bf16,2,1F1B-interleaved,\n"
                               "f,L,,32,4096,,,,,8192,H100,c,8,,,,,,3,1,16,,,bf16,2,,\n"
                               "f,L,,32,4096,,,,,8192,H100,c,8,3,1,1,,,3,1,16,,,bf16,2,,\n"
                               "f,L,,32,4096,,,,,8192,A100,c,8,8,1,1,,,3,1,16,,,fp8,2,,\n"
                               "f,L,,32,4096,,,,,8192,A100-81GB,c,8,8,1,1,,,3,1,16,,,bf16,2,,\n"
                               "f,L,,32,4096,,,,,8192,a100_80gg,c,8,8,1,1,,,3,1,16,,,bf16,2,,\n"
                               "f,L,,32,4096,,,,,8192,TPUv4,c,8,8,1,1,,,3,1,16,,,bf16,2,,\n"));
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 0, &hardware));
    CHECK(!*p.why && p.model.gated && p.model.untied && p.split.dp == 8 && p.job.stack == CB_FSDP && p.network_guessed);
    CHECK(p.model.position == CB_ROTARY && p.model.norm == CB_RMSNORM && p.model.unbiased);
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 1, &hardware));
    CHECK(!*p.why && p.split.dp == 2 && p.model.heads == 32 && p.model.ffn == 16384);
    CHECK(p.split.placement == CB_PLACE_WITH_ENDS && p.split.chunks == 4);
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 2, &hardware));
    CHECK_STR(p.why, "tp is empty: a row without it cannot be predicted");
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 3, &hardware));
    CHECK_STR(p.why, "dp x tp x pp x cp is not the number of devices");
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 4, &hardware));
    CHECK_STR(p.why, "dtype is a precision that the device does not have");
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 5, &hardware));
    CHECK_STR(p.why, "");
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 6, &hardware));
    CHECK_STR(p.why, "");
    CHECK_OK(cb_published_read(&p, &csv, "t.csv", 7, &hardware));
    CHECK(strstr(p.why, "device 'TPUv4' is not known; the nearest are '"));
    cb_csv_free(&csv);
}

static void check_row(const char *row, const char *why) {
    char text[2048];
    cb_csv csv;
    cb_check check;
    snprintf(text, sizeof text, "%s%s\n", NAMES, row);
    CHECK_OK(parse(&csv, text));
    CHECK_OK(cb_check_table(&check, &csv, "t.csv", &hardware, &constants));
    if (!CHECK(*why ? strstr(check.row[0].why, why) != NULL : !*check.row[0].why))
        printf("%s\nis skipped for '%s', not '%s'\n", row, check.row[0].why, why);
    CHECK((check.row[0].predicted_s > 0) == !*why);
    cb_check_free(&check);
    cb_csv_free(&csv);
}

static void experts(void) {
    cb_csv csv;
    cb_check check;
    CHECK_OK(parse(&csv, "file,model,layers,hidden,seq,gpu,gpus,tp,global_batch,iteration_s,ep\n"
                         "f,m,24,2048,1024,A100,8,1,8,1,8\nf,m,24,2048,1024,A100,8,1,8,1,1\n"));
    CHECK_OK(cb_check_table(&check, &csv, "t.csv", &hardware, &constants));
    CHECK_STR(check.row[0].why, "ep is more than 1: models with experts are not predicted");
    CHECK_STR(check.row[1].why, "");
    cb_check_free(&check);
    cb_csv_free(&csv);
}

/* What no run can be, by the rules of the search; what is only unusual is predicted. */
static void layouts_that_cannot_be(void) {
    static const struct {
        const char *row, *why; /* "": predicted */
    } cases[] = {
        {"f,G,,48,8192,64,,,,2048,A100,c,64,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""},
        {"f,G,,48,8192,64,,,,2048,A100,c,56,,7,,,,0,1,64,full,0,fp16,1,,Megatron-LM", "tp divides the heads"},
        {"f,G,,48,8192,64,4,,,2048,A100,c,64,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""},
        {"f,G,,48,9216,96,,,,2048,A100,c,48,,6,,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""}, /* over nodes of 8 */
        {"f,G,,48,8192,64,,,,2048,A100,c,8,1,8,,,,0,3,64,full,0,fp16,1,,Megatron-LM", "dp x microbatch divides"},
        {"f,G,,48,8192,64,,,,2048,A100,c,16,2,8,,,,0,,7,full,0,fp16,1,,Megatron-LM", "dp x microbatch divides"},
        {"f,G,,48,8192,64,,,,2048,A100,c,16,2,8,,,,0,8,8,full,0,fp16,1,,Megatron-LM", "dp x microbatch divides"},
        {"f,G,,48,8192,64,,,,2048,A100,c,24,1,8,3,,,0,,64,full,0,fp16,1,,Megatron-LM", ""}, /* in 4 microbatches */
        {"f,G,,2,8192,64,,,,2048,A100,c,32,1,8,4,,,0,1,64,full,0,fp16,1,,Megatron-LM", "every stage holds a layer"},
        {"f,G,,70,8192,64,,,,2048,A100,c,72,1,1,72,,,1,1,64,full,0,fp16,1,,Megatron-DeepSpeed", ""}, /* with ends */
        {"f,G,,71,8192,64,,,,2048,A100,c,72,1,1,72,,,1,1,64,full,0,fp16,1,,Megatron-DeepSpeed", "every stage holds"},
        {"f,G,,50,8192,64,,,,2048,A100,c,64,1,8,8,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""}, /* uneven */
        {"f,G,,48,8192,64,,,,2048,A100,c,64,1,8,8,5,,0,1,64,full,0,fp16,1,,Megatron-LM", "pp x chunks divides"},
        {"f,G,,48,8192,64,,,,2048,A100,c,64,1,8,8,3,,0,1,60,full,0,fp16,1,,Megatron-LM", "groups of pp"},
        {"f,G,,48,8192,64,,,,2047,A100,c,8,1,8,,,,0,1,64,full,1,fp16,1,,Megatron-LM", "sequence parallelism goes"},
        {"f,G,,48,8192,64,,,,2048,A100,c,8,8,1,,,,0,1,64,full,1,fp16,1,,Megatron-LM", "sequence parallelism goes"},
        {"f,G,,48,8192,64,,,,2048,A100,c,64,2,8,4,,,3,1,64,full,0,fp16,1,,Megatron-LM", "torchtitan's alone"},
        {"f,G,,48,8192,64,,,,2048,H100,c,64,2,8,4,,,3,1,64,full,0,bf16,1,,torchtitan", ""},
        {"f,G,,48,8192,64,,,,2048,H100,c,64,2,8,4,,,3,1,64,full,0,bf16,1,,FSDP with a pipeline", ""},
        {"f,G,,48,8192,64,,,,2048,A100,c,8,1,8,,,,1,1,64,full,0,fp16,1,,Megatron-LM",
         ""}, /* ZeRO has one rank to cut over */
        {"f,G,0,48,8192,64,,,,2048,A100,c,8,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", "params_b is 0; layers"},
        {"f,G,5000,48,8192,64,,,,2048,A100,c,8,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", "params_b is 5000; layers"},
        {"f,G,39,48,8192,64,,,,2048,A100,c,8,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""},
        {"f,,39,48,8192,64,,,,2048,A100,c,8,,8,,,,0,1,64,full,0,fp16,1,,Megatron-LM", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_row(cases[i].row, cases[i].why);
}

/* One field of a good row replaced: why the row is skipped; "": predicted. */
static void values_that_cannot_be(void) {
    static const char *const good[] = {"f",    "G",    "1.3",          "24",   "2048", "16",   "16", "8192", "50257",
                                       "1024", "A100", "8x200Gb/s IB", "16",   "1",    "8",    "2",  "1",    "1",
                                       "0",    "1",    "16",           "full", "0",    "fp16", "1",  "1F1B", "n"};
    static const struct {
        int column;
        const char *value, *why;
    } cases[] = {
        {0, "", ""},
        {3, "24.0", ""},
        {3, "", "layers is empty: a row without it cannot be predicted"},
        {4, "-5", "hidden is '-5'; a number from 0 to 1e15 was due"},
        {4, "", "hidden is empty: a row without it cannot be predicted"},
        {9, "", "seq is empty: a row without it cannot be predicted"},
        {20, "", "global_batch is empty: a row without it cannot be predicted"},
        {12, "", "gpus is empty: a row without it cannot be predicted"},
        {24, "-3", "iteration_s is '-3'; a number from 0 to 1e15 was due"},
        {24, "0", "iteration_s is '0'; a number above 0 was due"},
        {24, "inf", "iteration_s is 'inf'; a number from 0 to 1e15 was due"},
        {24, "nan", "iteration_s is 'nan'; a number from 0 to 1e15 was due"},
        {24, "", "iteration_s is empty: a row without it cannot be predicted"},
        {3, "48.5", "layers is '48.5'; a whole number from 1 to 10000 was due"},
        {3, "1e15", "layers is '1e15'; a whole number from 1 to 10000 was due"},
        {3, "0", "layers is '0'; a whole number from 1 to 10000 was due"},
        {5, "15", "hidden 2048, heads 15, kv_heads 16: each is a multiple of the next in any model"},
        {6, "3", "hidden 2048, heads 16, kv_heads 3: each is a multiple of the next in any model"},
        {12, "16.5", "gpus is '16.5'; a whole number from 1 to 1048576 was due"},
        {13, "1048576", "dp x tp x pp x cp is not the number of devices"},
        {16, "0", ""},
        {18, "9", "zero is '9'; a whole number from 0 to 3 was due"},
        {18, "0.5", "zero is '0.5'; a whole number from 0 to 3 was due"},
        {19, "0", "micro_batch is '0'; a whole number from 1 to 1000000000 was due"},
        {21, "foo", "recompute is 'foo'; none, selective, by-op or full was due"},
        {21, "selective (attention core)", ""},
        {21, "", ""},
        {22, "2", "sequence_parallel is '2'; a whole number from 0 to 1 was due"},
        {23, "foo", "dtype is 'foo'; bf16, fp16, fp8, fp4 or fp32 was due"},
        {23, "bf16/fp16", ""},
        {23, "", ""},
        {25, "foo", "schedule is 'foo'; 1F1B, interleaved, gpipe, ZB-1p, ZB-2p or none was due"},
        {25, "1F1B (some fork)", ""},
        {25, "", ""},
        {26, "foo", ""},
    };
    enum { FIELDS = sizeof good / sizeof *good };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char text[2048] = NAMES;
        cb_csv csv;
        cb_check check;
        for (int i = 0; i < FIELDS; i++) {
            strcat(text, i == cases[c].column ? cases[c].value : good[i]);
            strcat(text, i + 1 < FIELDS ? "," : "\n");
        }
        CHECK_OK(parse(&csv, text));
        CHECK_OK(cb_check_table(&check, &csv, "t.csv", &hardware, &constants));
        CHECK_STR(check.row[0].why, cases[c].why);
        CHECK_STR(check.row[0].file, cases[c].column == 0 ? "(no file)" : "f");
        CHECK_INT(check.row[0].devices, cases[c].column == 12 ? 0 : 16);
        cb_check_free(&check);
        cb_csv_free(&csv);
    }
}

static void devices(void) {
    static const struct {
        const char *text, *name; /* NULL: none */
    } cases[] = {
        {"A100-80GB-SXM", "a100-80g"},
        {"A100-SXM4-80GB", "a100-80g"},
        {"NVIDIA A100 80GB", "a100-80g"},
        {"A100-40GB-SXM", "a100-40g"},
        {"NVIDIA A100-SXM4-40GB", "a100-40g"},
        {"NVIDIA A100 40 GB", "a100-40g"},
        {"A100 600 GB/s, 40 GB, 1.5 TB/s", "a100-40g"},
        {"A100", "a100-80g"},
        {"A100-SXM4", "a100-80g"},
        {"8xA100", "a100-80g"},
        {"DGX A100 (80GB)", "a100-80g"},
        {"NVIDIA A100 80GB PCIe", "a100-80g-pcie"},
        {"A100-PCIE-40GB", "a100-40g-pcie"},
        {"A800-SXM4-80GB", "a800-80g"},
        {"H100 SXM5", "h100-80g"},
        {"NVIDIA H100 80GB HBM3", "h100-80g"},
        {"H100-96GB-SXM", "h100-96g"},
        {"H100 PCIe", "h100-pcie"},
        {"H100 NVL", "h100-94g-nvl"},
        {"H800", "h800-80g"},
        {"H200-141GB-SXM", "h200-141g"},
        {"NVIDIA H200", "h200-141g"},
        {"GH200-96GB", "gh200-96g"},
        {"H20-96GB", "h20-96g"},
        {"MI300X", "mi300x-192g"},
        {"AMD Instinct MI300X", "mi300x-192g"},
        {"B200-SXM", "b200-180g"},
        {"HGX B200 192GB", "b200-180g"},
        {"GB200", "gb200-186g"},
        {"GB200 NVL72", "gb200-186g"},
        {"B300", "b300-288g"},
        {"V100-SXM2-16GB", "v100-16g"},
        {"Tesla V100-SXM3-32GB", "v100-32g"},
        {"Tesla V100-PCIE-16GB", "v100-16g-pcie"},
        {"V100", "v100-32g"},
        {"MI250X", NULL},
        {"A1000", NULL},
        {"B100", NULL},
        {"XA100", NULL},
        {"TPUv4", NULL},
        {"", NULL},
    };
    cb_hardware_default(&hardware);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cb_device_row *row = cb_recognize_device(&hardware, cases[i].text);
        const char *name = row ? row->device.name : "none", *due = cases[i].name ? cases[i].name : "none";
        if (!CHECK_STR(name, due)) printf("'%s' is %s, not %s\n", cases[i].text, name, due);
    }
    char near[256];
    CHECK(strstr(cb_recognize_near(&hardware, "TPUv4", near), "; the nearest are '"));
    CHECK(strstr(cb_recognize_near(&hardware, "rtx4090", near), "; the nearest are 'a100-40g'"));
    CHECK(strstr(cb_recognize_near(&hardware, "MI300Y", near), "'mi300x'"));
    CHECK(strstr(cb_recognize_near(&hardware, "A1000-80G", near), "'a100-80g'"));
}

static void keep_warning(void *arg, const char *text) {
    char *all = arg;
    snprintf(all + strlen(all), 1024 - strlen(all), "%s\n", text);
}

/* What a table says that nothing reads is said; what it has to say and does not is refused. */
static void columns(void) {
    cb_csv csv;
    char warnings[1024] = "";
    CHECK_OK(parse(&csv, "\xef\xbb\xbf"
                         "file,model,layers,hidden,seq,gpu,gpus,tp,global_batch,iteration_s,microbatch,colour,tp\n"));
    CHECK_OK(cb_columns_check(&csv, "t.csv", keep_warning, warnings));
    CHECK_STR(
        warnings,
        "t.csv:1:67: column 'microbatch' is not known and not read; did you mean 'micro_batch'?\n"
        "t.csv:1:78: column 'colour' is not known and not read; the nearest are 'source', 'recompute' and 'vocab'.\n"
        "t.csv:1:85: column 'tp' is there twice; the first counts\n");
    cb_csv_free(&csv);
    warnings[0] = 0;
    CHECK_OK(parse(&csv, "file,modle,layers,hidden,seq,gpu,gpus,tp,global_batch,iteration_s\n"));
    CHECK_FAILS(cb_columns_check(&csv, "t.csv", keep_warning, warnings), CB_EFORMAT,
                "t.csv:1:1: no column 'model'; every");
    CHECK_STR(warnings, "t.csv:1:6: column 'modle' is not known and not read; did you mean 'model'?\n");
    cb_csv_free(&csv);
}

/* docs/planner.md has a row for each column that is read, and marks those that are needed. */
static void columns_are_documented(void) {
    char *docs, row[80];
    CHECK_OK(cb_file_read_text(CB_SOURCE_DIR "/docs/planner.md", "docs", 1 << 20, &docs));
    for (int i = 0; i < CB_COLS_READ; i++) {
        snprintf(row, sizeof row, "| `%s` | %s |", cb_column_name((cb_column)i), i < CB_COLS_NEEDED ? "needed" : "");
        if (!CHECK(strstr(docs, row))) printf("docs/planner.md has no row '%s'\n", row);
    }
    free(docs);
}

static void networks(void) {
    static const struct {
        const char *text;
        int kind, nics;
        double gbit;
        int node;
        bool known;
    } cases[] = {
        {"Selene; 8x200Gb/s HDR IB per node", CB_INFINIBAND, 8, 200, 8, true},
        {"4x100Gb/s Omni-Path per node", CB_OMNI_PATH, 4, 100, 8, true},
        {"8 GPU/node; 1600 Gb/s RoCE per node", CB_ETHERNET, 1, 1600, 8, true},
        {"400 Gb/s NIC per GPU; Ethernet", CB_ETHERNET, 8, 400, 8, true},
        {"16 GPU/node; 2 x 25 Gbps TCP", CB_ETHERNET, 2, 25, 16, true},
        {"opa-4x100", CB_OMNI_PATH, 4, 100, 8, true},
        {"a100-80g:8x48:IB-400", CB_INFINIBAND, 8, 400, 8, true},
        {"4 GPU/node; roce-2x50 (lab)", CB_ETHERNET, 2, 50, 4, true},
        {"ib-", CB_INFINIBAND, 8, 200, 8, false},
        {"AWS p4d; EFA", CB_EFA, 8, 200, 8, false},
        {"", CB_INFINIBAND, 8, 200, 8, false},
        {"x Gb/s 99999999999999999999999 GPU/node", CB_INFINIBAND, 8, 200, 8, false},
    };
    cb_hardware_default(&hardware);
    const cb_device_row *device = cb_recognize_device(&hardware, "A100-80GB-SXM");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cb_cluster c = {.devices = 64};
        CHECK(cb_recognize_network(cases[i].text, device, &c) == cases[i].known);
        CHECK_INT(c.network.kind, cases[i].kind);
        CHECK_INT(c.network.nics, cases[i].nics);
        CHECK_NEAR(c.network.nic_bytes_per_s, cases[i].gbit * 0.125e9, 1);
        CHECK_INT(c.node_devices, cases[i].node);
    }
}

/* Times that are predictions times a factor: errors, bias and ranks are known. */
static void scores(void) {
    cb_csv csv;
    cb_check check;
    cb_score score;
    CHECK_OK(parse(&csv, NAMES "f,G,,24,2048,16,,,,1024,A100,c,8,1,8,1,1,1,0,1,8,full,0,fp16,1,,\n"
                               "f,G,,24,2048,16,,,,1024,A100,c,8,1,8,1,1,1,0,1,16,full,0,fp16,1,,\n"
                               "f,G,,24,2048,16,,,,1024,A100,c,8,1,8,1,1,1,0,1,32,full,0,fp16,1,,\n"
                               "g,G,,24,2048,16,,,,1024,A100,c,8,1,,1,1,1,0,1,32,full,0,fp16,1,,\n"));
    CHECK_OK(cb_check_table(&check, &csv, "t.csv", &hardware, &constants));
    for (int i = 0; i < 3; i++) check.row[i].measured_s = check.row[i].predicted_s / (i == 0 ? 1.1 : i == 1 ? 0.8 : 1);
    CHECK_OK(cb_check_score(&check, "f", &score));
    CHECK_INT(score.predicted, 3);
    CHECK_NEAR(score.mean_abs_error_pct, 10, 1e-9);
    CHECK_NEAR(score.median_abs_error_pct, 10, 1e-9);
    CHECK_NEAR(score.max_abs_error_pct, 20, 1e-9);
    CHECK_NEAR(score.bias_pct, -10 / 3.0, 1e-9);
    CHECK_NEAR(score.rank_correlation, 1, 1e-12);
    CHECK_INT(score.ranked, 3);
    check.row[2].measured_s = 1e-6; /* the slowest predicted is the fastest measured: ranks 2 3 1 for 1 2 3 */
    CHECK_OK(cb_check_score(&check, NULL, &score));
    CHECK_NEAR(score.rank_correlation, -0.5, 1e-12);
    CHECK_INT(score.rows, 4);
    CHECK_INT(score.skipped, 1);
    CHECK_OK(cb_check_score(&check, "g", &score));
    CHECK_INT(score.predicted, 0);
    CHECK(isnan(score.rank_correlation));
    cb_check_free(&check);
    cb_csv_free(&csv);
}

/* Any field of a good row replaced by nonsense is predicted, skipped or refused, never worse. */
/* The only row's predicted memory, with the program that `notes` names, and the layout that it was made of. */
static double memory_of(const char *notes, cb_published *p) {
    char text[1024];
    cb_csv csv;
    cb_check check;
    snprintf(text, sizeof text,
             "memory_gb," NAMES "40,f,L,,24,1024,16,16,2816,131072,4096,H100-80GB-SXM,c,16,8,1,2,,,1,1,8,none,0,bf16,"
             "2,1F1B,%s\n",
             notes);
    CHECK_OK(parse(&csv, text));
    CHECK_OK(cb_published_read(p, &csv, "t.csv", 0, &hardware));
    CHECK_OK(cb_check_table(&check, &csv, "t.csv", &hardware, &constants));
    double gb = check.row[0].predicted_memory_gb;
    cb_check_free(&check);
    cb_csv_free(&csv);
    return gb;
}

/* nanotron says what rank 0 reserved: with one microbatch the first of two stages, which has no logits. */
static void memory_of_the_first_rank(void) {
    cb_published p;
    double gib = 1 << 30, first = memory_of("nanotron", &p);
    cb_job job = cb_published_job(&p);
    cb_param_sums sums = cb_param_sums_of(&p.model);
    cb_device_memory stages[2];
    for (int stage = 0; stage < 2; stage++) stages[stage] = cb_device_memory_of(&job, &p.split, &sums, stage);
    CHECK(stages[1].total_bytes > stages[0].total_bytes);
    CHECK_NEAR(first, (stages[0].total_bytes - stages[0].outside_bytes) / gib, 1e-6);
    CHECK_NEAR(memory_of("nanotron; nvidia-smi", &p), stages[0].total_bytes / gib, 1e-6);
    double fullest = memory_of("Megatron-Core", &p);
    job = cb_published_job(&p);
    cb_device_memory worst = cb_device_memory_worst(&job, &p.split, &sums);
    CHECK_INT(worst.stage, 1);
    CHECK_NEAR(fullest, (worst.total_bytes - worst.outside_bytes) / gib, 1e-6);
}

static void nonsense_in_each_field(void) {
    static const char *const good[] = {"f",    "G",    "1.3",          "24",   "2048", "16",   "16", "8192", "50257",
                                       "1024", "A100", "8x200Gb/s IB", "16",   "1",    "8",    "2",  "1",    "1",
                                       "0",    "1",    "16",           "full", "0",    "fp16", "1",  "1F1B", "n"};
    static const char *const bad[] = {"", "0", "1", "7", "3e9", "1e15", "0.3", "zz", "-1", "nan", "100000", "inf"};
    enum { FIELDS = sizeof good / sizeof *good, BAD = sizeof bad / sizeof *bad };
    for (int at = 0; at < FIELDS; at++) {
        for (int b = 0; b < BAD; b++) {
            char text[2048] = NAMES;
            for (int i = 0; i < FIELDS; i++) {
                strcat(text, i == at ? bad[b] : good[i]);
                strcat(text, i + 1 < FIELDS ? "," : "\n");
            }
            cb_err e = check_text(text);
            CHECK(!e || cb_err_code(e) == CB_EFORMAT);
            cb_err_free(e);
        }
    }
}

int main(void) {
    RUN(csv);
    RUN(broken_csv);
    RUN(no_rows);
    RUN(row_is_the_job);
    RUN(what_rows_leave_out);
    RUN(values_that_cannot_be);
    RUN(experts);
    RUN(layouts_that_cannot_be);
    RUN(devices);
    RUN(columns);
    RUN(columns_are_documented);
    RUN(networks);
    RUN(scores);
    RUN(memory_of_the_first_rank);
    RUN(nonsense_in_each_field);
    return test_end();
}
