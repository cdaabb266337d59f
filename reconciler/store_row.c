/*
 * Rows of the database as servers.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "mc_server_rules.h"
#include "store.h"

/* The columns of the fragment {{row}}. */
enum {
    COL_TENANT_ID, COL_ID, COL_NAME, COL_GENERATION, COL_SPEC_OWNER, COL_SPEC,
    COL_DELETED, COL_PURGE, COL_KILL, COL_OBSERVED_GENERATION, COL_STATUS,
    COL_FINALIZED, COL_N
};


static const char *
text(const PGresult *res, int i, int col)
{
    return PQgetvalue(res, i, col);
}


static bool
truth(const PGresult *res, int i, int col)
{
    return PQgetvalue(res, i, col)[0] == 't';
}


static int
copy_uuid(char dst[MC_UUID_LEN + 1], const char *src)
{
    if (!mc_uuid_valid(src, strlen(src))) {
        return -1;
    }
    memcpy(dst, src, MC_UUID_LEN + 1);
    return 0;
}


/* The schema is compiled once and kept for the life of the process. */
static const mc_schema_t *
document_schema(void)
{
    static const mc_schema_t  *schema;
    static mc_arena_t         *arena;
    mc_alloc_t                 a;
    char                       err[256];

    if (arena == NULL && (arena = mc_arena_create()) != NULL) {
        a = mc_arena_allocator(arena);
        schema = mc_schema_compile(&a, mc_schema_json, mc_schema_json_len, err,
                                   sizeof(err));
        if (schema == NULL) {
            mc_log(MC_LOG_ERROR, "the embedded schema is wrong", "error", err,
                   NULL);
        }
    }
    return schema;
}


static mc_json_t *
parse(const PGresult *res, int i, int col, const mc_alloc_t *a)
{
    mc_json_error_t  err;

    if (PQgetisnull(res, i, col)) {
        return NULL;
    }
    return mc_json_parse(a, text(res, i, col), strlen(text(res, i, col)), &err);
}


int
mc_store_row(const PGresult *res, int i, mc_arena_t *arena, mc_row_t *row)
{
    mc_alloc_t          a = mc_arena_allocator(arena);
    mc_server_t        *s = &row->server;
    const mc_schema_t  *schema = document_schema();

    memset(row, 0, sizeof(*row));

    if (PQnfields(res) != COL_N || schema == NULL
        || copy_uuid(s->tenant_id, text(res, i, COL_TENANT_ID)) != 0
        || copy_uuid(s->id, text(res, i, COL_ID)) != 0)
    {
        return -1;
    }

    s->name = mc_arena_strdup(arena, text(res, i, COL_NAME));
    s->ns = "";
    s->uid = "";
    s->generation = strtoll(text(res, i, COL_GENERATION), NULL, 10);
    s->gitops = strcmp(text(res, i, COL_SPEC_OWNER), "gitops") == 0;
    s->deleted = truth(res, i, COL_DELETED);
    s->purge = truth(res, i, COL_PURGE);
    s->kill = truth(res, i, COL_KILL);
    s->spec = parse(res, i, COL_SPEC, &a);
    row->observed_generation = strtoll(text(res, i, COL_OBSERVED_GENERATION),
                                       NULL, 10);
    row->status = parse(res, i, COL_STATUS, &a);
    row->finalized = truth(res, i, COL_FINALIZED);

    if (s->name == NULL || s->spec == NULL || s->spec->type != MC_JSON_OBJECT) {
        return -1;
    }
    return mc_store_defaults(&a, s->spec);
}


int
mc_store_defaults(const mc_alloc_t *a, mc_json_t *spec)
{
    const mc_schema_t  *schema = document_schema();

    return schema == NULL
           ? -1 : mc_schema_defaults(mc_schema_property(schema, "spec"), a, spec);
}


int
mc_store_check(const mc_server_t *s, mc_arena_t *arena, char *reason,
    size_t reason_size, char *message, size_t message_size)
{
    mc_alloc_t          a = mc_arena_allocator(arena);
    const mc_schema_t  *schema = document_schema();
    mc_schema_error_t   fault;
    mc_json_t          *doc = mc_json_object(&a);

    if (doc == NULL || schema == NULL
        || mc_json_set(&a, doc, "name",
                       mc_json_string(&a, s->name, strlen(s->name))) != 0
        || mc_json_set(&a, doc, "spec", mc_json_copy(&a, s->spec)) != 0)
    {
        snprintf(reason, reason_size, "OutOfMemory");
        snprintf(message, message_size, "the spec could not be checked");
        return -1;
    }
    if (mc_server_validate(schema, doc, &fault, 1) == 0) {
        return 0;
    }

    snprintf(reason, reason_size, "%s",
             strncmp(fault.pointer, "/spec/eula", 10) == 0 ? "EulaNotAccepted"
                                                           : "InvalidSpec");
    snprintf(message, message_size, "%s: %s", fault.pointer, fault.message);
    return -1;
}
