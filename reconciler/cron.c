/*
 * crontab's times. What both restrict days of the month and of the week means
 * either of them, as cron has always had it.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "cron.h"

#define WINDOW_MINUTES_MAX  1440

typedef struct {
    int                 min, max;
    const char *const  *names;      /* of min and on; NULL: none */
} field_t;

static const char *const month_names[] = {
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
    "dec", NULL
};

static const char *const day_names[] = {
    "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL
};

static const field_t  fields[5] = {
    { 0, 59, NULL }, { 0, 23, NULL }, { 1, 31, NULL }, { 1, 12, month_names },
    { 0, 7, day_names }
};


/* A number or a name; -1: neither. */
static int
value_of(const field_t *f, const char **p)
{
    int  n = 0, digits = 0;

    for (int i = 0; f->names != NULL && f->names[i] != NULL; i++) {
        if (strncasecmp(*p, f->names[i], 3) == 0) {
            *p += 3;
            return f->min + i;
        }
    }
    while (isdigit((unsigned char) **p) && digits++ < 3) {
        n = n * 10 + (*(*p)++ - '0');
    }
    return digits == 0 || n < f->min || n > f->max ? -1 : n;
}


/* One of "*", "5", "1-5", with "/2" behind it. */
static int
read_range(const field_t *f, const char **p, uint64_t *bits)
{
    int  first = f->min, last = f->max, step = 1;

    if (**p == '*') {
        (*p)++;
    } else {
        first = last = value_of(f, p);
        if (first >= 0 && **p == '-') {
            (*p)++;
            last = value_of(f, p);
        } else if (**p == '/') {
            last = f->max;
        }
    }
    if (**p == '/') {
        const field_t  steps = { 1, 999, NULL };

        (*p)++;
        step = value_of(&steps, p);
    }
    if (first < 0 || last < first || step < 1) {
        return -1;
    }
    for (int i = first; i <= last; i += step) {
        *bits |= 1ULL << i;
    }
    return 0;
}


static int
read_field(const field_t *f, const char **p, uint64_t *bits)
{
    *bits = 0;
    for (;;) {
        if (read_range(f, p, bits) != 0) {
            return -1;
        }
        if (**p != ',') {
            return 0;
        }
        (*p)++;
    }
}


static const char *
expand(const char *text)
{
    static const struct { const char *name, *fields; }  macros[] = {
        { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" },
        { "@monthly", "0 0 1 * *" }, { "@weekly", "0 0 * * 0" },
        { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" },
        { "@hourly", "0 * * * *" }
    };

    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
        if (strcmp(text, macros[i].name) == 0) {
            return macros[i].fields;
        }
    }
    return text;
}


int
mc_cron_parse(mc_cron_t *cron, const char *text)
{
    const char  *p = expand(text);
    uint64_t     bits[5];
    bool         any[5];

    for (int i = 0; i < 5; i++) {
        any[i] = *p == '*';
        if (read_field(&fields[i], &p, &bits[i]) != 0
            || *p != (i < 4 ? ' ' : '\0'))
        {
            return -1;
        }
        p++;
    }
    cron->minutes = bits[0];
    cron->hours = (uint32_t) bits[1];
    cron->days = (uint32_t) bits[2];
    cron->months = (uint32_t) bits[3];
    cron->weekdays = (uint32_t) (bits[4] | (bits[4] >> 7 & 1));
    cron->any_day = any[2];
    cron->any_weekday = any[4];
    return 0;
}


/* Month (1 to 12) and day of a number of days since 1970. */
static void
date_of(int64_t days, int *month, int *day)
{
    int64_t  z = days + 719468;
    int64_t  of_era = z - (z >= 0 ? z : z - 146096) / 146097 * 146097;
    int64_t  year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096)
                    / 365;
    int64_t  of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t  m = (5 * of_year + 2) / 153;

    *day = (int) (of_year - (153 * m + 2) / 5 + 1);
    *month = (int) (m < 10 ? m + 3 : m - 9);
}


bool
mc_cron_matches(const mc_cron_t *cron, const mc_zone_t *zone, int64_t unix_s)
{
    int64_t  local = unix_s + mc_zone_offset(zone, unix_s);
    int64_t  days = local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
    int      second = (int) (local - days * 86400);
    int      month, day, weekday = (int) (((days + 4) % 7 + 7) % 7);
    bool     by_day, by_weekday;

    if ((cron->minutes >> (second / 60 % 60) & 1) == 0
        || (cron->hours >> (second / 3600) & 1) == 0)
    {
        return false;
    }
    date_of(days, &month, &day);
    if ((cron->months >> month & 1) == 0) {
        return false;
    }
    by_day = cron->days >> day & 1;
    by_weekday = cron->weekdays >> weekday & 1;
    return cron->any_day || cron->any_weekday ? by_day && by_weekday
                                              : by_day || by_weekday;
}


bool
mc_cron_open(const mc_cron_t *cron, const mc_zone_t *zone, int minutes,
    int64_t unix_s)
{
    if (minutes > WINDOW_MINUTES_MAX) {
        minutes = WINDOW_MINUTES_MAX;
    }
    for (int i = 0; i < minutes; i++) {
        if (mc_cron_matches(cron, zone, unix_s - (int64_t) i * 60)) {
            return true;
        }
    }
    return false;
}
