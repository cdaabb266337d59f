/*
 * A pool for tests: every allocation is malloc()'s own, so that the sanitizers
 * see each of them, and it can be told to fail.
 */

#ifndef TEST_POOL_H
#define TEST_POOL_H

#include <stdlib.h>
#include "mc_json.h"

typedef struct {
    void   **blocks;
    size_t   n, room;
    size_t   bytes;
    long     left;              /* allocations until failure, -1: never */
} pool_t;

static inline void *
pool_alloc(void *data, size_t size)
{
    pool_t  *p = data;

    if (p->left == 0) {
        return NULL;
    }
    if (p->left > 0) {
        p->left--;
    }
    if (p->n == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->blocks = realloc(p->blocks, p->room * sizeof(void *));
        if (p->blocks == NULL) {
            abort();
        }
    }
    p->bytes += size;
    return p->blocks[p->n++] = malloc(size);
}

static inline void
pool_free(pool_t *p)
{
    while (p->n > 0) {
        free(p->blocks[--p->n]);
    }
    free(p->blocks);
    p->blocks = NULL;
    p->room = p->bytes = 0;
}

#define POOL(name)                                                           \
    pool_t      name##_pool = { NULL, 0, 0, 0, -1 };                         \
    mc_alloc_t  name = { pool_alloc, &name##_pool }

#endif
