# Migrations: fresh, again, two at once, newer database, failed statement,
# changed checksum; and what the catalogue says afterwards.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(migrate => 0, nginx => 0, redis => 0);
my $recon = $t->recon;

# An empty database of its own for a subtest.
my $n = 0;

sub fresh {
    my $db = 'm' . ++$n;
    $t->sql("CREATE DATABASE $db OWNER mchost_owner", db => 'postgres');
    $recon->configure(migrate_url => $t->pg->conninfo('mchost_owner', db => $db));
    return sub { $t->sql($_[0], db => $db, user => $_[1]) };
}

my $ledger = 'SELECT count(*), min(version), max(version) FROM schema_migrations';
my $tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";

subtest 'fresh and again' => sub {
    my $sql = fresh();
    my ($status, $said) = $recon->run('--migrate');
    is($status, 0, 'applied') or diag $said;
    my $all = $sql->($ledger);
    like($all, qr/^\d+\|1\|\d+$/, 'every statement is in the ledger');
    is($sql->('SELECT count(*) FROM schema_migrations WHERE length(sha256) <> 64'), '0', 'with its checksum');
    ($status, $said) = $recon->run('--migrate');
    is($status, 0, 'a second time');
    is($sql->($ledger), $all, 'changes nothing');
};

subtest 'catalogue' => sub {
    my $sql = fresh();
    is(($recon->run('--migrate'))[0], 0, 'applied');

    my @tenant = split /\n/, $sql->("SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped"
        . " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1");
    cmp_ok(scalar @tenant, '>=', 6, "tenant tables: @tenant");

    for my $table (@tenant) {
        is($sql->("SELECT relrowsecurity::text || relforcerowsecurity FROM pg_class WHERE oid = '$table'::regclass"), 'truetrue', "$table: row security enabled and forced");
        is($sql->("SELECT count(*) FROM pg_policies WHERE tablename = '$table' AND policyname = 'tenant' AND cmd = 'ALL' AND qual = with_check"), '1', "$table: the tenant policy");
        like($sql->("SELECT qual FROM pg_policies WHERE tablename = '$table' AND policyname = 'tenant'"), qr/tenant_id = .*NULLIF\(current_setting\('app\.tenant_id'.*true\)/i, "$table: which fails closed");
        is($sql->("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '$table'::regclass"), 'mchost_owner', "$table: owner");
    }

    my $loose = $sql->(<<'EOT');
SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
  JOIN pg_attribute f ON f.attrelid = c.oid AND f.attnum = x.indkey[0]
 WHERE c.relnamespace = 'public'::regnamespace AND f.attname <> 'tenant_id' ORDER BY 1
EOT
    # server_events_at and server_metrics_at are the reconciler's, who removes what is old
    is_deeply([ split /\n/, $loose ], [ qw(api_keys_key_hash members_invite members_login server_events_at server_metrics_at sessions_token_hash ws_tickets_hash) ],
        'every index begins with the tenant, but for those that find it');

    is($sql->("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'mchost%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"), '0', 'no role of ours has power');
    is($sql->("SELECT count(*) FROM pg_class WHERE relowner IN ('mchost_api'::regrole, 'mchost_reconciler'::regrole)"), '0', 'nginx and the reconciler own nothing');
    is($sql->("SELECT count(*) FROM pg_auth_members WHERE member IN (SELECT oid FROM pg_roles WHERE rolname LIKE 'mchost%')"), '0', 'and are members of nothing');
    is($sql->("SELECT string_agg(table_name || ':' || privilege_type, ' ' ORDER BY 1) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_schema = 'public'"), '', 'nothing is granted to everybody');

    my $grants = $sql->("SELECT string_agg(privilege_type, ',' ORDER BY privilege_type) FROM information_schema.role_table_grants WHERE grantee = 'mchost_api' AND table_name = 'api_keys'");
    is($grants, 'DELETE,INSERT,SELECT', 'the API makes and removes keys, and changes none');
    is($sql->("SELECT string_agg(privilege_type, ',' ORDER BY privilege_type) FROM information_schema.role_table_grants WHERE grantee = 'mchost_reconciler' AND table_name = 'servers'"), 'SELECT', 'the reconciler writes no server');
};

subtest 'several at once' => sub {
    for my $round (1 .. 2) {
        my $sql = fresh();
        my @p = map { [ "$t->{dir}/at-once.$_", $recon->run_async("$t->{dir}/at-once.$_", '--migrate') ] } 1 .. 4;
        is($_->[1]->wait(60), 0, 'succeeds') or diag slurp($_->[0]) for @p;
        is($sql->('SELECT count(*) FROM (SELECT version, ordinal FROM schema_migrations GROUP BY 1, 2 HAVING count(*) > 1) x'), '0', 'each statement once');
        like($sql->($tables), qr/servers/, 'the tables are there');
    }
};

subtest 'killed in the middle, then again' => sub {
    my $sql = fresh();
    my $p = $recon->run_async("$t->{dir}/killed", '--migrate');
    wait_for { $p->alive ? eval { $sql->('SELECT count(*) FROM schema_migrations') > 2 } : 1 } 'some statements';
    $p->signal('KILL');
    $p->wait(5);
    my ($status, $said) = $recon->run('--migrate');
    is($status, 0, 'goes on where it was') or diag $said;
    like($sql->($ledger), qr/^\d+\|1\|\d+$/, 'to the end');
};

subtest 'a newer database' => sub {
    my $sql = fresh();
    $recon->run('--migrate');
    $sql->("INSERT INTO schema_migrations (version, ordinal, file, sha256) VALUES (999, 1, '999_future.sql', repeat('0', 64))");
    my ($status, $said) = $recon->run('--migrate');
    is($status, 1, 'is refused');
    like($said, qr/newer than this program.*999_future\.sql/, 'and named');
};

subtest 'a changed statement' => sub {
    my $sql = fresh();
    $recon->run('--migrate');
    $sql->("UPDATE schema_migrations SET sha256 = repeat('0', 64) WHERE version = 1 AND ordinal = 1");
    my ($status, $said) = $recon->run('--migrate');
    is($status, 1, 'is refused');
    like($said, qr/001_tenants\.sql:\d+: statement 1 is not the one that was applied/, 'with file and line');
};

subtest 'a failed statement' => sub {
    my $sql = fresh();
    $sql->('CREATE DOMAIN servers AS integer', 'mchost_owner');
    my ($status, $said) = $recon->run('--migrate');
    is($status, 1, 'fails');
    my ($file, $line) = $said =~ /(00\d_\w+\.sql):(\d+): statement \d+ failed/;
    is($file, '002_servers.sql', 'names the file') or diag $said;
    my @lines = split /\n/, slurp(root() . "/sql/migrations/$file");
    like($lines[ $line - 1 ], qr/^(CREATE|ALTER|GRANT|DROP)/, 'and the line on which the statement begins') or diag $said;
    like($said, qr/SQLSTATE: 42710\s+error: .*servers.*exists/, 'and what the database said');
    unlike($said, qr/owner-pw/, 'but no password');
    $sql->('DROP DOMAIN servers', 'mchost_owner');
    is(($recon->run('--migrate'))[0], 0, 'once mended, it goes on');
};

subtest 'no database' => sub {
    $recon->configure(migrate_url => "host=$t->{dir} dbname=none user=x password=owner-pw");
    my ($status, $said) = $recon->run('--migrate');
    is($status, 1, 'fails');
    like($said, qr/migrate: .*(No such file|failed)/, 'with the reason');
    unlike($said, qr/owner-pw/, 'but no password');
    $recon->configure(migrate_url => '');
    isnt(($recon->run('--migrate'))[0], 0, 'no migrate_url');
};

done_testing;
