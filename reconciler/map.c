/*
 * Chained hashing; the number of buckets is a power of two.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "map.h"

typedef struct entry_s  entry_t;

struct entry_s {
    entry_t     *next;
    uint64_t     hash;
    const char  *key;
    void        *value;
};

struct mc_map_s {
    entry_t  **buckets;
    size_t     n_buckets;
    size_t     n;
};


/* FNV-1a */
static uint64_t
hash_of(const char *key)
{
    uint64_t  h = 14695981039346656037u;

    for (; *key != '\0'; key++) {
        h = (h ^ (unsigned char) *key) * 1099511628211u;
    }
    return h;
}


static entry_t **
place_of(const mc_map_t *map, const char *key, uint64_t hash)
{
    entry_t  **e = &map->buckets[hash & (map->n_buckets - 1)];

    while (*e != NULL && ((*e)->hash != hash || strcmp((*e)->key, key) != 0)) {
        e = &(*e)->next;
    }
    return e;
}


mc_map_t *
mc_map_create(void)
{
    mc_map_t  *map = calloc(1, sizeof(*map));

    if (map == NULL) {
        return NULL;
    }
    map->n_buckets = 64;
    map->buckets = calloc(map->n_buckets, sizeof(entry_t *));
    if (map->buckets == NULL) {
        free(map);
        return NULL;
    }
    return map;
}


void
mc_map_destroy(mc_map_t *map)
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->n_buckets; i++) {
        for (entry_t *e = map->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }
    free(map->buckets);
    free(map);
}


void *
mc_map_get(const mc_map_t *map, const char *key)
{
    entry_t  *e = *place_of(map, key, hash_of(key));

    return e == NULL ? NULL : e->value;
}


/* Doubles the buckets; when memory is out the chains just get longer. */
static void
grow(mc_map_t *map)
{
    size_t     n = map->n_buckets * 2;
    entry_t  **buckets = calloc(n, sizeof(entry_t *));

    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < map->n_buckets; i++) {
        for (entry_t *e = map->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->n_buckets = n;
}


int
mc_map_put(mc_map_t *map, const char *key, void *value)
{
    entry_t  *e = malloc(sizeof(*e));
    size_t    i;

    if (e == NULL) {
        return -1;
    }
    if (map->n >= map->n_buckets) {
        grow(map);
    }

    e->hash = hash_of(key);
    e->key = key;
    e->value = value;
    i = e->hash & (map->n_buckets - 1);
    e->next = map->buckets[i];
    map->buckets[i] = e;
    map->n++;
    return 0;
}


void *
mc_map_remove(mc_map_t *map, const char *key)
{
    entry_t  **place = place_of(map, key, hash_of(key)), *e = *place;
    void      *value;

    if (e == NULL) {
        return NULL;
    }
    value = e->value;
    *place = e->next;
    free(e);
    map->n--;
    return value;
}


size_t
mc_map_size(const mc_map_t *map)
{
    return map->n;
}


void
mc_map_each(mc_map_t *map, void (*visit)(void *value, void *data), void *data)
{
    for (size_t i = 0; i < map->n_buckets; i++) {
        for (entry_t *e = map->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            visit(e->value, data);
        }
    }
}
