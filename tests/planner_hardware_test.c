/* Devices, networks and clusters by name, and a user's own from JSON: what is read, what is refused and where. */
#include "planner/hardware.h"
#include "support/test.h"

#include <string.h>

static cb_hardware table(void) {
    cb_hardware hardware;
    cb_hardware_default(&hardware);
    return hardware;
}

/* Sheets list more in fewer bits, memory slower than caches, a link slower than memory; every row names a source and a
 * network that is one. */
static void every_row(void) {
    cb_hardware hardware = table();
    CHECK(hardware.count >= 16);
    for (int i = 0; i < hardware.count; i++) {
        const cb_device_row *row = &hardware.device[i], *found;
        const cb_accelerator *d = &row->device;
        cb_network network;
        CHECK(d->peak_flops[CB_MATH_16] > d->peak_flops[CB_MATH_32] && d->peak_flops[CB_MATH_32] > 0);
        for (int p = CB_MATH_8; p <= CB_MATH_4; p++)
            CHECK(d->peak_flops[p] == 0 || d->peak_flops[p] > 1.9 * d->peak_flops[p - 1]);
        CHECK(d->memory_bytes >= 16.0 * (1 << 30) && d->memory_bytes_per_s > d->link_bytes_per_s);
        CHECK(d->multiprocessors > 0 && row->source[0] && row->node_devices > 0);
        CHECK_OK(cb_network_parse(row->network, row->node_devices, &network));
        CHECK_OK(cb_device_find(&hardware, d->name, &found));
        CHECK(found == row);
    }
}

static void names_of_devices(void) {
    cb_hardware hardware = table();
    const cb_device_row *row;
    static const char *const same[] = {"a100-80g", "A100-80GB-SXM", "a100"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cb_device_find(&hardware, same[i], &row));
        CHECK_STR(row->device.name, "a100-80g");
    }
    CHECK_NEAR(row->device.peak_flops[CB_MATH_16], 312e12, 0);
    CHECK_NEAR(row->device.memory_bytes, 80.0 * 1073741824, 0);
    CHECK_FAILS(cb_device_find(&hardware, "a100-80", &row), CB_EUSAGE,
                "no device 'a100-80'; did you mean 'a100-80g', 'a100-80g-pcie'");
    CHECK_FAILS(cb_device_find(&hardware, "tpu-v4", &row), CB_EUSAGE, "`cuboid plan --list-hardware` shows all");
}

static void networks(void) {
    cb_network network;
    CHECK_OK(cb_network_parse("opa-4x100", 8, &network));
    CHECK(network.kind == CB_OMNI_PATH && network.nics == 4 && network.nic_bytes_per_s == 12.5e9);
    CHECK_OK(cb_network_parse("ib-hdr", 8, &network));
    CHECK(network.kind == CB_INFINIBAND && network.nics == 8 && network.nic_bytes_per_s == 25e9);
    CHECK_OK(cb_network_parse("ib-ndr", 72, &network));
    CHECK(network.nics == 72 && network.nic_bytes_per_s == 50e9);
    CHECK_OK(cb_network_parse("efa-32x100", 8, &network));
    CHECK(network.kind == CB_EFA && network.nics == 32);
    static const char *const bad[] = {"",      "ib",           "ib-",     "ib-0",   "ib-x4",
                                      "ib-4x", "ib-4x1000000", "ib-200z", "wifi-6", "ib--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(cb_network_parse(bad[i], 8, &network), CB_EUSAGE, "Give KIND-GBITS or KIND-NICSxGBITS");
}

static void clusters(void) {
    cb_hardware hardware = table();
    cb_cluster c;
    CHECK_OK(cb_cluster_parse(&hardware, "a100-80g:8x48:opa-4x100", &c));
    CHECK(c.node_devices == 8 && c.devices == 384 && c.network.nics == 4 && c.network.kind == CB_OMNI_PATH);
    CHECK_STR(c.device.name, "a100-80g");
    CHECK_OK(cb_cluster_parse(&hardware, "h100:8x2048", &c));
    CHECK(c.devices == 16384 && c.network.nic_bytes_per_s == 50e9 && c.network.nics == 8);
    CHECK_OK(cb_cluster_parse(&hardware, "v100-32g:4", &c));
    CHECK(c.devices == 4 && c.node_devices == 4);
    static const struct {
        const char *text, *part;
    } bad[] = {{"a100-80g", "it does not say how many devices"},
               {"a100-80g:", "a node has 1 to 1024 devices"},
               {"a100-80g:0x4", "a node has 1 to 1024"},
               {"a100-80g:8x", "a cluster has 1 to"},
               {"a100-80g:8x0", "a cluster has 1 to"},
               {"a100-80g:8y2", "its size is not GxN"},
               {"a100-80g:1024x2000", "more than 1048576 devices"},
               {"a101-80g:8x2", "no device 'a101-80g'; did you mean 'a100-80g'"},
               {"a100-80g:8x2:", "network ''"},
               {"a100-80g:8x2:ib", "network 'ib': no rate and number of adapters can be read in it. Give KIND-GBITS"},
               {"", "it does not say"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(cb_cluster_parse(&hardware, bad[i].text, &c), CB_EUSAGE, bad[i].part);
}

#define HEAD "{\"devices\": [{\"name\": \"x100\", "
#define REST                                                                                                           \
    "\"family\": \"hopper\", \"peak_tflops\": {\"16\": 500, \"8\": 1000},\n \"memory_gib\": 96, \"memory_gb_per_s\": " \
    "2400, "
#define TAIL "\"link_gb_per_s\": 450, \"multiprocessors\": 132}], \"cluster\": \"x100:8x2\"}"

static cb_err parse(cb_hardware *hardware, const char *text, char cluster[128]) {
    cb_hardware_default(hardware);
    return cb_hardware_parse(hardware, "own.json", text, (int64_t)strlen(text), cluster);
}

static void own_devices(void) {
    cb_hardware hardware;
    cb_cluster c;
    char cluster[128];
    CHECK_OK(parse(&hardware, HEAD REST TAIL, cluster));
    CHECK_STR(cluster, "x100:8x2");
    CHECK_OK(cb_cluster_parse(&hardware, cluster, &c));
    CHECK(c.devices == 16 && c.device.family == CB_HOPPER && c.device.peak_flops[CB_MATH_8] == 1e15);
    CHECK(c.device.peak_flops[CB_MATH_32] == 0 && c.network.nic_bytes_per_s == 25e9);
    int before = hardware.count;
    CHECK_OK(cb_hardware_parse(&hardware, "again.json", HEAD REST TAIL, sizeof HEAD REST TAIL - 1, cluster));
    CHECK_INT(hardware.count, before); /* replaced by name */
    CHECK_STR(hardware.device[before - 1].source, "again.json");
    CHECK_OK(parse(&hardware, "{}", cluster));
    CHECK_STR(cluster, "");
}

/* A device that replaces one of the table's is meant by the names of that one too, and by its own before others. */
static void replaced_devices(void) {
    cb_hardware hardware;
    cb_cluster c;
    char cluster[128];
    CHECK_OK(parse(&hardware, "{\"devices\": [{\"name\": \"A100-80G\", \"aliases\": \"h100\", " REST TAIL, cluster));
    int count = hardware.count;
    static const char *const names[] = {"a100:8", "a100-80g:8", "a100-80gb-sxm:8", "h100:8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_OK(cb_cluster_parse(&hardware, names[i], &c));
        CHECK_STR(c.device.name, "A100-80G");
        CHECK(c.device.memory_bytes_per_s == 2400e9);
    }
    CHECK_STR(hardware.device[count - 1].aliases, "h100,a100,a100-80gb-sxm");
    CHECK_OK(cb_cluster_parse(&hardware, "h100-80g:8", &c)); /* its full name it keeps */
    CHECK_STR(c.device.name, "h100-80g");
    cb_hardware_default(&hardware);
    CHECK_INT(hardware.count, count);
    CHECK_OK(cb_cluster_parse(&hardware, "a100-40g:8", &c));
}

static void own_devices_refused(void) {
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "own.json:1:1: not JSON"},
        {"{\"devices\": [,]}", "own.json:1:14: not JSON"},
        {"[]", "own.json:1:1: "},
        {"{\"device\": []}", "own.json:1:2: device: there is no such field; did you mean 'devices'?"},
        {"{\"devices\": {}}", "devices: expected a list [...]"},
        {"{\"devices\": [3]}", "devices: expected objects {...}"},
        {"{\"cluster\": 3}", "own.json:1:2: cluster: expected a text"},
        {HEAD "\n  \"speed\": 3, " REST TAIL, "own.json:2:3: speed: there is no such field"},
        {HEAD "\"memory\": 3, " REST TAIL, "memory: there is no such field"},
        {"{\"devices\": [{\n\"family\": \"hopper\"}]}", "own.json:1:14: name is missing; expected a text"},
        {HEAD "\"family\": \"pascal\""
              "}]}",
         "family: there is no family 'pascal'; the nearest are 'volta', 'cdna' and 'ampere'. There are volta, ampere"},
        {HEAD "\"family\": \"hopper\", \"peak_tflops\": {\"16\": -1}}]}", "16: expected a positive number"},
        {HEAD "\"family\": \"hopper\", \"peak_tflops\": {\"12\": 1}}]}", "no other precisions than 32, 16, 8, 4"},
        {HEAD "\"family\": \"hopper\", \"peak_tflops\": 5}]}", "peak_tflops: expected an object"},
        {HEAD REST "\"network\": \"wifi\", " TAIL, "network: expected a network like"},
        {HEAD REST "\"node_devices\": 0, " TAIL, "node_devices: expected an integer from 1"},
        {"{\"devices\": [{\"name\": \"a\", \"name\": \"b\"}]}", "not JSON: duplicate object key"},
        {HEAD REST TAIL " x", "not JSON"},
    };
    cb_hardware hardware;
    char cluster[128];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(parse(&hardware, bad[i].text, cluster), CB_EFORMAT, bad[i].part);
    CHECK_FAILS(cb_hardware_read(&hardware, "/nowhere/own.json", cluster), CB_EIO, "/nowhere/own.json");
}

/* The second device's fault is said to be at the second device. */
static void where_the_fault_is(void) {
    char text[2048], cluster[128];
    cb_hardware hardware;
    snprintf(text, sizeof text,
             "{\"devices\": [\n{\"name\": \"a\", %s\"link_gb_per_s\": 450, \"multiprocessors\": 132},\n"
             "{\"name\": \"b\", \"family\": \"hopper\", \"peak_tflops\": {\"16\": 0}}]}",
             REST);
    CHECK_FAILS(parse(&hardware, text, cluster), CB_EFORMAT, "own.json:4:51: 16: expected a positive");
    snprintf(text, sizeof text,
             "{\"devices\": [\n{\"name\": \"a\", %s\"link_gb_per_s\": 450, \"multiprocessors\": 132},\n"
             "{\"name\": \"b\", \"family\": \"hopper\"}]}",
             REST);
    CHECK_FAILS(parse(&hardware, text, cluster), CB_EFORMAT,
                "own.json:4:1: peak_tflops is missing; expected an object");
}

/* Mutations of a good text end in hardware or in an error, never in anything else. */
static void mutations(void) {
    static const char good[] = HEAD REST TAIL;
    char text[sizeof good], cluster[128];
    cb_hardware hardware;
    uint32_t state = 1;
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(text, good, sizeof good);
        for (int change = 0; change <= i % 3; change++) {
            state = state * 1664525u + 1013904223u;
            text[(state >> 8) % (sizeof good - 1)] = (char)(state >> 24);
        }
        cb_hardware_default(&hardware);
        cb_err e = cb_hardware_parse(&hardware, "m.json", text, sizeof good - 1, cluster);
        if (e) CHECK(cb_err_code(e) == CB_EFORMAT && strstr(cb_err_text(e), "m.json:") != NULL);
        refused += e != CB_OK;
        cb_err_free(e);
    }
    CHECK(refused > 10000 && refused < 20000);
}

int main(void) {
    RUN(every_row);
    RUN(names_of_devices);
    RUN(networks);
    RUN(clusters);
    RUN(own_devices);
    RUN(replaced_devices);
    RUN(own_devices_refused);
    RUN(where_the_fault_is);
    RUN(mutations);
    return test_end();
}
