/*
 * A unit test's voice: TAP, as prove reads it. One test program is one main()
 * that ends with "return done_testing();".
 */

#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int  tap_count, tap_failed;

__attribute__((format(printf, 4, 5)))
static inline int
tap_ok(int pass, const char *file, int line, const char *format, ...)
{
    va_list  args;

    tap_count++;
    printf("%sok %d - ", pass ? "" : "not ", tap_count);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (!pass) {
        tap_failed++;
        printf("#   at %s line %d\n", file, line);
    }
    fflush(stdout);
    return pass;
}

__attribute__((format(printf, 5, 6)))
static inline int
tap_is(const char *got, const char *wanted, const char *file, int line,
    const char *format, ...)
{
    char     name[512];
    va_list  args;
    int      pass;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    pass = (got && wanted) ? strcmp(got, wanted) == 0 : got == wanted;
    tap_ok(pass, file, line, "%s", name);
    if (!pass) {
        printf("#      got: %s\n# expected: %s\n", got ? got : "(null)",
               wanted ? wanted : "(null)");
    }
    return pass;
}

__attribute__((format(printf, 5, 6)))
static inline int
tap_is_int(long long got, long long wanted, const char *file, int line,
    const char *format, ...)
{
    char     name[512];
    va_list  args;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    tap_ok(got == wanted, file, line, "%s", name);
    if (got != wanted) {
        printf("#      got: %lld\n# expected: %lld\n", got, wanted);
    }
    return got == wanted;
}

/* The name is a format: ok(n > 0, "%s has members", name). */
#define ok(pass, ...)  tap_ok(!!(pass), __FILE__, __LINE__, __VA_ARGS__)
#define is(got, wanted, ...)                                                 \
    tap_is(got, wanted, __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, wanted, ...)                                             \
    tap_is_int((long long) (got), (long long) (wanted), __FILE__, __LINE__,  \
               __VA_ARGS__)

/* A remark; it fails nothing. */
#define diag(...)                                                            \
    (printf("# "), printf(__VA_ARGS__), printf("\n"), fflush(stdout))

static inline int
done_testing(void)
{
    printf("1..%d\n", tap_count);
    if (tap_failed) {
        printf("# %d of %d failed\n", tap_failed, tap_count);
    }
    return tap_failed ? 1 : 0;
}

#endif
