/*
 * The statement and migration tables, generated from sql/ by tools/sql2c.awk
 * into build/gen/mc_sql_ids.h and build/gen/mc_sql_table.c.
 */

#ifndef MC_SQL_H
#define MC_SQL_H

#include "mc_sql_ids.h"         /* enum: MC_SQL_PING … MC_SQL_MAX */

typedef struct {
    const char  *name;          /* also the name it is prepared under */
    const char  *text;          /* with $1 … $n; no trailing ";" */
    int          nparams;
    int          read_only;
} mc_sql_t;

typedef struct {
    int          version;       /* 1 for 001_tenants.sql */
    int          ordinal;       /* 1-based within its file */
    const char  *file;          /* "001_tenants.sql" */
    int          line;          /* where the statement begins in it */
    const char  *text;
} mc_migration_t;

/* Indexed by the MC_SQL_* ids. */
extern const mc_sql_t        mc_sql[MC_SQL_MAX];

/* Ordered by version and ordinal. */
extern const mc_migration_t  mc_migrations[];
extern const unsigned        mc_migrations_n;

#endif
