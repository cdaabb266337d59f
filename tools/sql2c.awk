# Compiles sql/statements*.sql and the migrations into C tables:
#
#     awk -v gen=DIR -f sql2c.awk sql/statements*.sql sql/migrations/*.sql
#
# writes DIR/mc_sql_ids.h and DIR/mc_sql_table.c. A migration is a file named
# NNN_*.sql, everything else holds named statements (its head says how they are
# written). A mistake is told as FILE:LINE: and nothing is written then.
#
# Plain POSIX awk: Debian's is mawk.

function fail(file, line, message) {
    printf "%s:%d: %s\n", file, line, message > "/dev/stderr"
    errors++
}

function trim(s) {
    sub(/^[ \t\n]+/, "", s)
    sub(/[ \t\n]+$/, "", s)
    return s
}

# Removes comments and keeps the state of quotes from line to line: quote is
# what must come to end it, "'" or "\"" or a dollar tag, "" outside of quotes.
function strip(line,    out, c, i) {
    out = ""
    while (line != "") {
        if (quote != "") {
            i = index(line, quote)
            if (i == 0) {
                return out line
            }
            i += length(quote)
            out = out substr(line, 1, i - 1)
            line = substr(line, i)
            quote = ""
            continue
        }
        if (substr(line, 1, 2) == "--") {
            break
        }
        c = substr(line, 1, 1)
        if (c == "'" || c == "\"") {
            quote = c
        } else if (match(line, /^\$[A-Za-z_]*\$/)) {
            quote = substr(line, 1, RLENGTH)
            c = quote
        }
        out = out c
        line = substr(line, length(c) + 1)
    }
    sub(/[ \t]+$/, "", out)
    return out
}

# The highest $n outside of quotes.
function highest_parameter(text,    n, max, c, q) {
    max = 0
    q = ""
    while (text != "") {
        c = substr(text, 1, 1)
        if (q != "") {
            if (c == q) {
                q = ""
            }
        } else if (c == "'" || c == "\"") {
            q = c
        } else if (match(text, /^\$[0-9]+/)) {
            n = substr(text, 2, RLENGTH - 1) + 0
            if (n > max) {
                max = n
            }
        }
        text = substr(text, 2)
    }
    return max
}

function begin_block(kind, name) {
    block = kind
    block_name = name
    block_line = FNR
    block_text = ""
    params = 0
    params_line = 0
    read_only = 0
}

# Closes what the file has open; a statement should have met its ";".
function end_block() {
    if (block == "fragment") {
        fragment[block_name] = trim(block_text)
    } else if (block == "statement" && !done) {
        fail(file, block_line, "statement \"" block_name "\" has no line that ends in \";\"")
    } else if (block == "migration" && trim(block_text) != "") {
        fail(file, block_line, "the statement that begins here has no line that ends in \";\"")
    }
    if (quote != "") {
        fail(file, block_line, "a quote that is opened here or below is never closed")
    }
    block = ""
    quote = ""
    done = 0
}

function begin_file() {
    end_block()
    file = FILENAME
    base = FILENAME
    sub(/^.*\//, "", base)
    migration = (base ~ /^[0-9][0-9][0-9]_.*\.sql$/)
    if (migration) {
        if (substr(base, 1, 3) + 0 <= version) {
            fail(file, 1, "version " substr(base, 1, 3) " does not follow " version)
        }
        version = substr(base, 1, 3) + 0
        ordinal = 0
        begin_block("migration", base)
    }
}

function directive(line,    name) {
    if (line ~ /^-- (name|fragment):/) {
        end_block()
    }
    name = line
    sub(/^-- [a-z]+: */, "", name)
    if (line ~ /^-- (name|fragment):/) {
        if (name !~ /^[a-z][a-z0-9_]*$/) {
            fail(file, FNR, "\"" name "\" is no name: lower-case letters, digits and _")
        }
        if (line ~ /^-- fragment:/) {
            if (name in fragment) {
                fail(file, FNR, "fragment \"" name "\" is there twice")
            }
            begin_block("fragment", name)
            return
        }
        if (name in statement_seen) {
            fail(file, FNR, "statement \"" name "\" is there twice")
        }
        statement_seen[name] = 1
        begin_block("statement", name)
        return
    }
    if (block != "statement" || done || trim(block_text) != "") {
        fail(file, FNR, "\"" line "\" belongs between \"-- name:\" and its statement")
        return
    }
    if (line ~ /^-- read-only/) {
        read_only = 1
        return
    }
    params = split(name, unused, /, */)
    params_line = FNR
}

function end_statement() {
    n_statements++
    s_name[n_statements] = block_name
    s_text[n_statements] = block_text
    s_line[n_statements] = block_line
    s_file[n_statements] = file
    s_params[n_statements] = params
    s_params_line[n_statements] = params_line
    s_read_only[n_statements] = read_only
    done = 1
}

function end_migration() {
    n_migrations++
    m_version[n_migrations] = version
    m_ordinal[n_migrations] = ++ordinal
    m_file[n_migrations] = base
    m_line[n_migrations] = block_line
    m_text[n_migrations] = trim(block_text)
    block_text = ""
}

function expand(text, i,    depth, name) {
    for (depth = 0; match(text, /\{\{[^}]*\}\}/); depth++) {
        name = substr(text, RSTART + 2, RLENGTH - 4)
        if (!(name in fragment)) {
            fail(s_file[i], s_line[i], "statement \"" s_name[i] "\" includes {{" name "}}: there is no such fragment")
            return text
        }
        if (depth == 200) {
            fail(s_file[i], s_line[i], "statement \"" s_name[i] "\": {{" name "}} includes itself")
            return text
        }
        text = substr(text, 1, RSTART - 1) fragment[name] substr(text, RSTART + RLENGTH)
    }
    return text
}

# Text as C string literals, a line each. "?" is escaped because C11 still
# knows trigraphs.
function literal(text,    out, n, i, lines, s) {
    out = ""
    n = split(text, lines, "\n")
    for (i = 1; i <= n; i++) {
        s = lines[i]
        gsub(/\\/, "&&", s)
        gsub(/"/, "\\\"", s)
        gsub(/\?/, "\\?", s)
        gsub(/\t/, "\\t", s)
        out = out "\n      \"" s (i < n ? "\\n" : "") "\""
    }
    return out
}

function write_ids(path,    i) {
    printf "/* Generated by tools/sql2c.awk from sql/. */\n\n" > path
    printf "#ifndef MC_SQL_IDS_H\n#define MC_SQL_IDS_H\n\n" > path
    printf "typedef enum {\n" > path
    for (i = 1; i <= n_statements; i++) {
        printf "    MC_SQL_%s,\n", toupper(s_name[i]) > path
    }
    printf "    MC_SQL_MAX\n} mc_sql_id_t;\n\n#endif\n" > path
    close(path)
}

function write_table(path,    i) {
    printf "/* Generated by tools/sql2c.awk from sql/. */\n\n" > path
    printf "#include \"mc_sql.h\"\n\n" > path
    printf "const mc_sql_t  mc_sql[MC_SQL_MAX] = {\n" > path
    for (i = 1; i <= n_statements; i++) {
        printf "    { \"%s\",%s,\n      %d, %d },\n", s_name[i], literal(s_text[i]), s_params[i], s_read_only[i] > path
    }
    printf "};\n\nconst mc_migration_t  mc_migrations[] = {\n" > path
    for (i = 1; i <= n_migrations; i++) {
        printf "    { %d, %d, \"%s\", %d,%s },\n", m_version[i], m_ordinal[i], m_file[i], m_line[i], literal(m_text[i]) > path
    }
    printf "};\n\nconst unsigned  mc_migrations_n = %d;\n", n_migrations > path
    close(path)
}

# Both or neither, and never a half-written file that a build could see.
function install(    ids, table) {
    ids = gen "/mc_sql_ids.h"
    table = gen "/mc_sql_table.c"
    write_ids(ids ".tmp")
    write_table(table ".tmp")
    if (system("mv '" ids ".tmp' '" ids "' && mv '" table ".tmp' '" table "'") != 0) {
        exit 1
    }
}

FNR == 1 { begin_file() }

!migration && quote == "" && /^-- (name|fragment|params):|^-- read-only *$/ {
    directive($0)
    next
}

{
    text = strip($0)
    if (text ~ /^[ \t]*$/ && quote == "") {
        # keeps the lines of a migration where the server's errors count them
        if (block == "migration" && block_text != "") {
            block_text = block_text "\n"
        }
        next
    }
    if (block == "" || done) {
        fail(file, FNR, "text outside of any statement")
        next
    }
    if (block == "migration" && block_text == "") {
        block_line = FNR
    }
    ends = (quote == "" && text ~ /;$/)
    if (ends) {
        sub(/[ \t]*;$/, "", text)
    }
    block_text = block_text (block_text == "" ? "" : "\n") text
    if (!ends) {
        next
    }
    if (trim(block_text) == "") {
        fail(file, FNR, "an empty statement")
    } else if (block == "migration") {
        end_migration()
    } else if (block == "statement") {
        end_statement()
    } else {
        fail(file, FNR, "a fragment is part of a statement and has no \";\"")
    }
}

END {
    end_block()
    if (gen == "") {
        fail("sql2c.awk", 0, "say where to write: -v gen=DIR")
    }
    for (i = 1; i <= n_statements; i++) {
        s_text[i] = trim(expand(s_text[i], i))
        highest = highest_parameter(s_text[i])
        if (highest != s_params[i]) {
            fail(s_file[i], s_params_line[i] ? s_params_line[i] : s_line[i], \
                 "statement \"" s_name[i] "\" names " s_params[i] " parameters and uses $" highest)
        }
    }
    if (n_statements == 0 || n_migrations == 0) {
        fail("sql2c.awk", 0, "no statements or no migrations were given")
    }
    if (errors) {
        exit 1
    }
    install()
}
