/*
 * UUIDs as text. RFC 9562.
 */

#ifndef MC_UUID_H
#define MC_UUID_H

#include <stddef.h>
#include <stdint.h>

#define MC_UUID_LEN  36

/* Writes a version 7 UUID and a NUL: ms is Unix time in milliseconds, random
 * ten bytes of entropy that the caller brings. */
void mc_uuid7(char dst[MC_UUID_LEN + 1], uint64_t ms, const uint8_t random[10]);

/* 1 when s is a UUID in its 8-4-4-4-12 form (either case), else 0. */
int mc_uuid_valid(const char *s, size_t len);

#endif
