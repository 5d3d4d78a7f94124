/* Operations by MPI's own collectives, on MPI's own types. See mpi_native.h. */
#ifdef CB_HAVE_MPI

#include "comm/mpi_native.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static MPI_Datatype type_of(cb_type type) {
    switch (type) {
    case CB_F32:
        return MPI_FLOAT;
    case CB_F64:
        return MPI_DOUBLE;
    case CB_I32:
        return MPI_INT32_T;
    case CB_I64:
        return MPI_INT64_T;
    case CB_BF16:
        return MPI_UINT16_T; /* to be moved, not summed */
    default:
        return MPI_UINT8_T;
    }
}

static bool reduces(cb_kind kind) {
    return kind == CB_ALL_REDUCE || kind == CB_REDUCE || kind == CB_REDUCE_SCATTER;
}

static cb_err check(const cb_call *c) {
    if (c->count > INT_MAX)
        return cb_fail(CB_EUNSUPPORTED, "MPI's own %s takes up to %d elements, not %lld", cb_kind_name(c->kind),
                       INT_MAX, (long long)c->count);
    if (reduces(c->kind) && c->type == CB_BF16)
        return cb_fail(CB_EUNSUPPORTED, "MPI's own %s has no bf16; it has f32, f64, i32", cb_kind_name(c->kind));
    return CB_OK;
}

static int run(MPI_Comm comm, const cb_call *c, MPI_Datatype type, MPI_Op op) {
    const int n = (int)c->count;
    switch (c->kind) {
    case CB_ALL_REDUCE:
        return MPI_Allreduce(MPI_IN_PLACE, c->to, n, type, op, comm);
    case CB_REDUCE:
        return MPI_Reduce(c->from, c->to, n, type, op, c->root, comm);
    case CB_REDUCE_SCATTER:
        return MPI_Reduce_scatter_block(c->from, c->to, n, type, op, comm);
    case CB_ALL_GATHER:
        return MPI_Allgather(c->from, n, type, c->to, n, type, comm);
    case CB_BROADCAST:
        return MPI_Bcast(c->to, n, type, c->root, comm);
    case CB_ALL_TO_ALL:
        return MPI_Alltoall(c->from, n, type, c->to, n, type, comm);
    default:
        return MPI_Barrier(comm);
    }
}

cb_err cb_mpi_native(MPI_Comm comm, const cb_call *call) {
    TRY(check(call));
    const MPI_Op ops[CB_REDUCE_OPS] = {[CB_SUM] = MPI_SUM, [CB_MAX] = MPI_MAX, [CB_MIN] = MPI_MIN};
    int rc = run(comm, call, type_of(call->type), ops[call->op]);
    if (rc == MPI_SUCCESS) return CB_OK;
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    MPI_Error_string(rc, text, &length);
    return cb_fail(CB_EIO, "MPI's own %s: %s", cb_kind_name(call->kind), text);
}

/* "Open MPI v4.1.4, package: ..." and "MPICH Version:\t4.0.2\nMPICH Release date: ..." to a name and a number. */
void cb_mpi_native_name(char out[64]) {
    char text[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "", name[32] = "", number[24] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = '\0';
    char *digits = strpbrk(text, "0123456789");
    if (digits) snprintf(number, sizeof number, "%s", digits);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ":0123456789"), text);
    size_t end = strlen(name);
    while (end > 0 && (name[end - 1] == ' ' || name[end - 1] == 'v')) name[--end] = '\0';
    char *version = strstr(name, " Version");
    if (version) *version = '\0';
    snprintf(out, 64, "%s %s", name, number);
}

#else

typedef int cb_no_mpi; /* a file has to have something in it */

#endif
