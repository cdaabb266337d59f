/*
 * Brings the database's schema up to date: mchost-reconciler --migrate.
 */

#ifndef MC_MIGRATE_H
#define MC_MIGRATE_H

/* Applies the migrations that conninfo's database lacks and returns the exit
 * code: 0 when the schema is up to date, 1 when it is not, with the reason on
 * standard error. Blocks; waits while another process does the same. */
int mc_migrate(const char *conninfo);

#endif
