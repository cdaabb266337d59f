/*
 * A table from strings to pointers. The strings belong to the values: they
 * must live as long as their entry.
 */

#ifndef MC_MAP_H
#define MC_MAP_H

#include <stddef.h>

typedef struct mc_map_s  mc_map_t;

mc_map_t *mc_map_create(void);              /* NULL: no memory */
void mc_map_destroy(mc_map_t *map);         /* not the values; NULL is fine */

void *mc_map_get(const mc_map_t *map, const char *key);
/* The key must not be there yet. -1: no memory. */
int mc_map_put(mc_map_t *map, const char *key, void *value);
/* Takes an entry out and returns its value, NULL when there was none. */
void *mc_map_remove(mc_map_t *map, const char *key);
size_t mc_map_size(const mc_map_t *map);

/* Calls visit for every entry, which may remove that entry but no other one
 * and add none. */
void mc_map_each(mc_map_t *map, void (*visit)(void *value, void *data),
    void *data);

#endif
