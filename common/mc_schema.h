/*
 * The validator for the server document. The schema is
 * conf/minecraftserver.schema.json, embedded at build time: a Kubernetes
 * structural schema (the same text becomes the CRD and the OpenAPI document).
 * It judges as Kubernetes does but for null, which is a fault of type here
 * where the API server drops it.
 */

#ifndef MC_SCHEMA_H
#define MC_SCHEMA_H

#include "mc_json.h"

typedef struct mc_schema_s  mc_schema_t;

typedef struct {
    char  pointer[256];         /* RFC 6901, "/spec/properties/maxPlayers" */
    char  code[32];             /* unknown_field, required, type, enum, … */
    char  message[256];
} mc_schema_error_t;

/* Compiles a schema from its JSON. The result lives as long as the
 * allocator's pool and holds compiled patterns that are libc's: give it to
 * mc_schema_free() before the pool goes. NULL and a message when the schema
 * itself is wrong; a keyword that the validator does not know is an error. */
mc_schema_t *mc_schema_compile(const mc_alloc_t *a, const char *json,
    size_t len, char *err, size_t errlen);

void mc_schema_free(mc_schema_t *s);

/* Compiled sub-schema of a property ("spec"), or NULL. */
const mc_schema_t *mc_schema_property(const mc_schema_t *s, const char *name);

/* Checks v, whose place in the document is pointer ("" or "/spec"). Every
 * fault is reported, up to max. Returns the number of faults written; 0 means
 * valid. */
unsigned mc_schema_validate(const mc_schema_t *s, const mc_json_t *v,
    const char *pointer, mc_schema_error_t *errors, unsigned max);

/* Adds the schema's defaults where members are absent, as Kubernetes does: a
 * default within an object applies when that object is there. 0, or -1: no
 * memory. */
int mc_schema_defaults(const mc_schema_t *s, const mc_alloc_t *a, mc_json_t *v);

/* The embedded schema (build/gen/mc_schema_json.c). */
extern const char    mc_schema_json[];
extern const size_t  mc_schema_json_len;

/* conf/api.schema.json: what else the API takes, by name. */
extern const char    mc_api_schema_json[];
extern const size_t  mc_api_schema_json_len;

#endif
