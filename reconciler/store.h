/*
 * The database: one connection, in libpq's pipeline mode, on the loop.
 * Statements are those of sql/statements.sql, prepared when first used. A store
 * that is NULL is a database that is never there.
 */

#ifndef MC_STORE_H
#define MC_STORE_H

#include <stdbool.h>
#include <libpq-fe.h>
#include <uv.h>
#include "arena.h"
#include "mc_sql.h"
#include "server.h"

typedef struct mc_store_s  mc_store_t;

/* The connection is there, or it went away. */
typedef void (*mc_store_change_pt)(void *data, bool up);

/* res is NULL when the statement failed; error then says why ("" otherwise).
 * Both are valid during the call only. A lost connection leaves open whether
 * a write was done. */
typedef void (*mc_store_done_pt)(void *data, const PGresult *res,
    const char *error);

/* Connects in the background and keeps at it. conninfo is copied. NULL when
 * memory is out. */
mc_store_t *mc_store_create(uv_loop_t *loop, const char *conninfo,
    mc_store_change_pt change, void *data);

/* Statements under way fail without a callback. The loop must run until the
 * handles are closed. */
void mc_store_destroy(mc_store_t *store);

bool mc_store_up(const mc_store_t *store);

/* Sends statement id with its text parameters, which are copied; one that is
 * NULL is NULL there. The callback comes once, from the loop, never from within
 * this call. -1 and no callback: the database is away or 1024 statements are
 * waiting. */
int mc_store_query(mc_store_t *store, int id, const char *const *params,
    mc_store_done_pt cb, void *data);

/* Statements waiting or under way. */
unsigned mc_store_pending(const mc_store_t *store);

/* A row of the fragment {{row}}. */
typedef struct {
    mc_server_t   server;
    int64_t       observed_generation;  /* 0: never written */
    mc_json_t    *status;               /* NULL: none */
    bool          finalized;
} mc_row_t;

/* Reads row i into *row, which lives in the arena, with the defaults of the
 * spec filled in. -1 when memory is out or the row is none that this program
 * understands. */
int mc_store_row(const PGresult *res, int i, mc_arena_t *arena, mc_row_t *row);

/* Fills in the schema's defaults of a spec. 0, or -1: no memory. */
int mc_store_defaults(const mc_alloc_t *a, mc_json_t *spec);

/* Checks a server as REST does before it stores one, for rows that came here
 * by another way. 0, or -1 with a CamelCase reason and a sentence. */
int mc_store_check(const mc_server_t *s, mc_arena_t *arena, char *reason,
    size_t reason_size, char *message, size_t message_size);

#endif
