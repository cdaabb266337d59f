#include <stdio.h>
#include <string.h>
#include "gameversion.h"

typedef struct {
    int  major, minor, patch;
} version_t;

/* The last release of a year from 2013 on; later years are newer than all. */
static const version_t  last_of_year[] = {
    { 1, 7, 4 }, { 1, 8, 1 }, { 1, 8, 9 }, { 1, 11, 2 }, { 1, 12, 2 },
    { 1, 13, 2 }, { 1, 15, 1 }, { 1, 16, 4 }, { 1, 18, 1 }, { 1, 19, 3 },
    { 1, 20, 4 }, { 1, 21, 4 }, { 1, 21, 11 }
};

#define FIRST_YEAR  13
#define YEARS       (int) (sizeof(last_of_year) / sizeof(last_of_year[0]))


static version_t
parse(const char *s)
{
    const version_t  newest = { 9999, 0, 0 };
    version_t        v = { 0, 0, 0 };
    int              year, week;

    if (sscanf(s, "%2dw%2d", &year, &week) == 2) {
        if (year < FIRST_YEAR) {
            return v;
        }
        return year - FIRST_YEAR < YEARS ? last_of_year[year - FIRST_YEAR]
                                         : newest;
    }
    if (sscanf(s, "%4d.%4d.%4d", &v.major, &v.minor, &v.patch) < 2) {
        return newest;
    }
    return v;
}

bool
mc_version_at_least(const char *version, int major, int minor, int patch)
{
    version_t  v = parse(version);

    if (v.major != major) {
        return v.major > major;
    }
    if (v.minor != minor) {
        return v.minor > minor;
    }
    return v.patch >= patch;
}
