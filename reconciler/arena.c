/*
 * A list of chunks, filled from the front.
 */

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"

#define CHUNK_BYTES  8192

typedef struct chunk_s  chunk_t;

struct chunk_s {
    chunk_t             *next;
    size_t               used;
    size_t               size;
    alignas(max_align_t) char  data[];
};

struct mc_arena_s {
    chunk_t  *chunks;               /* the one being filled comes first */
};


mc_arena_t *
mc_arena_create(void)
{
    return calloc(1, sizeof(mc_arena_t));
}


void
mc_arena_destroy(mc_arena_t *arena)
{
    if (arena == NULL) {
        return;
    }
    for (chunk_t *c = arena->chunks, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(arena);
}


void *
mc_arena_alloc(mc_arena_t *arena, size_t size)
{
    chunk_t  *c = arena->chunks;
    size_t    align = alignof(max_align_t), room;
    void     *p;

    size = (size + align - 1) / align * align;

    if (c == NULL || c->size - c->used < size) {
        room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        c = malloc(sizeof(chunk_t) + room);
        if (c == NULL) {
            return NULL;
        }
        c->next = arena->chunks;
        c->used = 0;
        c->size = room;
        arena->chunks = c;
    }

    p = c->data + c->used;
    c->used += size;
    return memset(p, 0, size);
}


char *
mc_arena_strdup(mc_arena_t *arena, const char *s)
{
    size_t  size = strlen(s) + 1;
    char   *p = mc_arena_alloc(arena, size);

    return p == NULL ? NULL : memcpy(p, s, size);
}


static void *
json_alloc(void *pool, size_t size)
{
    return mc_arena_alloc(pool, size);
}


mc_alloc_t
mc_arena_allocator(mc_arena_t *arena)
{
    return (mc_alloc_t) { json_alloc, arena };
}
