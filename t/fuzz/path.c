/* A pattern and, on the next lines, paths: what matches is the pattern with
 * its names filled in. */

#include "fuzz.h"
#include "mc_path.h"

#define NAMES  2

/* Puts the names into the pattern again. */
static void
check_matched(const char *pattern, const char *path, size_t len,
    const mc_path_name_t *names, int n)
{
    const char  *close, *p = path;
    int          i = 0;

    while (*pattern) {
        if (*pattern == '{' && (close = strchr(pattern, '}')) != NULL) {
            MUST(i < n && names[i].data == p && names[i].len > 0);
            MUST(memchr(p, '/', names[i].len) == NULL);
            p += names[i++].len;
            pattern = close + 1;
            continue;
        }
        MUST(p < path + len && *p == *pattern);
        p++;
        pattern++;
    }
    MUST(i == n && p == path + len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t   *line = memchr(data, '\n', size), *next;
    size_t           len = line ? (size_t) (line - data) : size;
    char            *pattern = malloc(len + 1), *path;
    mc_path_name_t   names[NAMES];
    int              n;

    MUST(pattern != NULL);
    memcpy(pattern, data, len);
    pattern[len] = '\0';

    while (line) {
        line++;
        next = memchr(line, '\n', size - (size_t) (line - data));
        len = (size_t) ((next ? next : data + size) - line);
        path = exact(line, len);
        n = mc_path_match(pattern, path, len, names, NAMES);
        MUST(n >= -1 && n <= NAMES);
        if (n >= 0) {
            check_matched(pattern, path, len, names, n);
            MUST(mc_path_match(pattern, path, len, names, n) == n);
            MUST(n == 0
                 || mc_path_match(pattern, path, len, names, n - 1) == -1);
        }
        free(path);
        line = next;
    }
    free(pattern);
    return 0;
}
