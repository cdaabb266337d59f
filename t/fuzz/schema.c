/* A document and, after a line with "---", a merge patch: validated, given
 * its defaults, patched, validated again. */

#include "../unit/pool.h"
#include "fuzz.h"
#include "mc_server_rules.h"

#define MAX_ERRORS  16

static mc_schema_t *
schema(void)
{
    static mc_schema_t  *s;
    static pool_t        pool = { NULL, 0, 0, 0, -1 };
    mc_alloc_t           a = { pool_alloc, &pool };
    char                 err[256];

    if (s == NULL) {
        s = mc_schema_compile(&a, mc_schema_json, mc_schema_json_len, err,
                              sizeof(err));
        MUST(s != NULL);
    }
    return s;
}

static unsigned
validate(const mc_json_t *doc)
{
    mc_schema_error_t  errors[MAX_ERRORS];
    unsigned           n, i;

    n = mc_server_validate(schema(), doc, errors, MAX_ERRORS);
    MUST(n <= MAX_ERRORS);
    for (i = 0; i < n; i++) {
        MUST(strlen(errors[i].pointer) < sizeof(errors[i].pointer));
        MUST(errors[i].pointer[0] == '/' || errors[i].pointer[0] == '\0');
        MUST(errors[i].code[0] && errors[i].message[0]);
    }
    return n;
}

/* What a document was before its defaults it is afterwards. */
static void
check(const mc_alloc_t *a, mc_json_t *doc)
{
    unsigned  n = validate(doc);

    MUST(mc_schema_defaults(schema(), a, doc) == 0);
    MUST((validate(doc) == 0) == (n == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *doc, *patch = NULL;
    const uint8_t   *line = memmem(data, size, "\n---\n", 5);
    size_t           len = line ? (size_t) (line - data) : size;

    doc = mc_json_parse(&a, (const char *) data, len, &err);
    if (line) {
        patch = mc_json_parse(&a, (const char *) line + 5, size - len - 5,
                              &err);
    }
    if (doc) {
        check(&a, doc);
    }
    if (doc && patch) {
        doc = mc_json_merge_patch(&a, doc, patch);
        MUST(doc != NULL);
        check(&a, doc);
    }
    pool_free(&a_pool);
    return 0;
}
