/* Products, memory and an all-reduce of this machine; see plan_machine_parts.h. */
#include "cli/plan_machine_parts.h"

#include "base/os.h"

static const int64_t sizes[CB_MACHINE_SIZES] = {1 << 10, 32 << 10, 256 << 10, 2 << 20, 16 << 20};

static const double most_flops = 2e10; /* of a product: of a larger one fewer rows are measured */
enum { LEAST_ROWS = 256 };

static int64_t rows_of(const cb_run *run, const cb_gemm_layer *layer) {
    int64_t rows = (int64_t)run->B * run->T;
    double row_flops = 2.0 * (double)layer->in * (double)layer->out / run->mesh.size[CB_TP];
    while (rows >= 2 * LEAST_ROWS && (double)rows * row_flops > most_flops) rows /= 2;
    return rows;
}

static cb_err measure_products(const cb_run *run, cb_machine_parts *parts) {
    cb_gemm_setup setup = {.compute = run->compute,
                           .threads = run->threads_per_rank,
                           .type = CB_F32,
                           .tp = run->mesh.size[CB_TP],
                           .shards = run->shards,
                           .repeats = 3};
    parts->threads = setup.threads;
    cb_gemm_layers_of(&run->model, parts->layer);
    for (int i = 0; i < CB_GEMM_LAYERS; i++) {
        setup.tokens = rows_of(run, &parts->layer[i]);
        TRY(cb_gemm_rates(&setup, &parts->layer[i], parts->rate[i]));
    }
    return CB_OK;
}

static cb_err measure_reduce(int cores, cb_machine_parts *parts) {
    cb_comm_plan plan = {.launch = {.backend = "threads", .deadline_s = 60},
                         .type = CB_F32,
                         .op = CB_SUM,
                         .repeats = 3,
                         .warmup = 2,
                         .pin = true,
                         .quiet = true,
                         .entries = 1,
                         .sizes = CB_MACHINE_SIZES,
                         .entry = {{.kind = CB_ALL_REDUCE}}};
    plan.launch.ranks = parts->ranks = cores > 1 ? cores : 2;
    for (int i = 0; i < CB_MACHINE_SIZES; i++) plan.size_bytes[i] = sizes[i];
    return cb_comm_measure(&plan, parts->reduce, &parts->found);
}

cb_err cb_machine_parts_measure(const cb_run *run, int cores, cb_machine_parts *parts) {
    *parts = (cb_machine_parts){0};
    TRY(measure_products(run, parts));
    return measure_reduce(cores < CB_COMM_MOST_RANKS ? cores : CB_COMM_MOST_RANKS, parts);
}

static double gflops(const cb_gemm_rate *rate) {
    return rate->flops / rate->median_s * 1e-9;
}

static void print_products(const cb_machine_parts *parts, FILE *to) {
    fprintf(to, "\nproducts of a rank, GFLOP/s with %d thread%s\n%-12s %6s %6s %6s %9s %15s %15s\n", parts->threads,
            parts->threads == 1 ? "" : "s", "layer", "rows", "in", "out", "forward", "data gradient",
            "weight gradient");
    for (int i = 0; i < CB_GEMM_LAYERS; i++) {
        const cb_gemm_rate *rate = parts->rate[i];
        fprintf(to, "%-12s %6lld %6lld %6lld %9.1f %15.1f %15.1f\n", parts->layer[i].name, (long long)rate->m,
                (long long)rate->k, (long long)rate->n, gflops(&rate[CB_GEMM_FORWARD]),
                gflops(&rate[CB_GEMM_DATA_GRADIENT]), gflops(&rate[CB_GEMM_WEIGHT_GRADIENT]));
    }
}

void cb_machine_parts_print(const cb_machine_parts *parts, FILE *to) {
    const cb_memory_rate *memory = &parts->found.memory;
    char size[16];
    print_products(parts, to);
    fprintf(to, "\nmemory in use, all cores  GB/s     all-reduce, %d ranks        us\n", parts->ranks);
    for (int i = 0; i < CB_MACHINE_SIZES; i++) {
        int at = i * (memory->points - 1) / (CB_MACHINE_SIZES - 1);
        fprintf(to, "%24s ", cb_os_human_bytes((int64_t)memory->set_bytes[at], size));
        fprintf(to, "%5.0f ", memory->bytes_per_s[at] * 1e-9);
        fprintf(to, "%25s %10.2f\n", cb_os_human_bytes(parts->reduce[i].bytes, size),
                cb_comm_row_time_s(&parts->reduce[i]) * 1e6);
    }
}

static json_t *products_json(const cb_machine_parts *parts) {
    json_t *all = json_array();
    for (int i = 0; i < CB_GEMM_LAYERS; i++) {
        for (int pass = 0; pass < CB_GEMM_PASSES; pass++) {
            const cb_gemm_rate *rate = &parts->rate[i][pass];
            json_array_append_new(all,
                                  json_pack("{s:s,s:s,s:I,s:I,s:I,s:f}", "layer", parts->layer[i].name, "product",
                                            cb_gemm_pass_name((cb_gemm_pass)pass), "m", (json_int_t)rate->m, "n",
                                            (json_int_t)rate->n, "k", (json_int_t)rate->k, "gflops", gflops(rate)));
        }
    }
    return all;
}

json_t *cb_machine_parts_json(const cb_machine_parts *parts) {
    json_t *reduce = json_array();
    for (int i = 0; i < CB_MACHINE_SIZES; i++)
        json_array_append_new(reduce, json_pack("{s:I,s:f}", "bytes", (json_int_t)parts->reduce[i].bytes, "time_us",
                                                cb_comm_row_time_s(&parts->reduce[i]) * 1e6));
    return json_pack("{s:i,s:o,s:o,s:i,s:o}", "threads", parts->threads, "products", products_json(parts), "memory",
                     cb_memory_rate_json(&parts->found.memory), "ranks", parts->ranks, "all_reduce", reduce);
}
