/*
 * Times as in crontab(5): five fields, or @daily and its kin. Pure.
 */

#ifndef MC_CRON_H
#define MC_CRON_H

#include <stdbool.h>
#include <stdint.h>
#include "zone.h"

typedef struct {
    uint64_t  minutes;              /* bits */
    uint32_t  hours, days, months, weekdays;
    bool      any_day, any_weekday; /* began with "*": both must be met */
} mc_cron_t;

/* 0, or -1 when text is no such thing. */
int mc_cron_parse(mc_cron_t *cron, const char *text);

/* Whether cron names the minute that a Unix time lies in, in local time. */
bool mc_cron_matches(const mc_cron_t *cron, const mc_zone_t *zone,
    int64_t unix_s);

/* Whether a window that opens at these times is open: one of them was within
 * the last minutes. */
bool mc_cron_open(const mc_cron_t *cron, const mc_zone_t *zone, int minutes,
    int64_t unix_s);

#endif
