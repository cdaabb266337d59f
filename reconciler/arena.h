/*
 * Memory that goes as a whole: the allocator of JSON trees and of everything
 * that lives as long as one pass over a server.
 */

#ifndef MC_ARENA_H
#define MC_ARENA_H

#include <stddef.h>
#include "mc_json.h"

typedef struct mc_arena_s  mc_arena_t;

/* NULL: no memory. */
mc_arena_t *mc_arena_create(void);
void mc_arena_destroy(mc_arena_t *arena);       /* NULL is fine */

/* Zeroed, aligned for any type; NULL: no memory. */
void *mc_arena_alloc(mc_arena_t *arena, size_t size);
char *mc_arena_strdup(mc_arena_t *arena, const char *s);

/* The arena as the allocator of mc_json.h. */
mc_alloc_t mc_arena_allocator(mc_arena_t *arena);

#endif
