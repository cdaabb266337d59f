/*
 * Settings from file and environment.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config.h"
#include "log.h"

#define FILE_MAX_BYTES  (256 * 1024)

typedef struct setting_s  setting_t;

/* Stores the value at the setting's place; an error is a phrase that follows
 * the setting's name, NULL when the value is good. */
typedef const char *(*parse_pt)(mc_config_t *conf, const setting_t *s,
    const char *value);

struct setting_s {
    const char  *name;
    parse_pt     parse;
    size_t       offset;
    int64_t      min, max;
    const char  *initial;
};

typedef struct {
    const char  *file;
    int          line;
    char        *p;                 /* what is left of the text */
    char        *err;
    size_t       errlen;
} reader_t;

static const char *parse_string(mc_config_t *, const setting_t *, const char *);
static const char *parse_engine(mc_config_t *, const setting_t *, const char *);
static const char *parse_namespace(mc_config_t *, const setting_t *, const char *);
static const char *parse_redis(mc_config_t *, const setting_t *, const char *);
static const char *parse_number(mc_config_t *, const setting_t *, const char *);
static const char *parse_time(mc_config_t *, const setting_t *, const char *);
static const char *parse_level(mc_config_t *, const setting_t *, const char *);
static const char *parse_ports(mc_config_t *, const setting_t *, const char *);
static const char *parse_listen(mc_config_t *, const setting_t *, const char *);

#define AT(field)  offsetof(mc_config_t, field)

static const setting_t settings[] = {
    { "database_url", parse_string, AT(database_url), 0, 0,
      "host=/run/postgresql dbname=mchost user=mchost_reconciler" },
    { "migrate_url", parse_string, AT(migrate_url), 0, 0, "" },
    { "redis_url", parse_redis, AT(redis_url), 0, 0, "redis://127.0.0.1:6379" },
    { "redis_user", parse_string, AT(redis_user), 0, 0, "" },
    { "redis_password", parse_string, AT(redis_password), 0, 0, "" },
    { "redis_prefix", parse_string, AT(redis_prefix), 0, 0, "mchost:" },
    { "engine", parse_engine, AT(engine), 1, 0, "podman" },
    { "podman_socket", parse_string, AT(podman_socket), 1, 0,
      "/run/podman/podman.sock" },
    { "podman_network", parse_string, AT(podman_network), 1, 0, "mchost" },
    { "kubeconfig", parse_string, AT(kubeconfig), 0, 0, "" },
    { "kube_context", parse_string, AT(kube_context), 0, 0, "" },
    { "kube_namespace", parse_namespace, AT(kube_namespace), 0, 63, "" },
    { "kube_namespace_prefix", parse_namespace, AT(kube_namespace_prefix), 1, 27,
      "mchost-" },
    { "kube_qps", parse_number, AT(kube_qps), 1, 10000, "50" },
    { "kube_burst", parse_number, AT(kube_burst), 1, 10000, "100" },
    { "secret_file", parse_string, AT(secret_file), 1, 0,
      "/etc/mchost/secret" },
    { "demo_image", parse_string, AT(demo_image), 1, 0,
      "localhost/mchost-demo:latest" },
    { "game_address", parse_string, AT(game_address), 1, 0, "127.0.0.1" },
    { "game_ports", parse_ports, 0, 1, 65535, "25565-25664" },
    { "admin_listen", parse_listen, 0, 1, 65535, "127.0.0.1:9465" },
    { "log_level", parse_level, AT(log_level), 0, 0, "info" },
    { "log_lines", parse_number, AT(log_lines), 100, 1000000, "2000" },
    { "poll_interval", parse_time, AT(poll_ms), 100, 3600000, "2s" },
    { "resync_interval", parse_time, AT(resync_ms), 1000, 86400000, "5m" },
    { "ping_interval", parse_time, AT(ping_ms), 500, 600000, "5s" },
    { "start_timeout", parse_time, AT(start_timeout_ms), 1000, 86400000, "10m" },
    { "workers", parse_number, AT(workers), 1, 1024, "16" },
};

#define N_SETTINGS  (sizeof(settings) / sizeof(settings[0]))


static char **
string_at(mc_config_t *conf, size_t offset)
{
    return (char **) ((char *) conf + offset);
}


static int64_t *
number_at(mc_config_t *conf, size_t offset)
{
    return (int64_t *) ((char *) conf + offset);
}


static const char *
replace(char **place, const char *value, size_t len)
{
    char  *copy = strndup(value, len);

    if (copy == NULL) {
        return "could not be stored: no memory";
    }
    free(*place);
    *place = copy;
    return NULL;
}


/* min 1: must not be empty */
static const char *
parse_string(mc_config_t *conf, const setting_t *s, const char *value)
{
    if (s->min > 0 && value[0] == '\0') {
        return "must not be empty";
    }
    return replace(string_at(conf, s->offset), value, strlen(value));
}


static const char *
parse_engine(mc_config_t *conf, const setting_t *s, const char *value)
{
    if (strcmp(value, "podman") != 0 && strcmp(value, "kubernetes") != 0) {
        return "must be podman or kubernetes";
    }
    return parse_string(conf, s, value);
}


/* A DNS label, or what one begins with: so long at most. */
static const char *
parse_namespace(mc_config_t *conf, const setting_t *s, const char *value)
{
    size_t  len = strlen(value);
    bool    whole = strcmp(s->name, "kube_namespace") == 0;

    if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != len
        || value[0] == '-' || (whole && len > 0 && value[len - 1] == '-')
        || len > (size_t) s->max)
    {
        return "must be made of a-z, 0-9 and -, as namespaces are named";
    }
    return parse_string(conf, s, value);
}


static const char *
parse_redis(mc_config_t *conf, const setting_t *s, const char *value)
{
    if (value[0] != '\0' && strncmp(value, "unix:/", 6) != 0
        && strncmp(value, "redis://", 8) != 0)
    {
        return "must be unix:/path or redis://host:port";
    }
    return parse_string(conf, s, value);
}


/* Digits only, within min and max; -1 when it is not. */
static int64_t
number_of(const char *value, size_t len, int64_t min, int64_t max)
{
    int64_t  n = 0;

    if (len == 0 || len > 15) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char) value[i])) {
            return -1;
        }
        n = n * 10 + (value[i] - '0');
    }
    return n < min || n > max ? -1 : n;
}


static const char *
parse_number(mc_config_t *conf, const setting_t *s, const char *value)
{
    int64_t  n = number_of(value, strlen(value), s->min, s->max);

    if (n < 0) {
        return "is not a whole number within its limits";
    }
    *number_at(conf, s->offset) = n;
    return NULL;
}


static const char *
parse_time(mc_config_t *conf, const setting_t *s, const char *value)
{
    static const struct { const char *unit; int64_t ms; }  units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
        { "", 1000 }
    };
    size_t   digits = strspn(value, "0123456789");
    int64_t  n = number_of(value, digits, 0, 1000000000);

    for (size_t i = 0; n >= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(value + digits, units[i].unit) == 0) {
            n *= units[i].ms;
            if (n < s->min || n > s->max) {
                return "is out of its limits";
            }
            *number_at(conf, s->offset) = n;
            return NULL;
        }
    }
    return "is not a time such as 500ms, 5s or 2m";
}


static const char *
parse_level(mc_config_t *conf, const setting_t *s, const char *value)
{
    int  level = mc_log_level(value);

    if (level < 0) {
        return "must be debug, info, warn or error";
    }
    *number_at(conf, s->offset) = level;
    return NULL;
}


static const char *
parse_ports(mc_config_t *conf, const setting_t *s, const char *value)
{
    const char  *dash = strchr(value, '-');
    size_t       len = dash == NULL ? strlen(value) : (size_t) (dash - value);
    int64_t      first, last;

    first = number_of(value, len, s->min, s->max);
    last = dash == NULL ? first
                        : number_of(dash + 1, strlen(dash + 1), s->min, s->max);

    if (first < 0 || last < first) {
        return "must be a range of ports such as 25565-25664";
    }
    conf->game_port_first = first;
    conf->game_port_last = last;
    return NULL;
}


static const char *
parse_listen(mc_config_t *conf, const setting_t *s, const char *value)
{
    const char  *colon = strrchr(value, ':');
    const char  *host = value;
    size_t       len;
    int64_t      port;

    if (strcmp(value, "off") == 0) {
        conf->admin_port = 0;
        return replace(&conf->admin_host, "", 0);
    }
    if (colon == NULL) {
        return "must be an address and port such as 127.0.0.1:9465, or off";
    }

    port = number_of(colon + 1, strlen(colon + 1), s->min, s->max);
    len = (size_t) (colon - host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (port < 0 || len == 0) {
        return "must be an address and port such as 127.0.0.1:9465, or off";
    }
    conf->admin_port = port;
    return replace(&conf->admin_host, host, len);
}


static const setting_t *
find(const char *name)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}


/* -- the file -- */

static int
fail(reader_t *r, const char *what)
{
    snprintf(r->err, r->errlen, "%s:%d: %s", r->file, r->line, what);
    return -1;
}


static void
skip_space(reader_t *r)
{
    for (;; r->p++) {
        if (*r->p == '\n') {
            r->line++;
        } else if (*r->p == '#') {
            r->p += strcspn(r->p, "\n") - 1;
        } else if (!isspace((unsigned char) *r->p)) {
            return;
        }
    }
}


/* A quoted value, in place: \" and \\ stand for themselves. */
static char *
read_quoted(reader_t *r)
{
    char  quote = *r->p++;
    char *value = r->p, *to = r->p;

    while (*r->p != quote) {
        if (*r->p == '\\' && (r->p[1] == quote || r->p[1] == '\\')) {
            r->p++;
        }
        if (*r->p == '\0' || *r->p == '\n') {
            return NULL;
        }
        *to++ = *r->p++;
    }
    r->p++;
    *to = '\0';
    return value;
}


/* One "name value;". 1: read, 0: the end, -1: an error. */
static int
read_setting(reader_t *r, char **name, char **value)
{
    char  *end, closing;

    skip_space(r);
    if (*r->p == '\0') {
        return 0;
    }

    *name = r->p;
    r->p += strcspn(r->p, " \t\r\n;#");
    end = r->p;
    if (*end != ' ' && *end != '\t') {
        return fail(r, "a setting is written as: name value;");
    }
    r->p++;
    *end = '\0';
    r->p += strspn(r->p, " \t");

    if (*r->p == '"' || *r->p == '\'') {
        *value = read_quoted(r);
        if (*value == NULL) {
            return fail(r, "the closing quote is missing");
        }
        end = r->p;

    } else {
        *value = r->p;
        r->p += strcspn(r->p, ";\n");
        end = r->p;
        while (end > *value && isspace((unsigned char) end[-1])) {
            end--;
        }
    }

    r->p += strspn(r->p, " \t");
    closing = *r->p;
    if (closing != ';') {
        return fail(r, "the \";\" at the end of the setting is missing");
    }
    *end = '\0';
    r->p++;
    return 1;
}


static int
apply(mc_config_t *conf, const char *name, const char *value, char *err,
    size_t errlen)
{
    const setting_t  *s = find(name);
    const char       *problem;

    if (s == NULL) {
        snprintf(err, errlen, "unknown setting \"%s\"", name);
        return -1;
    }
    problem = s->parse(conf, s, value);
    if (problem == NULL) {
        return 0;
    }
    snprintf(err, errlen, "%s %s", name, problem);
    return -1;
}


static int
read_text(mc_config_t *conf, reader_t *r)
{
    char  *name, *value, problem[256];
    int    rc;

    while ((rc = read_setting(r, &name, &value)) == 1) {
        if (apply(conf, name, value, problem, sizeof(problem)) != 0) {
            return fail(r, problem);
        }
    }
    return rc;
}


static int
read_file(mc_config_t *conf, const char *file, char *err, size_t errlen)
{
    reader_t   r = { file, 1, NULL, err, errlen };
    FILE      *f = fopen(file, "re");
    char      *text;
    size_t     n;
    int        rc;

    if (f == NULL) {
        snprintf(err, errlen, "%s: %s; name the file with -c", file,
                 strerror(errno));
        return -1;
    }

    text = malloc(FILE_MAX_BYTES + 1);
    n = text == NULL ? 0 : fread(text, 1, FILE_MAX_BYTES + 1, f);
    rc = ferror(f) || text == NULL || n > FILE_MAX_BYTES ? -1 : 0;
    fclose(f);

    if (rc != 0) {
        snprintf(err, errlen, "%s: could not be read: not a file of settings",
                 file);

    } else {
        text[n] = '\0';
        r.p = text;
        rc = strlen(text) != n ? fail(&r, "the file holds a NUL byte")
                               : read_text(conf, &r);
        explicit_bzero(text, n);
    }

    free(text);
    return rc;
}


static int
read_environment(mc_config_t *conf, char **environment, char *err,
    size_t errlen)
{
    char  name[64], problem[256];

    for (; *environment != NULL; environment++) {
        const char  *equals = strchr(*environment, '=');
        size_t       n, i;

        if (strncmp(*environment, "MCHOST_", 7) != 0 || equals == NULL) {
            continue;
        }
        n = (size_t) (equals - *environment) - 7;
        if (n >= sizeof(name)) {
            continue;
        }
        for (i = 0; i < n; i++) {
            name[i] = (char) tolower((unsigned char) (*environment)[7 + i]);
        }
        name[n] = '\0';

        /* Other programs of the platform have MCHOST_ variables as well. */
        if (find(name) != NULL
            && apply(conf, name, equals + 1, problem, sizeof(problem)) != 0)
        {
            snprintf(err, errlen, "environment variable MCHOST_*: %s", problem);
            return -1;
        }
    }
    return 0;
}


bool
mc_config_on_kubernetes(const mc_config_t *conf)
{
    return strcmp(conf->engine, "kubernetes") == 0;
}


static const char *
variable(char **environment, const char *name)
{
    size_t  n = strlen(name);

    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') {
            return *environment + n + 1;
        }
    }
    return "";
}


/* The files that kubectl would take; none are left to mean: in-cluster. */
static int
find_kubeconfig(mc_config_t *conf, char **environment, char *err, size_t errlen)
{
    const char  *home = variable(environment, "HOME");
    const char  *files = variable(environment, "KUBECONFIG");
    char         path[4096];

    if (conf->kubeconfig[0] != '\0') {
        return 0;
    }
    if (files[0] == '\0' && home[0] != '\0'
        && snprintf(path, sizeof(path), "%s/.kube/config", home)
           < (int) sizeof(path)
        && access(path, F_OK) == 0)
    {
        files = path;
    }
    return apply(conf, "kubeconfig", files, err, errlen);
}


/* What no setting can tell alone. */
static int
check(mc_config_t *conf, char **environment, char *err, size_t errlen)
{
    const char  *missing = conf->database_url[0] == '\0' ? "database_url"
                           : conf->redis_url[0] == '\0' ? "redis_url" : NULL;

    if (mc_config_on_kubernetes(conf)) {
        return find_kubeconfig(conf, environment, err, errlen);
    }
    if (missing == NULL) {
        return 0;
    }
    snprintf(err, errlen, "%s must not be empty; only engine kubernetes can do "
             "without", missing);
    return -1;
}


int
mc_config_load(mc_config_t *conf, const char *file, char **environment,
    char *err, size_t errlen)
{
    char  problem[256];

    memset(conf, 0, sizeof(*conf));

    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (apply(conf, settings[i].name, settings[i].initial, problem,
                  sizeof(problem)) != 0)
        {
            snprintf(err, errlen, "%s", problem);
            return -1;
        }
    }
    if (file != NULL && read_file(conf, file, err, errlen) != 0) {
        return -1;
    }
    return read_environment(conf, environment, err, errlen) == 0
           ? check(conf, environment, err, errlen) : -1;
}


void
mc_config_free(mc_config_t *conf)
{
    char  **strings[] = {
        &conf->database_url, &conf->migrate_url, &conf->redis_url,
        &conf->redis_user, &conf->redis_password, &conf->redis_prefix,
        &conf->engine, &conf->podman_socket, &conf->podman_network,
        &conf->secret_file, &conf->demo_image, &conf->game_address,
        &conf->admin_host, &conf->kubeconfig, &conf->kube_context,
        &conf->kube_namespace, &conf->kube_namespace_prefix
    };

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        if (*strings[i] != NULL) {
            explicit_bzero(*strings[i], strlen(*strings[i]));
            free(*strings[i]);
            *strings[i] = NULL;
        }
    }
}
