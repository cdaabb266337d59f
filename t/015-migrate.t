# Migrations: repeatable, from several processes at once, after a crash at any
# point; what was applied may not change and a newer database is refused.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(sleep time);

my $t = MCHost::Test->new(migrate => 0, nginx => 0, redis => 0);
my $pg = $t->pg;

sub migrate { return $t->recon->run('--migrate') }
sub fresh   { $pg->sql("DROP DATABASE $_", db => 'postgres') for 'mchost'; $pg->sql('CREATE DATABASE mchost OWNER mchost_owner', db => 'postgres') }
sub ledger  { return $t->sql('SELECT version, ordinal, sha256 FROM schema_migrations ORDER BY 1, 2') }
sub refused { my ($re, $name) = @_; my ($status, $said) = migrate(); is($status, 1, "$name: refused"); like($said, $re, '… with the reason') }

# What a schema consists of, for comparison.
sub schema {
    return join "\n", map { $t->sql($_) } (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position",
        'SELECT tablename, policyname, cmd, roles, qual, with_check FROM pg_policies ORDER BY 1, 2',
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT relname, relrowsecurity, relforcerowsecurity, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1");
}

my ($reference, $rows, $time);

subtest 'an empty database, and again' => sub {
    my $start = time;
    my ($status, $said) = migrate();
    $time = time - $start;
    is($status, 0, 'applied') or diag $said;
    like($said, qr/up to date/, 'says so');
    ($reference, $rows) = (schema(), ledger());
    is($t->sql('SELECT count(*) FROM schema_migrations_lease'), '0', 'the lease is given back');
    ($status, $said) = migrate();
    is($status, 0, 'a second run');
    unlike($said, qr/applied/, 'has nothing to do');
    is(schema(), $reference, 'and changes nothing');
};

subtest 'every tenant table is behind the wall' => sub {
    my $tables = "FROM pg_class c JOIN information_schema.columns k ON k.table_name = c.relname AND k.column_name = 'tenant_id' "
        . "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'";
    cmp_ok($t->sql("SELECT count(*) $tables"), '>=', 6, 'there are some');
    is($t->sql("SELECT relname $tables AND NOT (relrowsecurity AND relforcerowsecurity)"), '', 'row-level security is enabled and forced');
    is($t->sql("SELECT relname $tables AND NOT EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND p.cmd = 'ALL' AND p.qual = p.with_check)"),
        '', 'each has a policy for reading and writing');
    is($t->sql("SELECT relname $tables AND pg_get_userbyid(c.relowner) <> 'mchost_owner'"), '', 'all belong to mchost_owner');
    is($t->sql("SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
            . "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE c.relnamespace = 'public'::regnamespace "
            . "AND c.relname NOT LIKE 'schema\\_%' AND a.attname <> 'tenant_id'"), 'api_keys_key_hash', 'keys and indexes begin with tenant_id, but the one for keys');
};

subtest 'several at once' => sub {
    for my $round (1 .. 3) {
        fresh();
        my @p = map { $t->recon->run_async($t->dir . "/at-once.$_", '--migrate') } 1 .. 4;
        is_deeply([ map { $_->wait(60) } @p ], [ 0, 0, 0, 0 ], 'all succeed')
            or diag map { slurp($t->dir . "/at-once.$_") } 1 .. 4;
        my $said = join '', map { slurp($t->dir . "/at-once.$_") } 1 .. 4;
        is(() = $said =~ /001_tenants\.sql is applied/g, 1, 'one did the work');
        is(ledger(), $rows, 'every statement is recorded once');
        is(schema(), $reference, 'the schema is right');
    }
};

subtest 'killed at any point' => sub {
    fresh();
    my ($killed, $cut) = (0, 0);

    # The moment moves on through the run; the dead's lease is made to expire
    # at once.
    for my $n (1 .. 30) {
        my $p = $t->recon->run_async($t->dir . '/killed', '--migrate');
        sleep $time * $n / 25;
        $p->kill9;
        $killed++;
        wait_for { $t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_owner'") eq '0' } 'its sessions end';
        eval { $t->sql("UPDATE schema_migrations_lease SET expires_at = now() - interval '1 second'") };
        my $done = eval { $t->sql('SELECT count(*) FROM schema_migrations') } // 0;
        $cut++ if $done < split /\n/, $rows;
    }

    my ($status, $said) = migrate();
    is($status, 0, "the run after $killed kills, $cut of them in the middle") or diag $said;
    is(ledger(), $rows, 'every statement is recorded');
    is(schema(), $reference, 'the schema is right');
};

subtest 'done, but killed before it was recorded' => sub {
    for my $row (split /\n/, $rows) {
        my ($version, $ordinal) = split /\|/, $row;
        $t->sql("DELETE FROM schema_migrations WHERE (version, ordinal) >= ($version, $ordinal)");
        my ($status, $said) = migrate();
        is($status, 0, "from statement $version/$ordinal") or diag $said;
    }
    is(schema(), $reference, 'the schema is right');
};

subtest "another's lease" => sub {
    $t->sql("INSERT INTO schema_migrations_lease VALUES (1, 'another', now() + interval '1500 ms')");
    my $start = time;
    my ($status, $said) = migrate();
    is($status, 0, 'is waited for');
    cmp_ok(time - $start, '>=', 1, '… until it ends');
    like($said, qr/waiting/, '… and that is told');
};

subtest 'refused' => sub {
    $t->sql("UPDATE schema_migrations SET sha256 = 'x' WHERE version = 2 AND ordinal = 1");
    refused(qr/002_servers\.sql:\d+: statement 1 is not the one that was applied on 20/, 'a statement that changed');
    fresh();
    migrate();
    $t->sql("INSERT INTO schema_migrations (version, ordinal, file, sha256) VALUES (900, 1, '900_future.sql', 'x')");
    refused(qr/newer than this program.*900_future\.sql/, 'a newer database');
    $t->sql('DELETE FROM schema_migrations WHERE version = 900 OR (version = 1 AND ordinal = 2)');
    refused(qr/001_tenants\.sql:\d+: statement 2 is new, but later ones were applied/, 'a hole');
    is($t->sql('SELECT count(*) FROM schema_migrations_lease'), '0', 'the lease is given back');
};

subtest 'a statement that fails' => sub {
    fresh();
    $t->sql('CREATE VIEW servers AS SELECT 1 AS tenant_id', user => 'mchost_owner');
    refused(qr/002_servers\.sql:\d+: statement 2 failed\n\s+SQLSTATE: 42703\n\s+error: .*deleted_at/, 'by file, line and SQLSTATE');
    $t->sql('DROP VIEW servers');
    $t->sql("DELETE FROM schema_migrations WHERE version = 2");
    is((migrate())[0], 0, 'and goes on when that is repaired');
    is(schema(), $reference, 'the schema is right');
};

subtest 'no database' => sub {
    $t->recon->configure(migrate_url => $pg->conninfo('mchost_owner', host => $t->dir . '/nowhere'));
    refused(qr/nowhere/, 'a server that is not there');
    unlike((migrate())[1], qr/owner-pw/, 'the password is not shown');
};

done_testing;
