/*
 * Prints a statement of sql/statements.sql as a pgbench script wants it: its
 * parameters as literals given on the command line.
 *
 *   statement NAME [VALUE …]
 */

#include <stdio.h>
#include <string.h>
#include "mc_sql.h"

int
main(int argc, char **argv)
{
    const char  *p;

    for (int i = 0; argc > 1 && i < MC_SQL_MAX; i++) {
        if (strcmp(mc_sql[i].name, argv[1]) != 0) {
            continue;
        }
        if (mc_sql[i].nparams != argc - 2) {
            fprintf(stderr, "statement: %s takes %d values\n", argv[1], mc_sql[i].nparams);
            return 1;
        }
        for (p = mc_sql[i].text; *p; p++) {
            if (p[0] == '$' && p[1] >= '1' && p[1] <= '9') {
                printf("'%s'", argv[1 + *++p - '0']);
            } else {
                putchar(*p == '\n' ? ' ' : *p);
            }
        }
        puts(";");
        return 0;
    }
    fprintf(stderr, "usage: statement NAME [VALUE …]\n");
    return 1;
}
