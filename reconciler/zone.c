/*
 * TZif files: transitions up to some year, and a rule for the time after it.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "zone.h"

#define DIRECTORY     "/usr/share/zoneinfo"
#define ZONE_BYTES_MAX      (256 * 1024)
#define HEADER        44
#define TRANSITIONS   20000

/* When a year changes between standard and summer time. */
typedef struct {
    char  kind;                     /* 'M' month, week, day; 'J' day of the
                                     * year without February 29; 'n' with it */
    int   month, week, day;
    int   time;                     /* seconds of local time */
} change_t;

struct mc_zone_s {
    int        standard, summer;    /* offsets of the rule, in seconds */
    int        has_rule, has_summer;
    change_t   begin, end;

    int        first;               /* before the first transition */
    unsigned   n;
    int64_t   *at;                  /* transitions, in order */
    int       *offset;              /* from each of them on */
};


/* -- the calendar -- */

static int64_t
days_of(int64_t year, int month, int day)
{
    int64_t  era, of_era;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    of_era = year - era * 400;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100
           + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
}


static int
is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}


static int64_t
floor_days(int64_t seconds)
{
    return seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
}


static int64_t
year_of(int64_t seconds)
{
    int64_t  days = floor_days(seconds);
    int64_t  year = 1970 + days / 366;

    while (days_of(year + 1, 1, 1) <= days) {
        year++;
    }
    while (days_of(year, 1, 1) > days) {
        year--;
    }
    return year;
}


/* Local seconds since 1970 of a change in a year. */
static int64_t
change_at(const change_t *c, int64_t year)
{
    int64_t  days;
    int      weekday, day, last;

    switch (c->kind) {
    case 'M':
        days = days_of(year, c->month, 1);
        weekday = (int) (((days + 4) % 7 + 7) % 7);
        day = (c->day - weekday + 7) % 7 + 7 * (c->week - 1);
        last = (int) ((c->month == 12 ? days_of(year + 1, 1, 1)
                                      : days_of(year, c->month + 1, 1)) - days);
        while (day >= last) {
            day -= 7;
        }
        days += day;
        break;
    case 'J':
        days = days_of(year, 1, 1) + c->day - 1
               + (c->day >= 60 && is_leap(year));
        break;
    default:
        days = days_of(year, 1, 1) + c->day;
        break;
    }
    return days * 86400 + c->time;
}


/* -- the rule: "CET-1CEST,M3.5.0,M10.5.0/3" -- */

static int
skip_name(const char **p)
{
    const char  *begin = *p;

    if (**p == '<') {
        *p += strcspn(*p, ">");
        if (**p != '>') {
            return -1;
        }
        (*p)++;
        return 0;
    }
    while (isalpha((unsigned char) **p)) {
        (*p)++;
    }
    return *p - begin >= 3 ? 0 : -1;
}


static int
number(const char **p, int min, int max, int *value)
{
    int  n = 0, digits = 0;

    while (isdigit((unsigned char) **p) && digits < 4) {
        n = n * 10 + (*(*p)++ - '0');
        digits++;
    }
    *value = n;
    return digits == 0 || n < min || n > max ? -1 : 0;
}


/* [+-]hh[:mm[:ss]] in seconds */
static int
clock_time(const char **p, int *seconds)
{
    int  sign = 1, h, m = 0, s = 0;

    if (**p == '-' || **p == '+') {
        sign = *(*p)++ == '-' ? -1 : 1;
    }
    if (number(p, 0, 167, &h) != 0) {
        return -1;
    }
    if (**p == ':' && ((*p)++, number(p, 0, 59, &m)) != 0) {
        return -1;
    }
    if (**p == ':' && ((*p)++, number(p, 0, 59, &s)) != 0) {
        return -1;
    }
    *seconds = sign * (h * 3600 + m * 60 + s);
    return 0;
}


static int
read_change(const char **p, change_t *c)
{
    if (*(*p)++ != ',') {
        return -1;
    }
    c->time = 7200;
    if (**p == 'M') {
        c->kind = *(*p)++;
        if (number(p, 1, 12, &c->month) != 0 || *(*p)++ != '.'
            || number(p, 1, 5, &c->week) != 0 || *(*p)++ != '.'
            || number(p, 0, 6, &c->day) != 0)
        {
            return -1;
        }
    } else {
        c->kind = **p == 'J' ? *(*p)++ : 'n';
        if (number(p, c->kind == 'J', 365, &c->day) != 0) {
            return -1;
        }
    }
    if (**p == '/') {
        (*p)++;
        return clock_time(p, &c->time);
    }
    return 0;
}


static int
read_rule(mc_zone_t *z, const char *p)
{
    if (skip_name(&p) != 0 || clock_time(&p, &z->standard) != 0) {
        return -1;
    }
    z->standard = -z->standard;     /* POSIX counts to the west */
    z->has_rule = 1;
    if (*p == '\0') {
        return 0;
    }

    z->has_summer = 1;
    z->summer = z->standard + 3600;
    if (skip_name(&p) != 0) {
        return -1;
    }
    if (*p != ',') {
        if (clock_time(&p, &z->summer) != 0) {
            return -1;
        }
        z->summer = -z->summer;
    }
    return read_change(&p, &z->begin) == 0 && read_change(&p, &z->end) == 0
           && *p == '\0' ? 0 : -1;
}


static int
rule_offset(const mc_zone_t *z, int64_t t)
{
    int64_t  year, begin, end;
    int      summer;

    if (!z->has_summer) {
        return z->standard;
    }
    year = year_of(t + z->standard);
    begin = change_at(&z->begin, year) - z->standard;
    end = change_at(&z->end, year) - z->summer;
    summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
    return summer ? z->summer : z->standard;
}


/* -- the file -- */

typedef struct {
    size_t  utc, std, leaps, times, types, chars;
} counts_t;


static uint32_t
u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8
           | p[3];
}


/* 0, or -1 when it is no header or something in it is too large. */
static int
read_header(const uint8_t *p, size_t len, counts_t *c)
{
    if (len < HEADER || memcmp(p, "TZif", 4) != 0) {
        return -1;
    }
    c->utc = u32(p + 20);
    c->std = u32(p + 24);
    c->leaps = u32(p + 28);
    c->times = u32(p + 32);
    c->types = u32(p + 36);
    c->chars = u32(p + 40);
    return c->times > TRANSITIONS || c->types == 0 || c->types > 256
           || c->chars > 4096 || c->leaps > 4096 || c->utc > 256
           || c->std > 256 ? -1 : 0;
}


static size_t
body_size(const counts_t *c, size_t width)
{
    return c->times * (width + 1) + c->types * 6 + c->chars
           + c->leaps * (width + 4) + c->std + c->utc;
}


/* The first type is that of the time before all transitions. */
static int
read_transitions(mc_zone_t *z, const uint8_t *p, const counts_t *c)
{
    const uint8_t  *index = p + c->times * 8, *types = index + c->times;

    z->at = calloc(c->times + 1, sizeof(*z->at));
    z->offset = calloc(c->times + 1, sizeof(*z->offset));
    if (z->at == NULL || z->offset == NULL) {
        return -1;
    }
    z->first = (int) (int32_t) u32(types);
    for (size_t i = 0; i < c->times; i++) {
        if (index[i] >= c->types) {
            return -1;
        }
        z->at[i] = (int64_t) ((uint64_t) u32(p + i * 8) << 32
                              | u32(p + i * 8 + 4));
        z->offset[i] = (int) (int32_t) u32(types + index[i] * 6);
    }
    z->n = (unsigned) c->times;
    return 0;
}


/* The body of version 2 and its footer; p is at the second header. */
static int
read_second(mc_zone_t *z, const uint8_t *p, size_t len)
{
    char             rule[128];
    const uint8_t   *end;
    counts_t         c;
    size_t           size;

    if (read_header(p, len, &c) != 0
        || len - HEADER < (size = body_size(&c, 8)) + 2
        || read_transitions(z, p + HEADER, &c) != 0)
    {
        return -1;
    }
    p += HEADER + size;
    len -= HEADER + size;
    end = memchr(p + 1, '\n', len - 1);
    if (*p != '\n' || end == NULL || end - p > (ptrdiff_t) sizeof(rule)) {
        return -1;
    }
    memcpy(rule, p + 1, (size_t) (end - p - 1));
    rule[end - p - 1] = '\0';
    return rule[0] == '\0' ? 0 : read_rule(z, rule);
}


mc_zone_t *
mc_zone_read(const uint8_t *p, size_t len)
{
    mc_zone_t  *z = calloc(1, sizeof(*z));
    counts_t    c;
    size_t      skip;

    if (z == NULL || read_header(p, len, &c) != 0 || p[4] < '2'
        || len < (skip = HEADER + body_size(&c, 4))
        || read_second(z, p + skip, len - skip) != 0)
    {
        mc_zone_free(z);
        return NULL;
    }
    return z;
}


mc_zone_t *
mc_zone_load(const char *directory, const char *name)
{
    mc_zone_t  *z = NULL;
    uint8_t    *text;
    size_t      n;
    char        path[512];
    FILE       *f;

    if (strstr(name, "..") != NULL || name[0] == '/' || name[0] == '\0'
        || snprintf(path, sizeof(path), "%s/%s", directory != NULL ? directory
                    : DIRECTORY, name) >= (int) sizeof(path)
        || (f = fopen(path, "re")) == NULL)
    {
        return NULL;
    }
    text = malloc(ZONE_BYTES_MAX);
    if (text != NULL) {
        n = fread(text, 1, ZONE_BYTES_MAX, f);
        z = mc_zone_read(text, n);
        free(text);
    }
    fclose(f);
    return z;
}


void
mc_zone_free(mc_zone_t *z)
{
    if (z != NULL) {
        free(z->at);
        free(z->offset);
        free(z);
    }
}


int
mc_zone_offset(const mc_zone_t *z, int64_t t)
{
    unsigned  low = 0, high = z->n;

    if (z->has_rule && (z->n == 0 || t >= z->at[z->n - 1])) {
        return rule_offset(z, t);
    }
    while (low < high) {
        unsigned  middle = (low + high) / 2;

        if (z->at[middle] <= t) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? z->first : z->offset[low - 1];
}
