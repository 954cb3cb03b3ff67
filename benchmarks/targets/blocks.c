/* A plugin of QEMU's code generator (TCG): how often each basic block of an aarch64 program ran between two marks.
 *
 *     gcc -O2 -shared -fPIC -o blocks.so blocks.c
 *     qemu-aarch64 -plugin blocks.so,out=FILE PROGRAM
 *
 * The guest makes a mark with lseek(-1, MARK | id, SEEK_SET): a call that fails and changes nothing (see edge_runtime/counting.py). Id 0
 * begins a window; any other id ends it, names it, and begins the next. Counters are inline, incremented by the translated code itself.
 *
 * FILE, little-endian: the 8 bytes "EDGEBLK1", then records. 'B', u32 n, u64 address, n * u32 instruction words: a block, numbered from 0 in
 * this order. 'W', u32 id, u64 n, n * (u64 block, u64 executions): a window; every block it names stands before it.
 *
 * Debian ships no plugin header: what is used of QEMU's plugin interface (version 1, as of QEMU 7.2) is declared here.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define LSEEK 62                      /* on aarch64 Linux */
#define MARK 0x65646765000000ULL      /* "edge", then three bytes of id */
#define CHAINS (1u << 17)

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*exit_cb)(qemu_plugin_id_t, void *);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, trans_cb);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_cb, void *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int add_u64, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

typedef struct block {
    struct block *next; /* in its chain */
    uint64_t address, executions, before; /* before: executions at the last mark */
    int64_t number; /* in the file; -1 while not in it */
    uint32_t n, words[];
} block;

static block *chains[CHAINS], **blocks;
static size_t known, room, written;
static FILE *out;

static void fail(const char *what)
{
    fprintf(stderr, "blocks.c: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *need(void *memory)
{
    if (!memory)
        fail("no memory");
    return memory;
}

static void put(const void *data, size_t bytes)
{
    if (fwrite(data, 1, bytes, out) != bytes)
        fail("cannot write");
}

/* The block with this address and these instructions: QEMU translates some again, and memory can come to hold other code. */
static block *find(uint64_t address, const uint32_t *words, uint32_t n)
{
    block **chain = &chains[(address >> 2) * 2654435761u % CHAINS];
    for (block *b = *chain; b; b = b->next)
        if (b->address == address && b->n == n && !memcmp(b->words, words, 4 * n))
            return b;
    block *b = need(calloc(1, sizeof(block) + 4 * n));
    b->address = address, b->n = n, b->number = -1, b->next = *chain;
    memcpy(b->words, words, 4 * n);
    if (known == room)
        blocks = need(realloc(blocks, sizeof(*blocks) * (room = room ? 2 * room : 1 << 14)));
    return blocks[known++] = *chain = b;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint32_t n = qemu_plugin_tb_n_insns(tb), *words = need(malloc(4 * n));
    for (uint32_t i = 0; i < n; i++)
        memcpy(&words[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), 4);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &find(qemu_plugin_tb_vaddr(tb), words, n)->executions, 1);
    free(words);
}

static void write_window(uint32_t name)
{
    uint64_t n = 0;
    for (size_t i = 0; i < known; i++) {
        block *b = blocks[i];
        n += b->executions != b->before;
        if (b->executions != b->before && b->number < 0) {
            b->number = written++;
            put("B", 1), put(&b->n, 4), put(&b->address, 8), put(b->words, 4 * b->n);
        }
    }
    put("W", 1), put(&name, 4), put(&n, 8);
    for (size_t i = 0; i < known; i++) {
        uint64_t pair[2] = {blocks[i]->number, blocks[i]->executions - blocks[i]->before};
        if (pair[1])
            put(pair, 16);
    }
    if (fflush(out)) /* who waits for the guest's answer reads the file at once */
        fail("cannot write");
}

static void called(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t file, uint64_t offset, uint64_t whence, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != LSEEK || (offset & ~0xffffffULL) != MARK)
        return;
    if (offset & 0xffffff)
        write_window(offset & 0xffffff);
    for (size_t i = 0; i < known; i++)
        blocks[i]->before = blocks[i]->executions;
}

static void ended(qemu_plugin_id_t id, void *unused)
{
    if (fclose(out))
        fail("cannot write");
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4) && !(out = fopen(argv[i] + 4, "wb")))
            fail(argv[i] + 4);
    if (!out) {
        fprintf(stderr, "blocks.c: expected the argument out=FILE\n");
        return 1;
    }
    put("EDGEBLK1", 8);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
