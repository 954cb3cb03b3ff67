/* A plugin of QEMU's code generator (TCG): what an aarch64 program asks of a core's caches between two marks.
 *
 *     gcc -O2 -shared -fPIC -o caches.so caches.c
 *     qemu-aarch64 -plugin caches.so,out=FILE,l1i=BYTES:WAYS,l1d=BYTES:WAYS,l2=BYTES:WAYS PROGRAM
 *
 * Marks are those of blocks.c. From the first mark on, every load, store and fetched block goes through caches of lines of 64 bytes, least
 * recently used, written back, filled on stores, too. FILE: one line a named window: its number, then name=count, all since the mark before:
 * data lines that the first cache misses (l1d) and that the second one does (l2), and lines that are written back to behind it (l2_written).
 * Fetched code takes its place in the caches, but is not counted.
 *
 * Debian ships no plugin header: what is used of QEMU's plugin interface (version 1, as of QEMU 7.2) is declared here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define LSEEK 62                      /* on aarch64 Linux */
#define MARK 0x65646765000000ULL      /* "edge", then three bytes of id */
#define LINE 6                        /* bits of an address within a line */
#define NONE UINT64_MAX
#define LOAD_AND_STORE 3

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*exit_cb)(qemu_plugin_id_t, void *);
typedef void (*exec_cb)(unsigned int, void *);
typedef void (*memory_cb)(unsigned int, uint32_t, uint64_t, void *);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, trans_cb);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_cb, void *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, exec_cb, int no_registers, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, memory_cb, int no_registers, int which, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
bool qemu_plugin_mem_is_store(uint32_t);

EXPORT int qemu_plugin_version = 1;

typedef struct {
    uint64_t line;
    bool dirty;
} way;

typedef struct {
    unsigned sets, ways;
    way *lines; /* of each set, the most recent first */
} cache;

enum { L1D, L2, L2_WRITTEN, COUNTS };
static const char *const names[COUNTS] = {"l1d", "l2", "l2_written"};
static uint64_t counts[COUNTS];
static cache l1i, l1d, l2;
static bool active;
static FILE *out;

static void fail(const char *what)
{
    fprintf(stderr, "caches.c: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make(cache *c, uint64_t bytes, unsigned ways)
{
    c->ways = ways, c->sets = (bytes >> LINE) / ways;
    if (!(c->lines = calloc((size_t)c->sets * ways, sizeof(way))))
        fail("no memory");
    for (size_t i = 0; i < (size_t)c->sets * ways; i++)
        c->lines[i].line = NONE;
}

/* Whether the line is there. It is afterwards, as the most recent of its set; *written is what had to be written back for it, or NONE. */
static bool hit(cache *c, uint64_t line, bool store, uint64_t *written)
{
    way *set = &c->lines[line % c->sets * c->ways], found = {line, store};
    unsigned i = 0;
    *written = NONE;
    if (set[0].line == line) { /* mostly */
        set[0].dirty |= store;
        return true;
    }
    while (i < c->ways && set[i].line != line)
        i++;
    bool there = i < c->ways;
    if (there)
        found.dirty |= set[i].dirty;
    else if (set[--i].dirty)
        *written = set[i].line;
    memmove(set + 1, set, i * sizeof(way));
    set[0] = found;
    return there;
}

static void written_to_second(uint64_t line)
{
    uint64_t written;
    hit(&l2, line, true, &written);
    counts[L2_WRITTEN] += written != NONE;
}

static void second(uint64_t line, bool code)
{
    uint64_t written;
    counts[L2] += !hit(&l2, line, false, &written) && !code;
    counts[L2_WRITTEN] += written != NONE;
}

static void accessed(unsigned int vcpu, uint32_t access, uint64_t address, void *unused)
{
    uint64_t line = address >> LINE, written;
    if (!active || hit(&l1d, line, qemu_plugin_mem_is_store(access), &written))
        return;
    counts[L1D]++;
    second(line, false);
    if (written != NONE)
        written_to_second(written);
}

typedef struct {
    uint64_t first, last; /* lines */
} fetched;

static void executed(unsigned int vcpu, void *block)
{
    const fetched *f = block;
    uint64_t written;
    if (!active)
        return;
    for (uint64_t line = f->first; line <= f->last; line++)
        if (!hit(&l1i, line, false, &written))
            second(line, true);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    fetched *f = malloc(sizeof(*f)); /* kept as long as the code, that is for ever */
    if (!f)
        fail("no memory");
    f->first = address >> LINE, f->last = (address + 4 * n - 1) >> LINE;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, f);
    for (size_t i = 0; i < n; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, 0, LOAD_AND_STORE, NULL);
}

static void called(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t file, uint64_t offset, uint64_t whence, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != LSEEK || (offset & ~0xffffffULL) != MARK)
        return;
    if (offset & 0xffffff) {
        fprintf(out, "%" PRIu64, offset & 0xffffff);
        for (int i = 0; i < COUNTS; i++)
            fprintf(out, " %s=%" PRIu64, names[i], counts[i]);
        if (fputc('\n', out) == EOF || fflush(out)) /* who waits for the guest's answer reads the file at once */
            fail("cannot write");
    }
    memset(counts, 0, sizeof(counts));
    active = true;
}

static void ended(qemu_plugin_id_t id, void *unused)
{
    if (fclose(out))
        fail("cannot write");
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const struct { const char *name; cache *cache; } caches[] = {{"l1i", &l1i}, {"l1d", &l1d}, {"l2", &l2}};
    char name[8];
    uint64_t bytes;
    unsigned ways;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4) && !(out = fopen(argv[i] + 4, "w")))
            fail(argv[i] + 4);
        if (sscanf(argv[i], "%7[^=]=%" SCNu64 ":%u", name, &bytes, &ways) == 3)
            for (int c = 0; c < 3; c++)
                if (!strcmp(name, caches[c].name))
                    make(caches[c].cache, bytes, ways);
    }
    if (!out || !l1i.sets || !l1d.sets || !l2.sets) {
        fprintf(stderr, "caches.c: expected the arguments out=FILE, l1i=, l1d= and l2=BYTES:WAYS\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
