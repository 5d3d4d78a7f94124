/* A tile of a product with bf16 operands, by the matmul of oneDNN 2, on processors that have such instructions. Other
 * versions describe products differently; with them bf16 operands are multiplied as f32 (bf16.c). */
#include <dnnl.h>

#include "compute/cpu.h"

#if DNNL_VERSION_MAJOR != 2

bool cb_cpu_takes_bf16(void) {
    return false;
}

bool cb_cpu_product_bf16(const cb_gemm *g) {
    (void)g;
    return false;
}

#else

bool cb_cpu_takes_bf16(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_avx512_core_bf16:
    case dnnl_cpu_isa_avx512_core_amx:
        return true;
    default:
        return false;
    }
}

/* Everything that one call makes, to be given back in one place. */
typedef struct call {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t matmul;
    dnnl_memory_t memory[3];
} call;

static bool ok(dnnl_status_t status) {
    return status == dnnl_success;
}

static bool describe(dnnl_memory_desc_t *d, int64_t rows, int64_t columns, dnnl_data_type_t type, bool transposed,
                     int64_t ld) {
    dnnl_dims_t dims = {rows, columns}, strides = {transposed ? 1 : ld, transposed ? ld : 1};
    return ok(dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides));
}

static bool run(call *c, const cb_gemm *g, void *const data[3]) {
    dnnl_memory_desc_t d[3];
    dnnl_matmul_desc_t matmul;
    static const int names[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_exec_arg_t args[3];
    if (!describe(&d[0], g->m, g->k, dnnl_bf16, g->ta, g->lda) ||
        !describe(&d[1], g->k, g->n, dnnl_bf16, g->tb, g->ldb) || !describe(&d[2], g->m, g->n, dnnl_f32, false, g->ldc))
        return false;
    if (!ok(dnnl_engine_create(&c->engine, dnnl_cpu, 0)) ||
        !ok(dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags)) ||
        !ok(dnnl_primitive_attr_create(&c->attr)) || !ok(dnnl_post_ops_create(&c->ops)))
        return false;
    if (g->beta != 0 &&
        (!ok(dnnl_post_ops_append_sum(c->ops, g->beta)) || !ok(dnnl_primitive_attr_set_post_ops(c->attr, c->ops))))
        return false;
    if (!ok(dnnl_matmul_desc_init(&matmul, &d[0], &d[1], NULL, &d[2])) ||
        !ok(dnnl_primitive_desc_create(&c->desc, &matmul, c->attr, c->engine, NULL)) ||
        !ok(dnnl_primitive_create(&c->matmul, c->desc)))
        return false;
    for (int i = 0; i < 3; i++) {
        if (!ok(dnnl_memory_create(&c->memory[i], &d[i], c->engine, data[i]))) return false;
        args[i] = (dnnl_exec_arg_t){names[i], c->memory[i]};
    }
    return ok(dnnl_primitive_execute(c->matmul, c->stream, 3, args)) && ok(dnnl_stream_wait(c->stream));
}

bool cb_cpu_product_bf16(const cb_gemm *g) {
    call c = {0};
    bool done = run(&c, g, (void *[]){(void *)g->a, (void *)g->b, g->c}); /* the operands are only read */
    for (int i = 0; i < 3; i++)
        if (c.memory[i]) dnnl_memory_destroy(c.memory[i]);
    if (c.matmul) dnnl_primitive_destroy(c.matmul);
    if (c.desc) dnnl_primitive_desc_destroy(c.desc);
    if (c.ops) dnnl_post_ops_destroy(c.ops);
    if (c.attr) dnnl_primitive_attr_destroy(c.attr);
    if (c.stream) dnnl_stream_destroy(c.stream);
    if (c.engine) dnnl_engine_destroy(c.engine);
    return done;
}

#endif
