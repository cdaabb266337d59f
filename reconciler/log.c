/*
 * JSON log lines on standard error.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "mc_json.h"

#define LINE_MAX_BYTES   8192
#define VALUE_MAX_BYTES  2048

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* The one setting that every file shares. */
static mc_log_level_t  threshold = MC_LOG_INFO;


void
mc_log_set_level(mc_log_level_t level)
{
    threshold = level;
}


int
mc_log_level(const char *name)
{
    for (int i = 0; i <= MC_LOG_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}


const char *
mc_log_number(char buf[24], long long n)
{
    snprintf(buf, 24, "%lld", n);
    return buf;
}


/* Appends "key":"value" when both fit together with the line's end. */
static size_t
append(char *line, size_t len, const char *key, const char *value)
{
    char    escaped[VALUE_MAX_BYTES];
    size_t  n = strlen(value), written;

    /* An escaped byte takes up to 6; cut until the text fits. */
    while ((written = mc_json_escape(escaped, sizeof(escaped), value, n))
           >= sizeof(escaped))
    {
        n = n > VALUE_MAX_BYTES ? VALUE_MAX_BYTES : n * 3 / 4;
    }

    if (len + strlen(key) + written + 10 > LINE_MAX_BYTES) {
        return len;
    }

    return len + (size_t) sprintf(line + len, "%s\"%s\":\"%s\"",
                                  len > 1 ? "," : "", key, escaped);
}


void
mc_log(mc_log_level_t level, const char *msg, ...)
{
    char         line[LINE_MAX_BYTES], now[MC_TIME_LEN + 1];
    const char  *key, *value;
    size_t       len = 1, done = 0;
    va_list      ap;

    if (level < threshold) {
        return;
    }

    line[0] = '{';
    mc_time_format(now, mc_clock_wall_ms());
    len = append(line, len, "time", now);
    len = append(line, len, "level", level_names[level]);
    len = append(line, len, "msg", msg);

    va_start(ap, msg);
    while ((key = va_arg(ap, const char *)) != NULL) {
        value = va_arg(ap, const char *);
        if (value != NULL) {
            len = append(line, len, key, value);
        }
    }
    va_end(ap);

    line[len++] = '}';
    line[len++] = '\n';

    while (done < len) {
        ssize_t  n = write(STDERR_FILENO, line + done, len - done);

        if (n <= 0) {
            return;             /* nobody to tell */
        }
        done += (size_t) n;
    }
}
