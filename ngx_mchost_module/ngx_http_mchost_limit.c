#include "ngx_http_mchost_module.h"
void
ngx_http_mchost_limit_use(const char *tenant, ngx_http_mchost_use_t *use)
{
    ngx_memzero(use, sizeof(ngx_http_mchost_use_t));
}
