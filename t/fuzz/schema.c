/* A document and, after a line with "---", a merge patch: validated, given
 * its defaults, patched, validated again, and the change judged. */

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

/* No change is a change that may be. */
static void
check_change(const mc_json_t *from, const mc_json_t *to)
{
    mc_schema_error_t  errors[MAX_ERRORS];

    MUST(mc_server_validate_change(from, from, errors, MAX_ERRORS) == 0);
    MUST(mc_server_validate_change(from, to, errors, MAX_ERRORS)
         <= MAX_ERRORS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *doc, *patched, *patch = NULL;
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
        patched = mc_json_merge_patch(&a, mc_json_copy(&a, doc), patch);
        MUST(patched != NULL);
        check(&a, patched);
        if (validate(doc) == 0 && validate(patched) == 0) {
            check_change(mc_json_get(doc, "spec"),
                         mc_json_get(patched, "spec"));
        }
    }
    pool_free(&a_pool);
    return 0;
}
