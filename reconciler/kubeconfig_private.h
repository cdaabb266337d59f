/*
 * Shared by the files that read kubeconfigs: the YAML tree of each file, and
 * the first fault that was met in them.
 */

#ifndef MC_KUBECONFIG_PRIVATE_H
#define MC_KUBECONFIG_PRIVATE_H

#include <yaml.h>
#include "arena.h"
#include "kubeconfig.h"

#define KC_MAX_FILES  16

typedef struct {
    const char       *name;             /* of the file */
    yaml_document_t   doc;
} kc_file_t;

typedef struct {
    mc_kubeconfig_t   public;           /* comes first */
    mc_arena_t       *arena;
} kc_config_t;

typedef struct {
    kc_config_t *c;
    kc_file_t    files[KC_MAX_FILES];
    unsigned     n;
    kc_file_t   *f;                     /* the one being looked at */
    char        *err;
    size_t       errlen;
    bool         failed;
} kc_load_t;

/* Remembers the first fault, as a sentence with file and line. */
void kc_fault(kc_load_t *l, const yaml_node_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A copy that lives as long as the kubeconfig; NULL is a fault. */
char *kc_keep(kc_load_t *l, const char *s, size_t len);

yaml_node_t *kc_node(kc_load_t *l, int id);
bool kc_is_text(const yaml_node_t *n, const char *s);

/* The value of a member, NULL: none, or null. */
yaml_node_t *kc_member(kc_load_t *l, const yaml_node_t *map, const char *key);

/* The text of a value, or of a member; NULL: none, empty, or a fault. */
const char *kc_text_of(kc_load_t *l, const yaml_node_t *v, const char *what);
const char *kc_text(kc_load_t *l, const yaml_node_t *map, const char *key);
bool kc_truth(kc_load_t *l, const yaml_node_t *map, const char *key);

/* A path; relative ones are meant from where their file is. */
const char *kc_path(kc_load_t *l, const yaml_node_t *map, const char *key);

/* The PEM that is in a …-data member in base64. */
const char *kc_pem(kc_load_t *l, const yaml_node_t *map, const char *key);

/* An exec plugin of a user. */
void kc_read_exec(kc_load_t *l, const yaml_node_t *exec);

#endif
