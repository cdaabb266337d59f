/*
 * What the tests of manifests share: one server, made from a spec.
 */

#ifndef MC_MANIFEST_CASE_H
#define MC_MANIFEST_CASE_H

#include "manifest.h"
#include "pool.h"
#include "tap.h"

#define ID      "01920000-0000-7000-8000-000000000001"
#define TENANT  "01920000-0000-7000-8000-0000000000aa"

static pool_t       pool = { .left = -1 };
static mc_alloc_t   a = { pool_alloc, &pool };
static mc_server_t  server;

static mc_json_t *
json(const char *text)
{
    mc_json_error_t   err;
    mc_json_t        *v = mc_json_parse(&a, text, strlen(text), &err);

    if (v == NULL) {
        printf("Bail out! %s: %s\n", err.message, text);
        exit(1);
    }
    return v;
}

static const char *
write_json(const mc_json_t *v)
{
    size_t   n = v ? mc_json_write(NULL, 0, v) : 0;
    char    *buf = pool_alloc(&pool, n + 1);

    buf[0] = '\0';
    if (v) {
        mc_json_write(buf, n + 1, v);
    }
    return buf;
}

static void
spec(const char *text)
{
    memset(&server, 0, sizeof(server));
    strcpy(server.id, ID);
    strcpy(server.tenant_id, TENANT);
    server.name = (char *) "survival";
    server.ns = SERVER_NS;
    server.spec = json(text);
}

#endif
