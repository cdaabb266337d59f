/*
 * Exec plugins in a kubeconfig.
 */

#include <stdio.h>
#include <string.h>
#include "kubeconfig_private.h"

#define MAX_ITEMS  256          /* arguments or variables of a plugin */


static const char **
list_alloc(kc_load_t *l, const yaml_node_t *seq, const char *what, size_t more)
{
    const char  **v;
    size_t        n = 0;

    if (seq && seq->type != YAML_SEQUENCE_NODE) {
        kc_fault(l, seq, "%s is no list", what);
        return NULL;
    }
    if (seq) {
        n = (size_t) (seq->data.sequence.items.top
                      - seq->data.sequence.items.start);
    }
    if (n > MAX_ITEMS) {
        kc_fault(l, seq, "%s has more than %d elements", what, MAX_ITEMS);
        return NULL;
    }
    v = mc_arena_alloc(l->c->arena, (n + more + 1) * sizeof(*v));
    if (v == NULL) {
        kc_fault(l, NULL, "memory is out");
    }
    return v;
}

/* A command with a "/" in it is a path, another one is looked for in PATH. */
static const char *
command(kc_load_t *l, const yaml_node_t *exec)
{
    const char  *s = kc_text(l, exec, "command");

    if (s == NULL) {
        kc_fault(l, exec, "exec has no command");
        return NULL;
    }
    return strchr(s, '/') ? kc_path(l, exec, "command") : s;
}

static const char **
arguments(kc_load_t *l, const yaml_node_t *exec)
{
    const yaml_node_t  *seq = kc_member(l, exec, "args");
    const char        **argv = list_alloc(l, seq, "args", 1), *s;
    size_t              n = 0;
    yaml_node_item_t   *i;

    if (argv == NULL) {
        return NULL;
    }
    argv[n++] = command(l, exec);
    if (seq) {
        for (i = seq->data.sequence.items.start;
             i < seq->data.sequence.items.top; i++)
        {
            s = kc_text_of(l, kc_node(l, *i), "an element of args");
            argv[n++] = s ? s : "";
        }
    }
    return argv;
}

static const char **
environment(kc_load_t *l, const yaml_node_t *exec)
{
    const yaml_node_t  *seq = kc_member(l, exec, "env");
    const char        **env = list_alloc(l, seq, "env", 0);
    const char         *name, *value;
    yaml_node_item_t   *i;
    size_t              n = 0, size;
    char               *p;

    if (env == NULL || seq == NULL) {
        return env;
    }
    for (i = seq->data.sequence.items.start; i < seq->data.sequence.items.top;
         i++)
    {
        name = kc_text(l, kc_node(l, *i), "name");
        value = kc_text(l, kc_node(l, *i), "value");
        if (name == NULL || strchr(name, '=')) {
            kc_fault(l, kc_node(l, *i), "an element of env has no name");
            return NULL;
        }
        size = strlen(name) + (value ? strlen(value) : 0) + 2;
        p = mc_arena_alloc(l->c->arena, size);
        if (p == NULL) {
            kc_fault(l, NULL, "memory is out");
            return NULL;
        }
        snprintf(p, size, "%s=%s", name, value ? value : "");
        env[n++] = p;
    }
    return env;
}

void
kc_read_exec(kc_load_t *l, const yaml_node_t *exec)
{
    mc_kubeconfig_exec_t  *x = mc_arena_alloc(l->c->arena, sizeof(*x));
    const char            *s;

    if (x == NULL) {
        kc_fault(l, NULL, "memory is out");
        return;
    }
    if (exec->type != YAML_MAPPING_NODE) {
        kc_fault(l, exec, "exec is no mapping");
        return;
    }
    x->api_version = kc_text(l, exec, "apiVersion");
    if (x->api_version == NULL
        || (strcmp(x->api_version, "client.authentication.k8s.io/v1") != 0
            && strcmp(x->api_version, "client.authentication.k8s.io/v1beta1")
               != 0))
    {
        kc_fault(l, exec, "the apiVersion of exec is neither "
              "client.authentication.k8s.io/v1 nor /v1beta1");
    }
    s = kc_text(l, exec, "interactiveMode");
    if (s && strcmp(s, "Always") == 0) {
        kc_fault(l, kc_member(l, exec, "interactiveMode"),
                 "the plugin wants to talk to a person (interactiveMode "
                 "Always), and there is none");
    }
    s = kc_text(l, exec, "installHint");
    x->install_hint = s ? s : "";
    x->cluster_info = kc_truth(l, exec, "provideClusterInfo");
    x->argv = arguments(l, exec);
    x->env = environment(l, exec);
    l->c->public.exec = x;
}
