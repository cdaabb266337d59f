/*
 * A fuzz target is one file with LLVMFuzzerTestOneInput(): linked with
 * libFuzzer it searches, linked with replay.c it runs the files it is given.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define MUST(condition)                                                      \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,          \
                    __LINE__, #condition);                                   \
            abort();                                                         \
        }                                                                    \
    } while (0)

/* A copy of exactly this size, so that a byte too far is noticed. */
static inline void *
exact(const void *data, size_t size)
{
    void  *copy = malloc(size ? size : 1);

    MUST(copy != NULL);
    if (size) {
        memcpy(copy, data, size);
    }
    return copy;
}

#endif
