/*
 * Local time in a zone of the system's time zone database (RFC 9636). The C
 * library knows one zone for the whole process only, and its environment
 * cannot be changed beside other threads.
 */

#ifndef MC_ZONE_H
#define MC_ZONE_H

#include <stddef.h>
#include <stdint.h>

typedef struct mc_zone_s  mc_zone_t;

/* Reads a zone ("Europe/Berlin", "UTC") below a directory, NULL: the system's.
 * NULL when there is none of that name. */
mc_zone_t *mc_zone_load(const char *directory, const char *name);
void mc_zone_free(mc_zone_t *zone);         /* NULL is fine */

/* Seconds that local time is ahead of UTC at a Unix time. */
int mc_zone_offset(const mc_zone_t *zone, int64_t unix_s);

/* Reads what is in a file of the database. NULL when it is none. */
mc_zone_t *mc_zone_read(const uint8_t *p, size_t len);

#endif
