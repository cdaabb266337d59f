/*
 * What the files of mc_json share.
 */

#ifndef MC_JSON_PRIVATE_H
#define MC_JSON_PRIVATE_H

#include "mc_json.h"

/* More values than any document needs, and few enough that a hostile text
 * cannot take more than about 20 MB. */
#define MC_JSON_VALUES  262144

/* Longer numbers are refused: nothing here counts that far. */
#define MC_JSON_NUMBER_MAX  64

/* A value of this type with nothing in it, or NULL. */
mc_json_t *mc_json_new(const mc_alloc_t *a, mc_json_type_t type);

/* A NUL-terminated copy, or NULL. */
char *mc_json_strdup(const mc_alloc_t *a, const char *s, size_t len);

/* Makes v the last child of parent. */
void mc_json_append(mc_json_t *parent, mc_json_t *v);

/* The members of obj ordered by mc_json_key_cmp(), in memory of a; NULL when
 * memory is out (never for n > 0 otherwise). */
const mc_json_t **mc_json_sorted(const mc_alloc_t *a, const mc_json_t *obj);

/* A total order of keys, not the alphabet's: shorter ones come first. */
int mc_json_key_cmp(const char *a, size_t alen, const char *b, size_t blen);

#endif
