/*
 * Paths of the API against their patterns: "servers/{id}/logs".
 */

#ifndef MC_PATH_H
#define MC_PATH_H

#include <stddef.h>

typedef struct {
    const char  *data;          /* within the path, not terminated */
    size_t       len;
} mc_path_name_t;

/* Compares byte for byte; a "{name}" takes the rest of a segment, which must
 * not be empty. Returns the number of names, stored in order, or -1: the path
 * is another one, or has more names than max. */
int mc_path_match(const char *pattern, const char *path, size_t len,
    mc_path_name_t *names, int max);

#endif
