/* The name of a request's body in conf/api.schema.json and, on the next
 * lines, that body. */

#include "../unit/pool.h"
#include "fuzz.h"
#include "mc_schema.h"

#define MAX_ERRORS  16

static mc_schema_t *
schema(void)
{
    static mc_schema_t  *s;
    static pool_t        pool = { NULL, 0, 0, 0, -1 };
    mc_alloc_t           a = { pool_alloc, &pool };
    char                 err[256];

    if (s == NULL) {
        s = mc_schema_compile(&a, mc_api_schema_json, mc_api_schema_json_len,
                              err, sizeof(err));
        MUST(s != NULL);
    }
    return s;
}

static unsigned
validate(const mc_schema_t *s, const mc_json_t *body)
{
    mc_schema_error_t  errors[MAX_ERRORS];
    unsigned           n, i;

    n = mc_schema_validate(s, body, "", errors, MAX_ERRORS);
    MUST(n <= MAX_ERRORS);
    for (i = 0; i < n; i++) {
        MUST(memchr(errors[i].pointer, '\0', sizeof(errors[i].pointer)));
        MUST(errors[i].pointer[0] == '/' || errors[i].pointer[0] == '\0');
        MUST(errors[i].code[0] && errors[i].message[0]);
    }
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    POOL(a);
    mc_json_error_t     err;
    mc_json_t          *body;
    const mc_schema_t  *s;
    const uint8_t      *line = memchr(data, '\n', size);
    char                name[64];
    size_t              len = line ? (size_t) (line - data) : size;
    unsigned            n;

    if (line == NULL || len >= sizeof(name)) {
        return 0;
    }
    memcpy(name, data, len);
    name[len] = '\0';
    s = mc_schema_property(schema(), name);
    body = mc_json_parse(&a, (const char *) line + 1, size - len - 1, &err);

    if (s && body) {
        n = validate(s, body);
        MUST(n == 0 || validate(s, body) == n);
        if (n == 0) {
            MUST(mc_schema_defaults(s, &a, body) == 0);
            MUST(validate(s, body) == 0);
        }
    }
    pool_free(&a_pool);
    return 0;
}
