/*
 * A compiled schema.
 */

#ifndef MC_SCHEMA_PRIVATE_H
#define MC_SCHEMA_PRIVATE_H

#include <regex.h>
#include "mc_schema.h"

typedef enum {
    MC_SCHEMA_ANY, MC_SCHEMA_OBJECT, MC_SCHEMA_ARRAY, MC_SCHEMA_STRING,
    MC_SCHEMA_INTEGER, MC_SCHEMA_NUMBER, MC_SCHEMA_BOOLEAN
} mc_schema_type_t;

typedef enum {
    MC_SCHEMA_LIST_ATOMIC, MC_SCHEMA_LIST_SET, MC_SCHEMA_LIST_MAP
} mc_schema_list_t;

/* Compiled patterns, kept in one list to be freed. */
typedef struct mc_schema_pattern_s  mc_schema_pattern_t;

struct mc_schema_pattern_s {
    regex_t               regex;
    const char           *text;
    mc_schema_pattern_t  *next;
};

struct mc_schema_s {
    mc_schema_type_t      type;
    int                   nullable;

    /* objects */
    const char           *name;         /* within its parent's properties */
    size_t                name_len;
    mc_schema_t          *properties;   /* first of a list */
    mc_schema_t          *next;
    const mc_json_t      *required;     /* array of strings, or NULL */
    mc_schema_t          *additional;   /* additionalProperties, or NULL */
    int                   preserve;     /* unknown fields are welcome */
    size_t                min_properties, max_properties;

    /* arrays */
    mc_schema_t          *items;
    size_t                min_items, max_items;
    mc_schema_list_t      list;
    const mc_json_t      *map_keys;     /* array of strings, for a map */

    /* strings */
    size_t                min_length, max_length;       /* characters */
    mc_schema_pattern_t  *pattern;
    int                   date_time;

    /* numbers */
    int                   has_minimum, has_maximum;
    double                minimum, maximum;
    int                   int32;

    const mc_json_t      *choices;      /* enum: array, or NULL */
    const mc_json_t      *def;          /* default, or NULL */

    mc_schema_pattern_t  *patterns;     /* of the whole, in the root */
};

/* The property of this name, or NULL. */
const mc_schema_t *mc_schema_find(const mc_schema_t *s, const char *name,
    size_t len);

#endif
