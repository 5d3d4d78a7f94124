/* Rank <-> coordinates and groups, for any order of the dimensions. A rank is a mixed-radix number whose digits are the
 * coordinates, order[0] the fastest; a group walks the digits of its mask with the others held.
 * Source: Megatron-LM core/parallel_state.py, RankGenerator. */
#include "mesh/mesh.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_RANKS = 1 << 30 };

static const char *const dim_names[CB_DIMS] = {"tp", "cp", "ep", "dp", "pp"};

const char *cb_dim_name(cb_dim dim) {
    assert((unsigned)dim < CB_DIMS);
    return dim_names[dim];
}

/* The dimension named by text[0..length), or CB_DIMS. */
static cb_dim find_dim(const char *text, size_t length) {
    for (int i = 0; i < CB_DIMS; i++)
        if (strlen(dim_names[i]) == length && !memcmp(dim_names[i], text, length)) return (cb_dim)i;
    return CB_DIMS;
}

static cb_err set_sizes(cb_mesh *mesh, const int size[CB_DIMS]) {
    int64_t ranks = 1;
    for (int i = 0; i < CB_DIMS; i++) {
        if (size[i] < 1) return cb_fail(CB_EINVAL, "%s=%d: a size is at least 1", dim_names[i], size[i]);
        ranks *= size[i];
        if (ranks > MAX_RANKS)
            return cb_fail(CB_EINVAL, "tp=%d cp=%d ep=%d dp=%d pp=%d make more than the %d ranks that a mesh can have",
                           size[CB_TP], size[CB_CP], size[CB_EP], size[CB_DP], size[CB_PP], MAX_RANKS);
        mesh->size[i] = size[i];
    }
    mesh->ranks = (int)ranks;
    return CB_OK;
}

/* Puts the dimensions that the order string names into mesh->order; *named is their mask, the number of them is
 * returned through *count. */
static cb_err read_order(cb_mesh *mesh, const char *order, unsigned *named, int *count) {
    for (const char *at = order;; at++) {
        size_t length = strcspn(at, "-");
        cb_dim dim = find_dim(at, length);
        if (dim == CB_DIMS)
            return cb_fail(CB_EINVAL, "order '%.80s': '%.*s' is no dimension; the default is " CB_DEFAULT_ORDER, order,
                           (int)(length < 40 ? length : 40), at);
        if (*named & CB_MASK(dim)) return cb_fail(CB_EINVAL, "order '%.80s' names %s twice", order, dim_names[dim]);
        *named |= CB_MASK(dim);
        mesh->order[(*count)++] = dim;
        at += length;
        if (!*at) return CB_OK;
    }
}

cb_err cb_mesh_make(cb_mesh *mesh, const int size[CB_DIMS], const char *order) {
    unsigned named = 0;
    int count = 0;
    *mesh = (cb_mesh){0};
    TRY(set_sizes(mesh, size));
    TRY(read_order(mesh, order, &named, &count));
    for (int i = 0; i < CB_DIMS; i++) {
        if (named & CB_MASK(i)) continue;
        if (size[i] != 1)
            return cb_fail(CB_EINVAL, "order '%.80s' leaves out %s, whose size is %d; only a size of 1 can be left out",
                           order, dim_names[i], size[i]);
        mesh->order[count++] = (cb_dim)i;
    }
    return CB_OK;
}

int cb_mesh_rank(const cb_mesh *mesh, const int coord[CB_DIMS]) {
    int rank = 0;
    for (int k = CB_DIMS - 1; k >= 0; k--) {
        cb_dim dim = mesh->order[k];
        assert(coord[dim] >= 0 && coord[dim] < mesh->size[dim]);
        rank = rank * mesh->size[dim] + coord[dim];
    }
    return rank;
}

void cb_mesh_coords(const cb_mesh *mesh, int rank, int coord[CB_DIMS]) {
    assert(rank >= 0 && rank < mesh->ranks);
    for (int k = 0; k < CB_DIMS; k++) {
        cb_dim dim = mesh->order[k];
        coord[dim] = rank % mesh->size[dim];
        rank /= mesh->size[dim];
    }
}

int cb_mesh_group_size(const cb_mesh *mesh, unsigned mask) {
    int size = 1;
    for (int i = 0; i < CB_DIMS; i++)
        if (mask & CB_MASK(i)) size *= mesh->size[i];
    return size;
}

int cb_mesh_group(const cb_mesh *mesh, unsigned mask, int rank, int *ranks) {
    int coord[CB_DIMS], size = cb_mesh_group_size(mesh, mask), mine = -1;
    cb_mesh_coords(mesh, rank, coord);
    for (int i = 0; i < size; i++) {
        int rest = i;
        for (int k = 0; k < CB_DIMS; k++) {
            cb_dim dim = mesh->order[k];
            if (!(mask & CB_MASK(dim))) continue;
            coord[dim] = rest % mesh->size[dim];
            rest /= mesh->size[dim];
        }
        ranks[i] = cb_mesh_rank(mesh, coord);
        if (ranks[i] == rank) mine = i;
    }
    return mine;
}

char *cb_mesh_name(const cb_mesh *mesh, int rank, char out[48]) {
    static const cb_dim shown[CB_DIMS] = {CB_DP, CB_PP, CB_TP, CB_CP, CB_EP};
    int coord[CB_DIMS], used = 0;
    cb_mesh_coords(mesh, rank, coord);
    for (int i = 0; i < CB_DIMS; i++) {
        cb_dim dim = shown[i];
        if ((dim == CB_CP || dim == CB_EP) && mesh->size[dim] == 1) continue;
        used += snprintf(out + used, (size_t)(48 - used), "%s%c%d", used ? " " : "", dim_names[dim][0], coord[dim]);
    }
    return out;
}
