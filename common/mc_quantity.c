#include <string.h>
#include "mc_quantity.h"

static const struct {
    const char  *suffix;
    int64_t      milli;             /* of one */
} units[] = {
    { "m", 1 }, { "", 1000 },
    { "k", 1000 * 1000LL },
    { "M", 1000 * 1000LL * 1000 },
    { "G", 1000 * 1000LL * 1000 * 1000 },
    { "T", 1000 * 1000LL * 1000 * 1000 * 1000 },
    { "Ki", 1000 * (1LL << 10) },
    { "Mi", 1000 * (1LL << 20) },
    { "Gi", 1000 * (1LL << 30) },
    { "Ti", 1000 * (1LL << 40) },
};

/* whole * 10^places is n, with at most 9 places: enough for any unit here. */
static const char *
read_decimal(const char *s, int64_t *n, int64_t *scale)
{
    const char  *start = s;
    int          point = 0;

    *n = 0;
    *scale = 1;
    for ( ; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = 1;
            continue;
        }
        if (point && *scale == 1000000000) {
            continue;
        }
        if (*n > (INT64_MAX - 9) / 10) {
            return NULL;
        }
        *n = *n * 10 + (*s - '0');
        *scale *= point ? 10 : 1;
    }
    return s == start || s[-1] == '.' || *start == '.' ? NULL : s;
}

int64_t
mc_quantity_milli(const char *s)
{
    int64_t   n, scale, whole, rest;
    unsigned  i;

    s = read_decimal(s, &n, &scale);
    if (s == NULL) {
        return -1;
    }
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(s, units[i].suffix) != 0) {
            continue;
        }
        whole = n / scale;
        rest = n % scale;
        if (whole > (INT64_MAX / 2) / units[i].milli) {
            return -1;
        }
        /* the fraction may be a little less: it has 53 bits */
        return whole * units[i].milli
               + (int64_t) ((double) rest / (double) scale
                            * (double) units[i].milli);
    }
    return -1;
}
