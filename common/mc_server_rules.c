/*
 * The rules between fields. conf/minecraftserver.schema.json says the same in
 * x-kubernetes-validations for Kubernetes: change both.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "mc_quantity.h"
#include "mc_server_rules.h"

typedef struct {
    mc_schema_error_t  *errors;
    unsigned            n, max;
} faults_t;

__attribute__((format(printf, 4, 5)))
static void
fault(faults_t *f, const char *code, const char *message,
    const char *pointer, ...)
{
    mc_schema_error_t  *e;
    va_list             args;

    if (f->n == f->max) {
        return;
    }
    e = &f->errors[f->n++];
    va_start(args, pointer);
    vsnprintf(e->pointer, sizeof(e->pointer), pointer, args);
    va_end(args);
    snprintf(e->code, sizeof(e->code), "%s", code);
    snprintf(e->message, sizeof(e->message), "%s", message);
}

/* A name as a token of a JSON pointer: "~" is "~0" and "/" is "~1". What does
 * not fit is cut off. */
static const char *
token(char dst[128], const char *name)
{
    size_t  n;

    for (n = 0; *name && n + 2 < 128; name++) {
        if (*name == '~' || *name == '/') {
            dst[n++] = '~';
            dst[n++] = *name == '~' ? '0' : '1';
        } else {
            dst[n++] = *name;
        }
    }
    dst[n] = '\0';
    return dst;
}

/* Whether the schema found fault with this place. */
static int
has_fault(const faults_t *f, const char *pointer)
{
    unsigned  i;

    for (i = 0; i < f->n; i++) {
        if (strcmp(f->errors[i].pointer, pointer) == 0) {
            return 1;
        }
    }
    return 0;
}

/* -- software -- */

int
mc_server_needs_eula(const char *type)
{
    return strcmp(type, "demo") != 0 && strcmp(type, "velocity") != 0;
}

static void
check_software(faults_t *f, const mc_json_t *spec)
{
    const char  *type = mc_json_str(mc_json_at(spec, "software.type"), "");

    if (mc_server_needs_eula(type)
        && !mc_json_bool(mc_json_at(spec, "eula.accepted"), 0))
    {
        fault(f, "eula_required", "this software runs only under the "
              "Minecraft EULA: read https://aka.ms/MinecraftEULA and set "
              "eula.accepted to true", "/spec/eula/accepted");
    }
    if (strcmp(type, "custom") == 0
        && mc_json_at(spec, "software.image") == NULL)
    {
        fault(f, "required", "software of type custom needs an image",
              "/spec/software/image");
    }
}

static void
check_run(faults_t *f, const mc_json_t *spec)
{
    const char  *policy = mc_json_str(mc_json_get(spec, "runPolicy"), "");

    if (strcmp(policy, "OnDemand") == 0
        && mc_json_get(spec, "hibernation") == NULL)
    {
        fault(f, "required", "runPolicy OnDemand needs hibernation, which "
              "says when the server sleeps and what wakes it",
              "/spec/hibernation");
    }
}

/* -- server.properties -- */

int
mc_server_reserved_property(const char *key)
{
    static const char  *names[] = {
        "server-port", "server-ip", "enable-rcon", "enable-query",
        "enable-status", "broadcast-rcon-to-ops", "white-list",
        "enforce-whitelist"
    };
    static const char  *prefixes[] = { "rcon.", "query.",
                                       "management-server-" };
    unsigned            i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(key, names[i]) == 0) {
            return 1;
        }
    }
    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The field of spec.properties that writes this key, or NULL. */
static const char *
typed_property(const char *key)
{
    static const char  *names[][2] = {
        { "motd", "motd" }, { "difficulty", "difficulty" },
        { "gamemode", "gameMode" }, { "force-gamemode", "forceGameMode" },
        { "max-players", "maxPlayers" }, { "online-mode", "onlineMode" },
        { "enforce-secure-profile", "enforceSecureProfile" },
        { "hardcore", "hardcore" }, { "pvp", "pvp" },
        { "allow-flight", "allowFlight" }, { "allow-nether", "allowNether" },
        { "spawn-monsters", "spawnMonsters" },
        { "enable-command-block", "commandBlocks" },
        { "generate-structures", "generateStructures" },
        { "view-distance", "viewDistance" },
        { "simulation-distance", "simulationDistance" },
        { "spawn-protection", "spawnProtection" },
        { "player-idle-timeout", "playerIdleTimeout" },
        { "pause-when-empty-seconds", "pauseWhenEmptySeconds" },
        { "level-name", "levelName" }, { "level-seed", "levelSeed" },
        { "level-type", "levelType" }, { "resource-pack", "resourcePack" },
        { "resource-pack-sha1", "resourcePack.sha1" },
        { "require-resource-pack", "resourcePack.required" },
        { "resource-pack-prompt", "resourcePack.prompt" }
    };
    unsigned            i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(key, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return NULL;
}

/* [a-z0-9][a-z0-9._-]{0,63} */
static int
property_name(const char *key, size_t len)
{
    static const char  alnum[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char  all[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

    return len > 0 && len <= 64 && strspn(key, alnum) > 0
           && strspn(key, all) == len;
}

static void
check_extra(faults_t *f, const mc_json_t *spec)
{
    const mc_json_t  *extra = mc_json_at(spec, "properties.extra"), *m;
    const char       *field;
    char              message[128], name[128];

    if (extra == NULL || extra->type != MC_JSON_OBJECT) {
        return;
    }
    for (m = extra->child; m && f->n < f->max; m = m->next) {
        if (!property_name(m->key, m->key_len)) {
            fault(f, "pattern", "a key of server.properties has at most 64 "
                  "lower-case letters, digits, dots, dashes and underscores",
                  "/spec/properties/extra/%s", token(name, m->key));
            continue;
        }
        if (mc_server_reserved_property(m->key)) {
            fault(f, "reserved", "the platform sets this property itself",
                  "/spec/properties/extra/%s", m->key);
            continue;
        }
        field = typed_property(m->key);
        if (field) {
            snprintf(message, sizeof(message), "this property has a field "
                     "of its own: properties.%s", field);
            fault(f, "reserved", message, "/spec/properties/extra/%s",
                  m->key);
        }
    }
}

/* -- addons -- */

static void
check_addons(faults_t *f, const mc_json_t *spec)
{
    const mc_json_t  *addons = mc_json_get(spec, "addons"), *m;
    unsigned          i = 0;

    if (addons == NULL || addons->type != MC_JSON_ARRAY) {
        return;
    }
    for (m = addons->child; m && f->n < f->max; m = m->next, i++) {
        if (mc_json_at(m, "source.url") && mc_json_get(m, "sha512") == NULL
            && mc_json_get(m, "sha256") == NULL)
        {
            fault(f, "required", "an addon from a URL needs its sha512 or "
                  "sha256", "/spec/addons/%u/sha512", i);
        }
    }
}

/* -- quantities -- */

/* The quantity's value; what is absent or no quantity is def. */
static int64_t
quantity(const mc_json_t *spec, const char *path, const char *def)
{
    int64_t  n = mc_quantity_milli(mc_json_str(mc_json_at(spec, path), def));

    return n >= 0 ? n : mc_quantity_milli(def);
}

static void
check_quantities(faults_t *f, const mc_json_t *spec)
{
    int64_t  cpu = quantity(spec, "resources.cpu", "1");
    int64_t  memory = quantity(spec, "resources.memory", "2Gi");

    if (cpu < mc_quantity_milli("50m")) {
        fault(f, "minimum", "must be at least 50m", "/spec/resources/cpu");
    }
    if (memory < mc_quantity_milli("128Mi")) {
        fault(f, "minimum", "must be at least 128Mi",
              "/spec/resources/memory");
    }
    if (quantity(spec, "resources.cpuRequest", "0") > cpu) {
        fault(f, "maximum", "must not be more than cpu",
              "/spec/resources/cpuRequest");
    }
    if (quantity(spec, "resources.memoryRequest", "0") > memory) {
        fault(f, "maximum", "must not be more than memory",
              "/spec/resources/memoryRequest");
    }
    if (quantity(spec, "storage.size", "10Gi") < mc_quantity_milli("64Mi")) {
        fault(f, "minimum", "must be at least 64Mi", "/spec/storage/size");
    }
}

/* -- control characters --
 *
 * Text from the spec reaches environments, server.properties, YAML and
 * terminals: nowhere does a line break or an escape belong into it, but that a
 * message of the day has two lines. The schema's patterns say so for the
 * fields of today; this also guards names and the fields to come. */

static int
has_control(const char *s, size_t len, int newline)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] == '\n' && newline) {
            continue;
        }
        if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f) {
            return 1;
        }
    }
    return 0;
}

static void
check_text(faults_t *f, const mc_json_t *v, const char *pointer)
{
    const mc_json_t  *m;
    char              below[256], name[128];
    unsigned          i = 0;
    int               bad;

    bad = v->key && has_control(v->key, v->key_len, 0);
    if (v->type == MC_JSON_STRING) {
        bad |= has_control(v->str, v->len,
                           strcmp(pointer, "/spec/properties/motd") == 0);
    }
    if (bad && !has_fault(f, pointer)) {
        fault(f, "control_character", "must not contain control characters",
              "%s", pointer);
    }
    for (m = v->child; m && f->n < f->max; m = m->next, i++) {
        if (m->key) {
            snprintf(below, sizeof(below), "%.120s/%s", pointer,
                     token(name, m->key));
        } else {
            snprintf(below, sizeof(below), "%.120s/%u", pointer, i);
        }
        check_text(f, m, below);
    }
}

/* -- all of it -- */

static void
check_rules(faults_t *f, const mc_json_t *spec)
{
    if (spec == NULL || spec->type != MC_JSON_OBJECT) {
        return;
    }
    /* without a type that is known no rule can tell what is missing */
    if (mc_json_at(spec, "software.type")
        && !has_fault(f, "/spec/software/type"))
    {
        check_software(f, spec);
    }
    check_run(f, spec);
    check_extra(f, spec);
    check_addons(f, spec);
    check_quantities(f, spec);
    check_text(f, spec, "/spec");
}

unsigned
mc_server_validate(const mc_schema_t *schema, const mc_json_t *doc,
    mc_schema_error_t *errors, unsigned max)
{
    faults_t  f = { errors, 0, max };

    f.n = mc_schema_validate(schema, doc, "", errors, max);
    check_rules(&f, mc_json_get(doc, "spec"));
    return f.n;
}

unsigned
mc_server_validate_spec(const mc_schema_t *schema, const mc_json_t *spec,
    mc_schema_error_t *errors, unsigned max)
{
    const mc_schema_t  *s = mc_schema_property(schema, "spec");
    faults_t            f = { errors, 0, max };

    f.n = mc_schema_validate(s, spec, "/spec", errors, max);
    check_rules(&f, spec);
    return f.n;
}

unsigned
mc_server_validate_change(const mc_json_t *from, const mc_json_t *to,
    mc_schema_error_t *errors, unsigned max)
{
    faults_t     f = { errors, 0, max };
    const char  *was, *is;

    if (quantity(to, "storage.size", "10Gi")
        < quantity(from, "storage.size", "10Gi"))
    {
        fault(&f, "shrink", "a volume never shrinks", "/spec/storage/size");
    }
    was = mc_json_str(mc_json_at(from, "storage.storageClassName"), "");
    is = mc_json_str(mc_json_at(to, "storage.storageClassName"), "");
    if (strcmp(was, is) != 0) {
        fault(&f, "immutable", "cannot be changed: the volume is made",
              "/spec/storage/storageClassName");
    }
    return f.n;
}
