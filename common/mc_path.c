#include <string.h>
#include "mc_path.h"

int
mc_path_match(const char *pattern, const char *path, size_t len,
    mc_path_name_t *names, int max)
{
    int          n = 0;
    const char  *p = path, *end = path + len, *close, *start;

    while (*pattern) {
        if (*pattern == '{' && (close = strchr(pattern, '}')) != NULL) {
            for (start = p; p < end && *p != '/'; p++) { /* void */ }

            if (p == start || n == max) {
                return -1;
            }
            names[n].data = start;
            names[n++].len = (size_t) (p - start);
            pattern = close + 1;
            continue;
        }
        if (p == end || *p++ != *pattern++) {
            return -1;
        }
    }
    return p == end ? n : -1;
}
