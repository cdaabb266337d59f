/*
 * Time as text and numbers.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clock.h"


static int64_t
clock_ms(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);
    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
mc_clock_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}


int64_t
mc_clock_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}


void
mc_time_format(char dst[MC_TIME_LEN + 1], int64_t wall_ms)
{
    time_t     sec = (time_t) (wall_ms / 1000);
    struct tm  tm;
    char       buf[64];

    gmtime_r(&sec, &tm);
    snprintf(buf, sizeof(buf), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (int) (wall_ms % 1000));
    memcpy(dst, buf, MC_TIME_LEN);
    dst[MC_TIME_LEN] = '\0';
}


/* Reads ".123456789" as nanoseconds; digits beyond nine are dropped. */
static const char *
parse_fraction(const char *p, int64_t *ns)
{
    int64_t  unit = 100000000;

    *ns = 0;
    if (*p != '.') {
        return p;
    }
    for (p++; *p >= '0' && *p <= '9'; p++) {
        *ns += (*p - '0') * unit;
        unit /= 10;
    }
    return p;
}


int64_t
mc_time_parse_ns(const char *text)
{
    struct tm    tm = { 0 };
    int          n = 0, hours, minutes, used = 0;
    int64_t      ns, offset = 0;
    const char  *p;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6
        || n != 19)
    {
        return -1;
    }

    p = parse_fraction(text + n, &ns);

    if (*p == '+' || *p == '-') {
        if (sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2
            || used != 5 || p[6] != '\0')
        {
            return -1;
        }
        offset = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);

    } else if ((*p != 'Z' && *p != 'z') || p[1] != '\0') {
        return -1;
    }

    if (tm.tm_year < 1970 || tm.tm_year > 2261) {
        return -1;                  /* Go's zero time is of the year 1 */
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return ((int64_t) timegm(&tm) - offset) * 1000000000 + ns;
}
