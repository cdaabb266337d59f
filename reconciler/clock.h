/*
 * Time: Unix milliseconds and RFC 3339 text.
 */

#ifndef MC_CLOCK_H
#define MC_CLOCK_H

#include <stdint.h>

#define MC_TIME_LEN  24             /* "2026-11-24T03:55:18.123Z" */

/* Milliseconds since 1970, and milliseconds that never go back. */
int64_t mc_clock_wall_ms(void);
int64_t mc_clock_mono_ms(void);

/* UTC with milliseconds and a NUL. */
void mc_time_format(char dst[MC_TIME_LEN + 1], int64_t wall_ms);

/* Nanoseconds since 1970 of an RFC 3339 time with any number of fractional
 * digits and any offset; -1 when text is no such time, or one before 1970 or
 * after 2261. */
int64_t mc_time_parse_ns(const char *text);

#endif
