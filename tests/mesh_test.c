/* The mesh against its definition: every size up to 32 ranks in the default order, every order for a few sizes,
 * published groups; block distribution over all small sizes. */
#include "mesh/mesh.h"
#include "mesh/shard.h"
#include "support/test.h"

enum { MOST = 32 };

static cb_mesh mesh_of(int tp, int cp, int ep, int dp, int pp, const char *order) {
    cb_mesh mesh;
    CHECK_OK(cb_mesh_make(&mesh, (const int[CB_DIMS]){tp, cp, ep, dp, pp}, order));
    return mesh;
}

/* rank <-> coordinates is one to one, and the rank is the sum of coordinate times stride in the order of the mesh. */
static bool ranks_fit(const cb_mesh *mesh) {
    bool fit = true;
    for (int rank = 0; rank < mesh->ranks; rank++) {
        int coord[CB_DIMS], sum = 0, stride = 1;
        cb_mesh_coords(mesh, rank, coord);
        for (int k = 0; k < CB_DIMS; k++) {
            cb_dim dim = mesh->order[k];
            fit = fit && coord[dim] >= 0 && coord[dim] < mesh->size[dim];
            sum += coord[dim] * stride;
            stride *= mesh->size[dim];
        }
        fit = fit && sum == rank && cb_mesh_rank(mesh, coord) == rank;
    }
    return fit;
}

/* Number of the rank's coordinates outside of mask: equal for two ranks that differ in the dimensions of mask only. */
static int outside(const cb_mesh *mesh, unsigned mask, int rank) {
    int coord[CB_DIMS], number = 0;
    cb_mesh_coords(mesh, rank, coord);
    for (int i = 0; i < CB_DIMS; i++) number = number * MOST + (mask & CB_MASK(i) ? 0 : coord[i]);
    return number;
}

/* A group is the ranks that differ in its dimensions only, ascending (the fastest dimension first). */
static bool group_fits(const cb_mesh *mesh, unsigned mask, int rank, const int *numbers) {
    int ranks[MOST], size = cb_mesh_group_size(mesh, mask), count = 0;
    int index = cb_mesh_group(mesh, mask, rank, ranks);
    if (index < 0 || index >= size || ranks[index] != rank) return false;
    for (int other = 0; other < mesh->ranks; other++)
        if (numbers[other] == numbers[rank] && (count >= size || ranks[count++] != other)) return false;
    return count == size;
}

static bool mesh_fits(const cb_mesh *mesh) {
    if (!ranks_fit(mesh)) return false;
    for (unsigned mask = 0; mask <= CB_MASK_ALL; mask++) {
        int numbers[MOST];
        for (int rank = 0; rank < mesh->ranks; rank++) numbers[rank] = outside(mesh, mask, rank);
        for (int rank = 0; rank < mesh->ranks; rank++)
            if (!group_fits(mesh, mask, rank, numbers)) return false;
    }
    return true;
}

static void every_size(void) {
    int meshes = 0;
    for (int tp = 1; tp <= MOST; tp++)
        for (int cp = 1; tp * cp <= MOST; cp++)
            for (int ep = 1; tp * cp * ep <= MOST; ep++)
                for (int dp = 1; tp * cp * ep * dp <= MOST; dp++)
                    for (int pp = 1; tp * cp * ep * dp * pp <= MOST; pp++, meshes++) {
                        cb_mesh mesh = mesh_of(tp, cp, ep, dp, pp, CB_DEFAULT_ORDER);
                        CHECK(mesh.ranks == tp * cp * ep * dp * pp && mesh_fits(&mesh));
                        int last[CB_DIMS] = {tp - 1, cp - 1, ep - 1, dp - 1, pp - 1};
                        CHECK_INT(cb_mesh_rank(&mesh, last),
                                  tp - 1 + tp * (cp - 1 + cp * (ep - 1 + ep * (dp - 1 + dp * (pp - 1)))));
                    }
    CHECK_INT(meshes, 1142);
}

/* The order string of the permutation with this number, 0..119. */
static void order_string(int number, char out[32], cb_dim order[CB_DIMS]) {
    int left[CB_DIMS] = {0, 1, 2, 3, 4}, used = 0;
    for (int k = 0; k < CB_DIMS; k++) {
        int take = number % (CB_DIMS - k);
        number /= CB_DIMS - k;
        order[k] = (cb_dim)left[take];
        left[take] = left[CB_DIMS - 1 - k];
        used += snprintf(out + used, (size_t)(32 - used), "%s%s", k ? "-" : "", cb_dim_name(order[k]));
    }
}

static void every_order(void) {
    static const int sizes[][CB_DIMS] = {{2, 1, 1, 2, 4}, {2, 2, 2, 2, 2}, {1, 3, 1, 2, 5}, {1, 1, 1, 1, 1}};
    for (int s = 0; s < 4; s++)
        for (int number = 0; number < 120; number++) {
            char text[32];
            cb_dim order[CB_DIMS];
            cb_mesh mesh;
            order_string(number, text, order);
            CHECK_OK(cb_mesh_make(&mesh, sizes[s], text));
            CHECK(memcmp(mesh.order, order, sizeof order) == 0 && mesh_fits(&mesh));
        }
}

static void check_group(const cb_mesh *mesh, unsigned mask, int rank, const int *expected, int size) {
    int ranks[MOST];
    CHECK_INT(cb_mesh_group_size(mesh, mask), size);
    cb_mesh_group(mesh, mask, rank, ranks);
    for (int i = 0; i < size; i++) CHECK_INT(ranks[i], expected[i]);
}

/* Groups that Megatron-LM's sources print. */
static void published_groups(void) {
    cb_mesh mesh = mesh_of(2, 1, 1, 2, 4, CB_DEFAULT_ORDER); /* 16 ranks */
    check_group(&mesh, CB_MASK(CB_TP), 3, (const int[]){2, 3}, 2);
    check_group(&mesh, CB_MASK(CB_DP), 0, (const int[]){0, 2}, 2);
    check_group(&mesh, CB_MASK(CB_DP), 7, (const int[]){5, 7}, 2);
    check_group(&mesh, CB_MASK(CB_PP), 8, (const int[]){0, 4, 8, 12}, 4);
    check_group(&mesh, CB_MASK(CB_PP), 3, (const int[]){3, 7, 11, 15}, 4);
    check_group(&mesh, CB_MASK(CB_TP) | CB_MASK(CB_DP), 6, (const int[]){4, 5, 6, 7}, 4);
    check_group(&mesh, CB_MASK(CB_TP) | CB_MASK(CB_PP), 2, (const int[]){2, 3, 6, 7, 10, 11, 14, 15}, 8);
    mesh = mesh_of(2, 1, 1, 3, 4, CB_DEFAULT_ORDER);
    check_group(&mesh, CB_MASK(CB_DP), 2, (const int[]){0, 2, 4}, 3);
    check_group(&mesh, CB_MASK(CB_DP), 1, (const int[]){1, 3, 5}, 3);
    check_group(&mesh, CB_MASK(CB_DP), 6, (const int[]){6, 8, 10}, 3);
    check_group(&mesh, CB_MASK(CB_DP), 23, (const int[]){19, 21, 23}, 3);
    mesh = mesh_of(2, 1, 1, 2, 4, "tp-cp-ep-pp-dp"); /* --use-tp-pp-dp-mapping */
    check_group(&mesh, CB_MASK(CB_PP), 0, (const int[]){0, 2, 4, 6}, 4);
    check_group(&mesh, CB_MASK(CB_DP), 0, (const int[]){0, 8}, 2);
}

static void orders_that_leave_out(void) {
    cb_mesh mesh = mesh_of(2, 1, 1, 2, 4, "tp-pp-dp");
    static const cb_dim expected[CB_DIMS] = {CB_TP, CB_PP, CB_DP, CB_CP, CB_EP};
    CHECK(memcmp(mesh.order, expected, sizeof expected) == 0 && mesh_fits(&mesh));
    mesh = mesh_of(1, 1, 1, 3, 1, "dp");
    CHECK(mesh.ranks == 3 && mesh_fits(&mesh));
}

static void bad_meshes(void) {
    static const int ok[CB_DIMS] = {2, 1, 1, 2, 4}, with_cp[CB_DIMS] = {2, 3, 1, 2, 4};
    cb_mesh mesh;
    CHECK_FAILS(cb_mesh_make(&mesh, ok, "tp-cp-ep-zz-pp"), CB_EINVAL, "order 'tp-cp-ep-zz-pp': 'zz' is no dimension");
    CHECK_FAILS(cb_mesh_make(&mesh, ok, "tp-cp-ep-dp-pp-"), CB_EINVAL,
                "'' is no dimension; the default is tp-cp-ep-dp-pp");
    CHECK_FAILS(cb_mesh_make(&mesh, ok, ""), CB_EINVAL, "order '': '' is no dimension");
    CHECK_FAILS(cb_mesh_make(&mesh, ok, "tppp"), CB_EINVAL, "'tppp' is no dimension");
    CHECK_FAILS(cb_mesh_make(&mesh, ok, "tp-pp-tp-dp"), CB_EINVAL, "order 'tp-pp-tp-dp' names tp twice");
    CHECK_FAILS(cb_mesh_make(&mesh, ok, "tp-pp"), CB_EINVAL, "order 'tp-pp' leaves out dp, whose size is 2");
    CHECK_FAILS(cb_mesh_make(&mesh, with_cp, "tp-dp-pp"), CB_EINVAL, "leaves out cp, whose size is 3");
    CHECK_FAILS(cb_mesh_make(&mesh, (const int[CB_DIMS]){1, 1, 1, 0, 1}, "tp"), CB_EINVAL,
                "dp=0: a size is at least 1");
    CHECK_FAILS(cb_mesh_make(&mesh, (const int[CB_DIMS]){1, 1, 1, -7, 1}, "tp"), CB_EINVAL, "dp=-7: ");
    CHECK_FAILS(cb_mesh_make(&mesh, (const int[CB_DIMS]){1 << 15, 1, 1, 1 << 15, 2}, CB_DEFAULT_ORDER), CB_EINVAL,
                "tp=32768 cp=1 ep=1 dp=32768 pp=2 make more than the 1073741824 ranks");
    CHECK_FAILS(cb_mesh_make(&mesh, (const int[CB_DIMS]){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}, "tp"),
                CB_EINVAL, "make more than the 1073741824 ranks");
    CHECK_OK(cb_mesh_make(&mesh, (const int[CB_DIMS]){1 << 15, 1, 1, 1 << 15, 1}, CB_DEFAULT_ORDER));
}

static void names(void) {
    char name[48];
    cb_mesh mesh = mesh_of(4, 1, 1, 2, 2, CB_DEFAULT_ORDER);
    CHECK_STR(cb_mesh_name(&mesh, 0, name), "d0 p0 t0");
    CHECK_STR(cb_mesh_name(&mesh, 3 + 4 * (0 + 2 * 1), name), "d0 p1 t3");
    mesh = mesh_of(2, 2, 3, 1, 1, CB_DEFAULT_ORDER);
    CHECK_STR(cb_mesh_name(&mesh, 11, name), "d0 p0 t1 c1 e2");
    mesh = mesh_of(1 << 6, 1 << 6, 1 << 6, 1 << 6, 1 << 6, CB_DEFAULT_ORDER); /* the longest name there is */
    CHECK_STR(cb_mesh_name(&mesh, (1 << 30) - 1, name), "d63 p63 t63 c63 e63");
}

static void blocks(void) {
    for (int64_t total = 0; total <= 40; total++)
        for (int n = 1; n <= 12; n++) {
            int64_t next = 0, previous = total;
            for (int i = 0; i < n; i++) {
                cb_range block = cb_shard_block(total, n, i);
                CHECK(block.begin == next && block.count <= previous);
                CHECK(block.count == total / n || block.count == total / n + 1);
                for (int64_t e = block.begin; e < block.begin + block.count; e++)
                    CHECK_INT(cb_shard_owner(total, n, e), i);
                next += block.count, previous = block.count;
            }
            CHECK_INT(next, total);
        }
    int64_t huge = (int64_t)1 << 61;
    cb_range last = cb_shard_block(huge + 1, 3, 2);
    CHECK_INT(last.begin + last.count, huge + 1);
    CHECK_INT(cb_shard_owner(huge + 1, 3, huge), 2);
}

static void divisors(void) {
    char out[64];
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){12}, 1, 100, out, sizeof out), "1, 2, 3, 4, 6 or 12");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){12}, 1, 6, out, sizeof out), "1, 2, 3, 4 or 6");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){12, 8}, 2, 100, out, sizeof out), "1, 2 or 4");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){25, 6400, 50304}, 3, 25, out, sizeof out), "1");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){6, 4}, 2, 9, out, sizeof out), "1 or 2");
    CHECK_STR(cb_shard_common_multiples((const int64_t[]){36, 24}, 2, 3, 100, out, sizeof out), "3, 6 or 12");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){720720}, 1, 720720, out, 24), "1, 2, 3, 4, 5, 6, ...");
    CHECK_STR(cb_shard_common_divisors((const int64_t[]){12}, 1, 12, out, 20), "1, 2, 3, 4, 6 or 12");
}

int main(void) {
    RUN(every_size);
    RUN(every_order);
    RUN(published_groups);
    RUN(orders_that_leave_out);
    RUN(bad_meshes);
    RUN(names);
    RUN(blocks);
    RUN(divisors);
    return test_end();
}
