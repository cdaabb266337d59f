/*
 * Kubernetes quantities as the server document has them: "500m", "1.5",
 * "2Gi", "10G".
 */

#ifndef MC_QUANTITY_H
#define MC_QUANTITY_H

#include <stdint.h>

/* The value in thousandths (so that "500m" is 500 and "1Ki" 1024000), rounded
 * down; -1 when s is no quantity or too large. */
int64_t mc_quantity_milli(const char *s);

#endif
